/** Errors of the client, as errors of the server. */
import type { McpClientError } from "effect/ai/McpClientError"
import { McpFailed, type Reason } from "../McpFailed.ts"
import * as Wire from "./wire.ts"

/** Where an error happened. */
export interface Place {
  readonly server: string
  readonly isStarting: boolean
  /** How long the start may take. */
  readonly startupSeconds: number
  /** What the process has printed. */
  readonly stderr: string
}

/** Converts an error. */
export const failedOf = (place: Place, { reason }: McpClientError): McpFailed =>
  new McpFailed({ server: place.server, reason: reasonOf(place, reason) })

const reasonOf = (place: Place, reason: McpClientError["reason"]): Reason => {
  const stderr = place.stderr === "" ? {} : { stderr: place.stderr }
  const lost = (detail: string): Reason => ({ _tag: place.isStarting ? "NotStarted" : "Ended", detail, ...stderr })
  switch (reason._tag) {
    case "TransportError":
      if (reason.cause instanceof McpFailed) return reason.cause.reason
      return lost(reason.message)
    case "ClosedError":
      return reason.sessionExpired === true ? { _tag: "SessionEnded" } : lost(reason.message)
    case "HttpError":
      return reason.status === 401 || reason.status === 403
        ? { _tag: "NotAuthorized", status: reason.status }
        : { _tag: "Refused", detail: `HTTP ${reason.status}${reason.description ? `: ${reason.description}` : ""}` }
    case "ProtocolError":
      return reason.code === undefined
        ? { _tag: "Unreadable", detail: reason.message }
        : { _tag: "Refused", code: reason.code, detail: reason.description ?? `error ${reason.code}` }
    case "LimitError":
      return { _tag: "AnswerTooLarge", limitBytes: Wire.limitBytes }
    case "TimeoutError":
      return { _tag: "StartTimedOut", seconds: place.startupSeconds }
    default:
      return { _tag: "Unreadable", detail: reason.message }
  }
}
