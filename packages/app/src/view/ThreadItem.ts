/**
 * What a thread consists of, as people and clients see it. The shapes are those of the wire.
 *
 * Times are milliseconds since 1970. `completedAtMs` is null while an item is in progress. A call has the id of the call,
 * every other item the id of its item.
 */
import * as Schema from "effect/Schema"
import { AgentState, PlanStep } from "@spindle/core/Display"
import { ProcessId, SessionId } from "@spindle/core/Ids"
import { JsonValue } from "@spindle/core/Item"

const item = <const Type extends string, const Fields extends Schema.Struct.Fields>(type: Type, fields: Fields) =>
  Schema.Struct({
    type: Schema.Literal(type),
    id: Schema.String,
    ...fields,
    startedAtMs: Schema.Finite,
    completedAtMs: Schema.NullOr(Schema.Finite)
  }).annotate({ identifier: type })

/** How far a call is. `declined`: it was not allowed to run. */
export const CallStatus = Schema.Literals(["inProgress", "completed", "failed", "declined"])
/** @see {@link CallStatus} */
export type CallStatus = typeof CallStatus.Type

/** What the user said. */
export const UserMessage = item("userMessage", {
  content: Schema.Array(
    Schema.Union([
      Schema.Struct({ type: Schema.Literal("text"), text: Schema.String }),
      Schema.Struct({ type: Schema.Literal("image"), url: Schema.String })
    ])
  )
})

/** What the model said. */
export const AgentMessage = item("agentMessage", { text: Schema.String })

/** What the model thought. */
export const Reasoning = item("reasoning", {
  summary: Schema.Array(Schema.String),
  content: Schema.Array(Schema.String)
})

/**
 * A command. `command` is the command line without its shell. `aggregatedOutput` is cut to its head and tail. `signal` and
 * `timedOut` say how a command ended that has no exit code. `processId` is that of a command which continues in the background
 * after its call.
 */
export const CommandExecution = item("commandExecution", {
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
/** @see {@link CommandExecution} */
export type CommandExecution = typeof CommandExecution.Type

/** One changed file. `path` is absolute. */
export const Change = Schema.Struct({
  path: Schema.String,
  kind: Schema.Union([
    Schema.Struct({ type: Schema.Literals(["add", "delete"]) }),
    Schema.Struct({ type: Schema.Literal("update"), move_path: Schema.NullOr(Schema.String) })
  ]),
  diff: Schema.String
})
/** @see {@link Change} */
export type Change = typeof Change.Type

/** A patch: what it asks for while it is in progress, what it did when it is completed. */
export const FileChange = item("fileChange", { changes: Schema.Array(Change), status: CallStatus })
/** @see {@link FileChange} */
export type FileChange = typeof FileChange.Type

/** A call of a tool of an MCP server. */
export const McpToolCall = item("mcpToolCall", {
  server: Schema.String,
  tool: Schema.String,
  status: CallStatus,
  arguments: JsonValue,
  result: Schema.NullOr(Schema.Struct({ content: Schema.Array(JsonValue), structuredContent: JsonValue })),
  error: Schema.NullOr(Schema.Struct({ message: Schema.String })),
  durationMs: Schema.NullOr(Schema.Finite)
})

/** What a call to agents does. */
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
export const CollabAgentToolCall = item("collabAgentToolCall", {
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
/** @see {@link CollabAgentToolCall} */
export type CollabAgentToolCall = typeof CollabAgentToolCall.Type

/** A search of the web. */
export const WebSearch = item("webSearch", { query: Schema.String, status: CallStatus })

/** A plan that the model has made or changed. */
export const Plan = item("plan", { text: Schema.String, steps: Schema.Array(PlanStep), status: CallStatus })

/** An image that the model has looked at. */
export const ImageView = item("imageView", { path: Schema.String, status: CallStatus })

/** Any other call, by the name and the arguments that the model gave. */
export const OtherToolCall = item("dynamicToolCall", {
  tool: Schema.String,
  title: Schema.optionalKey(Schema.String),
  arguments: JsonValue,
  status: CallStatus,
  contentItems: Schema.NullOr(Schema.Array(Schema.Struct({ type: Schema.Literal("inputText"), text: Schema.String }))),
  success: Schema.NullOr(Schema.Boolean),
  durationMs: Schema.NullOr(Schema.Finite)
})

/** Something that went wrong outside of a call, or that a person should know. */
export const Notice = Schema.Union([
  item("error", { message: Schema.String }),
  item("warning", { message: Schema.String })
])

/** A call. */
export const CallItem = Schema.Union([
  CommandExecution,
  FileChange,
  McpToolCall,
  CollabAgentToolCall,
  WebSearch,
  Plan,
  ImageView,
  OtherToolCall
])
/** @see {@link CallItem} */
export type CallItem = typeof CallItem.Type

/** One item of a thread. */
export const ThreadItem = Schema.Union([UserMessage, AgentMessage, Reasoning, ...CallItem.members, ...Notice.members])
/** @see {@link ThreadItem} */
export type ThreadItem = typeof ThreadItem.Type
