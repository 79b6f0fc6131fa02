/** The faults of a configuration. */
import * as Schema from "effect/Schema"

/**
 * A fault of a configuration. `source` is the file or flag at fault. For a wrong type in a file it ends in
 * `:line:column`; both count from 1.
 */
export const Reason = Schema.Union([
  Schema.TaggedStruct("Unreadable", {
    source: Schema.String,
    line: Schema.optionalKey(Schema.Finite),
    column: Schema.optionalKey(Schema.Finite),
    detail: Schema.String
  }),
  Schema.TaggedStruct("WrongType", { source: Schema.String, key: Schema.String, expected: Schema.String }),
  Schema.TaggedStruct("UnknownProvider", { name: Schema.String, known: Schema.Array(Schema.String) }),
  Schema.TaggedStruct("MissingBaseUrl", { provider: Schema.String }),
  Schema.TaggedStruct("MissingKey", {
    provider: Schema.String,
    variables: Schema.Array(Schema.String),
    /** Instructions for getting a key. */
    instructions: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("KeysUnusable", { detail: Schema.String }),
  /** A variable of the environment whose value no HTTP header can carry. `problem` is the reason, without the value. */
  Schema.TaggedStruct("VariableUnusable", { variable: Schema.String, problem: Schema.String }),
  Schema.TaggedStruct("WireApiNotSupported", { provider: Schema.String, wireApi: Schema.String }),
  Schema.TaggedStruct("UnusedKeys", { keys: Schema.Array(Schema.String) }),
  /** A key that would change model requests, which this program cannot do. */
  Schema.TaggedStruct("NotSupported", { key: Schema.String, advice: Schema.String }),
  Schema.TaggedStruct("NothingConfigured", { configFile: Schema.String })
])
/** @see {@link Reason} */
export type Reason = typeof Reason.Type

/** The configuration cannot be used. A retry helps only after a change. */
export class SettingsInvalid extends Schema.TaggedError<SettingsInvalid>()("SettingsInvalid", { reason: Reason }) {
  override get message() {
    return describe(this.reason)
  }
}

const describe = (reason: Reason): string => {
  switch (reason._tag) {
    case "Unreadable": {
      const place = reason.line === undefined ? "" : `:${reason.line}:${reason.column}`
      return `cannot read the configuration ${reason.source}${place}: ${reason.detail}`
    }
    case "WrongType":
      return `${reason.source}: ${reason.key} must be ${reason.expected}`
    case "UnknownProvider":
      return `unknown model provider "${reason.name}"; known providers: ${reason.known.join(", ")}`
    case "MissingBaseUrl":
      return `model provider "${reason.provider}" has no base_url (set model_providers.${reason.provider}.base_url)`
    case "MissingKey":
      return `no key for model provider "${reason.provider}": set ${reason.variables.join(" or ")}, or run spindle login${
        reason.instructions === undefined ? "" : ` (${reason.instructions})`
      }`
    case "KeysUnusable":
      return reason.detail
    case "VariableUnusable":
      return `the variable ${reason.variable} cannot be sent in a request: ${reason.problem}`
    case "NotSupported":
      return `the configuration has ${reason.key}, which this program does not support: ${reason.advice}`
    case "WireApiNotSupported":
      return `model provider "${reason.provider}": wire_api "${reason.wireApi}" is not supported, only "responses", "chat" and "anthropic" are`
    case "UnusedKeys":
      return `these keys of the configuration have no effect: ${reason.keys.join(", ")}`
    case "NothingConfigured":
      return (
        `No model is configured. Set OPENAI_API_KEY, run spindle login, or set model_provider in ${reason.configFile}. ` +
        "To try it without one: spindle demo"
      )
  }
}

/** Throws the error. */
export const refuse = (reason: Reason): never => {
  throw new SettingsInvalid({ reason })
}
