/** Renders a call as text: its description before it runs, and its outcome. */
import * as Path from "node:path"
import type { CallEnd } from "@spindle/app/Thread"
import {
  type CallItem,
  type Change,
  type CollabAgentToolCall,
  type CommandExecution,
  describeExit
} from "@spindle/app/ThreadItem"
import type { SessionId } from "@spindle/core/Ids"
import * as Ansi from "./Ansi.ts"
import { diffLines } from "./diff.ts"

/** The style of a call. `agents` are the names of agents by id. */
export interface Style {
  readonly palette: Ansi.Palette
  readonly columns: number
  readonly cwd: string
  readonly agents: ReadonlyMap<SessionId, string>
  /** True if everything is shown. Otherwise lines are cut to the columns, and long outputs are folded. */
  readonly isComplete: boolean
}

/** Returns the lines that describe a call. The command line and the diff of a patch are complete. */
export const headOf = (item: CallItem, style: Style): ReadonlyArray<string> => {
  const { columns, isComplete, palette } = style
  const line = (text: string) => [
    `${palette.cyan("•")} ${Ansi.fit(Ansi.toVisible(text.replaceAll(/\s+/g, " ").trim()), isComplete ? Infinity : columns - 2)}`
  ]
  switch (item.type) {
    case "commandExecution": {
      const [first = "", ...more] = Ansi.toExact(item.command).split("\n")
      return [`${palette.cyan("$")} ${palette.bold(first)}`, ...more.map((one) => `  ${palette.bold(one)}`)]
    }
    case "fileChange":
      return item.changes.length === 0
        ? line("a patch that cannot be read")
        : item.changes.flatMap((change) => changeLines(change, style))
    case "collabAgentToolCall":
      return line(agentTitle(item, style.agents))
    case "mcpToolCall":
      return line(`${item.server}.${item.tool} ${argumentsLine(item.arguments)}`)
    case "webSearch":
      return line(`search: ${item.query}`)
    case "imageView":
      return line(`look at ${relative(item.path, style.cwd)}`)
    case "plan":
      return [...line(item.text === "" ? "plan" : `plan: ${item.text}`), ...item.steps.map(planLine)]
    case "dynamicToolCall":
      return line(item.title ?? `${item.tool} ${argumentsLine(item.arguments)}`)
  }
}

/** Returns a call in a few words, for the status line. */
export const titleOf = (item: CallItem): string => {
  switch (item.type) {
    case "commandExecution":
      return Ansi.toVisible(item.command.replaceAll(/\s+/g, " "))
    case "fileChange":
      return "patching"
    case "collabAgentToolCall":
      return agentVerbs[item.tool]
    case "mcpToolCall":
      return Ansi.toVisible(`${item.server}.${item.tool}`)
    case "webSearch":
      return "searching"
    case "imageView":
      return "looking at an image"
    case "plan":
      return "planning"
    case "dynamicToolCall":
      return Ansi.toVisible(item.title ?? item.tool)
  }
}

/** Returns the lines with the outcome of a call: the shown part of its output, and its end. */
export const endOf = (
  item: CallItem,
  end: CallEnd,
  { columns, isComplete, palette }: Pick<Style, "palette" | "columns" | "isComplete">
) => {
  const { dim, green, red } = palette
  const fold = isComplete ? outputLines : foldedLines
  const indent = (line: string) => `  ${isComplete ? line : Ansi.fit(line, Math.max(10, columns - 2))}`.trimEnd()
  const isCommand = item.type === "commandExecution"
  const took = Ansi.duration(isCommand ? (item.durationMs ?? end.millis) : end.millis)
  const output = isCommand ? fold(item.aggregatedOutput ?? "").map((line) => dim(indent(line))) : []
  // a tool can report an error in a call that has completed
  const isError = end.status === "completed" && !isCommand && item.status === "failed"
  switch (isError ? "failed" : end.status) {
    case "completed":
      if (isCommand) return [...output, commandEnd(item, took, palette)]
      return [...resultLines(item, end, isComplete).map((line) => dim(indent(line))), green(`  ✓ done · ${took}`)]
    case "failed":
      return [...output, ...fold(end.text).map((line) => red(indent(line))), red(`  ✗ failed · ${took}`)]
    case "denied":
      return [red("  ✗ not run")]
    case "aborted":
      return [...output, red(`  ✗ stopped after ${took}`)]
    case "unknown":
      return [...output, red("  ✗ spindle was killed while it ran; its result is unknown")]
  }
}

const commandEnd = (item: CommandExecution, took: string, { dim, green, red }: Ansi.Palette): string => {
  if (item.exitCode === 0) return green(`  ✓ exit 0 · ${took}`)
  if (item.timedOut === true) return red(`  ✗ timed out after ${took}`)
  if (item.exitCode !== null) return red(`  ✗ ${describeExit(item.exitCode)} · ${took}`)
  if (item.processId !== undefined) return dim(`  … runs in the background · ${took}`)
  return red(`  ✗ killed${item.signal === undefined ? "" : ` by ${Ansi.toVisible(item.signal)}`} · ${took}`)
}

