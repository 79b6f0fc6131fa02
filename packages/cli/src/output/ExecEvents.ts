/**
 * The lines of `exec --json`: a pure fold from what a session tells to what clients of the reference read.
 *
 * The names and shapes are the reference's. Where its lines say less than the session knows they stay as they are, with
 * these exceptions: a call that was running when its turn was stopped is completed as `failed`, a command or patch that
 * was refused is shown (as `declined`, `failed`), and a turn that was stopped for another reason than an interrupt ends
 * with a `turn.failed` that says so. An interrupted one just ends, as in the reference.
 */
import * as Path from "node:path"
import type { CallId, ProcessId, SessionId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Collab from "./collab.ts"
import * as ToolCalls from "./toolCalls.ts"

/** A file that a patch changes, as the patch names it. */
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

/** How far a call is. */
export type ExecStatus = "in_progress" | "completed" | "failed" | "declined"

/** An item; its id is `item_0`, `item_1` ... in each run of the program. */
export type ExecItem = { readonly id: string } & (
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
      /** The MCP server of a tool that is named `mcp__SERVER__TOOL`, else empty. */
      readonly server: string
      readonly tool: string
      readonly arguments: unknown
      readonly result: { readonly content: ReadonlyArray<unknown>; readonly structured_content: null } | null
      readonly error: { readonly message: string } | null
      readonly status: ExecStatus
    }
  | CollabItem
  | { readonly type: "error"; readonly message: string }
)

/** A call that starts or steers agents. */
export interface CollabItem {
  readonly type: "collab_tool_call"
  readonly tool: Collab.CollabTool
  readonly sender_thread_id: SessionId
  readonly receiver_thread_ids: ReadonlyArray<string>
  readonly prompt: string | null
  readonly agents_states: Collab.AgentStates
  readonly status: ExecStatus
}

/** A line, before it is written as JSON. */
export type ExecLine =
  | { readonly type: "thread.started"; readonly thread_id: string }
  | { readonly type: "turn.started" }
  | { readonly type: "item.started" | "item.updated" | "item.completed"; readonly item: ExecItem }
  | { readonly type: "turn.completed"; readonly usage: ExecUsage }
  | { readonly type: "turn.failed"; readonly error: { readonly message: string; readonly reason?: AbortReason } }
  | { readonly type: "error"; readonly message: string }

/** The session, and where it works. */
export interface ExecOptions {
  readonly sessionId: SessionId
  readonly cwd: string
  readonly changesOf: (patch: string) => ReadonlyArray<FileChange>
}

interface OpenCall {
  readonly item: ExecItem
  readonly output: Output
  readonly exitCode: number | null
}

/** The state of the fold. Not changed by {@link step}. */
export interface ExecState {
  readonly options: ExecOptions
  readonly itemCount: number
  readonly usage: TokenUsage.TokenUsage
  readonly inTurn: boolean
  readonly open: ReadonlyMap<CallId, OpenCall>
  readonly processes: ReadonlyMap<ProcessId, CallId>
}

/** A state and the lines that led to it. */
export type Step = readonly [ExecState, ReadonlyArray<ExecLine>]

/** The state before the first event. */
export const initial = (options: ExecOptions): ExecState => ({
  options,
  itemCount: 0,
  usage: TokenUsage.zero,
  inTurn: false,
  open: new Map(),
  processes: new Map()
})

/** The first line. `usage` is what the session has used before. */
export const open = (state: ExecState, usage: TokenUsage.TokenUsage): Step => [
  { ...state, usage },
  [{ type: "thread.started", thread_id: state.options.sessionId }]
]

