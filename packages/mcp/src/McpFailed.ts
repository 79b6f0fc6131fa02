/** What can go wrong with an MCP server. */
import * as Schema from "effect/Schema"

/** What went wrong. `stderr` is the end of what the process printed. */
export const Reason = Schema.Union([
  Schema.TaggedStruct("NotStarted", { detail: Schema.String, stderr: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("StartTimedOut", { seconds: Schema.Finite }),
  Schema.TaggedStruct("VariableMissing", { variable: Schema.String }),
  Schema.TaggedStruct("NotAuthorized", { status: Schema.Finite }),
  Schema.TaggedStruct("Ended", { detail: Schema.String, stderr: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("SessionEnded", {}),
  Schema.TaggedStruct("AnswerTooLarge", { limitBytes: Schema.Finite }),
  Schema.TaggedStruct("CallTimedOut", { seconds: Schema.Finite }),
  Schema.TaggedStruct("Refused", { code: Schema.optionalKey(Schema.Finite), detail: Schema.String }),
  Schema.TaggedStruct("Unreadable", { detail: Schema.String })
])
/** @see {@link Reason} */
export type Reason = typeof Reason.Type

/** An MCP server did not start, ended, or did not do what it was asked to do. */
export class McpFailed extends Schema.TaggedError<McpFailed>()("McpFailed", {
  server: Schema.String,
  reason: Reason
}) {
  override get message() {
    return describe(`the MCP server ${this.server}`, this.reason)
  }
}

const describe = (server: string, reason: Reason): string => {
  switch (reason._tag) {
    case "NotStarted":
      return `cannot start ${server}: ${reason.detail}${printed(reason.stderr)}`
    case "StartTimedOut":
      return `cannot start ${server}: it was not ready within ${reason.seconds} s; startup_timeout_sec sets the limit`
    case "VariableMissing":
      return `cannot start ${server}: set the variable ${reason.variable}`
    case "NotAuthorized":
      return `cannot use ${server}: it refused the request with HTTP ${reason.status}; it needs a valid token`
    case "Ended":
      return `${server} has ended: ${reason.detail}${printed(reason.stderr)}`
    case "SessionEnded":
      return `${server} has ended its session`
    case "AnswerTooLarge":
      return `${server} sent a message of more than ${reason.limitBytes} bytes`
    case "CallTimedOut":
      return `${server} did not answer within ${reason.seconds} s; tool_timeout_sec sets the limit`
    case "Refused":
      return `${server} refused the request: ${reason.detail}`
    case "Unreadable":
      return `${server} does not keep to the protocol: ${reason.detail}`
  }
}

const printed = (stderr: string | undefined): string =>
  stderr === undefined || stderr.trim() === "" ? "" : `; it printed: ${stderr.trim()}`
