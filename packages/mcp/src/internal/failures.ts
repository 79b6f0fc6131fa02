/** Converts errors of the client to errors of the server. */
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import type { McpClientError } from "effect/ai/McpClientError"
import type { HttpClientError } from "effect/http/HttpClientError"
import * as Url from "effect/http/Url"
import { McpFailed, type Reason } from "../McpFailed.ts"
import * as Wire from "./wire.ts"

/** The server and the phase in which an error happened. */
export interface Place {
  readonly server: string
  readonly isStarting: boolean
  /** The limit of the start. */
  readonly startupSeconds: number
  /** The text that the process has printed. */
  readonly stderr: string
}

/** Converts an error. */
export const toMcpFailed = (place: Place, { reason }: McpClientError): McpFailed =>
  new McpFailed({ server: place.server, reason: reasonOf(place, reason) })

const reasonOf = (place: Place, reason: McpClientError["reason"]): Reason => {
  const stderr = place.stderr === "" ? {} : { stderr: place.stderr }
  const lostReason = (detail: string): Reason => ({
    _tag: place.isStarting ? "NotStarted" : "Ended",
    detail,
    ...stderr
  })
  switch (reason._tag) {
    case "TransportError":
      if (reason.cause instanceof McpFailed) return reason.cause.reason
      return lostReason(reason.message)
    case "ClosedError":
      return reason.sessionExpired === true ? { _tag: "SessionEnded" } : lostReason(reason.message)
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

/** Returns the reason why the program of a server cannot be started. */
export const startDetail = ({ reason }: PlatformError, command: string, cwd: string | undefined): string => {
  const isCommand = reason.module !== "FileSystem"
  const subject = isCommand ? `the program ${command}` : `the directory ${cwd ?? "."}`
  switch (reason._tag) {
    case "NotFound":
      return `${subject} does not exist`
    case "PermissionDenied":
      return isCommand ? `${subject} is not a program that may be run` : `${subject} may not be used`
    case "BadArgument":
      return `${subject}: ${reason.description ?? reason.message}`
    default:
      return `${subject}: ${codeOf(reason.cause) ?? reason._tag}`
  }
}

/** Returns the reason why a request got no response. Names only the origin of the address: the rest may have a key. */
export const requestDetail = ({ reason }: HttpClientError, url: string): string => {
  const parsed = Url.fromString(url)
  const origin = Result.isSuccess(parsed) ? parsed.success.origin : "its address"
  return `cannot reach ${origin}: ${causeText(reason.cause) || reason._tag}`
}

const codeOf = (cause: unknown): string | undefined => {
  const code = (cause as { readonly code?: unknown } | undefined)?.code
  return typeof code === "string" ? code : undefined
}

/** Returns the text of the innermost error, which names the reason. A client wraps it. */
const causeText = (cause: unknown): string => {
  if (!(cause instanceof Error)) return cause === undefined ? "" : String(cause)
  const inner = cause instanceof AggregateError ? cause.errors[0] : cause.cause
  return inner === undefined ? cause.message || (codeOf(cause) ?? "") : causeText(inner)
}
