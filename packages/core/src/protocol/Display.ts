/**
 * Descriptions of tool calls and of their outcomes, as data for people and for the wire.
 *
 * A tool supplies both: the `display` function of its policy describes a call from its decoded arguments, and its
 * handler reports a `detail` with `Turn.detail`. They are recorded with the call and with its result. Views fold these
 * records. No view parses text that was written for the model, and no view compares tool names.
 */
import * as Schema from "effect/Schema"
import { ProcessId, SessionId } from "./Ids.ts"

/** A change of one file by a patch. Paths are written as in the patch. `diff` is unified, without a file header. */
export class FileChange extends Schema.Opaque<FileChange>()(
  Schema.Struct({
    path: Schema.String,
    change: Schema.Literals(["add", "delete", "update"]),
    movePath: Schema.optionalKey(Schema.String),
    diff: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "FileChange" })
) {}

/** The operation of an agent call. */
export const AgentOperation = Schema.Literals(["spawn", "send", "wait", "close", "resume", "list"]).annotate({
  identifier: "AgentOperation"
})
/** @see {@link AgentOperation} */
export type AgentOperation = typeof AgentOperation.Type

/**
 * The status of an agent. `pendingInit`: it has not had a turn. `completed`, `interrupted` and `errored`: the end of
 * its last turn. `shutdown`: it was closed. `notFound`: no agent has this id.
 */
export const AgentStatus = Schema.Literals([
  "pendingInit",
  "running",
  "interrupted",
  "completed",
  "errored",
  "shutdown",
  "notFound"
]).annotate({ identifier: "AgentStatus" })
/** @see {@link AgentStatus} */
export type AgentStatus = typeof AgentStatus.Type

/** The state of an agent. `message` is its last message, or the message of its error. */
export class AgentState extends Schema.Opaque<AgentState>()(
  Schema.Struct({
    agentId: SessionId,
    name: Schema.optionalKey(Schema.String),
    status: AgentStatus,
    message: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "AgentState" })
) {}

/** One step of a plan. */
export class PlanStep extends Schema.Opaque<PlanStep>()(
  Schema.Struct({
    step: Schema.String,
    status: Schema.Literals(["pending", "inProgress", "completed"])
  }).annotate({ identifier: "PlanStep" })
) {}

/** Runs a command line. `cwd` is absolute. */
export class CommandDisplay extends Schema.Opaque<CommandDisplay>()(
  Schema.TaggedStruct("Command", { command: Schema.String, cwd: Schema.String }).annotate({
    identifier: "CommandDisplay"
  })
) {}
/** Changes files. */
export class PatchDisplay extends Schema.Opaque<PatchDisplay>()(
  Schema.TaggedStruct("Patch", { changes: Schema.Array(FileChange) }).annotate({ identifier: "PatchDisplay" })
) {}
/** Starts, reaches or lists agents. */
export class AgentDisplay extends Schema.Opaque<AgentDisplay>()(
  Schema.TaggedStruct("Agent", {
    operation: AgentOperation,
    targets: Schema.Array(SessionId),
    prompt: Schema.optionalKey(Schema.String),
    role: Schema.optionalKey(Schema.String),
    model: Schema.optionalKey(Schema.String),
    effort: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "AgentDisplay" })
) {}
/** Calls a tool of an MCP server. */
export class McpDisplay extends Schema.Opaque<McpDisplay>()(
  Schema.TaggedStruct("Mcp", { server: Schema.String, tool: Schema.String }).annotate({ identifier: "McpDisplay" })
) {}
/** Searches for a text: in files at `path`, or else in the web. */
export class SearchDisplay extends Schema.Opaque<SearchDisplay>()(
  Schema.TaggedStruct("Search", { query: Schema.String, path: Schema.optionalKey(Schema.String) }).annotate({
    identifier: "SearchDisplay"
  })
) {}
/** Reads a file or a directory. */
export class ReadDisplay extends Schema.Opaque<ReadDisplay>()(
  Schema.TaggedStruct("Read", { path: Schema.String }).annotate({ identifier: "ReadDisplay" })
) {}
/** Updates the plan. */
export class PlanDisplay extends Schema.Opaque<PlanDisplay>()(
  Schema.TaggedStruct("Plan", {
    steps: Schema.Array(PlanStep),
    explanation: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "PlanDisplay" })
) {}
/** Shows an image to the model. */
export class ImageDisplay extends Schema.Opaque<ImageDisplay>()(
  Schema.TaggedStruct("Image", { path: Schema.String }).annotate({ identifier: "ImageDisplay" })
) {}
/** Any other call; views show its name and arguments. */
export class OtherDisplay extends Schema.Opaque<OtherDisplay>()(
  Schema.TaggedStruct("Other", { title: Schema.optionalKey(Schema.String) }).annotate({ identifier: "OtherDisplay" })
) {}

