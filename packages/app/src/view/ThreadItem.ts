/**
 * The items of a thread, as people and clients see them. The shapes are those of the wire.
 *
 * Times are milliseconds since 1970. `completedAtMs` is null while an item is in progress. A call has the id of the call,
 * every other item the id of its item.
 */
import * as Schema from "effect/Schema"
import { AgentState, PlanStep } from "@spindle/core/Display"
import { ProcessId, SessionId } from "@spindle/core/Ids"
import { JsonValue } from "@spindle/core/Item"
import * as Signals from "@spindle/tools/Signals"

const item = <const Type extends string, const Fields extends Schema.Struct.Fields>(type: Type, fields: Fields) =>
  Schema.Struct({
    type: Schema.Literal(type),
    id: Schema.String,
    ...fields,
    startedAtMs: Schema.Finite,
    completedAtMs: Schema.NullOr(Schema.Finite)
  }).annotate({ identifier: type })

/** The progress of a call. `declined`: it was not allowed to run. */
export const CallStatus = Schema.Literals(["inProgress", "completed", "failed", "declined"])
/** @see {@link CallStatus} */
export type CallStatus = typeof CallStatus.Type

/** A message of the user. */
export class UserMessage extends Schema.Opaque<UserMessage>()(
  item("userMessage", {
    content: Schema.Array(
      Schema.Union([
        Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }),
        Schema.Struct({ type: Schema.Literal("image"), url: Schema.String })
      ])
    )
  })
) {}

/** A message of the model. */
export class AgentMessage extends Schema.Opaque<AgentMessage>()(item("agentMessage", { text: Schema.String })) {}

/** A thought of the model. */
export class Reasoning extends Schema.Opaque<Reasoning>()(
  item("reasoning", {
    summary: Schema.Array(Schema.String),
    content: Schema.Array(Schema.String)
  })
) {}

/**
 * A command. `command` is the command line without its shell. `aggregatedOutput` is cut to its head and tail. `signal` and
 * `timedOut` say how a command ended that has no exit code. `processId` is that of a command which continues in the background
 * after its call.
 */
export class CommandExecution extends Schema.Opaque<CommandExecution>()(
  item("commandExecution", {
    command: Schema.String,
    cwd: Schema.String,
    status: CallStatus,
    aggregatedOutput: Schema.NullOr(Schema.String),
    exitCode: Schema.NullOr(Schema.Finite),
    durationMs: Schema.NullOr(Schema.Finite),
    signal: Schema.optionalKey(Schema.String),
    timedOut: Schema.optionalKey(Schema.Literal(true)),
    processId: Schema.optionalKey(ProcessId)
  })
) {}

/** One changed file. `path` is absolute. */
export class Change extends Schema.Opaque<Change>()(
  Schema.Struct({
    path: Schema.String,
    kind: Schema.Union([
      Schema.Struct({ type: Schema.Literals(["add", "delete"]) }),
      Schema.Struct({ type: Schema.Literal("update"), move_path: Schema.NullOr(Schema.String) })
    ]),
    diff: Schema.String
  }).annotate({ identifier: "FileUpdateChange" })
) {}

/** A patch: the requested changes while it is in progress, and the changes that were made once it is completed. */
export class FileChange extends Schema.Opaque<FileChange>()(
  item("fileChange", { changes: Schema.Array(Change), status: CallStatus })
) {}

/** A call of a tool of an MCP server. */
export class McpToolCall extends Schema.Opaque<McpToolCall>()(
  item("mcpToolCall", {
    server: Schema.String,
    tool: Schema.String,
    status: CallStatus,
    arguments: JsonValue,
    result: Schema.NullOr(Schema.Struct({ content: Schema.Array(JsonValue), structuredContent: JsonValue })),
    error: Schema.NullOr(Schema.Struct({ message: Schema.String })),
    durationMs: Schema.NullOr(Schema.Finite)
  })
) {}

/** The actions of calls to agents. */
export const CollabTool = Schema.Literals([
  "spawnAgent",
  "sendInput",
  "wait",
  "closeAgent",
  "resumeAgent",
  "listAgents"
])
/** @see {@link CollabTool} */
export type CollabTool = typeof CollabTool.Type