/** The lines of one event. */
export const step = (state: ExecState, event: SessionEvent): Step => {
  switch (event._tag) {
    case "TurnStarted":
      return [{ ...state, inTurn: true }, [{ type: "turn.started" }]]
    case "ItemRecorded":
      return item(state, event.item)
    case "ToolOutput":
      return [withOpen(state, event.callId, (call) => ({ ...call, output: append(call.output, event) })), []]
    case "ProcessStarted":
      if (event.callId === undefined) return [state, []]
      return [{ ...state, processes: new Map(state.processes).set(event.processId, event.callId) }, []]
    case "ProcessEnded":
      return processEnded(state, event.processId, event.exitCode)
    case "ModelRetrying": {
      const message = `Reconnecting... ${event.attempt}/${event.maxAttempts} (${event.detail})`
      return [state, [{ type: "error", message }]]
    }
    case "TurnCompleted": {
      const usage = TokenUsage.add(state.usage, event.usage)
      return [ended(state, usage), [{ type: "turn.completed", usage: usageOf(usage) }]]
    }
    case "TurnFailed":
      return [ended(state, TokenUsage.add(state.usage, event.usage)), failed(event.error.message)]
    case "TurnAborted": {
      // what a resume settles was counted before the first event
      const usage = event.crashed === true ? state.usage : TokenUsage.add(state.usage, event.usage)
      if (event.reason === "Interrupted") return [ended(state, usage), []]
      const error = { message: `the turn was stopped (${event.reason})`, reason: event.reason }
      return [ended(state, usage), [{ type: "turn.failed", error }]]
    }
    case "SessionFailed":
      return [
        ended(state, state.usage),
        state.inTurn ? failed(event.message) : [{ type: "error", message: event.message }]
      ]
    case "Warning":
      return completed(state, (id) => ({ id, type: "error", message: event.message }))
    case "SessionResumed": {
      if (event.cutBytes === 0) return [state, []]
      const message = `the journal was damaged: its last ${event.cutBytes} bytes are kept in ${event.cutFile ?? "no file"}`
      return completed(state, (id) => ({ id, type: "error", message }))
    }
    case "SessionStarted":
    case "InputAccepted":
    case "InputBlocked":
    case "ModelRequested":
    case "ModelResponded":
    case "QuestionOpened":
    case "QuestionSettled":
    case "StragglerEnded":
    case "DelegateStarted":
    case "DelegateEnded":
    case "RolledBack":
    case "TextDelta":
    case "ReasoningDelta":
    case "Unknown":
      return [state, []]
  }
}

const failed = (message: string): ReadonlyArray<ExecLine> => [
  { type: "error", message },
  { type: "turn.failed", error: { message } }
]

const ended = (state: ExecState, usage: TokenUsage.TokenUsage): ExecState => ({
  ...state,
  usage,
  inTurn: false,
  open: new Map(),
  processes: new Map()
})

const usageOf = (usage: TokenUsage.TokenUsage): ExecUsage => ({
  input_tokens: usage.input,
  cached_input_tokens: usage.cachedInput,
  cache_write_input_tokens: 0,
  output_tokens: usage.output,
  reasoning_output_tokens: usage.reasoning
})

const completed = (state: ExecState, make: (id: string) => ExecItem): Step => [
  { ...state, itemCount: state.itemCount + 1 },
  [{ type: "item.completed", item: make(`item_${state.itemCount}`) }]
]

const withOpen = (state: ExecState, callId: CallId, change: (call: OpenCall) => OpenCall): ExecState => {
  const call = state.open.get(callId)
  return call === undefined ? state : { ...state, open: new Map(state.open).set(callId, change(call)) }
}

const processEnded = (state: ExecState, processId: ProcessId, exitCode: number | null): Step => {
  const callId = state.processes.get(processId)
  return [callId === undefined ? state : withOpen(state, callId, (call) => ({ ...call, exitCode })), []]
}

const item = (state: ExecState, recorded: Item): Step => {
  switch (recorded._tag) {
    case "UserMessage":
    case "DeveloperMessage":
      return [state, []]
    case "Reasoning":
    case "AssistantMessage": {
      // the reference leaves half texts "started" for ever; they are in the journal
      if (recorded.text === "" || recorded.partial !== undefined) return [state, []]
      const type = recorded._tag === "Reasoning" ? "reasoning" : "agent_message"
      return completed(state, (id) => ({ id, type, text: recorded.text }))
    }
    case "ToolCall": {
      const started = startedItem(state, recorded)
      const open = new Map(state.open).set(recorded.callId, { item: started, output: noOutput, exitCode: null })
      return [{ ...state, itemCount: state.itemCount + 1, open }, [{ type: "item.started", item: started }]]
    }
    case "ToolResult": {
      const call = state.open.get(recorded.callId)
      if (call === undefined) {
        if (recorded.status !== "unknown") return [state, []]
        const message = `nobody knows how ${recorded.name} (${recorded.callId}) ended: the program died in it`
        return completed(state, (id) => ({ id, type: "error", message }))
      }
      const open = new Map(state.open)
      open.delete(recorded.callId)
      return [{ ...state, open }, [{ type: "item.completed", item: completedItem(call, recorded) }]]
    }
  }
}

