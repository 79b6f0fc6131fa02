/** The history of a session, which the laws examine, and what several laws derive from it. */
import type { ProcessId, TurnId } from "@spindle/core/Ids"
import type { ModelRequest } from "@spindle/core/Model"
import type { Receipt } from "@spindle/core/Op"
import type { Snapshot } from "@spindle/core/Session"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"

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
  /** The number of calls of `abort`, for the reason `Interrupted`, that returned true. */
  readonly abortCount?: number | undefined
  /** Turns that were closing when their abort had returned true, each with the number of the next record. */
  readonly closing?: ReadonlyArray<{ readonly turnId: TurnId; readonly seq: number }> | undefined
  /** The session while nothing ran and nothing was about to. */
  readonly idle?: Snapshot | undefined
  /** The session at the end. */
  readonly final?: Snapshot | undefined
  /** The number of finalizers that tasks and tools registered. */
  readonly opened?: number | undefined
  /** The number of these finalizers that started. */
  readonly closed?: number | undefined
  /** The number of responses of the model that are still being streamed. */
  readonly streaming?: number | undefined
  /** The number of fibers that were left after the session was closed. */
  readonly fiberCount?: number | undefined
  /** The processes that are alive at the end. */
  readonly processes?: ReadonlyArray<ProcessId> | undefined
}

/** Returns the violation in a history, as a sentence that starts with the clause; undefined if there is none. */
export type Law = (history: History) => string | undefined

type Known = SessionEvent.KnownRecord
/** The records of one kind. */
export type Tagged<Tag extends Known["_tag"]> = Extract<Known, { readonly _tag: Tag }>

/** The facts that follow from the events of a history. They are derived once for all laws. */
interface Derived {
  /** The number of events. A harness adds events to its list, so a longer list is derived anew. */
  readonly count: number
  readonly records: ReadonlyArray<SessionEvent.JournalRecord>
  readonly byTag: ReadonlyMap<string, ReadonlyArray<SessionEvent.JournalRecord>>
  readonly hasFailed: boolean
  states: ReadonlyArray<SessionState.SessionState> | undefined
}

const known = new WeakMap<History["events"], Derived>()

const derive = ({ events }: History): Derived => {
  const found = known.get(events)
  if (found?.count === events.length) return found
  const records = events.filter(SessionEvent.isRecord)
  const byTag = new Map<string, Array<SessionEvent.JournalRecord>>()
  for (const record of records) {
    const same = byTag.get(record._tag)
    if (same === undefined) byTag.set(record._tag, [record])
    else same.push(record)
  }
  const hasFailed = events.some(({ _tag }) => _tag === "SessionFailed")
  const derived = { count: events.length, records, byTag, hasFailed, states: undefined }
  known.set(events, derived)
  return derived
}

/** The records that were published. */
export const recordsOf = (history: History): ReadonlyArray<SessionEvent.JournalRecord> => derive(history).records

/** The records of one kind. */
export const recordsWithTag = <Tag extends Known["_tag"]>(history: History, tag: Tag): ReadonlyArray<Tagged<Tag>> =>
  (derive(history).byTag.get(tag) ?? []) as ReadonlyArray<Tagged<Tag>>

/** True if the journal of the session failed. The session then ends as it is. */
export const isFailed = (history: History): boolean => derive(history).hasFailed

/** The states before each record, and the one after the last. */
export const statesOf = (history: History): ReadonlyArray<SessionState.SessionState> => {
  const derived = derive(history)
  if (derived.states !== undefined) return derived.states
  const states = [SessionState.empty]
  for (const record of derived.records) states.push(SessionState.apply(states.at(-1)!, record))
  derived.states = states
  return states
}
