/** Errors of an agent: of a tool that cannot run, and of application code that throws. */
import { format } from "effect/Formatter"
import * as Schema from "effect/Schema"
import { boundText } from "./foreignText.ts"

const problems = {
  NoPolicy: "has no policy: add one to `approvals`, or give the agent a `defaultPolicy`",
  RunByProvider: "is run by its provider, but a session runs its tools itself",
  Duplicate: "is defined twice",
  Schema: "has a schema that cannot be described to a model"
} as const

/** A tool that no session can run. `Agent.make` and `Tools.make` throw it. */
export class ToolInvalid extends Schema.TaggedError<ToolInvalid>()("ToolInvalid", {
  tool: Schema.String,
  problem: Schema.Literals(["NoPolicy", "RunByProvider", "Duplicate", "Schema"]),
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const detail = this.detail === undefined ? "" : `: ${this.detail}`
    return `the tool ${this.tool} ${problems[this.problem]}${detail}`
  }
}

/** Two task kinds of one agent have the same name. `Agent.make` throws it. */
export class DuplicateTask extends Schema.TaggedError<DuplicateTask>()("DuplicateTask", { kind: Schema.String }) {
  override get message() {
    return `the agent has two task kinds of the name ${this.kind}`
  }
}

/** A tool was called, but the context of its session has no handler for it. The turn fails with this error. */
export class ToolHandlerMissing extends Schema.TaggedError<ToolHandlerMissing>()("ToolHandlerMissing", {
  tool: Schema.String,
  agent: Schema.UndefinedOr(Schema.String)
}) {
  override get message() {
    const agent = this.agent === undefined ? "the agent" : `the agent ${this.agent}`
    return `the tool ${this.tool} of ${agent} has no handler: provide the layer of its toolkit`
  }
}

/**
 * A function or service of the application threw or died where it must not. `callback` names it, for example
 * `Approvals.decide`. The turn fails with this error; later turns are not affected.
 */
export class CallbackFailed extends Schema.TaggedError<CallbackFailed>()("CallbackFailed", {
  callback: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `${this.callback} failed: ${messageOf(this.cause)}`
  }
}

/** Returns the message of a thrown value, even if its getters throw. */
export const messageOf = (thrown: unknown): string => {
  try {
    if (thrown instanceof Error && typeof thrown.message === "string" && thrown.message !== "") {
      return boundText(thrown.message)
    }
  } catch {
    // its message cannot be read
  }
  return boundText(typeof thrown === "string" ? thrown : format(thrown))
}