/** A call that starts or steers agents. `timedOut`: a wait ended before any of its agents did. */
export class CollabAgentToolCall extends Schema.Opaque<CollabAgentToolCall>()(
  item("collabAgentToolCall", {
    tool: CollabTool,
    status: CallStatus,
    senderThreadId: SessionId,
    receiverThreadIds: Schema.Array(SessionId),
    prompt: Schema.NullOr(Schema.String),
    model: Schema.NullOr(Schema.String),
    reasoningEffort: Schema.NullOr(Schema.String),
    role: Schema.optionalKey(Schema.String),
    agentsStates: Schema.Record(
      Schema.String,
      Schema.Struct({
        name: Schema.optionalKey(Schema.String),
        status: AgentState.fields.status,
        message: Schema.NullOr(Schema.String)
      })
    ),
    timedOut: Schema.optionalKey(Schema.Literal(true))
  })
) {}

/** A search of the web. */
export class WebSearch extends Schema.Opaque<WebSearch>()(
  item("webSearch", { query: Schema.String, status: CallStatus })
) {}

/** A plan that the model has made or changed. */
export class Plan extends Schema.Opaque<Plan>()(
  item("plan", { text: Schema.String, steps: Schema.Array(PlanStep), status: CallStatus })
) {}

/** An image that the model has looked at. */
export class ImageView extends Schema.Opaque<ImageView>()(
  item("imageView", { path: Schema.String, status: CallStatus })
) {}

/** Any other call, by the name and the arguments that the model gave. */
export class OtherToolCall extends Schema.Opaque<OtherToolCall>()(
  item("dynamicToolCall", {
    tool: Schema.String,
    title: Schema.optionalKey(Schema.String),
    arguments: JsonValue,
    status: CallStatus,
    contentItems: Schema.NullOr(
      Schema.Array(Schema.Struct({ type: Schema.Literal("inputText"), text: Schema.String }))
    ),
    success: Schema.NullOr(Schema.Boolean),
    durationMs: Schema.NullOr(Schema.Finite)
  })
) {}

/** Something that went wrong outside of a call. */
export class ErrorItem extends Schema.Opaque<ErrorItem>()(item("error", { message: Schema.String })) {}
/** Something that a person should know. */
export class WarningItem extends Schema.Opaque<WarningItem>()(item("warning", { message: Schema.String })) {}

const notices = Schema.Union([ErrorItem, WarningItem]).annotate({ identifier: "ThreadNotice" })
/** Something that went wrong outside of a call, or that a person should know. */
export type Notice = ErrorItem | WarningItem
/** The schema of {@link Notice}. */
export interface NoticeSchema extends Schema.Union<typeof notices.members> {
  readonly Type: Notice
}
/** @see {@link Notice} */
export const Notice: NoticeSchema = notices

const calls = Schema.Union([
  CommandExecution,
  FileChange,
  McpToolCall,
  CollabAgentToolCall,
  WebSearch,
  Plan,
  ImageView,
  OtherToolCall
]).annotate({ identifier: "CallItem" })
/** A call. */
export type CallItem =
  | CommandExecution
  | FileChange
  | McpToolCall
  | CollabAgentToolCall
  | WebSearch
  | Plan
  | ImageView
  | OtherToolCall
/** The schema of {@link CallItem}. */
export interface CallItemSchema extends Schema.Union<typeof calls.members> {
  readonly Type: CallItem
}
/** @see {@link CallItem} */
export const CallItem: CallItemSchema = calls

const items = Schema.Union([UserMessage, AgentMessage, Reasoning, ...CallItem.members, ...Notice.members]).annotate({
  identifier: "ThreadItem"
})
/** One item of a thread. */
export type ThreadItem = UserMessage | AgentMessage | Reasoning | CallItem | Notice
/** The schema of {@link ThreadItem}. */
export interface ThreadItemSchema extends Schema.Union<typeof items.members> {
  readonly Type: ThreadItem
}
/** @see {@link ThreadItem} */
export const ThreadItem: ThreadItemSchema = items

/**
 * Describes how a command exited, for a person. A shell, and a sandbox, exit with 128 + the number of the signal that
 * killed what they ran; such a signal is named.
 */
export const describeExit = (exitCode: number): string => {
  const signal = Signals.nameOf(exitCode - 128)
  return signal === undefined ? `exit ${exitCode}` : `exit ${exitCode} (${signal})`
}
