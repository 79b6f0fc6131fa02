/** The laws of every tree of delegates, whatever happens to it. Each law returns what is wrong, by clause. */
import * as Input from "@spindle/core/Input"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Laws from "@spindle/testing/Laws"
import type { TreeHistory } from "./treeRun.ts"

type Told<Tag extends SessionEvent["_tag"]> = Extract<SessionEvent, { readonly _tag: Tag }>
type Law = (history: TreeHistory) => string | undefined

const tagged = <Tag extends SessionEvent["_tag"]>(
  events: ReadonlyArray<SessionEvent> | undefined,
  tag: Tag
): ReadonlyArray<Told<Tag>> => (events ?? []).filter((event): event is Told<Tag> => event._tag === tag)

/** The laws of sessions hold for every session. */
const sessions: Law = ({ told }) => {
  for (const [sessionId, events] of told) {
    const broken = Laws.session({ events })
    if (broken !== undefined) return `${broken} (session ${sessionId})`
  }
  return undefined
}

/** No handler works, no answer is streamed, and every delegate is closed. */
const survivors: Law = ({ delegates, streaming, working }) => {
  const open = delegates.filter(({ status }) => status !== "Shutdown")
  if (open.length > 0) return `D1 ${open.length} delegates are open`
  if (streaming > 0) return `D1 ${streaming} answers are streaming`
  return working === 0 ? undefined : `D1 ${working} handlers work`
}

/** Every delegate has ended once, and a linked one by the drain deadline after the turn that started it. */
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

/** The linked delegates of a turn that ends are all asked to stop at once. */
const together: Law = ({ ended, told }) => {
  for (const [, events] of told) {
    for (const end of events.filter(isTerminal)) {
      const asked = tagged(events, "DelegateStarted").flatMap(({ delegateId, turnId }) => {
        const last = tagged(told.get(delegateId), "TurnAborted").at(-1)
        const isOurs = turnId === end.turnId && last?.reason === "Parent" && !ended.has(delegateId)
        return isOurs ? [last.requestedAt] : []
      })
      const between = Math.max(...asked) - Math.min(...asked)
      if (between > settling) return `D1 the delegates of a turn were asked to stop ${between} ms one after the other`
    }
  }
  return undefined
}

/** A delegate that has ended emits no more events. */
const silence: Law = ({ told }) => {
  for (const [, events] of told) {
    for (const { at, delegateId } of tagged(events, "DelegateEnded")) {
      const last = told.get(delegateId)?.findLast((event) => "at" in event)
      if (last !== undefined && last.at > at) return `D1 delegate ${delegateId} emitted ${last._tag} after its end`
    }
  }
  return undefined
}

/** A turn is `Interrupted` only by a person. The end of its parent has its own reason. */
const stopped: Law = ({ aborted, told }) => {
  for (const [sessionId, events] of told) {
    if (aborted.has(sessionId)) continue
    const byAnswer = new Set(
      tagged(events, "QuestionSettled").flatMap((one) => (one.decision._tag === "Abort" ? one.turnId : []))
    )
    const own = tagged(events, "TurnAborted").find((one) => one.reason === "Interrupted" && !byAnswer.has(one.turnId))
    if (own !== undefined) return `A2 the turn of ${sessionId} was interrupted without an abort`
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
      if (goOn.join() !== (end.keptDelegates ?? []).join())
        return `D7 an aborted turn does not name the delegates that keep running`
    }
  }
  return undefined
}

/** Whether the turn that ran at a moment continued after it. */
const goesOn = (events: ReadonlyArray<SessionEvent> | undefined, at: number): boolean => {
  const started = tagged(events, "TurnStarted").findLast((one) => one.at <= at)
  if (started === undefined) return false
  const end = (events ?? []).filter(isTerminal).find((one) => one.turnId === started.turnId)
  // a turn that has returned may wait for its delegates, and asks no more questions
  const over = end === undefined ? Infinity : end._tag === "TurnAborted" ? end.requestedAt : end.at - 500
  return over > at + settling
}

/** How long a question may take to the root. Each level waits for its journal. */
const settling = 20

/** Whether each session on a path could ask for the next one. For a detached delegate it needs no running turn. */
const couldAsk = (told: TreeHistory["told"], path: ReadonlyArray<SessionId>, at: number): boolean =>
  path.every((id, index) => {
    const next = path[index + 1]
    const started = tagged(told.get(id), "DelegateStarted").find(({ delegateId }) => delegateId === next)
    return started?.linked === false || goesOn(told.get(id), at)
  })

