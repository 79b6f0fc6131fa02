/**
 * Outcomes of turns. An outcome is a value, never an error. Interruption is not a failure: the owner of the turn turns
 * it into `Aborted`.
 */
import type * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"

/**
 * The reason why a turn was asked to stop: `Interrupted` by a person or program, `Replaced` by another task, its
 * `Deadline` passed, its `Budget` is spent, its `Parent` ended, or the `Shutdown` of the session.
 */
export const AbortReason = Schema.Literals([
  "Interrupted",
  "Replaced",
  "Deadline",
  "Budget",
  "Parent",
  "Shutdown"
]).annotate({ identifier: "AbortReason" })
/** @see {@link AbortReason} */
export type AbortReason = typeof AbortReason.Type

/** The task returned. */
export interface Completed<out A> {
  readonly _tag: "Completed"
  readonly value: A
}

/** The task failed or died, or its journal could not be written. The cause is never an interruption alone. */
export interface Failed<out E> {
  readonly _tag: "Failed"
  readonly cause: Cause.Cause<E>
}

/** The turn was stopped. `stragglers` names the work that had not ended when the turn settled (contract I3). */
export interface Aborted {
  readonly _tag: "Aborted"
  readonly reason: AbortReason
  readonly stragglers: ReadonlyArray<string>
}

/** The outcome of a turn. */
export type Outcome<A, E = never> = Completed<A> | Failed<E> | Aborted
