/** What must hold of every tree of delegates, whatever hits it. Each law answers what is wrong, by clause. */
import type { SessionId } from "@spindle/core/protocol/Ids"
import { isTerminal, type SessionEvent } from "@spindle/core/protocol/SessionEvent"
import * as Laws from "@spindle/testing/Laws"
import type { TreeHistory } from "./treeRun.ts"

type Told<Tag extends SessionEvent["_tag"]> = Extract<SessionEvent, { readonly _tag: Tag }>
type Law = (history: TreeHistory) => string | undefined

const tagged = <Tag extends SessionEvent["_tag"]>(
  events: ReadonlyArray<SessionEvent> | undefined,
  tag: Tag
): ReadonlyArray<Told<Tag>> => (events ?? []).filter((event): event is Told<Tag> => event._tag === tag)

/** Every session keeps the laws of sessions. */
const sessions: Law = ({ told }) => {
  for (const [sessionId, events] of told) {
    const broken = Laws.session({ events })
    if (broken !== undefined) return `${broken} (session ${sessionId})`
  }
  return undefined
}

/** Nothing works any more, no answer is streamed, every delegate is closed. */
const survivors: Law = ({ delegates, streaming, working }) => {
  const open = delegates.filter(({ status }) => status !== "Shutdown")
  if (open.length > 0) return `D1 ${open.length} delegates are open`
  if (streaming > 0) return `D1 ${streaming} answers are streaming`
  return working === 0 ? undefined : `D1 ${working} handlers work`
}

/** A delegate that was started has ended, once: a linked one by the drain deadline after the turn that started it. */
const ends: Law = ({ told }) => {
  for (const [sessionId, events] of told) {
    const last = events.at(-1)
    const closedAt = last !== undefined && "at" in last ? last.at : 0
    for (const started of tagged(events, "DelegateStarted")) {
      const ended = tagged(events, "DelegateEnded").filter((one) => one.delegateId === started.delegateId)
      if (ended.length > 1) return `D1 delegate ${started.delegateId} ended ${ended.length} times`
      const turnEnd = events.filter(isTerminal).find((one) => one.turnId === started.turnId)
      if (turnEnd === undefined) return `S2 turn ${started.turnId} of ${sessionId} has no end`
      // a session that has closed records nothing more
      const endedAt = ended[0]?.at ?? closedAt
      if (started.linked && endedAt - turnEnd.at > 500) {
        return `D1 delegate ${started.delegateId} ended ${endedAt - turnEnd.at} ms after its turn`
      }
    }
  }
  return undefined
}

/** A turn that returned waited for its linked delegates: each has ended before it, or 500 ms had passed. */
const waits: Law = ({ told }) => {
  for (const [, events] of told) {
    for (const end of events.filter(isTerminal)) {
      if (end._tag === "TurnAborted") continue
      const before = events.slice(0, events.indexOf(end))
      for (const { delegateId, linked, turnId } of tagged(before, "DelegateStarted")) {
        if (turnId !== end.turnId || !linked) continue
        if (tagged(before, "DelegateEnded").some((one) => one.delegateId === delegateId)) continue
        const child = told.get(delegateId)
        const asked = tagged(child, "TurnAborted").at(-1)?.requestedAt
        if (asked !== undefined && end.at - asked < 500) return `D1 a turn ended before its delegate ${delegateId}`
      }
    }
  }
  return undefined
}

/** An aborted turn names the linked delegates that are still ending. */
const named: Law = ({ told }) => {
  for (const [, events] of told) {
    for (const end of tagged(events, "TurnAborted")) {
      const before = events.slice(0, events.indexOf(end))
      const ended = new Set(tagged(before, "DelegateEnded").map((one) => one.delegateId))
      const open = tagged(before, "DelegateStarted").filter((one) => !ended.has(one.delegateId))
      const late = open.filter((one) => one.linked && one.turnId === end.turnId).map((one) => one.name)
      const said = end.stragglers.filter(({ kind }) => kind === "delegate").map(({ name }) => name)
      const missing = late.filter((name) => !said.includes(name))
      if (missing.length > 0) return `I3 an aborted turn does not name the delegates ${missing.join(", ")}`
      const goOn = open.filter((one) => !one.linked).map((one) => one.delegateId)
      if (goOn.join() !== (end.keptDelegates ?? []).join()) return `D7 an aborted turn does not name who goes on`
    }
  }
  return undefined
}

