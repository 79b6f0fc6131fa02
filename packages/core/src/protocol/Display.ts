/**
 * What a tool call is and what came of it, as data for people and for the wire.
 *
 * A tool states both: its policy's `display` describes a call from its decoded arguments, and its handler reports a
 * `detail` with `Turn.detail`. They are recorded with the call and with its result. Views fold these records: no view
 * parses text that was written for the model, and no view compares tool names.
 */
import * as Schema from "effect/Schema"
import { SessionId } from "./Ids.ts"

/** One file that a patch changes. Paths are as the patch names them; `diff` is unified, without a file header. */
export const FileChange = Schema.Struct({
  path: Schema.String,
  change: Schema.Literals(["add", "delete", "update"]),
  movePath: Schema.optionalKey(Schema.String),
  diff: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "FileChange" })
/** @see {@link FileChange} */
export type FileChange = typeof FileChange.Type

/** What an agent call does. */
export const AgentOperation = Schema.Literals(["spawn", "send", "wait", "close", "resume", "list"])
/** @see {@link AgentOperation} */
export type AgentOperation = typeof AgentOperation.Type

/** The state of an agent. `message` is its last message, or the message of its error. */
export const AgentState = Schema.Struct({
  agentId: SessionId,
  name: Schema.optionalKey(Schema.String),
  status: Schema.Literals(["pendingInit", "running", "interrupted", "completed", "errored", "shutdown", "notFound"]),
  message: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "AgentState" })
/** @see {@link AgentState} */
export type AgentState = typeof AgentState.Type

/** One step of a plan. */
export const PlanStep = Schema.Struct({
  step: Schema.String,
  status: Schema.Literals(["pending", "inProgress", "completed"])
}).annotate({ identifier: "PlanStep" })
/** @see {@link PlanStep} */
export type PlanStep = typeof PlanStep.Type

/** What a call is. `Other` is a call without a shape of its own; views show its name and arguments. */
export const CallDisplay = Schema.Union([
  /** Runs a command line. `cwd` is absolute. */
  Schema.TaggedStruct("Command", { command: Schema.String, cwd: Schema.String }),
  Schema.TaggedStruct("Patch", { changes: Schema.Array(FileChange) }),
  Schema.TaggedStruct("Agent", {
    operation: AgentOperation,
    targets: Schema.Array(SessionId),
    prompt: Schema.optionalKey(Schema.String),
    role: Schema.optionalKey(Schema.String),
    model: Schema.optionalKey(Schema.String),
    effort: Schema.optionalKey(Schema.String)
  }),
  Schema.TaggedStruct("Mcp", { server: Schema.String, tool: Schema.String }),
  Schema.TaggedStruct("Search", { query: Schema.String }),
  Schema.TaggedStruct("Plan", { steps: Schema.Array(PlanStep), explanation: Schema.optionalKey(Schema.String) }),
  Schema.TaggedStruct("Image", { path: Schema.String }),
  Schema.TaggedStruct("Other", { title: Schema.optionalKey(Schema.String) })
]).annotate({ identifier: "CallDisplay" })
/** @see {@link CallDisplay} */
export type CallDisplay = typeof CallDisplay.Type

/** What came of a call, in addition to the text that the model reads. */
export const CallDetail = Schema.Union([
  /**
   * How a command ended: an exit code, or null and the signal, or neither when it still runs or never started.
   * `output` is what it printed, cut to its head and tail.
   */
  Schema.TaggedStruct("Command", {
    exitCode: Schema.NullOr(Schema.Finite),
    signal: Schema.optionalKey(Schema.String),
    timedOut: Schema.optionalKey(Schema.Literal(true)),
    durationMillis: Schema.Finite,
    output: Schema.String
  }),
  /** The changes that were made; none when the patch was refused. */
  Schema.TaggedStruct("Patch", { changes: Schema.Array(FileChange) }),
  /** The agents that the call reached, with their state after it. */
  Schema.TaggedStruct("Agent", {
    agents: Schema.Array(AgentState),
    timedOut: Schema.optionalKey(Schema.Literal(true))
  }),
  Schema.TaggedStruct("Mcp", { isError: Schema.Boolean, durationMillis: Schema.Finite })
]).annotate({ identifier: "CallDetail" })
/** @see {@link CallDetail} */
export type CallDetail = typeof CallDetail.Type
