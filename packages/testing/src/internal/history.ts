/** The history of a session, which the laws examine. */
import type { ProcessId, TurnId } from "@spindle/core/Ids"
import type { ModelRequest } from "@spindle/core/Model"
import type { Receipt } from "@spindle/core/Op"
import type { Snapshot } from "@spindle/core/Session"
import type * as SessionEvent from "@spindle/core/SessionEvent"

/** The observations of a session. Only `events` is required; the records of a journal are events as well. */
export interface History {
  /** All events that the session published, in order. */
  readonly events: ReadonlyArray<SessionEvent.SessionEvent>
  /** The events that a subscriber got from the first record to the end. */
  readonly subscribed?: ReadonlyArray<SessionEvent.SessionEvent> | undefined
  /** The records in the journal at the end. */
  readonly journal?: ReadonlyArray<SessionEvent.JournalRecord> | undefined
  /** The requests that the model got. */
  readonly requests?: ReadonlyArray<ModelRequest> | undefined
  /** The receipts of all submissions. */
  readonly receipts?: ReadonlyArray<Receipt> | undefined
  /** How many calls of `abort`, for the reason `Interrupted`, returned true. */
  readonly abortCount?: number | undefined
  /** Turns that were closing when their abort had returned true, each with the number of the next record. */
  readonly closing?: ReadonlyArray<{ readonly turnId: TurnId; readonly seq: number }> | undefined
  /** The session while nothing ran and nothing was about to. */
  readonly idle?: Snapshot | undefined
  /** The session at the end. */
  readonly final?: Snapshot | undefined
  /** How many finalizers of tasks and tools were registered. */
  readonly opened?: number | undefined
  /** How many of them started. */
  readonly closed?: number | undefined
  /** How many responses of the model are still being streamed. */
  readonly streaming?: number | undefined
  /** How many fibers were left after the session was closed. */
  readonly fiberCount?: number | undefined
  /** The processes that are alive at the end. */
  readonly processes?: ReadonlyArray<ProcessId> | undefined
}

/** Returns the violation in a history, as a sentence that starts with the clause; undefined if there is none. */
export type Law = (history: History) => string | undefined