/** Whether the turn that stood at a moment went on after it. */
const goesOn = (events: ReadonlyArray<SessionEvent> | undefined, at: number): boolean => {
  const started = tagged(events, "TurnStarted").findLast((one) => one.at <= at)
  if (started === undefined) return false
  const end = (events ?? []).filter(isTerminal).find((one) => one.turnId === started.turnId)
  // a turn that returned may have waited for its delegates, and asks nothing any more then
  const over = end === undefined ? Infinity : end._tag === "TurnAborted" ? end.requestedAt : end.at - 500
  return over > at + settling
}

/** How long a question may be on its way to the root: a slow journal is waited for at each level. */
const settling = 20

/** Whether a session that asks for the next one on a path was able to: for a detached one it needs no turn of its own. */
const couldAsk = (told: TreeHistory["told"], path: ReadonlyArray<SessionId>, at: number): boolean =>
  path.every((id, index) => {
    const next = path[index + 1]
    const started = tagged(told.get(id), "DelegateStarted").find(({ delegateId }) => delegateId === next)
    return started?.linked === false || goesOn(told.get(id), at)
  })

/** A request of any depth is shown, under one id and path, by each session above it whose turn goes on, or that needs none. */
const shown: Law = ({ told }) => {
  for (const [asker, events] of told) {
    for (const opened of tagged(events, "RequestOpened")) {
      const { path, requestId } = opened
      if (path.at(-1) !== asker) continue
      const settled = tagged(events, "RequestSettled").find((one) => one.requestId === requestId)
      if (settled === undefined) return `A1 request ${requestId} is open`
      const isShort = settled.at - opened.at <= settling
      if (isShort || !couldAsk(told, path, opened.at)) continue
      for (const id of path) {
        const there = tagged(told.get(id), "RequestOpened").filter((one) => one.requestId === requestId)
        if (there.length === 0) return `A3 session ${id} does not show request ${requestId} of ${asker}`
        if (there.some((one) => one.path.join() !== path.join())) return `A3 request ${requestId} changed its path`
      }
    }
  }
  return undefined
}

/** A request that was decided was decided the same wherever it was shown, or withdrawn there. */
const decided: Law = ({ told }) => {
  const answers = new Map<string, Set<string>>()
  for (const [, events] of told) {
    for (const { decision, requestId } of tagged(events, "RequestSettled")) {
      if (decision._tag === "Cancelled") continue
      const known = answers.get(requestId) ?? new Set()
      answers.set(requestId, known.add(JSON.stringify(decision)))
    }
  }
  for (const [requestId, all] of answers) {
    // two who answer in the same moment, each where it asked: the lower one counts below
    if (all.size > 2) return `A1 request ${requestId} was answered in ${all.size} ways`
  }
  return undefined
}

/** The ids of sessions are theirs alone, and each path begins at the root. */
const paths: Law = ({ rootId, told }) => {
  for (const [sessionId, events] of told) {
    for (const { path } of tagged(events, "RequestOpened")) {
      if (path[0] !== rootId || !path.includes(sessionId as SessionId))
        return `A3 path ${path.join("/")} at ${sessionId}`
    }
  }
  return undefined
}

/** Laws that hold in every schedule. */
const always: ReadonlyArray<Law> = [sessions, survivors, named, decided, paths]
/** Laws about time: for schedules in which no fiber is held up while time passes. */
const timed: ReadonlyArray<Law> = [ends, waits, shown]

/** What is wrong with a tree; undefined if nothing is. */
export const broken = (history: TreeHistory, isTimed: boolean): string | undefined => {
  for (const law of isTimed ? [...always, ...timed] : always) {
    const found = law(history)
    if (found !== undefined) return found
  }
  return undefined
}