const displays = Schema.Union([
  CommandDisplay,
  PatchDisplay,
  AgentDisplay,
  McpDisplay,
  SearchDisplay,
  ReadDisplay,
  PlanDisplay,
  ImageDisplay,
  OtherDisplay
]).annotate({ identifier: "CallDisplay" })
/** A description of a call. */
export type CallDisplay =
  | CommandDisplay
  | PatchDisplay
  | AgentDisplay
  | McpDisplay
  | SearchDisplay
  | ReadDisplay
  | PlanDisplay
  | ImageDisplay
  | OtherDisplay
/** The schema of {@link CallDisplay}. */
export interface CallDisplaySchema extends Schema.Union<typeof displays.members> {
  readonly Type: CallDisplay
}
/** @see {@link CallDisplay} */
export const CallDisplay: CallDisplaySchema = displays

/**
 * The outcome of a command. A command that has ended has an exit code, or null and a signal. One that is still running
 * or never started has neither. `output` is the text that it printed, cut to its head and tail; for a call that
 * continues a command, it is the text since the last call. `processId` is set for a command that runs in the
 * background, or did so until this call.
 */
export class CommandDetail extends Schema.Opaque<CommandDetail>()(
  Schema.TaggedStruct("Command", {
    exitCode: Schema.NullOr(Schema.Finite),
    signal: Schema.optionalKey(Schema.String),
    timedOut: Schema.optionalKey(Schema.Literal(true)),
    durationMillis: Schema.Finite,
    output: Schema.String,
    processId: Schema.optionalKey(ProcessId)
  }).annotate({ identifier: "CommandDetail" })
) {}
/** The changes that a patch made; none if the patch was refused. */
export class PatchDetail extends Schema.Opaque<PatchDetail>()(
  Schema.TaggedStruct("Patch", { changes: Schema.Array(FileChange) }).annotate({ identifier: "PatchDetail" })
) {}
/** The agents that the call reached, with their state after it. */
export class AgentDetail extends Schema.Opaque<AgentDetail>()(
  Schema.TaggedStruct("Agent", {
    agents: Schema.Array(AgentState),
    timedOut: Schema.optionalKey(Schema.Literal(true))
  }).annotate({ identifier: "AgentDetail" })
) {}
/** The outcome of a call of an MCP tool. */
export class McpDetail extends Schema.Opaque<McpDetail>()(
  Schema.TaggedStruct("Mcp", { isError: Schema.Boolean, durationMillis: Schema.Finite }).annotate({
    identifier: "McpDetail"
  })
) {}

const details = Schema.Union([CommandDetail, PatchDetail, AgentDetail, McpDetail]).annotate({
  identifier: "CallDetail"
})
/** The outcome of a call, in addition to the text that the model reads. */
export type CallDetail = CommandDetail | PatchDetail | AgentDetail | McpDetail
/** The schema of {@link CallDetail}. */
export interface CallDetailSchema extends Schema.Union<typeof details.members> {
  readonly Type: CallDetail
}
/** @see {@link CallDetail} */
export const CallDetail: CallDetailSchema = details
