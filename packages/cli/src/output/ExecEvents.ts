/**
 * The lines of `exec --json`: a pure projection of the changes in a thread.
 *
 * The names and shapes are the reference's, even if its lines say less than the thread, with these exceptions: a note
 * of a task is a line `task.note`, a call that was running when its turn was stopped is completed as `failed`, a
 * command or patch that was refused is shown (as `declined`, `failed`), and a turn that was stopped for another reason
 * than an interrupt ends with a `turn.failed` that gives the reason. An interrupted turn just ends, as in the
 * reference.
 */
import * as Thread from "@spindle/app/Thread"
import type { CallStatus, CollabAgentToolCall, CollabTool, ThreadItem } from "@spindle/app/ThreadItem"
import type { SessionId } from "@spindle/core/Ids"
import type { AbortReason } from "@spindle/core/Outcome"
import type { Snapshot } from "@spindle/core/Session"
import type { SessionEvent, Terminal } from "@spindle/core/SessionEvent"
import type * as TokenUsage from "@spindle/core/TokenUsage"

/** A file that a patch changes. */
export interface FileChange {
  readonly path: string
  readonly kind: "add" | "delete" | "update"
}

/** Token counts as clients read them. */
export interface ExecUsage {
  readonly input_tokens: number
  readonly cached_input_tokens: number
  readonly cache_write_input_tokens: number
  readonly output_tokens: number
  readonly reasoning_output_tokens: number
}

/** The status of a call. */
export type ExecStatus = "in_progress" | "completed" | "failed" | "declined"

/** An item; its id is `item_0`, `item_1` and so on in each run of the program. */
export type ExecItem = { readonly id: string } & ItemBody

type ItemBody =
  | { readonly type: "reasoning" | "agent_message"; readonly text: string }
  | {
      readonly type: "command_execution"
      readonly command: string
      /** Bounded: the middle of a very long output is left out. */
      readonly aggregated_output: string
      readonly exit_code: number | null
      readonly status: ExecStatus
    }
  | { readonly type: "file_change"; readonly changes: ReadonlyArray<FileChange>; readonly status: ExecStatus }
  | {
      readonly type: "mcp_tool_call"
      /** The MCP server; empty for other tools. */
      readonly server: string
      readonly tool: string
      readonly arguments: unknown
      readonly result: { readonly content: ReadonlyArray<unknown>; readonly structured_content: unknown } | null
      readonly error: { readonly message: string } | null
      readonly status: ExecStatus
    }
  | CollabItem
  | { readonly type: "web_search"; readonly query: string }
  | {
      readonly type: "todo_list"
      readonly items: ReadonlyArray<{ readonly text: string; readonly completed: boolean }>
    }
  | { readonly type: "error"; readonly message: string }

/** A call that starts or steers agents. */
export interface CollabItem {
  readonly type: "collab_tool_call"
  readonly tool: "spawn_agent" | "send_input" | "wait" | "close_agent" | "resume_agent"
  readonly sender_thread_id: SessionId
  readonly receiver_thread_ids: ReadonlyArray<string>
  readonly prompt: string | null
  readonly agents_states: { readonly [id: string]: { readonly status: string; readonly message: string | null } }
  readonly status: ExecStatus
}

/** A line, before it is written as JSON. */
export type ExecLine =
  | { readonly type: "thread.started"; readonly thread_id: string }
  | { readonly type: "turn.started" }
  | { readonly type: "item.started" | "item.updated" | "item.completed"; readonly item: ExecItem }
  | { readonly type: "turn.completed"; readonly usage: ExecUsage }
  | { readonly type: "turn.failed"; readonly error: { readonly message: string; readonly reason?: AbortReason } }
  | { readonly type: "task.note"; readonly name: string; readonly data: unknown }
  | { readonly type: "error"; readonly message: string }

/** The state of the projection. Not changed by {@link step}. */
export interface ExecState {
  readonly thread: Thread.Thread
  readonly itemCount: number
  /** The ids of calls in progress. */
  readonly ids: ReadonlyMap<string, string>
  /** The plan of the turn, if it has one. */
  readonly plan: (ExecItem & { readonly type: "todo_list" }) | undefined
}

/** A state, and the lines to write. */
export type Step = readonly [ExecState, ReadonlyArray<ExecLine>]

/** Returns the state before the session is open. */
export const initial = (options: { readonly sessionId: SessionId; readonly cwd: string }): ExecState => ({
  thread: Thread.initial(options),
  itemCount: 0,
  ids: new Map(),
  plan: undefined
})

