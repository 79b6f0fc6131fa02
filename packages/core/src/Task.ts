/**
 * Tasks. A task is the effect that a turn runs, with a name and a few choices about how the turn treats it.
 *
 * A task never settles its own turn: it returns, and the supervisor settles the turn. The type of a task has its
 * requirements; the turn provides `Turn` and `Scope`.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import { CallbackFailed } from "./protocol/AgentError.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { Turn } from "./Turn.ts"

/** A value that a turn can run. */
export interface Task<out A, out E = never, out R = never> {
  /** The task kind in `TurnStarted`: `regular`, `compact`, or a custom name. */
  readonly kind: string
  /** The name of the turn's span. */
  readonly spanName: string
  readonly effect: Effect.Effect<A, E, R>
  /**
   * Returns the last message of the turn, made from the value of the task: a text, null for no message, or undefined
   * for the last message in the history (contract S5).
   */
  lastMessage(value: A): string | null | undefined
  /**
   * The effect of an abort on the task: `interrupt` interrupts it at once; `signal` completes `turn.aborting`, and
   * interrupts the task at the end of the grace period (I2).
   */
  readonly onAbort: "interrupt" | "signal"
  /** True if input may join the running turn (P7). Such a task takes input with `turn.takeInput`. */
  readonly steerable: boolean
  /**
   * Runs after an abort, once the task has ended or been fenced. It gets its own `Turn`, which is not fenced, for at most
   * `abortHookLimit`.
   */
  readonly abortHook: ((turn: Turn, reason: AbortReason) => Effect.Effect<void, never, R>) | undefined
  /** The longest time for `abortHook`; undefined for `SessionConfig.abortHookLimit`. */
  readonly abortHookLimit: Duration.Input | undefined
}

/**
 * Makes a task. By default an abort interrupts it, it takes no steered input, and a string that it returns is the last
 * message.
 *
 * @example
 * ```ts
 * import { Task, Turn } from "@spindle/core"
 * import { Effect } from "effect"
 *
 * export const count = Task.make(
 *   "count",
 *   Effect.gen(function* () {
 *     const turn = yield* Turn.Turn
 *     yield* turn.say(`${turn.inputText.length} characters`)
 *     return turn.inputText.length
 *   })
 * )
 * ```
 */
export const make = <A, E, R>(
  kind: string,
  effect: Effect.Effect<A, E, R>,
  options?: {
    readonly spanName?: string | undefined
    readonly lastMessage?: ((value: A) => string | null | undefined) | undefined
    readonly onAbort?: "interrupt" | "signal" | undefined
    readonly steerable?: boolean | undefined
    readonly abortHook?: ((turn: Turn, reason: AbortReason) => Effect.Effect<void, never, R>) | undefined
    readonly abortHookLimit?: Duration.Input | undefined
  }
): Task<A, E, R> => ({
  kind,
  spanName: options?.spanName ?? `session_task.${kind}`,
  effect,
  lastMessage: options?.lastMessage === undefined ? textOf : nameThrow(kind, options.lastMessage),
  onAbort: options?.onAbort ?? "interrupt",
  steerable: options?.steerable ?? false,
  abortHook: options?.abortHook,
  abortHookLimit: options?.abortHookLimit
})

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

/** Wraps the `lastMessage` function of a task, so that a throw in it becomes `CallbackFailed`. */
const nameThrow =
  <A>(kind: string, lastMessage: (value: A) => string | null | undefined) =>
  (value: A): string | null | undefined => {
    try {
      return lastMessage(value)
    } catch (cause) {
      throw new CallbackFailed({ callback: `the lastMessage function of the task ${kind}`, cause })
    }
  }
