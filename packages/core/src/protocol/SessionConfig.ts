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
 * Limits and delays. Provide a changed record to change them: `Effect.provideService(SessionConfig, { ...defaults,
 * grace: "1 second" })`.
 */
export interface SessionConfig {
  /**
   * How long an aborted turn waits for its task and clean-ups (contract I2, I3). Default 100 ms; 0 means not at all.
   */
  readonly grace: Duration.Input
  /** How long a task's abort hook may take. Default 100 ms. */
  readonly abortHookLimit: Duration.Input
  /** How long the hooks on an aborted turn may take. Default 1 s; see `Hooks.interrupt`. */
  readonly interruptHookLimit: Duration.Input
  /** How long a process may take to end after its signal, before it is killed (contract X1). Default 500 ms. */
  readonly processGrace: Duration.Input
  /** How long to wait for the processes of an aborted turn after it settled (contract I3, X1). Default 2 s. */
  readonly processDeadline: Duration.Input
  /** How long to wait for the delegates of a turn that ended, or of a session that closes (contract D1). Default 500 ms. */
  readonly delegateDeadline: Duration.Input
  /** How long a write of the journal may take (contract S2). Default 10 s. */
  readonly journalDeadline: Duration.Input
  /** How many accepted inputs may wait; one more if all others are notices, which start no turn. Default 512. */
  readonly inboxCapacity: number
  /** How many characters of text one input may have. Default 1,048,576. */
  readonly inputLimit: number
  /** How many events may wait for a slow subscriber before text is merged and records are read back. Default 512. */
  readonly subscriberCapacity: number
  /** How often a model request is tried again that got no response. Default 4; 0 means never. */
  readonly requestRetries: number
  /** How often a model request is tried again whose response broke off. Default 5; 0 means never. */
  readonly streamRetries: number
  /**
   * The delays between the attempts of a model request, which also end when the schedule does. Its input is the failure.
   * Requests that got no response and responses that broke off each run the schedule from its start. A delay that the
   * provider asked for takes precedence. Default: {@link retrySchedule}.
   */
  readonly retrySchedule: Schedule.Schedule<unknown, ModelFailed>
  /** How many tools of one turn may run at once. Default 16. */
  readonly toolConcurrency: number
  /**
   * How long the hooks may take for one input that is recorded at the end of a turn (`leftoverInput: "record"`); after that
   * the input is kept. Default 10 s.
   */
  readonly hookLimit: Duration.Input
  /** How often Stop hooks may continue one turn. Default 8. */
  readonly stopContinuations: number
  /** How many model requests one turn may send, retries included (contract S10). Default 1,000; `Infinity` is no bound. */
  readonly turnModelRequests: number
  /** How many tool calls one turn may make (contract S10). Default 5,000; `Infinity` is no bound. */
  readonly turnToolCalls: number
  /** After how many tokens a turn sends no more model requests (contract S10). Default `Infinity`: no bound. */
  readonly turnTokens: number
  /**
   * From how many tokens of context a turn compacts the history before its next model request; at most the model's context
   * window, if it is known. Default: 90 % of that window.
   */
  readonly compactFromTokens: number | undefined
  /** How many tokens of the user's newest messages a compaction keeps word for word. Default 20,000. */
  readonly compactKeepTokens: number
  /** The share of the history's tokens that a compaction must free, or else it fails. Default 0.3. */
  readonly compactMinimumGain: number
  /** How many compactions one turn may make by itself. Default 3; 0 means none. */
  readonly turnCompactions: number
  /** How long a turn may take (contract S10). Default none. */
  readonly turnDuration: Duration.Input | undefined
  /**
   * How often a tool call may fail with the same arguments, with no call completed in between, until it is no longer run in
   * its turn (contract S10). Default 5; `Infinity` is no bound.
   */
  readonly identicalFailures: number
  /** How long a question waits for its answer (contract A2). Default none: an interactive root waits. */
  readonly questionDeadline: Duration.Input | undefined
  /**
   * After how long a question is reported with a warning that has no deadline and no decider, while no client reads the
   * events of the session. Default 1 minute.
   */
  readonly unansweredLimit: Duration.Input
}

/** A schedule whose first delay is 200 ms. The delay doubles each time, and varies by 10 % each way. */
export const retrySchedule: Schedule.Schedule<Duration.Duration> = Schedule.modifyDelay(
  Schedule.exponential("200 millis"),
  ({ duration }) => Effect.map(Random.next, (random) => Duration.times(duration, 0.9 + 0.2 * random))
)

/** The defaults. Their durations are values: a text would be parsed for each session. */
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

/** The limits and delays in force, with {@link defaults} as default. */
export const SessionConfig: Context.Reference<SessionConfig> = Context.Reference<SessionConfig>(
  "@spindle/core/SessionConfig",
  { defaultValue: () => defaults }
)

/** Provides limits and delays to the sessions that are made with this layer. What is left out has its default. */
export const layer = (config: Partial<SessionConfig>): Layer.Layer<never> =>
  Layer.succeed(SessionConfig, { ...defaults, ...config })

/**
 * {@link layer}, its limits and delays read from the configuration.
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
  /** Provide these: they always have the present values. */
  readonly config: SessionConfig
  /**
   * Changes some of the limits. The bounds of model requests, tool calls and tokens hold at once, also for a turn that runs;
   * the other bounds of a turn hold from the next turn, and what is fixed when a session opens from its next opening.
   */
  readonly change: (config: Partial<SessionConfig>) => Effect.Effect<void>
}

/** Makes limits that can be changed. What is left out has its default. */
export const adjustable = (initial: Partial<SessionConfig> = {}): Effect.Effect<Adjustable> =>
  Effect.sync(() => {
    const config = { ...defaults, ...initial }
    return { config, change: (changed) => Effect.sync(() => void Object.assign(config, changed)) }
  })