/** Returns the state of an open session, with the earlier part of a resumed one, and the first line. */
export const open = (state: ExecState, snapshot: Pick<Snapshot, "items" | "seq" | "usage">): Step => [
  { ...state, thread: Thread.resume(state.thread, snapshot) },
  [{ type: "thread.started", thread_id: state.thread.sessionId }]
]

/** Returns the state after an event, and its lines. */
export const step = (state: ExecState, event: SessionEvent): Step => {
  const [thread, changes] = Thread.step(state.thread, event)
  let next: ExecState = { ...state, thread }
  const lines: Array<ExecLine> = []
  for (const change of changes) {
    const [after, more] = project(next, change)
    next = after
    lines.push(...more)
  }
  return [next, lines]
}

const project = (state: ExecState, change: Thread.Change): Step => {
  switch (change._tag) {
    case "TurnStarted":
      return [state, [{ type: "turn.started" }]]
    case "ItemStarted":
      return startItem(state, change.item)
    case "ItemCompleted":
      return completeItem(state, change)
    case "Retrying": {
      const { attempt, detail, maxAttempts } = change.retry
      const limit = maxAttempts === undefined ? "" : `/${maxAttempts}`
      return [state, [{ type: "error", message: `Reconnecting... ${attempt}${limit} (${detail})` }]]
    }
    case "TaskNoted": {
      const { data, name } = change.note
      return [state, [{ type: "task.note", name, data }]]
    }
    case "TurnEnded": {
      const { plan } = state
      const planned: ReadonlyArray<ExecLine> = plan === undefined ? [] : [{ type: "item.completed", item: plan }]
      return [{ ...state, ids: new Map(), plan: undefined }, [...planned, ...endLines(state, change.end)]]
    }
    case "Failed":
      return [state, change.isInTurn ? failureLines(change.message) : [{ type: "error", message: change.message }]]
    case "TextAdded":
    case "OutputAdded":
    case "CallRunning":
    case "QuestionOpened":
    case "QuestionSettled":
    case "Noted":
      return [state, []]
  }
}

const failureLines = (message: string): ReadonlyArray<ExecLine> => [
  { type: "error", message },
  { type: "turn.failed", error: { message } }
]

const endLines = ({ thread }: ExecState, end: Terminal): ReadonlyArray<ExecLine> => {
  switch (end._tag) {
    case "TurnCompleted":
      return [{ type: "turn.completed", usage: usageOf(thread.usage) }]
    case "TurnFailed":
      return failureLines(end.error.message)
    case "TurnAborted": {
      const { reason } = end
      if (reason === "Interrupted") return []
      return [{ type: "turn.failed", error: { message: `the turn was stopped (${reason})`, reason } }]
    }
  }
}

const usageOf = (usage: TokenUsage.TokenUsage): ExecUsage => ({
  input_tokens: usage.input,
  cached_input_tokens: usage.cachedInput,
  cache_write_input_tokens: 0,
  output_tokens: usage.output,
  reasoning_output_tokens: usage.reasoning
})

/** The items that are written late: messages and thoughts when they are complete, a plan when it was accepted. */
const startsLate: ReadonlyArray<ThreadItem["type"]> = ["agentMessage", "reasoning", "plan"]

const startItem = (state: ExecState, item: ThreadItem): Step => {
  const body = startsLate.includes(item.type) ? undefined : bodyOf(item)
  if (body === undefined) return [state, []]
  const id = `item_${state.itemCount}`
  const ids = new Map(state.ids).set(item.id, id)
  return [{ ...state, itemCount: state.itemCount + 1, ids }, [{ type: "item.started", item: { id, ...body } }]]
}

const completeItem = (
  state: ExecState,
  { isPartial, item }: Extract<Thread.Change, { readonly _tag: "ItemCompleted" }>
): Step => {
  const body = bodyOf(item)
  // a text that was cut off has no line, as in the reference; the journal has it
  if (body === undefined || isPartial !== undefined) return [state, []]
  if (item.type === "plan" && body.type === "todo_list") return updatePlan(state, body, item.status)
  const id = state.ids.get(item.id)
  if (id !== undefined) {
    const ids = new Map(state.ids)
    ids.delete(item.id)
    return [{ ...state, ids }, [{ type: "item.completed", item: { id, ...body } }]]
  }
  const line: ExecLine = { type: "item.completed", item: { id: `item_${state.itemCount}`, ...body } }
  return [{ ...state, itemCount: state.itemCount + 1 }, [line]]
}

