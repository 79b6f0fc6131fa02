/**
 * What became of one submission: a pure fold from what its session tells (contract P2).
 *
 * A resumed session may have input that waits from before; its turns come first, and are not what was asked for now.
 */
import type { SubmissionId, TurnId } from "@spindle/core/Ids"
import type { SessionEvent, Terminal } from "@spindle/core/SessionEvent"

/** The fate of a submission. `failure`: what went wrong, in one line; a turn that somebody stopped has none. */
export interface End {
  readonly isCompleted: boolean
  readonly lastMessage: string | undefined
  readonly failure: string | undefined
}

/** The state of the fold. Not changed by {@link step}. */
export interface SubmissionState {
  readonly id: SubmissionId
  readonly turnId: TurnId | undefined
  readonly end: End | undefined
}

/** The state before the first event. */
export const begin = (id: SubmissionId): SubmissionState => ({ id, turnId: undefined, end: undefined })

/** The fate when a session ends before it is known. */
export const lost: End = { isCompleted: false, lastMessage: undefined, failure: "the session ended before the turn" }

/** The state after an event. */
export const step = (state: SubmissionState, event: SessionEvent): SubmissionState => {
  switch (event._tag) {
    case "TurnStarted":
      return event.submissionId === state.id ? { ...state, turnId: event.turnId } : state
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

/** Whether a turn that it did not start has left the submission behind. */
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
  const before = isOwn ? "" : "input that had been waiting came first, and its turn did not complete: "
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
