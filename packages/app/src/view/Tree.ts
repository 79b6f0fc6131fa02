/**
 * The tree of agents below a session: a pure fold from the events of the session and of its agents.
 */
import type { CallId, SessionId, TurnId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Option from "effect/Option"
import { render, ReviewEntered, ReviewExited, type ReviewOutput } from "../tasks/ReviewTask.ts"

/** One agent, or the session at the root, which has no name. */
export interface Agent {
  readonly name: string
  readonly depth: number
  /** The session that started it; undefined for the root. */
  readonly parentId: SessionId | undefined
  readonly isWorking: boolean
  /** The number of its open questions. */
  readonly questionCount: number
  /** The agents that it waits for, by call. */
  readonly waits: ReadonlyMap<CallId, ReadonlyArray<SessionId>>
  /** The time at which it, or its latest turn, was started, in milliseconds since 1970. */
  readonly startedAt: number
  /** @internal The turn of the review that it has entered and not exited. */
  readonly review: TurnId | undefined
  /** True if a review task has started it. Its findings are in the notes of that task, not in its last message. */
  readonly isReviewer: boolean
  /** @internal The end of a reviewer, until what it found is known. */
  readonly completed: Completed | undefined
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
  | Completed
  | { readonly _tag: "Failed"; readonly agent: Agent; readonly message: string }
  | { readonly _tag: "Stopped"; readonly agent: Agent; readonly millis: number; readonly reason: AbortReason }

/** The end of an agent whose turn completed. */
export interface Completed {
  readonly _tag: "Completed"
  readonly agent: Agent
  readonly millis: number
  readonly lastMessage: string | undefined
}

type Start = Pick<Agent, "name" | "depth" | "parentId" | "startedAt" | "isReviewer">

const newAgent = (start: Start): Agent => ({
  ...start,
  isWorking: false,
  questionCount: 0,
  waits: new Map(),
  review: undefined,
  completed: undefined
})

/** A session that has started no agent. */
export const initial = (rootId: SessionId): Tree => ({
  rootId,
  agents: new Map([[rootId, newAgent({ name: "", depth: 0, parentId: undefined, startedAt: 0, isReviewer: false })]]),
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
      const { at, callId, delegateId, linked, name, turnId } = event
      // tools can start agents in the same turn
      const isReviewer = agent.review === turnId && callId === undefined
      const started = newAgent({ name, depth: agent.depth + 1, parentId: sessionId, startedAt: at, isReviewer })
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
    case "TaskNote": {
      if (event.name === ReviewEntered.name) return [withChange({ review: event.turnId }), undefined]
      const exited = ReviewExited.decode(event)
      if (Option.isNone(exited)) return [tree, undefined]
      return endReview(withChange({ review: undefined }), sessionId, exited.value.output)
    }
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted": {
      const idle = { isWorking: false, questionCount: 0, waits: new Map(), review: undefined }
      // a review that was cut off has no exit, so a reviewer that had ended is shown now
      if (sessionId === tree.rootId) return endReview(withChange(idle), sessionId, undefined)
      const end = endOf(agent, event)
      if (!agent.isReviewer || end._tag !== "Completed") return [withChange(idle), end]
      const isOpen = tree.agents.get(agent.parentId!)?.review !== undefined
      return isOpen
        ? [withChange({ ...idle, completed: end }), undefined]
        : [withChange(idle), { ...end, lastMessage: undefined }]
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
      return { _tag: "Completed", agent, millis, lastMessage: event.lastMessage }
    case "TurnFailed":
      return { _tag: "Failed", agent, message: event.error.message }
    case "TurnAborted":
      return { _tag: "Stopped", agent, millis, reason: event.reason }
  }
}

/** Shows the end of the reviewer of a session with what it found. */
const endReview = (
  tree: Tree,
  parentId: SessionId,
  output: ReviewOutput | undefined
): readonly [tree: Tree, change: Change | undefined] => {
  for (const [id, agent] of tree.agents) {
    if (agent.parentId !== parentId || agent.completed === undefined) continue
    const change = { ...agent.completed, lastMessage: output && render(output) }
    return [withAgent(tree, id, { ...agent, completed: undefined }), change]
  }
  return [tree, undefined]
}

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