/** A question is shown with one id and path by each session above its asker that could ask. */
const shown: Law = ({ told }) => {
  for (const [asker, events] of told) {
    for (const opened of tagged(events, "QuestionOpened")) {
      const { path, questionId } = opened
      if (path.at(-1) !== asker) continue
      const settled = tagged(events, "QuestionSettled").find((one) => one.questionId === questionId)
      if (settled === undefined) return `A1 question ${questionId} is open`
      const isShort = settled.at - opened.at <= settling
      if (isShort || !couldAsk(told, path, opened.at)) continue
      for (const id of path) {
        const there = tagged(told.get(id), "QuestionOpened").filter((one) => one.questionId === questionId)
        if (there.length === 0) return `A3 session ${id} does not show question ${questionId} of ${asker}`
        if (there.some((one) => one.path.join() !== path.join())) return `A3 question ${questionId} changed its path`
      }
    }
  }
  return undefined
}

/** An asker that is stopped while it waits learns of the abort, and not that its question has ended. */
const waited: Law = ({ told }) => {
  for (const [asker, events] of told) {
    for (const { path, questionId, turnId } of tagged(events, "QuestionOpened")) {
      if (path.at(-1) !== asker) continue
      const settled = tagged(events, "QuestionSettled").find((one) => one.questionId === questionId)
      const end = events.filter(isTerminal).find((one) => one.turnId === turnId)
      const isEnded = settled?.decision._tag === "Cancelled" && settled.decision.by === "end"
      if (isEnded && end?._tag === "TurnAborted") return `A2 question ${questionId} ended before its asker was stopped`
    }
  }
  return undefined
}

/** Every session that showed a question has the same decision, or the question was withdrawn there. */
const decided: Law = ({ told }) => {
  const answers = new Map<string, Set<string>>()
  for (const [, events] of told) {
    for (const { decision, questionId } of tagged(events, "QuestionSettled")) {
      if (decision._tag === "Cancelled") continue
      const known = answers.get(questionId) ?? new Set()
      answers.set(questionId, known.add(JSON.stringify(decision)))
    }
  }
  for (const [questionId, all] of answers) {
    // two clients may answer at the same time at two levels: the lower answer counts below
    if (all.size > 2) return `A1 question ${questionId} was answered in ${all.size} ways`
  }
  return undefined
}

/** Each path begins at the root and contains the session that shows it. */
const paths: Law = ({ rootId, told }) => {
  for (const [sessionId, events] of told) {
    for (const { path } of tagged(events, "QuestionOpened")) {
      if (path[0] !== rootId || !path.includes(sessionId as SessionId))
        return `A3 path ${path.join("/")} at ${sessionId}`
    }
  }
  return undefined
}

/** A question that its asker has settled is settled in every session that showed it. */
const withdrawn: Law = ({ told }) => {
  const settledAt = new Map<string, number>()
  for (const [asker, events] of told) {
    const own = new Set(
      tagged(events, "QuestionOpened").flatMap((one) => (one.path.at(-1) === asker ? one.questionId : []))
    )
    for (const { at, questionId } of tagged(events, "QuestionSettled"))
      if (own.has(questionId)) settledAt.set(questionId, at)
  }
  for (const [sessionId, events] of told) {
    for (const { at, questionId } of tagged(events, "QuestionSettled")) {
      const late = at - (settledAt.get(questionId) ?? at)
      if (late > settling) return `A2 session ${sessionId} shows question ${questionId} ${late} ms after it was settled`
    }
  }
  return undefined
}

/** Every decision was given as an answer. A cancelled question was not refused. */
const given: Law = ({ given, told }) => {
  // an approval for a turn or a session answers other questions too
  const granted = [...given.values()].flat()
  for (const [, events] of told) {
    for (const { decision, questionId } of tagged(events, "QuestionSettled")) {
      if (decision._tag === "Cancelled" || decision._tag === "Answered") continue
      const answers = decision._tag === "Approved" ? granted : given.get(questionId)
      if (answers?.some(({ _tag }) => _tag === decision._tag) !== true)
        return `A2 question ${questionId} was settled as ${decision._tag}, and that was not answered`
    }
  }
  return undefined
}

/** No more delegates work at the same time than the limit allows. */
const limits: Law = ({ concurrent, rootId, told }) => {
  const turns: Array<{ readonly from: number; readonly to: number }> = []
  for (const [sessionId, events] of told) {
    if (sessionId === rootId) continue
    for (const { at, turnId } of tagged(events, "TurnStarted")) {
      const end = events.filter(isTerminal).find((one) => one.turnId === turnId)
      turns.push({ from: at, to: end?.at ?? Infinity })
    }
  }
  for (const { from } of turns) {
    const count = turns.filter((one) => one.from <= from && from < one.to).length
    if (count > concurrent) return `D6 ${count} delegates work, ${concurrent} may`
  }
  return undefined
}

