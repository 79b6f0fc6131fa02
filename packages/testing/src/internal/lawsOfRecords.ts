/** Laws about the records of a session: turns, interruption, questions, the fold, processes. */
import type { CallId, TurnId } from "@spindle/core/Ids"
import * as SessionEvent from "@spindle/core/SessionEvent"
import { NestedCallStarted } from "@spindle/core/NestedCalls"
import * as HistoryRules from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import { type History, isFailed, type Law, recordsOf, statesOf, recordsWithTag, type Tagged } from "./history.ts"

const terminalOf = (history: History, turnId: TurnId): SessionEvent.Terminal | undefined =>
  recordsOf(history)
    .filter(SessionEvent.isTerminal)
    .find((end) => end.turnId === turnId)

/**
 * The turn that an event belongs to. Accepted input names the turn that it is meant for, and a kept process belongs to
 * the session.
 */
const turnOf = (event: SessionEvent.SessionEvent): TurnId | undefined =>
  "turnId" in event && event._tag !== "InputAccepted" && event._tag !== "ProcessStarted" ? event.turnId : undefined

export const S1: Law = (history) => {
  let open: TurnId | undefined
  for (const record of recordsOf(history)) {
    if (record._tag === "TurnStarted") {
      if (open !== undefined) return `S1 turn ${record.turnId} starts while ${open} is open`
      open = record.turnId
    } else if (SessionEvent.isTerminal(record) && record.turnId === open) open = undefined
  }
  return undefined
}

/** True if the session was observed to its end, so that every turn must have ended. */
const isEnded = (history: History): boolean =>
  (history.final?.status === "idle" || history.final?.status === "closed") && !isFailed(history)

export const S2: Law = (history) => {
  const ended = new Map<TurnId, number>()
  for (const event of history.events) {
    const turnId = turnOf(event)
    if (turnId !== undefined && ended.has(turnId) && !("ofTurn" in event)) {
      return `S2 ${event._tag} of turn ${turnId} after its end`
    }
    if (SessionEvent.isRecord(event) && SessionEvent.isTerminal(event)) ended.set(event.turnId, event.seq)
  }
  const open = recordsWithTag(history, "TurnStarted").filter(({ turnId }) => !ended.has(turnId))
  if (isEnded(history) && open.length > 0) return `S2 turn ${open[0]!.turnId} has no terminal event`
  const failed = history.events.findIndex(({ _tag }) => _tag === "SessionFailed")
  return failed >= 0 && failed < history.events.length - 1 ? "S2 an event was published after the failure" : undefined
}

export const S3: Law = ({ events }) => {
  const started = new Set<TurnId>()
  for (const event of events) {
    const turnId = turnOf(event)
    if (event._tag === "TurnStarted") started.add(event.turnId)
    else if (turnId !== undefined && !started.has(turnId)) return `S3 ${event._tag} of turn ${turnId} before its start`
  }
  return undefined
}

export const S4: Law = (history) => {
  let replaced: TurnId | undefined
  for (const record of recordsOf(history)) {
    if (record._tag === "TurnAborted" && record.reason === "Replaced" && record.turnId !== replaced) {
      return `S4 turn ${record.turnId} ends as Replaced after another started`
    }
    if (record._tag === "TurnStarted") replaced = record.turnId
  }
  return undefined
}

export const I1: Law = (history) => {
  if (history.abortCount === undefined || isFailed(history)) return undefined
  const aborted = recordsWithTag(history, "TurnAborted").filter(
    ({ crashed, reason }) => reason === "Interrupted" && crashed === undefined
  ).length
  const byAnswer = recordsWithTag(history, "QuestionSettled").filter(({ decision }) => decision._tag === "Abort").length
  return aborted >= history.abortCount && aborted <= history.abortCount + byAnswer
    ? undefined
    : `I1 ${history.abortCount} aborts returned true, ${aborted} turns were aborted`
}

const starting: ReadonlySet<string> = new Set(["ModelRequested", "QuestionOpened", "ProcessStarted", "DelegateStarted"])
const isStart = (record: SessionEvent.JournalRecord): boolean =>
  starting.has(record._tag) || (record._tag === "TaskNote" && record.name === NestedCallStarted.name)

export const I2: Law = (history) => {
  for (const { crashed, requestedAt, turnId } of recordsWithTag(history, "TurnAborted")) {
    if (crashed) continue
    const late = recordsOf(history).find(
      (record) => isStart(record) && "turnId" in record && record.turnId === turnId && record.at > requestedAt
    )
    if (late !== undefined) return `I2 ${late._tag} ${late.at - requestedAt} ms after the abort of turn ${turnId}`
  }
  for (const { seq, turnId } of history.closing ?? []) {
    const late = recordsOf(history).find(
      (record) => record.seq >= seq && isStart(record) && "turnId" in record && record.turnId === turnId
    )
    if (late !== undefined) return `I2 ${late._tag} after turn ${turnId} was asked to stop`
  }
  const streaming = history.streaming ?? 0
  return streaming === 0 ? undefined : `I2 ${streaming} responses are streaming`
}

