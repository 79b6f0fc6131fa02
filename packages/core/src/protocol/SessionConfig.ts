/**
 * Limits and delays of a session.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { ModelFailed } from "./SessionError.ts"

/**
 * Limits and delays. A number of `Infinity` is no limit. To change some, provide a changed record:
 * `Effect.provideService(SessionConfig, { ...defaults, grace: "1 second" })`.
 */
export interface SessionConfig {
  /**
   * The time that an aborted turn waits for its task and clean-ups (contract I2, I3). Default: 100 ms. With 0 it does
   * not wait.
   */
  readonly grace: Duration.Input
  /** The longest time for the abort hook of a task. Default: 100 ms. */
  readonly abortHookLimit: Duration.Input
  /** The longest time for the hooks after an abort; see `Hooks.interrupt`. Default: 1 s. */
  readonly interruptHookLimit: Duration.Input
  /** The time that a process gets to end after its signal, before it is killed (contract X1). Default: 500 ms. */
  readonly processGrace: Duration.Input
  /** The longest wait for the processes of an aborted turn after it has settled (contract I3, X1). Default: 2 s. */
  readonly processDeadline: Duration.Input
  /**
   * The longest wait for the delegates of a turn that ended, or of a session that closes (contract D1). Default: 500
   * ms.
   */
  readonly delegateDeadline: Duration.Input
  /** The longest time for a write of the journal (contract S2). Default: 10 s. */
  readonly journalDeadline: Duration.Input
  /**
   * The number of accepted inputs that may wait. One more may wait if all others are notices, which start no turn.
   * Default: 512.
   */
  readonly inboxCapacity: number
  /** The greatest number of characters of text in one input. Default: 1,048,576. */
  readonly inputLimit: number
  /**
   * The number of events that may wait for a slow subscriber. Above it, text is merged and records are read back.
   * Default: 512.
   */
  readonly subscriberCapacity: number
  /** The number of times that a model request without a response is sent again. Default: 4. */
  readonly requestRetries: number
  /** The number of times that a model request whose response broke off is sent again. Default: 5. */
  readonly streamRetries: number
  /**
   * The delays between the attempts of a model request. No attempt follows the end of the schedule. Its input is the
   * failure. The schedule starts anew for requests without a response and for responses that broke off. A delay that
   * the provider asked for takes precedence. Default: {@link retrySchedule}.
   */
  readonly retrySchedule: Schedule.Schedule<unknown, ModelFailed>
  /** The number of tool calls of one turn that may run at once. Default: 16. */
  readonly toolConcurrency: number
  /**
   * The longest time for the hooks on one input that is recorded at the end of a turn (`leftoverInput: "record"`). If
   * they take longer, the input is kept. Default: 10 s.
   */
  readonly hookLimit: Duration.Input
  /** The number of times that `Hooks.stop` may continue one turn. Default: 8. */
  readonly stopContinuations: number
  /** The number of model requests that one turn may send, retries included (contract S10). Default: 1,000. */
  readonly turnModelRequests: number
  /** The number of tool calls that one turn may make (contract S10). Default: 5,000. */
  readonly turnToolCalls: number
  /** The number of tokens after which a turn sends no more model requests (contract S10). Default: `Infinity`. */
  readonly turnTokens: number
  /**
   * The number of tokens of context from which a turn compacts the history before its next model request. If the
   * context window of the model is known, a greater number has no effect. Default: 90 % of that window.
   */
  readonly compactFromTokens: number | undefined
  /** The number of tokens of the newest user messages that a compaction keeps word for word. Default: 20,000. */
  readonly compactKeepTokens: number
  /** The share of the history's tokens that a compaction must free; if it frees less, it fails. Default: 0.3. */
  readonly compactMinimumGain: number
  /** The number of compactions that one turn may make by itself. Default: 3. */
  readonly turnCompactions: number
  /** The longest time for a turn (contract S10). Default: no limit. */
  readonly turnDuration: Duration.Input | undefined
  /**
   * The number of times that a tool call may fail with the same arguments, without a completed call in between. After
   * that the turn no longer runs this call (contract S10). Default: 5.
   */
  readonly identicalFailures: number
  /**
   * The longest wait of a question for its answer (contract A2). Default: no limit, so that an interactive root waits.
   */
  readonly questionDeadline: Duration.Input | undefined
  /**
   * The time after which a warning reports a question that has no deadline and no decider, while no client reads the
   * events of the session. Default: 1 minute.
   */
  readonly unansweredLimit: Duration.Input
}

