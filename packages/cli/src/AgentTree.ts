/**
 * Who works for whom: a pure fold from what the sessions of a tree tell, to lines for a transcript and to one line that
 * says what everybody does now.
 */
import type { SessionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Ansi from "./Ansi.ts"
import * as ToolCalls from "./internal/toolCalls.ts"

/** What one agent does. `waits` names whom it waits for, by call. */
interface Agent {
  readonly name: string
  readonly depth: number
  readonly isWorking: boolean
  readonly asks: number
  readonly waits: ReadonlyMap<string, ReadonlyArray<string>>
  readonly startedAt: number
}

/** The agents of a session by id, the session itself included. */
export interface Tree {
  readonly rootId: SessionId
  readonly agents: ReadonlyMap<string, Agent>
}

/** A session that has started no agent. */
export const begin = (rootId: SessionId): Tree => ({
  rootId,
  agents: new Map([[rootId, { name: "", depth: 0, isWorking: false, asks: 0, waits: new Map(), startedAt: 0 }]])
})

type Step = readonly [tree: Tree, lines: ReadonlyArray<string>]

/** What an event of one of the sessions changes, and what is to be said about it. */
export const step = (tree: Tree, sessionId: SessionId, event: SessionEvent): Step => {
  const agent = tree.agents.get(sessionId)
  if (agent === undefined) return [tree, []]
  const changed = (change: Partial<Agent>): Tree => withAgent(tree, sessionId, { ...agent, ...change })
  const isRoot = sessionId === tree.rootId
  switch (event._tag) {
    case "DelegateStarted": {
      const name = Ansi.visible(event.name)
      const started = { name, depth: agent.depth + 1, isWorking: false, asks: 0, waits: new Map(), startedAt: event.at }
      const how = event.linked ? "" : ", and goes on after this turn"
      return [withAgent(tree, event.delegateId, started), [line(started, "↳", `starts${how}`)]]
    }
    case "TurnStarted":
      return [changed({ isWorking: true, startedAt: event.at }), []]
    case "QuestionOpened":
      return event.path.at(-1) === sessionId ? [changed({ asks: agent.asks + 1 }), []] : [tree, []]
    case "QuestionSettled":
      return [changed({ asks: Math.max(0, agent.asks - 1) }), []]
    case "ItemRecorded":
      return [changed({ waits: waitsAfter(agent, event.item) }), []]
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted": {
      const rested = changed({ isWorking: false, asks: 0, waits: new Map() })
      if (isRoot) return [rested, []]
      const took = Ansi.duration(Math.max(0, event.at - agent.startedAt))
      const text = (said: string | undefined) => (said === undefined ? "" : `: ${Ansi.visible(said).split("\n")[0]}`)
      if (event._tag === "TurnCompleted") {
        return [rested, [line(agent, "✓", `is done after ${took}${text(event.lastMessage)}`)]]
      }
      if (event._tag === "TurnFailed") return [rested, [line(agent, "✗", `failed${text(event.error.message)}`)]]
      return [rested, [line(agent, "■", `was stopped after ${took} (${event.reason})`)]]
    }
    default:
      return [tree, []]
  }
}

const withAgent = (tree: Tree, id: SessionId, agent: Agent): Tree => ({
  ...tree,
  agents: new Map(tree.agents).set(id, agent)
})

const line = ({ depth, name }: Agent, sign: string, text: string): string =>
  `${"  ".repeat(depth - 1)}${sign} ${name} ${text}`

const waitsAfter = (
  { waits }: Agent,
  item: Extract<SessionEvent, { readonly _tag: "ItemRecorded" }>["item"]
): ReadonlyMap<string, ReadonlyArray<string>> => {
  if (item._tag === "ToolCall" && item.name === "wait_agent") {
    return new Map(waits).set(item.callId, ToolCalls.fieldList(item.params, "targets"))
  }
  if (item._tag !== "ToolResult" || !waits.has(item.callId)) return waits
  const left = new Map(waits)
  left.delete(item.callId)
  return left
}

/** What everybody does who does something; undefined while nobody below the session does. */
export const summary = ({ agents, rootId }: Tree): string | undefined => {
  const busy = Array.from(agents).filter(([id, { isWorking }]) => isWorking && id !== rootId)
  if (busy.length === 0) return undefined
  return busy.map(([, agent]) => `${agent.name} ${doing(agents, agent)}`).join(", ")
}

const doing = (agents: Tree["agents"], { asks, waits }: Agent): string => {
  if (asks > 0) return "asks"
  const awaited = [...waits.values()].flat().flatMap((id) => agents.get(id)?.name ?? [])
  return awaited.length > 0 ? `waits for ${awaited.join(" and ")}` : "works"
}

/** The names on a path, from the agent that the session started to the one that asks; undefined for the session itself. */
export const namesOf = ({ agents }: Tree, path: ReadonlyArray<SessionId>): string | undefined => {
  const names = path.slice(1).map((id) => agents.get(id)?.name ?? id)
  return names.length === 0 ? undefined : names.join(" › ")
}