/** Returns the part of a completed call that is not shown elsewhere. */
const resultLines = (item: CallItem, { text }: CallEnd, isComplete: boolean): ReadonlyArray<string> => {
  switch (item.type) {
    case "collabAgentToolCall":
      return agentLines(item)
    case "mcpToolCall":
    case "dynamicToolCall":
      return isComplete ? outputLines(text) : foldedLines(text).slice(0, 3)
    default:
      return []
  }
}

const agentVerbs: { readonly [tool in CollabAgentToolCall["tool"]]: string } = {
  spawnAgent: "start an agent",
  sendInput: "send input",
  wait: "wait for agents",
  closeAgent: "close an agent",
  resumeAgent: "resume an agent",
  listAgents: "list agents"
}

/** Describes a call to agents, with names instead of ids. */
const agentTitle = (item: CollabAgentToolCall, agents: Style["agents"]): string => {
  const { model, prompt, reasoningEffort, receiverThreadIds, role, tool } = item
  const names = receiverThreadIds.map((id) => agents.get(id) ?? id).join(", ")
  const text = prompt === null ? "" : `: ${prompt}`
  switch (tool) {
    case "spawnAgent": {
      const wishes = [role, model, reasoningEffort].filter((one) => one !== undefined && one !== null)
      return `start an agent${wishes.length === 0 ? "" : ` (${wishes.join(", ")})`}${text}`
    }
    case "sendInput":
      return `send to ${names}${text}`
    case "wait":
      return `wait for ${names}`
    case "closeAgent":
      return `close ${names}`
    case "resumeAgent":
      return `resume ${names}`
    case "listAgents":
      return "list agents"
  }
}

/** Returns the result of an agent call that is not shown elsewhere: a new agent, a timeout, the list of agents. */
const agentLines = ({ agentsStates, timedOut, tool }: CollabAgentToolCall): ReadonlyArray<string> => {
  const states = Object.entries(agentsStates)
  if (tool === "spawnAgent") return states.map(([id, { name }]) => `as ${Ansi.toVisible(name ?? id)}`)
  if (tool === "wait" && timedOut === true) return ["none of them is done yet"]
  if (tool !== "listAgents") return []
  return states.map(([id, { name, status }]) => Ansi.toVisible(`${name ?? id} ${agentWords[status]}`))
}

const agentWords: { readonly [status in CollabAgentToolCall["agentsStates"][string]["status"]]: string } = {
  pendingInit: "has not started",
  running: "works",
  interrupted: "was interrupted",
  completed: "is done",
  errored: "failed",
  shutdown: "is closed",
  notFound: "does not exist"
}

const planLine = ({ status, step }: { readonly status: string; readonly step: string }): string =>
  `  ${status === "completed" ? "✓" : status === "inProgress" ? "▸" : "·"} ${Ansi.toVisible(step)}`

const relative = (path: string, cwd: string): string => {
  const inside = Path.relative(cwd, path)
  return inside === "" || inside.startsWith("..") || Path.isAbsolute(inside) ? path : inside
}

const changeLines = ({ diff, kind, path }: Change, { cwd, palette }: Style): ReadonlyArray<string> => {
  const to = kind.type === "update" && kind.move_path !== null ? ` to ${relative(kind.move_path, cwd)}` : ""
  const verb = to === "" ? kind.type : "move"
  const title = palette.bold(Ansi.toExact(`${verb} ${relative(path, cwd)}${to}`))
  return [title, ...diffLines(diff === "" ? [] : diff.split("\n"), palette)]
}

/** Returns the arguments of a call in one line: the fields of an object with their values. */
export const argumentsLine = (args: unknown): string => {
  if (typeof args !== "object" || args === null || Array.isArray(args)) return textOf(args)
  const isTexts = (value: unknown): value is ReadonlyArray<string> =>
    Array.isArray(value) && value.every((one) => typeof one === "string")
  return Object.entries(args)
    .map(([key, value]) => `${key}: ${isTexts(value) ? value.join(", ") : textOf(value)}`)
    .join(", ")
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""))

/** The most lines of an output that are shown in full. Of a longer one, the first and the last are shown. */
const shownLimit = 12
const headCount = 4
const tailCount = 6

/** Returns the lines of an output that are shown, each as `Ansi.outputLine` writes it. */
export const foldedLines = (text: string): ReadonlyArray<string> => {
  const lines = outputLines(text)
  if (lines.length <= shownLimit) return lines
  const left = lines.length - headCount - tailCount
  return [...lines.slice(0, headCount), `… ${left} lines`, ...lines.slice(-tailCount)]
}

const outputLines = (text: string): ReadonlyArray<string> =>
  text === "" ? [] : (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n").map(Ansi.outputLine)

/** The part of an output that is searched for its last lines, in UTF-16 code units. */
const tailSize = 16_384

/** Returns the last lines of an output that are not empty, indented and cut to the columns. */
export const tailOf = (
  text: string,
  { columns, limit }: { readonly columns: number; readonly limit: number }
): ReadonlyArray<string> =>
  outputLines(text.slice(-tailSize))
    .filter((line) => line.trim() !== "")
    .slice(-limit)
    .map((line) => Ansi.fit(`  ${line}`, columns))