const startedItem = ({ itemCount, options: itemOptions }: ExecState, call: ToolCalls.Call): ExecItem => {
  const id = `item_${itemCount}`
  const command = ToolCalls.commandOf(call)
  if (command !== undefined) {
    return {
      id,
      type: "command_execution",
      command: `/bin/bash -lc ${quote(command)}`,
      aggregated_output: "",
      exit_code: null,
      status: "in_progress"
    }
  }
  const patch = ToolCalls.patchOf(call)
  if (patch !== undefined) {
    const changes = itemOptions
      .changesOf(patch)
      .map(({ path, kind }) => ({ path: Path.resolve(itemOptions.cwd, path), kind }))
    return { id, type: "file_change", changes, status: "in_progress" }
  }
  const collab = Collab.started(call)
  if (collab !== undefined) {
    const sender_thread_id = itemOptions.sessionId
    return { id, type: "collab_tool_call", sender_thread_id, ...collab, agents_states: {}, status: "in_progress" }
  }
  const [, server = "", tool = call.name] = /^mcp__(.+?)__(.+)$/s.exec(call.name) ?? []
  const args = call.invalid ?? call.params ?? null
  return { id, type: "mcp_tool_call", server, tool, arguments: args, result: null, error: null, status: "in_progress" }
}

const completedItem = ({ item, output, exitCode }: OpenCall, result: ToolCalls.Result): ExecItem => {
  switch (item.type) {
    case "command_execution": {
      const code = exitCode ?? ToolCalls.exitCodeOf(result)
      const succeeded = result.status === "completed" && code === 0
      const status = result.status === "denied" ? "declined" : succeeded ? "completed" : "failed"
      return { ...item, aggregated_output: textOf(output), exit_code: code, status }
    }
    case "file_change":
      return { ...item, status: result.status === "completed" ? "completed" : "failed" }
    case "mcp_tool_call": {
      const text = ToolCalls.outputText(result)
      return result.status === "completed"
        ? { ...item, result: { content: [{ type: "text", text }], structured_content: null }, status: "completed" }
        : { ...item, error: { message: text }, status: "failed" }
    }
    case "collab_tool_call":
      return {
        ...item,
        ...Collab.completed(item, result),
        status: result.status === "completed" ? "completed" : "failed"
      }
    case "reasoning":
    case "agent_message":
    case "error":
      return item
  }
}

/** A word as a POSIX shell reads it: plain if it can be, in quotes otherwise. */
const quote = (word: string): string => {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (!word.includes("'")) return `'${word}'`
  return /["$`\\!]/.test(word) ? `'${word.replaceAll("'", "'\\''")}'` : `"${word}"`
}

/** How much of an output is kept: its first and its last half of this many characters. */
const outputLimit = 1_048_576

interface Output {
  readonly head: string
  readonly tail: string
  readonly length: number
}

const noOutput: Output = { head: "", tail: "", length: 0 }

// an offset below the length repeats what was told; one above it follows a gap
const append = (output: Output, event: { readonly offset: number; readonly text: string }): Output => {
  const text = event.offset < output.length ? event.text.slice(output.length - event.offset) : event.text
  const length = Math.max(output.length, event.offset + event.text.length)
  const room = outputLimit / 2 - output.head.length
  if (room >= text.length) return { ...output, head: output.head + text, length }
  const tail = output.tail + text.slice(room)
  const kept = tail.length > outputLimit ? tail.slice(-outputLimit / 2) : tail
  return { head: output.head + text.slice(0, room), tail: kept, length }
}

const textOf = ({ head, length, tail }: Output): string => {
  const kept = tail.slice(-outputLimit / 2)
  const omitted = length - head.length - kept.length
  return omitted > 0 ? `${head}\n[... ${omitted} characters left out ...]\n${kept}` : head + kept
}
