/**
 * Makes the item of a tool call, as people and clients see it, from the records of its tool.
 *
 * The `display` of the call describes it, and the `detail` of the result describes its outcome. A call without a
 * `display` is shown by its name and arguments.
 */
import * as Path from "node:path"
import type { AgentOperation, AgentState, CallDisplay, CallDetail, FileChange } from "@spindle/core/Display"
import type { SessionId } from "@spindle/core/Ids"
import type { ToolCall, ToolResult } from "@spindle/core/Item"
import type { CallItem, CallStatus, Change, CollabAgentToolCall, CollabTool } from "./ThreadItem.ts"

/** The session that makes a call, and its absolute working directory. */
export interface Where {
  readonly sessionId: SessionId
  readonly cwd: string
}

/** Makes the item of a call that has just been recorded. */
export const start = (call: ToolCall, at: number, { cwd, sessionId }: Where): CallItem => {
  const common = { id: call.callId as string, status: "inProgress", startedAtMs: at, completedAtMs: null } as const
  const args = call.invalid ?? call.params ?? null
  const display: CallDisplay = call.display ?? { _tag: "Other" }
  switch (display._tag) {
    case "Command": {
      const { command, cwd } = display
      const open = { aggregatedOutput: null, exitCode: null, durationMs: null }
      return { type: "commandExecution", ...common, command, cwd, ...open }
    }
    case "Patch":
      return { type: "fileChange", ...common, changes: changesOf(display.changes, cwd) }
    case "Agent":
      return {
        type: "collabAgentToolCall",
        ...common,
        tool: collabTools[display.operation],
        senderThreadId: sessionId,
        receiverThreadIds: display.targets,
        prompt: display.prompt ?? null,
        model: display.model ?? null,
        reasoningEffort: display.effort ?? null,
        ...(display.role === undefined ? {} : { role: display.role }),
        agentsStates: {}
      }
    case "Mcp": {
      const { server, tool } = display
      return {
        type: "mcpToolCall",
        ...common,
        server,
        tool,
        arguments: args,
        result: null,
        error: null,
        durationMs: null
      }
    }
    case "Search":
      return display.path === undefined
        ? { type: "webSearch", ...common, query: display.query }
        : otherCall(common, call.name, { title: `search ${display.path}: ${display.query}`, arguments: args })
    case "Read":
      return otherCall(common, call.name, { title: `read ${display.path}`, arguments: args })
    case "Plan":
      return { type: "plan", ...common, text: display.explanation ?? "", steps: display.steps }
    case "Image":
      return { type: "imageView", ...common, path: display.path }
    case "Other": {
      const title = display.title === undefined ? {} : { title: display.title }
      return otherCall(common, call.name, { ...title, arguments: args })
    }
  }
}

type OtherToolCall = Extract<CallItem, { readonly type: "dynamicToolCall" }>

const otherCall = (
  common: Pick<OtherToolCall, "id" | "status" | "startedAtMs" | "completedAtMs">,
  tool: string,
  described: Pick<OtherToolCall, "title" | "arguments">
): OtherToolCall => ({
  type: "dynamicToolCall",
  ...common,
  tool,
  ...described,
  contentItems: null,
  success: null,
  durationMs: null
})

const collabTools: { readonly [operation in AgentOperation]: CollabTool } = {
  spawn: "spawnAgent",
  send: "sendInput",
  wait: "wait",
  close: "closeAgent",
  resume: "resumeAgent",
  list: "listAgents"
}

const changesOf = (changes: ReadonlyArray<FileChange>, cwd: string): ReadonlyArray<Change> =>
  changes.map(({ change, diff = "", movePath, path }) => ({
    path: Path.resolve(cwd, path),
    kind:
      change === "update"
        ? { type: change, move_path: movePath === undefined ? null : Path.resolve(cwd, movePath) }
        : { type: change },
    diff
  }))

