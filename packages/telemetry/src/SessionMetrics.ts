/**
 * Observes sessions, drives the fold of `Measures` and feeds Effect's metrics.
 *
 * Everything that reads Effect's metrics sees them: the exporters of this package, those of `effect/observability` and
 * `@effect/opentelemetry`, and `Metric.snapshot`. The observer runs on the writers of the sessions and never waits.
 */
import type { SessionId } from "@spindle/core/Ids"
import { isDelta, type SessionEvent } from "@spindle/core/SessionEvent"
import { both, SessionObserver, type SessionSignal } from "@spindle/core/SessionObserver"
import { SessionPolicy } from "@spindle/core/SessionPolicy"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { countOf } from "./internal/limits.ts"
import { shape } from "./internal/points.ts"
import * as Series from "./internal/series.ts"
import * as Measures from "./Measures.ts"
import { type Attributes, definitions, type Measurement, type MetricId, type MetricSet } from "./Metrics.ts"

/** The metrics to record, and the attributes of all of them. */
export interface Options {
  /** The families of names to record. Default `spindle` and `gen_ai`. */
  readonly sets?: ReadonlyArray<MetricSet> | undefined
  /**
   * Attributes of every point: `auth_mode`, `session_source`, `originator`, `service_name`, `model`, `app.version` ...
   */
  readonly tags?: Attributes | undefined
  /**
   * Returns true if the network proxy is in use. It is read at the end of each turn, within a second. A read that fails
   * or takes longer is logged as a warning and counts as inactive. Default: there is no proxy.
   */
  readonly networkProxy?: Effect.Effect<boolean, unknown> | undefined
  /** The value of `tmp_mem_enabled` in the family `reference`: true if the agent has a memory. Default false. */
  readonly memoryEnabled?: boolean | undefined
  /** The value of `is_git` in the family `reference`: true if sessions work in a repository. Default false. */
  readonly isGit?: boolean | undefined
  /**
   * The most combinations of attributes that one metric may have. Further ones are counted together, with the attribute
   * `otel.metric.overflow`. Default 1,000.
   */
  readonly seriesLimit?: number | undefined
}

/** The observer of sessions. */
export interface SessionMetrics extends SessionObserver {
  /** Returns the number of sessions that it remembers. */
  readonly sessionsCount: () => number
}

const defaultSeriesLimit = 1_000

/** The time limit of a read of the network proxy. */
const proxyLimit = "1 second"

/**
 * Makes the observer. Metrics go to the registry of the current context. Aborted turns are counted as its
 * `SessionPolicy` says.
 */
export const make = (options: Options = {}): Effect.Effect<SessionMetrics> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const policy = yield* SessionPolicy
    const wanted = wantedOf(options.sets ?? ["spindle", "gen_ai"])
    const series = Series.make({
      tags: options.tags ?? {},
      limit: countOf(options.seriesLimit, { otherwise: defaultSeriesLimit, most: Number.MAX_SAFE_INTEGER })
    })
    const initial = Measures.initial({
      reference: wanted.codexTurnDuration === true,
      abortedTurns: policy.abortedTurnMetrics,
      memoryEnabled: options.memoryEnabled ?? false,
      isGit: options.isGit ?? false
    })
    const states = new Map<SessionId, Measures.State>()
    // all kinds, including updown counters, are updated by the amount to add
    const update = ({ metric, value }: Measurement, attributes: Attributes): void =>
      series(metric, attributes).updateUnsafe(value, context)
    const record = (measured: Measurement): void => {
      if (wanted[measured.metric] !== true) return
      const withProxy = proxyAttributes[measured.metric]
      if (withProxy === undefined) return update(measured, measured.attributes)
      const updateTurn = (active: boolean) => update(measured, withProxy(String(active), measured.attributes))
      if (options.networkProxy === undefined) return updateTurn(false)
      // detached, because the writer that calls this waits for nothing; the read ends within its limit
      Effect.runForkWith(context)(Effect.map(readProxy(options.networkProxy), updateTurn))
    }
    const apply = (sessionId: SessionId, before: Measures.State, [state, measured]: Measures.Step): void => {
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
        apply(sessionId, state, Measures.step(state, event, now))
      },
      onSignal: (sessionId: SessionId, signal: SessionSignal) => {
        const state = states.get(sessionId) ?? initial
        apply(sessionId, state, Measures.stepSignal(state, signal))
        if (signal._tag === "Closed") states.delete(sessionId)
      }
    }
  })

const ofProxy = shape("active")
const ofReferenceProxy = shape("active", "tmp_mem_enabled")

/** The attributes of the metrics that show the state of the network proxy. */
const proxyAttributes: {
  readonly [Id in MetricId]?: (active: string, attributes: Attributes) => Attributes
} = {
  turnProxy: ofProxy,
  codexTurnProxy: (active, attributes) => ofReferenceProxy(active, attributes["tmp_mem_enabled"]!)
}

const wantedOf = (sets: ReadonlyArray<MetricSet>): { readonly [Id in MetricId]?: true } => {
  const wanted: { [Id in MetricId]?: true } = {}
  for (const id of Object.keys(definitions) as Array<MetricId>)
    if (sets.includes(definitions[id].set)) wanted[id] = true
  return wanted
}

const hasOutput = ({ turn }: Measures.State): boolean =>
  turn === undefined || (turn.hasOutput && turn.request?.hasOutput !== false)

const readProxy = (read: Effect.Effect<boolean, unknown>): Effect.Effect<boolean> =>
  read.pipe(
    Effect.timeout(proxyLimit),
    Effect.catchCause((cause) =>
      Effect.as(Effect.logWarning("the state of the network proxy cannot be read; it counts as inactive", cause), false)
    )
  )

/** Observes all sessions that are made with this layer, in addition to an observer that is already in the context. */
export const layer = (options?: Options): Layer.Layer<never> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const existing = yield* SessionObserver
      const observer = yield* make(options)
      return Context.make(SessionObserver, both(existing, observer)) as Context.Context<never>
    })
  )
