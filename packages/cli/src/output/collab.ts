/** Calls that start and steer agents, as clients of the reference read them. */
import type { Call, Result } from "./toolCalls.ts"
import * as ToolCalls from "./toolCalls.ts"

/** The tools, in the words of the wire. */
export type CollabTool = "spawn_agent" | "send_input" | "wait" | "close_agent" | "resume_agent"

/** Where agents stand, by id. */
export type AgentStates = {
  readonly [id: string]: { readonly status: string; readonly message: string | null }
}

const tools: { readonly [name: string]: CollabTool | undefined } = {
  spawn_agent: "spawn_agent",
  send_input: "send_input",
  wait_agent: "wait",
  close_agent: "close_agent",
  resume_agent: "resume_agent"
}

/** What such a call says when it begins; undefined for other calls. */
export const started = ({ name, params }: Call) => {
  const tool = Object.hasOwn(tools, name) ? tools[name] : undefined
  if (tool === undefined) return undefined
  const target = ToolCalls.field(params, "target") ?? ToolCalls.field(params, "id")
  return {
    tool,
    receiver_thread_ids:
      tool === "wait" ? ToolCalls.fieldList(params, "targets") : target === undefined ? [] : [target],
    prompt: ToolCalls.field(params, "message") ?? null
  }
}

/** What its result adds: whom it reached, and where they stand. */
export const completed = (
  call: { readonly tool: CollabTool; readonly receiver_thread_ids: ReadonlyArray<string> },
  { output, status }: Result
): { readonly receiver_thread_ids: ReadonlyArray<string>; readonly agents_states: AgentStates } => {
  const reached = call.receiver_thread_ids
  if (status !== "completed") return { receiver_thread_ids: reached, agents_states: {} }
  if (call.tool === "spawn_agent") {
    const id = ToolCalls.field(output, "agent_id")
    if (id === undefined) return { receiver_thread_ids: [], agents_states: {} }
    return { receiver_thread_ids: [id], agents_states: { [id]: { status: "pending_init", message: null } } }
  }
  const { previous_status, status: found } = output as { readonly previous_status?: unknown; readonly status?: unknown }
  const states =
    call.tool === "wait" ? (found as object) : { [reached[0] ?? ""]: previous_status ?? found ?? "running" }
  return {
    receiver_thread_ids: reached,
    agents_states: Object.fromEntries(Object.entries(states).map(([id, one]) => [id, stateOf(one)]))
  }
}

const stateOf = (status: unknown): AgentStates[string] => {
  if (typeof status === "string") return { status, message: null }
  const completed = ToolCalls.field(status, "completed")
  const errored = ToolCalls.field(status, "errored")
  return errored === undefined
    ? { status: "completed", message: completed ?? null }
    : { status: "errored", message: errored }
}
