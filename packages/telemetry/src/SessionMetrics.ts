/**
 * The recorder at work: an observer of sessions that drives the fold of `Recorder` and feeds Effect's metrics.
 *
 * Whatever reads Effect's metrics then has them: the exporters of this package, those of `effect/observability` and of
 * `@effect/opentelemetry`, or `Metric.snapshot`. It runs on the writers of the sessions, without waiting for anything.
 */
import { both, SessionObserver, type SessionSignal } from "@spindle/core/SessionObserver"
import type { SessionId } from "@spindle/core/Ids"
import { SessionPolicy } from "@spindle/core/SessionPolicy"
import { isDelta, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Metric from "effect/Metric"
import * as Series from "./internal/series.ts"
import { shape } from "./internal/shapes.ts"
import { type Attributes, definitions, type Measurement, type MetricId, type MetricSet } from "./Metrics.ts"
import * as Recorder from "./Recorder.ts"

/** What to record, and what to say with it. */
export interface Options {
  /** The families of names to record. Default `spindle` and `gen_ai`; `reference` has the names of the reference. */
  readonly sets?: ReadonlyArray<MetricSet>
  /** Attributes of every point: `auth_mode`, `session_source`, `originator`, `service_name`, `model`, `app.version` ... */
  readonly tags?: Attributes
  /**
   * Whether the network proxy is in use, read at the end of each turn, within a second. A read that fails or takes longer
   * is logged as a warning and counts as inactive. Default: there is none.
   */
  readonly networkProxy?: Effect.Effect<boolean, unknown>
  /** See `RecorderOptions`. Default false. */
  readonly memoryEnabled?: boolean
  /** See `RecorderOptions`. Default false. */
  readonly isGit?: boolean
  /**
   * How many combinations of attributes one metric may have; more than that are counted together, with the attribute
   * `otel.metric.overflow`. Default 1,000.
   */
  readonly seriesLimit?: number
}

/** The observer; `sessionsCount` is how many sessions it remembers. */
export interface SessionMetrics extends SessionObserver {
  readonly sessionsCount: () => number
}

/** How long a read of the network proxy may take. */
const proxyLimit = "1 second"

/**
 * Makes the observer. Metrics go to the registry of the context that it is made in, aborted turns are counted as the
 * `SessionPolicy` there says.
 */
export const make = (options: Options = {}): Effect.Effect<SessionMetrics> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const policy = yield* SessionPolicy
    const wanted = wantedOf(options.sets ?? ["spindle", "gen_ai"])
    const series = Series.make({ tags: options.tags ?? {}, limit: options.seriesLimit ?? 1_000 })
    const initial = Recorder.begin({
      reference: wanted.codexTurnDuration === true,
      abortedTurns: policy.abortedTurnMetrics,
      memoryEnabled: options.memoryEnabled ?? false,
      isGit: options.isGit ?? false
    })
    const states = new Map<SessionId, Recorder.RecorderState>()
    const update = (measured: Measurement, attributes: Attributes): void => {
      const metric: Metric.Metric<number, unknown> = series(measured.metric, attributes)
      // a counter that goes up and down is updated by what is added, too
      metric.updateUnsafe(measured.value, context)
    }
    const record = (measured: Measurement): void => {
      if (wanted[measured.metric] !== true) return
      if (measured.metric !== "turnProxy" && measured.metric !== "codexTurnProxy") {
        return update(measured, measured.attributes)
      }
      const tell = (active: boolean) =>
        update(measured, ofProxy(measured.attributes["tmp_mem_enabled"]!, String(active)))
      if (options.networkProxy === undefined) return tell(false)
      // beside the writer that calls, which waits for nothing; it ends within its limit
      Effect.runForkWith(context)(Effect.map(readProxy(options.networkProxy), tell))
    }
    const take = (sessionId: SessionId, before: Recorder.RecorderState, [state, measured]: Recorder.Step): void => {
      if (state !== before) states.set(sessionId, state)
      for (const one of measured) record(one)
    }
    return {
      sessionsCount: () => states.size,
      onEvent: (sessionId: SessionId, event: SessionEvent) => {
        const state = states.get(sessionId) ?? initial
        // a delta after the first one of its request changes nothing
        if (isDelta(event) && (event._tag === "ToolOutput" || hasOutput(state))) return
        const now = "at" in event ? event.at : clock.currentTimeMillisUnsafe()
        take(sessionId, state, Recorder.step(state, event, now))
      },
      onSignal: (sessionId: SessionId, signal: SessionSignal) => {
        const state = states.get(sessionId) ?? initial
        take(sessionId, state, Recorder.signal(state, signal))
        if (signal._tag === "Closed") states.delete(sessionId)
      }
    }
  })

const ofProxy = shape("tmp_mem_enabled", "active")

const wantedOf = (sets: ReadonlyArray<MetricSet>): { readonly [Id in MetricId]?: true } => {
  const wanted: { [Id in MetricId]?: true } = {}
  for (const id of Object.keys(definitions) as Array<MetricId>)
    if (sets.includes(definitions[id].set)) wanted[id] = true
  return wanted
}

const hasOutput = ({ turn }: Recorder.RecorderState): boolean =>
  turn === undefined || (turn.hasOutput && turn.request?.hasOutput !== false)

const readProxy = (read: Effect.Effect<boolean, unknown>): Effect.Effect<boolean> =>
  read.pipe(
    Effect.timeout(proxyLimit),
    Effect.catchCause((cause) =>
      Effect.as(Effect.logWarning("the state of the network proxy cannot be read; it counts as inactive", cause), false)
    )
  )

/** The recorder as the observer of all sessions made with it, beside one that is there already. */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const there = yield* SessionObserver
      const made = yield* make(options)
      return Context.make(SessionObserver, both(there, made)) as Context.Context<never>
    })
  )
