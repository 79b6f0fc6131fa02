/** Describes tool calls and their results, from what the tool recorded about them (`Display` of core). */
import type { CallDetail, CallDisplay, FileChange } from "@spindle/core/Display"
import type { SessionId } from "@spindle/core/Ids"
import type { ToolCall, ToolResult } from "@spindle/core/Item"
import { duration } from "./durations.ts"
import type { Bar, Detail } from "./timelineModel.ts"

/** The names of the agents that a session has started. */
export type Names = ReadonlyMap<SessionId, string>

/** The name and the details of a call. */
export const describeCall = (call: ToolCall, names: Names): Pick<Bar, "name" | "details"> => {
  const { display } = call
  if (display === undefined) return { name: call.name, details: [argumentsOf(call)] }
  const tool = detail("tool", call.name)
  switch (display._tag) {
    case "Command":
      return {
        name: display.command,
        details: [tool, detail("command", display.command), detail("directory", display.cwd)]
      }
    case "Patch":
      return {
        name: `patch ${display.changes.map(({ path }) => path).join(", ")}`,
        details: [tool, ...display.changes.map(diffOf)]
      }
    case "Agent":
      return { name: agentTitle(display, names), details: [tool, ...agentDetails(display, names)] }
    case "Mcp":
      return { name: `${display.server}: ${display.tool}`, details: [tool, argumentsOf(call)] }
    case "Search":
      return {
        name: `search ${display.query}`,
        details: [tool, detail("query", display.query), ...optional("path", display.path)]
      }
    case "Read":
      return { name: `read ${display.path}`, details: [tool, detail("path", display.path)] }
    case "Plan":
      return {
        name: "plan",
        details: [
          tool,
          ...optional("explanation", display.explanation),
          detail("steps", display.steps.map(({ status, step }) => `${stepSigns[status]} ${step}`).join("\n"))
        ]
      }
    case "Image":
      return { name: `image ${display.path}`, details: [tool, detail("path", display.path)] }
    case "Other":
      return { name: display.title ?? call.name, details: [tool, argumentsOf(call)] }
  }
}

/** How a call ended, and the details to show after those of the call. */
export const describeResult = (
  { detail: came, output, status }: ToolResult,
  { details }: Pick<Bar, "details">
): Pick<Bar, "status" | "mood" | "details"> => {
  const result = detail("result", output)
  const ended = { status, mood: moods[status] }
  switch (came?._tag) {
    case undefined:
      return { ...ended, details: [...details, result] }
    case "Command": {
      const text = came.output === "" ? result : detail("output", came.output)
      return {
        ...(status === "completed" || status === "failed" ? commandEnd(came, ended) : ended),
        details: [...details, detail("took", duration(came.durationMillis)), text]
      }
    }
    case "Patch":
      // the changes that were made replace the proposed ones; a refused patch keeps its proposal
      return came.changes.length === 0
        ? { ...ended, details: [...details, result] }
        : { ...ended, details: [...details.filter(({ form }) => form === "text"), ...came.changes.map(diffOf)] }
    case "Agent":
      return {
        ...ended,
        ...(came.timedOut === true ? { status: "timed out" } : {}),
        details: [
          ...details,
          ...came.agents.map(({ agentId, message, name, status }) =>
            detail(`agent ${name ?? agentId}`, message === undefined ? status : `${status}: ${message}`)
          )
        ]
      }
    case "Mcp":
      return {
        ...(came.isError ? { status: "failed", mood: "bad" } : ended),
        details: [...details, detail("took", duration(came.durationMillis)), result]
      }
  }
}

const moods = { completed: "good", failed: "bad", denied: "bad", aborted: "stopped", unknown: "stopped" } as const
const stepSigns = { pending: "[ ]", inProgress: "[>]", completed: "[x]" } as const

type Tagged<Union, Tag> = Extract<Union, { readonly _tag: Tag }>

const commandEnd = (
  { durationMillis, exitCode, signal, timedOut }: Tagged<CallDetail, "Command">,
  otherwise: Pick<Bar, "status" | "mood">
): Pick<Bar, "status" | "mood"> => {
  if (timedOut === true) return { status: `timed out after ${duration(durationMillis)}`, mood: "bad" }
  if (exitCode !== null) return { status: `exit ${exitCode}`, mood: exitCode === 0 ? "good" : "bad" }
  return signal === undefined ? otherwise : { status: `killed by ${signal}`, mood: "bad" }
}

const agentTitle = ({ operation, prompt, targets }: Tagged<CallDisplay, "Agent">, names: Names): string => {
  const agents = targets.map((id) => names.get(id) ?? id).join(", ")
  return `${operation} ${agents === "" ? "agent" : agents}${prompt === undefined ? "" : `: ${prompt}`}`
}

const agentDetails = (
  { effort, model, prompt, role, targets }: Tagged<CallDisplay, "Agent">,
  names: Names
): ReadonlyArray<Detail> => [
  ...targets.map((id) => detail("agent", names.has(id) ? `${names.get(id)} (${id})` : id)),
  ...optional("prompt", prompt),
  ...optional("role", role),
  ...optional("model", model),
  ...optional("effort", effort)
]

const diffOf = ({ change, diff = "", movePath, path }: FileChange): Detail => ({
  name: `${change} ${path}${movePath === undefined ? "" : ` → ${movePath}`}`,
  form: "diff",
  value: cut(diff, diffLimit)
})

const argumentsOf = ({ invalid, params }: ToolCall): Detail => detail("arguments", invalid ?? params)

const optional = (name: string, value: string | undefined): ReadonlyArray<Detail> =>
  value === undefined ? [] : [detail(name, value)]

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