/** No start is refused while a slot is free. A delegate that has settled has no slot. */
const slots: Law = ({ concurrent, log, refused }) => {
  for (const { at, why } of refused) {
    if (why !== "concurrent") continue
    const having = new Set<SessionId>()
    let most = 0
    for (const { event, sessionId } of log) {
      // an event may be emitted shortly after what it reports
      if ("at" in event && event.at > at + settling) break
      if (event._tag === "DelegateStarted") having.add(event.delegateId)
      else if (event._tag === "DelegateEnded") having.delete(event.delegateId)
      else if (isTerminal(event)) having.delete(sessionId)
      if ("at" in event && event.at < at - settling) most = having.size
      else most = Math.max(most, having.size)
    }
    if (most < concurrent) return `D6 a start was refused while ${most} delegates had a slot, of ${concurrent}`
  }
  return undefined
}

/** A caller that waits for an idle delegate learns that it has settled. */
const settles: Law = ({ unsettled }) =>
  unsettled.length === 0 ? undefined : `D6 ${unsettled.length} delegates are idle and have not settled`

/** No delegate lives longer than its deadline. */
const deadlines: Law = ({ deadlines, told }) => {
  for (const [, events] of told) {
    for (const { at, delegateId, name } of tagged(events, "DelegateStarted")) {
      const deadline = deadlines.get(name)
      const ended = tagged(events, "DelegateEnded").find((one) => one.delegateId === delegateId)
      if (deadline === undefined || ended === undefined || ended.at - at <= deadline + 500 + settling) continue
      return `D7 delegate ${delegateId} lived ${ended.at - at} ms of ${deadline}`
    }
  }
  return undefined
}

/** Returns when a session began to end, at the latest. A linked one ends with the turn that started it. */
const endingAt = (told: TreeHistory["told"], sessionId: SessionId): number => {
  const events = told.get(sessionId) ?? []
  const aborted = tagged(events, "TurnAborted").at(-1)
  const last = events.findLast((event) => "at" in event)?.at ?? 0
  const own = aborted === undefined || aborted.reason === "Interrupted" ? last : Math.min(last, aborted.requestedAt)
  for (const [parentId, above] of told) {
    const started = tagged(above, "DelegateStarted").find(({ delegateId }) => delegateId === sessionId)
    if (started === undefined) continue
    const turn = started.linked ? endOfTurn(above, started.turnId) : Infinity
    return Math.min(own, turn, endingAt(told, parentId))
  }
  return own
}

/** Returns when a turn was asked to stop, or returned: the time of its last record before its end. */
const endOfTurn = (events: ReadonlyArray<SessionEvent>, turnId: TurnId): number => {
  const ofTurn = events.filter((event) => "turnId" in event && event.turnId === turnId)
  const end = ofTurn.find(isTerminal)
  if (end?._tag === "TurnAborted") return end.requestedAt
  // open questions are settled at its end
  const last = ofTurn.findLast((event) => event._tag !== "QuestionSettled" && !isTerminal(event))
  return last !== undefined && "at" in last ? last.at : Infinity
}

/** A detached delegate does not end with its turn, and notifies its parent once each time that it settles. */
const detached: Law = ({ ended, told }) => {
  for (const [sessionId, events] of told) {
    const closedAt = endingAt(told, sessionId)
    for (const { delegateId, linked } of tagged(events, "DelegateStarted")) {
      if (linked) continue
      const turns = (told.get(delegateId) ?? []).filter(isTerminal)
      if (!ended.has(delegateId) && turns.some((end) => end._tag === "TurnAborted" && end.reason === "Parent")) {
        return `D7 the detached delegate ${delegateId} ended with its turn`
      }
      const notices = tagged(events, "InputAccepted").filter(({ input }) =>
        Input.textOf(input).includes(`"${delegateId}"`)
      )
      // a delegate that ends with its session sends no notice
      const due = turns.filter((end) => end._tag !== "TurnAborted" || end.reason === "Interrupted")
      if (due.some(({ at }) => at + settling < closedAt) && notices.length === 0)
        return `D7 no notice says that ${delegateId} settled`
      // the end of a delegate counts as settling
      if (notices.length > turns.length + 1) return `D7 ${notices.length} notices say that ${delegateId} settled`
    }
  }
  return undefined
}

/** Laws that hold in every schedule. */
const always: ReadonlyArray<Law> = [sessions, survivors, named, decided, paths, given, settles, stopped, waited]
/** Laws about time, for schedules in which no fiber is delayed while time passes. */
const timed: ReadonlyArray<Law> = [ends, waits, together, silence, shown, withdrawn, limits, slots, deadlines, detached]

/** Returns what is wrong with a tree, or undefined. */
export const broken = (history: TreeHistory, isTimed: boolean): string | undefined => {
  for (const law of isTimed ? [...always, ...timed] : always) {
    const found = law(history)
    if (found !== undefined) return found
  }
  return undefined
}