/** The default delays between attempts: 200 ms at first, doubled each time, and varied at random by up to 10 %. */
export const retrySchedule: Schedule.Schedule<Duration.Duration> = Schedule.modifyDelay(
  Schedule.exponential("200 millis"),
  ({ duration }) => Effect.map(Random.next, (random) => Duration.times(duration, 0.9 + 0.2 * random))
)

/** The default limits and delays. Their durations are values, because texts would be parsed for each session. */
export const defaults: SessionConfig = {
  grace: Duration.millis(100),
  abortHookLimit: Duration.millis(100),
  interruptHookLimit: Duration.seconds(1),
  processGrace: Duration.millis(500),
  processDeadline: Duration.seconds(2),
  delegateDeadline: Duration.millis(500),
  journalDeadline: Duration.seconds(10),
  inboxCapacity: 512,
  inputLimit: 1_048_576,
  subscriberCapacity: 512,
  requestRetries: 4,
  streamRetries: 5,
  retrySchedule,
  toolConcurrency: 16,
  hookLimit: Duration.seconds(10),
  stopContinuations: 8,
  turnModelRequests: 1_000,
  turnToolCalls: 5_000,
  turnTokens: Infinity,
  compactFromTokens: undefined,
  compactKeepTokens: 20_000,
  compactMinimumGain: 0.3,
  turnCompactions: 3,
  turnDuration: undefined,
  identicalFailures: 5,
  questionDeadline: undefined,
  unansweredLimit: Duration.minutes(1)
}

/** The limits and delays of the sessions in this context. Default: {@link defaults}. */
export const SessionConfig: Context.Reference<SessionConfig> = Context.Reference<SessionConfig>(
  "@spindle/core/SessionConfig",
  { defaultValue: () => defaults }
)

/** Provides limits and delays to the sessions that are made with this layer. The others have their defaults. */
export const layer = (config: Partial<SessionConfig>): Layer.Layer<never> =>
  Layer.succeed(SessionConfig, { ...defaults, ...config })

/**
 * As {@link layer}, with limits and delays from the configuration. **Errors**: `ConfigError` if a value is missing or
 * invalid.
 *
 * @example
 * ```ts
 * import { SessionConfig } from "@spindle/core"
 * import { Config } from "effect"
 *
 * export const limits = SessionConfig.layerConfig({
 *   turnModelRequests: Config.Int("TURN_MODEL_REQUESTS").pipe(Config.withDefault(100)),
 *   turnDuration: Config.Duration("TURN_DURATION").pipe(Config.withDefault(undefined))
 * })
 * ```
 */
export const layerConfig = (config: Config.Wrap<Partial<SessionConfig>>): Layer.Layer<never, Config.ConfigError> =>
  Layer.unwrap(Effect.map(Config.unwrap(config), layer))

/** Limits that can be changed while sessions use them. */
export interface Adjustable {
  /** The limits to provide. They always have the present values. */
  readonly config: SessionConfig
  /**
   * Changes some of the limits. The limits of model requests, tool calls and tokens apply at once, including to a
   * running turn. The other limits of a turn apply from the next turn onwards. Limits that are fixed when a session is
   * opened apply when it is opened again.
   */
  readonly change: (config: Partial<SessionConfig>) => Effect.Effect<void>
}

/** Makes limits that can be changed. The others have their defaults. */
export const adjustable = (initial: Partial<SessionConfig> = {}): Effect.Effect<Adjustable> =>
  Effect.sync(() => {
    const config = { ...defaults, ...initial }
    return { config, change: (changed) => Effect.sync(() => void Object.assign(config, changed)) }
  })
