/** Describes the calls of a thread for its timeline. */
import * as Path from "node:path"
import type { SessionId } from "@spindle/core/Ids"
import type { ToolStatus } from "@spindle/core/Item"
import {
  type CallItem,
  type Change,
  type CollabAgentToolCall,
  type CommandExecution,
  describeExit
} from "../ThreadItem.ts"
import { duration } from "./durations.ts"
import type { Bar, Detail } from "./model.ts"

/** The context of a description, apart from the call. */
export interface Context {
  /** The working directory of the session. */
  readonly cwd: string
  /** The names of the agents that the session has started. */
  readonly names: ReadonlyMap<SessionId, string>
  /** The tool that was called. */
  readonly tool: string
}

/** The end of a call: its status, and its result as the model reads it. */
export interface End {
  readonly status: ToolStatus
  readonly text: string
}

/** The name and the details of a call. `end` is undefined while it runs. */
export const describe = (item: CallItem, context: Context, end?: End): Pick<Bar, "name" | "details"> => {
  const by = detail("tool", context.tool)
  const result = end === undefined ? [] : [detail("result", end.text)]
  const durationDetail = (millis: number | null) =>
    end === undefined || millis === null ? [] : [detail("took", duration(millis))]
  switch (item.type) {
    case "commandExecution": {
      const { aggregatedOutput: output, command, cwd, durationMs } = item
      const of = [by, detail("command", command), detail("directory", cwd), ...durationDetail(durationMs)]
      return { name: command, details: [...of, ...(output === null ? result : [detail("output", output)])] }
    }
    case "fileChange": {
      const { cwd } = context
      const isMade = end === undefined || end.status === "completed"
      const paths = item.changes.map(({ path }) => shorten(path, cwd)).join(", ")
      return {
        name: `patch ${paths}`,
        details: [by, ...item.changes.map((change) => diffOf(change, cwd)), ...(isMade ? [] : result)]
      }
    }
    case "collabAgentToolCall":
      return {
        name: agentTitle(item, context.names),
        details: [by, ...agentDetails(item, context.names), ...(stateDetails(item) ?? result)]
      }
    case "mcpToolCall":
      return {
        name: `${item.server}: ${item.tool}`,
        details: [by, detail("arguments", item.arguments), ...durationDetail(item.durationMs), ...result]
      }
    case "webSearch":
      return { name: `search ${item.query}`, details: [by, detail("query", item.query), ...result] }
    case "plan":
      return {
        name: "plan",
        details: [
          by,
          ...(item.text === "" ? [] : [detail("explanation", item.text)]),
          detail("steps", item.steps.map(({ status, step }) => `${stepSigns[status]} ${step}`).join("\n")),
          ...result
        ]
      }
    case "imageView": {
      const path = shorten(item.path, context.cwd)
      return { name: `image ${path}`, details: [by, detail("path", path), ...result] }
    }
    case "dynamicToolCall":
      return {
        name: item.title ?? item.tool,
        details: [...(item.title === undefined ? [] : [by]), detail("arguments", item.arguments), ...result]
      }
  }
}

/** The end of a call, in a word or two. */
export const endOf = (item: CallItem, { status }: End): Pick<Bar, "status" | "mood"> => {
  const ended = { status, mood: moods[status] }
  if (item.type === "collabAgentToolCall" && item.timedOut === true) return { ...ended, status: "timed out" }
  if (item.type === "commandExecution") return commandEnd(item, ended)
  // a tool can report an error in a call that has completed
  return status === "completed" && item.status === "failed" ? { status: "failed", mood: "bad" } : ended
}

const moods = { completed: "good", failed: "bad", denied: "bad", aborted: "stopped", unknown: "stopped" } as const
const stepSigns = { pending: "[ ]", inProgress: "[>]", completed: "[x]" } as const

const commandEnd = (
  { durationMs, exitCode, processId, signal, timedOut }: CommandExecution,
  ended: { readonly status: ToolStatus; readonly mood: Bar["mood"] }
): Pick<Bar, "status" | "mood"> => {
  if (ended.status !== "completed" && ended.status !== "failed") return ended
  if (timedOut === true) return { status: `timed out after ${duration(durationMs ?? 0)}`, mood: "bad" }
  if (exitCode !== null) return { status: describeExit(exitCode), mood: exitCode === 0 ? "good" : "bad" }
  if (processId !== undefined) return { status: "in the background", mood: "good" }
  return signal === undefined ? ended : { status: `killed by ${signal}`, mood: "bad" }
}

const verbs: { readonly [tool in CollabAgentToolCall["tool"]]: string } = {
  spawnAgent: "spawn",
  sendInput: "send",
  wait: "wait",
  closeAgent: "close",
  resumeAgent: "resume",
  listAgents: "list"
}

const agentTitle = ({ prompt, receiverThreadIds, tool }: CollabAgentToolCall, names: Context["names"]): string => {
  const agents = receiverThreadIds.map((id) => names.get(id) ?? id).join(", ")
  return `${verbs[tool]} ${agents === "" ? "agent" : agents}${prompt === null ? "" : `: ${prompt}`}`
}

const agentDetails = (
  { model, prompt, reasoningEffort, receiverThreadIds, role }: CollabAgentToolCall,
  names: Context["names"]
): ReadonlyArray<Detail> => [
  ...receiverThreadIds.map((id) => detail("agent", names.has(id) ? `${names.get(id)} (${id})` : id)),
  ...optional("prompt", prompt),
  ...optional("role", role),
  ...optional("model", model),
  ...optional("effort", reasoningEffort)
]

/** The states of the agents of a call that has ended; undefined if it reported none. */
const stateDetails = ({ agentsStates }: CollabAgentToolCall): ReadonlyArray<Detail> | undefined => {
  const states = Object.entries(agentsStates)
  return states.length === 0
    ? undefined
    : states.map(([id, { message, name, status }]) =>
        detail(`agent ${name ?? id}`, message === null ? status : `${status}: ${message}`)
      )
}

const diffOf = ({ diff, kind, path }: Change, cwd: string): Detail => {
  const moved = kind.type === "update" && kind.move_path !== null ? ` → ${shorten(kind.move_path, cwd)}` : ""
  return { name: `${kind.type} ${shorten(path, cwd)}${moved}`, form: "diff", value: cut(diff, diffLimit) }
}

/** A path relative to the working directory, if it is inside. */
const shorten = (path: string, cwd: string): string => {
  if (!Path.isAbsolute(path)) return path
  const inside = Path.relative(cwd, path)
  return inside === "" || inside.startsWith("..") || Path.isAbsolute(inside) ? path : inside
}

const optional = (name: string, value: string | null | undefined): ReadonlyArray<Detail> =>
  value === null || value === undefined ? [] : [detail(name, value)]

/** Makes a detail with a text or a JSON value, cut to `detailLimit`. */
export const detail = (name: string, value: unknown): Detail => ({
  name,
  form: "text",
  value: cut(typeof value === "string" ? value : (JSON.stringify(value, undefined, 2) ?? ""), detailLimit)
})

/** The longest text of a detail, in UTF-16 code units. */
const detailLimit = 4_000
/** The longest diff of one file. */
const diffLimit = 40_000

const cut = (text: string, limit: number): string =>
  text.length <= limit
    ? text
    : `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, "")} … (${text.length.toLocaleString("en-US")} characters)`
