/**
 * The tree of agents below a session: a pure fold from the events of the session and of its agents.
 */
import type { CallId, SessionId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { parse, render, reviewer } from "../tasks/reviewOutput.ts"

/** One agent, or the session at the root, which has no name. */
export interface Agent {
  readonly name: string
  readonly depth: number
  /** The session that started it; undefined for the root. */
  readonly parentId: SessionId | undefined
  readonly isWorking: boolean
  /** How many of its questions are open. */
  readonly questionCount: number
  /** The agents that it waits for, by call. */
  readonly waits: ReadonlyMap<CallId, ReadonlyArray<SessionId>>
  /** When it, or its latest turn, was started, in milliseconds since 1970. */
  readonly startedAt: number
}

/** The agents of a session by id, the session itself included. Not changed by {@link step}. */
export interface Tree {
  readonly rootId: SessionId
  readonly agents: ReadonlyMap<SessionId, Agent>
  /** The tokens of all agents so far. */
  readonly agentTokens: number
}

/** Something about an agent that a person wants to know. */
export type Change =
  | { readonly _tag: "Started"; readonly agent: Agent; readonly isLinked: boolean }
  | {
      readonly _tag: "Completed"
      readonly agent: Agent
      readonly millis: number
      readonly lastMessage: string | undefined
    }
  | { readonly _tag: "Failed"; readonly agent: Agent; readonly message: string }
  | { readonly _tag: "Stopped"; readonly agent: Agent; readonly millis: number; readonly reason: AbortReason }

const newAgent = (agent: Pick<Agent, "name" | "depth" | "parentId" | "startedAt">): Agent => ({
  ...agent,
  isWorking: false,
  questionCount: 0,
  waits: new Map()
})

/** A session that has started no agent. */
export const initial = (rootId: SessionId): Tree => ({
  rootId,
  agents: new Map([[rootId, newAgent({ name: "", depth: 0, parentId: undefined, startedAt: 0 })]]),
  agentTokens: 0
})

/** The tree after an event of one of its sessions, and the change to show, if any. Other sessions change nothing. */
export const step = (
  tree: Tree,
  sessionId: SessionId,
  event: SessionEvent
): readonly [tree: Tree, change: Change | undefined] => {
  const agent = tree.agents.get(sessionId)
  if (agent === undefined) return [tree, undefined]
  const withChange = (change: Partial<Agent>): Tree => withAgent(tree, sessionId, { ...agent, ...change })
  switch (event._tag) {
    case "DelegateStarted": {
      const { at, delegateId, linked, name } = event
      const started = newAgent({ name, depth: agent.depth + 1, parentId: sessionId, startedAt: at })
      return [withAgent(tree, delegateId, started), { _tag: "Started", agent: started, isLinked: linked }]
    }
    case "ModelResponded":
      if (sessionId === tree.rootId) return [tree, undefined]
      return [{ ...tree, agentTokens: tree.agentTokens + event.usage.total }, undefined]
    case "TurnStarted":
      return [withChange({ isWorking: true, startedAt: event.at }), undefined]
    case "QuestionOpened":
      // a question is shown in every session on its path; only the last one asks
      if (event.path.at(-1) !== sessionId) return [tree, undefined]
      return [withChange({ questionCount: agent.questionCount + 1 }), undefined]
    case "QuestionSettled":
      return [withChange({ questionCount: Math.max(0, agent.questionCount - 1) }), undefined]
    case "ItemRecorded":
      return [withChange({ waits: waitsAfter(agent, event.item) }), undefined]
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted": {
      const idle = withChange({ isWorking: false, questionCount: 0, waits: new Map() })
      return [idle, sessionId === tree.rootId ? undefined : endOf(agent, event)]
    }
    default:
      return [tree, undefined]
  }
}

type TerminalEvent = Extract<SessionEvent, { readonly _tag: "TurnCompleted" | "TurnFailed" | "TurnAborted" }>

const endOf = (agent: Agent, event: TerminalEvent): Change => {
  const millis = Math.max(0, event.at - agent.startedAt)
  switch (event._tag) {
    case "TurnCompleted":
      return { _tag: "Completed", agent, millis, lastMessage: resultOf(agent, event.lastMessage) }
    case "TurnFailed":
      return { _tag: "Failed", agent, message: event.error.message }
    case "TurnAborted":
      return { _tag: "Stopped", agent, millis, reason: event.reason }
  }
}

/** The result of an agent for people: that of a reviewer is JSON. */
const resultOf = ({ name }: Agent, lastMessage: string | undefined): string | undefined =>
  name === reviewer && lastMessage !== undefined ? render(parse(lastMessage)) : lastMessage

const withAgent = (tree: Tree, id: SessionId, agent: Agent): Tree => ({
  ...tree,
  agents: new Map(tree.agents).set(id, agent)
})

const waitsAfter = ({ waits }: Agent, item: Item): Agent["waits"] => {
  if (item._tag === "ToolCall" && item.display?._tag === "Agent" && item.display.operation === "wait") {
    return new Map(waits).set(item.callId, item.display.targets)
  }
  if (item._tag !== "ToolResult" || !waits.has(item.callId)) return waits
  const left = new Map(waits)
  left.delete(item.callId)
  return left
}

/** The agents below the root that are working, in the order in which they were started. */
export const workingAgents = ({ agents, rootId }: Tree): ReadonlyArray<Agent> =>
  Array.from(agents).flatMap(([id, agent]) => (agent.isWorking && id !== rootId ? [agent] : []))

/** The names of the agents that an agent waits for. */
export const awaitedNames = ({ agents }: Tree, { waits }: Agent): ReadonlyArray<string> =>
  [...waits.values()].flat().flatMap((id) => agents.get(id)?.name ?? [])

/** The names of the agents on a path, from the child of the root to the last; empty for the root itself. */
export const namesOf = ({ agents }: Tree, path: ReadonlyArray<SessionId>): ReadonlyArray<string> =>
  path.slice(1).map((id) => agents.get(id)?.name ?? id)
