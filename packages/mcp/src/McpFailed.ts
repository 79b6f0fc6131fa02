/** The failures of an MCP server. */
import * as Schema from "effect/Schema"

/** The reason why a person has to log in. `scope` lists the permissions that the login needs, separated by spaces. */
export const LoginReason = Schema.Union([
  Schema.TaggedStruct("NoToken", {}),
  Schema.TaggedStruct("Expired", {}),
  Schema.TaggedStruct("Scope", { scope: Schema.String })
])
/** @see {@link LoginReason} */
export type LoginReason = typeof LoginReason.Type

/** A reason for a failure. `stderr` is the end of what the process printed. */
export const Reason = Schema.Union([
  Schema.TaggedStruct("NotStarted", { detail: Schema.String, stderr: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("StartTimedOut", { seconds: Schema.Finite }),
  Schema.TaggedStruct("VariableMissing", { variable: Schema.String }),
  Schema.TaggedStruct("VariableUnusable", { variable: Schema.String }),
  Schema.TaggedStruct("NotAuthorized", { status: Schema.Finite }),
  Schema.TaggedStruct("LoginNeeded", { why: LoginReason }),
  Schema.TaggedStruct("LoginUnreadable", { detail: Schema.String }),
  Schema.TaggedStruct("TokenNotRenewed", { detail: Schema.String }),
  Schema.TaggedStruct("Ended", { detail: Schema.String, stderr: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("SessionEnded", {}),
  Schema.TaggedStruct("AnswerTooLarge", { limitBytes: Schema.Finite }),
  Schema.TaggedStruct("CallTimedOut", { seconds: Schema.Finite }),
  Schema.TaggedStruct("Refused", { code: Schema.optionalKey(Schema.Finite), detail: Schema.String }),
  Schema.TaggedStruct("Unreadable", { detail: Schema.String })
])
/** @see {@link Reason} */
export type Reason = typeof Reason.Type

/** An MCP server did not start, ended, or failed to do its work. */
export class McpFailed extends Schema.TaggedError<McpFailed>()("McpFailed", {
  server: Schema.String,
  reason: Reason
}) {
  override get message() {
    return this.reason._tag === "LoginNeeded"
      ? `cannot use the MCP server ${this.server}: ${loginText(this.server, this.reason.why)}`
      : describe(`the MCP server ${this.server}`, this.reason)
  }
}

const loginText = (server: string, why: LoginReason): string => {
  switch (why._tag) {
    case "NoToken":
      return `it needs a login; run: spindle mcp login ${server}`
    case "Expired":
      return `its login has expired; run: spindle mcp login ${server}`
    case "Scope":
      return `its login does not cover this; run: spindle mcp login ${server} --scopes ${JSON.stringify(why.scope)}`
  }
}

const describe = (server: string, reason: Exclude<Reason, { readonly _tag: "LoginNeeded" }>): string => {
  switch (reason._tag) {
    case "NotStarted":
      return `cannot start ${server}: ${reason.detail}${outputText(reason.stderr)}`
    case "StartTimedOut":
      return `cannot start ${server}: it was not ready within ${reason.seconds} s; startup_timeout_sec sets the limit`
    case "VariableMissing":
      return `cannot start ${server}: set the variable ${reason.variable}`
    case "VariableUnusable":
      return `cannot start ${server}: the value of the variable ${reason.variable} cannot be sent in an HTTP header`
    case "NotAuthorized":
      return `cannot use ${server}: it refused the request with HTTP ${reason.status}; it needs a valid token`
    case "LoginUnreadable":
      return `cannot use the login of ${server}: ${reason.detail}`
    case "TokenNotRenewed":
      return `cannot renew the login of ${server}: ${reason.detail}`
    case "Ended":
      return `${server} has ended: ${reason.detail}${outputText(reason.stderr)}`
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

const outputText = (stderr: string | undefined): string =>
  stderr === undefined || stderr.trim() === "" ? "" : `; it printed: ${stderr.trim()}`