/** The facts about the end of a call, in addition to its result. */
export interface End {
  readonly cwd: string
  readonly at: number
  /** The duration in milliseconds, without the time that a person took to allow it. */
  readonly millis: number
  /** The part of its output that was streamed; undefined if nothing was. */
  readonly output: string | undefined
  /** The exit code of its process, if that has ended. */
  readonly exitCode: number | null
}

/** Returns the text of a result as the model reads it. */
export const textOf = ({ output }: Pick<ToolResult, "output">): string =>
  typeof output === "string" ? output : (JSON.stringify(output) ?? "")

/** Returns the item of a call that has ended. */
export const complete = (item: CallItem, result: ToolResult, end: End): CallItem => {
  const status = statusOf(result)
  const common = { status, completedAtMs: end.at }
  const durationMs = status === "declined" ? null : end.millis
  switch (item.type) {
    case "commandExecution": {
      const detail = detailOf(result, "Command")
      const exitCode = detail?.exitCode ?? end.exitCode
      const hasEnded = exitCode !== null || detail?.signal !== undefined || detail?.timedOut === true
      const background = hasEnded ? undefined : detail?.processId
      const hasFailed = exitCode !== 0 && background === undefined
      return {
        ...item,
        ...common,
        status: status === "completed" && hasFailed ? "failed" : status,
        aggregatedOutput: end.output ?? (detail === undefined || detail.output === "" ? null : detail.output),
        exitCode,
        durationMs: detail?.durationMillis ?? durationMs,
        ...(detail?.signal === undefined ? {} : { signal: detail.signal }),
        ...(detail?.timedOut === undefined ? {} : { timedOut: detail.timedOut }),
        ...(background === undefined ? {} : { processId: background })
      }
    }
    case "fileChange": {
      const made = detailOf(result, "Patch")?.changes ?? []
      return { ...item, ...common, changes: made.length === 0 ? item.changes : changesOf(made, end.cwd) }
    }
    case "collabAgentToolCall": {
      const detail = detailOf(result, "Agent")
      return detail === undefined ? { ...item, ...common } : { ...item, ...common, ...agentsOf(item, detail) }
    }
    case "mcpToolCall": {
      const text = textOf(result)
      const isError = status !== "completed" || detailOf(result, "Mcp")?.isError === true
      const structuredContent = typeof result.output === "object" ? result.output : null
      const duration = { durationMs: detailOf(result, "Mcp")?.durationMillis ?? durationMs }
      return isError
        ? {
            ...item,
            ...common,
            ...duration,
            status: status === "completed" ? "failed" : status,
            error: { message: text }
          }
        : { ...item, ...common, ...duration, result: { content: [{ type: "text", text }], structuredContent } }
    }
    case "webSearch":
    case "plan":
    case "imageView":
      return { ...item, ...common }
    case "dynamicToolCall": {
      const contentItems = [{ type: "inputText" as const, text: textOf(result) }]
      return { ...item, ...common, contentItems, success: status === "completed", durationMs }
    }
  }
}

const statusOf = ({ status }: ToolResult): CallStatus =>
  status === "completed" ? "completed" : status === "denied" ? "declined" : "failed"

const detailOf = <const Tag extends CallDetail["_tag"]>(
  { detail }: ToolResult,
  tag: Tag
): Extract<CallDetail, { readonly _tag: Tag }> | undefined =>
  detail?._tag === tag ? (detail as Extract<CallDetail, { readonly _tag: Tag }>) : undefined

const agentsOf = (
  { receiverThreadIds, tool }: CollabAgentToolCall,
  { agents, timedOut }: Extract<CallDetail, { readonly _tag: "Agent" }>
): Pick<CollabAgentToolCall, "receiverThreadIds" | "agentsStates" | "timedOut"> => ({
  receiverThreadIds: tool === "spawnAgent" ? agents.map(({ agentId }) => agentId) : receiverThreadIds,
  agentsStates: Object.fromEntries(agents.map((agent) => [agent.agentId, stateOf(agent)])),
  ...(timedOut === undefined ? {} : { timedOut })
})

const stateOf = ({ message, name, status }: AgentState) => ({
  ...(name === undefined ? {} : { name }),
  status,
  message: message ?? null
})
