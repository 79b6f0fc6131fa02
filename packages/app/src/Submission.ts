/**
 * The end of one submission: a pure fold from the events of its session (contract P2).
 *
 * A resumed session may have input that was waiting before. The turns of that input run first, and do not end the
 * submission.
 */
import type { SubmissionId, TurnId } from "@spindle/core/Ids"
import type { CallDecided, QuestionSettled, SessionEvent, TaskNote, Terminal } from "@spindle/core/SessionEvent"

/** The end of a submission. `failure` describes the failure in one line; an interrupted turn has none. */
export interface End {
  readonly isCompleted: boolean
  readonly lastMessage: string | undefined
  readonly failure: string | undefined
}

/** A settled question, or a call that was denied without a question. */
export type DecisionRecord = typeof QuestionSettled.Type | typeof CallDecided.Type

/** The end of a submission, and the records of its session until then. */
export interface Report extends End {
  /** The notes of tasks. */
  readonly notes: ReadonlyArray<typeof TaskNote.Type>
  readonly decisions: ReadonlyArray<DecisionRecord>
}

/** The state of the fold. Not changed by {@link step}. */
export interface SubmissionState extends Pick<Report, "notes" | "decisions"> {
  readonly id: SubmissionId
  readonly turnId: TurnId | undefined
  readonly end: End | undefined
}

/** Returns the state before the first event. */
export const initial = (id: SubmissionId): SubmissionState => ({
  id,
  turnId: undefined,
  end: undefined,
  notes: [],
  decisions: []
})

/** Returns the report after the last event. */
export const report = ({ decisions, end, notes }: SubmissionState): Report => ({ ...(end ?? lost), notes, decisions })

/** The end of a submission whose session ended first. */
const lost: End = { isCompleted: false, lastMessage: undefined, failure: "the session ended before the turn" }

const withdrawn: End = { isCompleted: false, lastMessage: undefined, failure: "the input was withdrawn" }

/** Returns the state after an event. */
export const step = (state: SubmissionState, event: SessionEvent): SubmissionState => {
  switch (event._tag) {
    case "TurnStarted":
      return event.submissionId === state.id ? { ...state, turnId: event.turnId } : state
    case "InputWithdrawn":
      return event.submissionId === state.id && state.turnId === undefined ? { ...state, end: withdrawn } : state
    case "TaskNote":
      return { ...state, notes: [...state.notes, event] }
    case "QuestionSettled":
      return { ...state, decisions: [...state.decisions, event] }
    case "CallDecided":
      return event.permission === "deny" ? { ...state, decisions: [...state.decisions, event] } : state
    case "SessionFailed":
      return { ...state, end: { isCompleted: false, lastMessage: undefined, failure: event.message } }
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return event.turnId === state.turnId || isNamed(state.id, event) ? { ...state, end: endOf(state, event) } : state
    default:
      return state
  }
}

/** Returns true if the end of a turn names the submission, which did not start the turn. */
const isNamed = (id: SubmissionId, event: Terminal): boolean => {
  switch (event._tag) {
    case "TurnCompleted":
      return false
    case "TurnFailed":
      return event.kept.includes(id)
    case "TurnAborted":
      return (
        event.kept.includes(id) || event.dropped.includes(id) || event.returned.some((one) => one.submissionId === id)
      )
  }
}

const endOf = (state: SubmissionState, event: Terminal): End => {
  const isOwn = event.turnId === state.turnId
  const before = isOwn ? "" : "input that was already waiting ran first, and its turn did not complete: "
  return {
    isCompleted: event._tag === "TurnCompleted",
    lastMessage: isOwn ? event.lastMessage : undefined,
    failure:
      event._tag === "TurnFailed"
        ? `${before}${event.error.message}`
        : event._tag === "TurnAborted" && event.reason !== "Interrupted"
          ? `${before}the turn was stopped (${event.reason})`
          : undefined
  }
}
