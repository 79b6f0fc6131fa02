/** The agents below a session as text: lines for the transcript, and one line saying what each busy agent is doing. */
import * as Tree from "@spindle/app/Tree"
import * as Ansi from "./Ansi.ts"
import { becauseOf } from "./reasons.ts"

/** Returns the line for a change of the tree. */
export const lineOf = (tree: Tree.Tree, change: Tree.Change): string => {
  const { depth, name, parentId } = change.agent
  const line = (sign: string, text: string) => `${"  ".repeat(depth - 1)}${sign} ${Ansi.toVisible(name)} ${text}`
  switch (change._tag) {
    case "Started":
      return line("↳", `starts${change.isLinked ? "" : ", detached from this turn"}`)
    case "Completed":
      return line("✓", `is done after ${Ansi.duration(change.millis)}${firstLine(change.lastMessage)}`)
    case "Failed":
      return line("✗", `failed${firstLine(change.message)}`)
    case "Stopped": {
      const parent = (parentId === undefined ? undefined : tree.agents.get(parentId)?.name) || "spindle"
      return line("■", `stopped after ${Ansi.duration(change.millis)}${becauseOf(change.reason, parent)}`)
    }
  }
}

const firstLine = (text: string | undefined): string =>
  text === undefined ? "" : `: ${Ansi.toVisible(text).split("\n")[0]}`

/** Returns one line saying what each busy agent is doing; undefined when all are idle. */
export const summary = (tree: Tree.Tree): string | undefined => {
  const busy = Tree.workingAgents(tree)
  if (busy.length === 0) return undefined
  return busy.map((agent) => `${Ansi.toVisible(agent.name)} ${activityOf(tree, agent)}`).join(", ")
}

const activityOf = (tree: Tree.Tree, agent: Tree.Agent): string => {
  if (agent.questionCount > 0) return "asks"
  const awaited = Tree.awaitedNames(tree, agent).map(Ansi.toVisible)
  return awaited.length > 0 ? `waits for ${awaited.join(" and ")}` : "works"
}

/** Returns the names of the agents on the path of a question; undefined for the session itself. */
export const askerOf = (tree: Tree.Tree, path: Parameters<typeof Tree.namesOf>[1]): string | undefined => {
  const names = Tree.namesOf(tree, path)
  return names.length === 0 ? undefined : names.join(" › ")
}