export const I3: Law = (history) => {
  const named = new Map<TurnId, Array<string>>()
  for (const record of recordsOf(history)) {
    if (record._tag === "TurnAborted") {
      named.set(
        record.turnId,
        record.stragglers.map(({ kind, name }) => `${kind} ${name}`)
      )
    } else if (record._tag === "StragglerEnded") {
      const of = named.get(record.ofTurn) ?? []
      const index = of.indexOf(`${record.straggler.kind} ${record.straggler.name}`)
      if (index < 0) return `I3 ${record.straggler.name} ended late, and turn ${record.ofTurn} did not name it`
      of.splice(index, 1)
    }
  }
  return undefined
}

export const I5: Law = (history) => {
  let last: Tagged<"ItemRecorded"> | undefined
  for (const record of recordsOf(history)) {
    if (record._tag === "ItemRecorded") last = record
    if (record._tag !== "TurnAborted" || record.reason !== "Interrupted") continue
    const item = last?.turnId === record.turnId ? last.item : undefined
    if (item?._tag !== "UserMessage" || item.fragment !== HistoryRules.markerFragment) {
      return `I5 there is no marker before the end of turn ${record.turnId}`
    }
  }
  return undefined
}

/** Returns the fault of the items that a model would get, without superseded text. */
const pairingDefect = (items: Parameters<typeof HistoryRules.defect>[0]): string | undefined =>
  HistoryRules.defect(items.filter((item) => !("partial" in item) || item.partial !== "superseded"))

export const I6: Law = (history) => {
  for (const { items } of history.requests ?? []) {
    const defect = HistoryRules.defect(items)
    if (defect !== undefined) return `I6 a model request: ${defect}`
  }
  const states = statesOf(history)
  for (const [index, record] of recordsOf(history).entries()) {
    if (!SessionEvent.isTerminal(record)) continue
    const defect = pairingDefect(HistoryRules.toArray(states[index + 1]!.history))
    if (defect !== undefined) return `I6 after turn ${record.turnId}: ${defect}`
  }
  const isOpen = history.final === undefined || history.final.turnId !== undefined || isFailed(history)
  const defect = isOpen ? undefined : pairingDefect(history.final!.items)
  return defect === undefined ? undefined : `I6 at the end: ${defect}`
}

export const A1: Law = (history) => {
  const open = new Map<string, TurnId | undefined>()
  const known = new Set<string>()
  for (const record of recordsOf(history)) {
    if (record._tag === "QuestionOpened") {
      if (known.has(record.questionId)) return `A1 question ${record.questionId} is opened twice`
      known.add(record.questionId)
      open.set(record.questionId, record.turnId)
    } else if (record._tag === "QuestionSettled") {
      if (!open.delete(record.questionId)) return `A1 question ${record.questionId} is settled, but was not open`
    } else if (SessionEvent.isTerminal(record)) {
      const pending = [...open].find(([, turnId]) => turnId === record.turnId)
      if (pending !== undefined) return `A1 question ${pending[0]} is open at the end of its turn`
    }
  }
  return undefined
}

export const A2: Law = (history) =>
  checkAborted(history, "A2", (decision) => decision._tag === "Cancelled" && decision.by === "abort")

export const A5: Law = (history) => checkAborted(history, "A5", (decision) => decision._tag === "Abort")

/** Requires that turns with such a decision were aborted. */
const checkAborted = (
  history: History,
  clause: string,
  is: (decision: Tagged<"QuestionSettled">["decision"]) => boolean
): string | undefined => {
  for (const { decision, questionId, turnId } of recordsWithTag(history, "QuestionSettled")) {
    if (!is(decision)) continue
    const end = turnId === undefined ? undefined : terminalOf(history, turnId)
    if (end !== undefined && end._tag !== "TurnAborted") {
      return `${clause} question ${questionId} was settled as ${decision._tag}, and its turn ended as ${end._tag}`
    }
  }
  return undefined
}

export const J3: Law = (history) => {
  const states = statesOf(history)
  for (const [index, record] of recordsOf(history).entries()) {
    const violation = SessionState.violation(states[index]!, record)
    if (violation !== undefined) return `J3 a record breaks invariant ${violation}`
  }
  const state = states.at(-1)!
  const { final } = history
  // records that could not be written are in the live state only
  if (final === undefined || isFailed(history)) return undefined
  const live = JSON.stringify([final.items, final.usage, final.turnCount, final.waiting])
  const folded = JSON.stringify([
    HistoryRules.toArray(state.history),
    state.usage,
    state.turnCount,
    state.inbox.map((entry) => entry.submissionId)
  ])
  return live === folded ? undefined : `J3 the live state differs from the fold: ${live} but ${folded}`
}

export const J8: Law = (history) => {
  const calls = new Set<CallId>()
  for (const { item } of recordsWithTag(history, "ItemRecorded")) {
    if (item._tag === "ToolCall") calls.add(item.callId)
    if (item._tag === "ToolResult" && !calls.has(item.callId)) return `J8 a result of ${item.callId} before its call`
  }
  const recorded = recordsWithTag(history, "ModelRequested").length
  const sent = history.requests?.length ?? 0
  return sent <= recorded ? undefined : `J8 ${sent} requests were sent, ${recorded} were recorded`
}

export const X1: Law = (history) => {
  if (history.processes === undefined) return undefined
  for (const { keep, processId, turnId } of recordsWithTag(history, "ProcessStarted")) {
    if (!history.processes.includes(processId) || keep || turnId === undefined) continue
    if (terminalOf(history, turnId) !== undefined) return `X1 process ${processId} outlives its turn ${turnId}`
  }
  return undefined
}