/** Updates the plan of the turn. A turn has one plan, which its calls update and its end completes. */
const updatePlan = (
  state: ExecState,
  body: Extract<ItemBody, { readonly type: "todo_list" }>,
  status: CallStatus
): Step => {
  if (status !== "completed") return [state, []]
  if (state.plan !== undefined) {
    const plan = { ...state.plan, ...body }
    return [{ ...state, plan }, [{ type: "item.updated", item: plan }]]
  }
  const plan = { id: `item_${state.itemCount}`, ...body }
  return [{ ...state, plan, itemCount: state.itemCount + 1 }, [{ type: "item.started", item: plan }]]
}

/** Converts an item to the words of the lines; undefined if it has no line. */
const bodyOf = (item: ThreadItem): ItemBody | undefined => {
  switch (item.type) {
    case "userMessage":
    case "imageView":
      return undefined
    case "agentMessage":
      return item.text === "" ? undefined : { type: "agent_message", text: item.text }
    case "reasoning":
      return item.summary.length === 0 ? undefined : { type: "reasoning", text: item.summary.join("\n\n") }
    case "commandExecution":
      return {
        type: "command_execution",
        command: `/bin/bash -lc ${quote(item.command)}`,
        aggregated_output: item.aggregatedOutput ?? "",
        exit_code: item.exitCode,
        status: statuses[item.status]
      }
    case "fileChange":
      return {
        type: "file_change",
        changes: item.changes.map(({ kind, path }) => ({ path, kind: kind.type })),
        status: statusWithoutDecline(item.status)
      }
    case "mcpToolCall": {
      const { result, server, tool } = item
      const content = result === null ? null : { content: result.content, structured_content: result.structuredContent }
      return toolCall({ server, tool, arguments: item.arguments, result: content, error: item.error }, item.status)
    }
    case "collabAgentToolCall":
      return collabOf(item)
    case "webSearch":
      return { type: "web_search", query: item.query }
    case "plan":
      return {
        type: "todo_list",
        items: item.steps.map(({ status, step }) => ({ text: step, completed: status === "completed" }))
      }
    case "dynamicToolCall": {
      const { contentItems, success, tool } = item
      const text = contentItems?.map((one) => one.text).join("\n") ?? ""
      return toolCall({ server: "", tool, arguments: item.arguments, ...resultOf(success, text) }, item.status)
    }
    case "error":
    case "warning":
      return { type: "error", message: item.message }
  }
}

const statuses: { readonly [status in CallStatus]: ExecStatus } = {
  inProgress: "in_progress",
  completed: "completed",
  failed: "failed",
  declined: "declined"
}

/** Returns the status of an item that cannot be `declined`. */
const statusWithoutDecline = (status: CallStatus): ExecStatus => (status === "declined" ? "failed" : statuses[status])

type ToolCallBody = Extract<ItemBody, { readonly type: "mcp_tool_call" }>

const toolCall = (call: Omit<ToolCallBody, "type" | "status">, status: CallStatus): ToolCallBody => ({
  type: "mcp_tool_call",
  ...call,
  status: statusWithoutDecline(status)
})

const resultOf = (success: boolean | null, text: string): Pick<ToolCallBody, "result" | "error"> => {
  if (success === null) return { result: null, error: null }
  return success
    ? { result: { content: [{ type: "text", text }], structured_content: null }, error: null }
    : { result: null, error: { message: text } }
}

const collabTools: { readonly [tool in Exclude<CollabTool, "listAgents">]: CollabItem["tool"] } = {
  spawnAgent: "spawn_agent",
  sendInput: "send_input",
  wait: "wait",
  closeAgent: "close_agent",
  resumeAgent: "resume_agent"
}

const collabOf = (item: CollabAgentToolCall): CollabItem | ToolCallBody => {
  const { agentsStates, prompt, receiverThreadIds, senderThreadId, status, tool } = item
  const agents_states = Object.fromEntries(
    Object.entries(agentsStates).map(([id, { message, status: state }]) => [id, { status: snakeCase(state), message }])
  )
  // the reference has no such call
  if (tool === "listAgents") {
    const success = status === "inProgress" ? null : status === "completed"
    const result = resultOf(success, JSON.stringify(agents_states))
    return toolCall({ server: "", tool: "list_agents", arguments: {}, ...result }, status)
  }
  return {
    type: "collab_tool_call",
    tool: collabTools[tool],
    sender_thread_id: senderThreadId,
    receiver_thread_ids: receiverThreadIds,
    prompt,
    agents_states,
    status: statusWithoutDecline(status)
  }
}

const snakeCase = (word: string): string => word.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** Quotes a word for a POSIX shell, if it needs quotes. */
const quote = (word: string): string => {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (!word.includes("'")) return `'${word}'`
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`
}
