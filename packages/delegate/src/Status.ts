/**
 * The status of a delegate, folded from the events of its session, and its encoding for models and records.
 */
import type { AgentState, AgentStatus } from "@spindle/core/Display"
import type { SessionId } from "@spindle/core/Ids"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { DelegateEnd } from "@spindle/core/Turn"

/**
 * The status of a delegate. `PendingInit`: no turn has started. `Completed`, `Errored` and `Interrupted`: how its last
 * turn ended, with its last message. `Shutdown`: it was closed. `NotFound`: no delegate has this id.
 */
export type Status =
  | { readonly _tag: "PendingInit" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Completed"; readonly message: string | undefined }
  | { readonly _tag: "Interrupted"; readonly reason: AbortReason; readonly message: string | undefined }
  | { readonly _tag: "Errored"; readonly error: { readonly tag: string; readonly message: string } }
  | { readonly _tag: "Shutdown" }
  | { readonly _tag: "NotFound" }

/** The status before the first turn. */
export const pendingInit: Status = { _tag: "PendingInit" }
const running: Status = { _tag: "Running" }
/** The status of a delegate that was closed. */
export const shutdown: Status = { _tag: "Shutdown" }
/** The status for an unknown id. */
export const notFound: Status = { _tag: "NotFound" }

/** Returns the status after one more event. */
export const step = (status: Status, event: SessionEvent): Status => {
  switch (event._tag) {
    case "TurnStarted":
      return running
    case "TurnCompleted":
      return { _tag: "Completed", message: event.lastMessage }
    case "TurnFailed":
      return { _tag: "Errored", error: event.error }
    case "TurnAborted":
      return { _tag: "Interrupted", reason: event.reason, message: event.lastMessage }
    case "SessionFailed":
      return { _tag: "Errored", error: { tag: "SessionFailed", message: event.message } }
    default:
      return status
  }
}

/** Returns true if no turn runs or is about to start. The status then stays until there is new input. */
export const isSettled = ({ _tag }: Status): boolean => _tag !== "PendingInit" && _tag !== "Running"

/** Returns a status as one word. */
export const wordOf = ({ _tag }: Status): string => words[_tag]

const words: { readonly [Tag in Status["_tag"]]: string } = {
  PendingInit: "pending_init",
  Running: "running",
  Completed: "completed",
  Interrupted: "interrupted",
  Errored: "errored",
  Shutdown: "shutdown",
  NotFound: "not_found"
}

/** Converts a status to the end that the parent records for a delegate. The message is bounded. */
export const toEnd = (status: Status): DelegateEnd => {
  const message = messageOf(status)
  return { status: recorded[status._tag], ...(message === undefined ? {} : { message: cutMessage(message) }) }
}

const recorded: { readonly [Tag in Status["_tag"]]: AgentStatus } = {
  PendingInit: "pendingInit",
  Running: "running",
  Completed: "completed",
  Interrupted: "interrupted",
  Errored: "errored",
  Shutdown: "shutdown",
  NotFound: "notFound"
}

const messageOf = (status: Status): string | undefined => {
  switch (status._tag) {
    case "Completed":
    case "Interrupted":
      return status.message
    case "Errored":
      return status.error.message
    default:
      return undefined
  }
}

/** A status in JSON, as models know it. */
export type WireStatus =
  | "pending_init"
  | "running"
  | "interrupted"
  | "shutdown"
  | "not_found"
  | { readonly completed: string | null }
  | { readonly errored: string }

/** The most characters of a message that a parent gets from a delegate. */
export const messageLimit = 16_384

/** Converts a status to JSON. A turn that was not stopped by a person gives the reason and its last message. */
export const toWire = (status: Status): WireStatus => {
  switch (status._tag) {
    case "PendingInit":
      return "pending_init"
    case "Running":
      return "running"
    case "Completed":
      return { completed: status.message === undefined ? null : cutMessage(status.message) }
    case "Interrupted":
      return status.reason === "Interrupted" ? "interrupted" : { errored: stoppedText(status) }
    case "Errored":
      return { errored: cutMessage(status.error.message) }
    case "Shutdown":
      return "shutdown"
    case "NotFound":
      return "not_found"
  }
}

/** Returns a status as it is recorded with a call. Its message is bounded; its words are those of {@link toWire}. */
export const toState = (agentId: SessionId, status: Status): AgentState => {
  const wire = toWire(status)
  if (typeof wire === "string") return { agentId, status: recorded[status._tag] }
  if ("errored" in wire) return { agentId, status: "errored", message: wire.errored }
  return { agentId, status: "completed", ...(wire.completed === null ? {} : { message: wire.completed }) }
}

const stopped: { readonly [R in AbortReason]: string } = {
  Interrupted: "was interrupted",
  Replaced: "was replaced by another turn",
  Deadline: "was stopped at its deadline",
  Budget: "was stopped: its budget of tokens is spent",
  Parent: "was stopped with its parent",
  Shutdown: "was stopped with its session"
}

const stoppedText = ({ message, reason }: Extract<Status, { readonly _tag: "Interrupted" }>): string =>
  message === undefined ? stopped[reason] : `${stopped[reason]}; its last message: ${cutMessage(message)}`

const cutMessage = (text: string): string =>
  text.length <= messageLimit ? text : `${text.slice(0, messageLimit)} [${text.length - messageLimit} more characters]`
