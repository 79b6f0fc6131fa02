/** The clauses of the contract as predicates over what one explored session did. */
import type { SessionId, SubmissionId } from "@spindle/core/protocol/Ids"
import type { Receipt } from "@spindle/core/protocol/Op"
import * as SessionEvent from "@spindle/core/protocol/SessionEvent"
import * as History from "@spindle/core/rules/History"
import * as SessionState from "@spindle/core/rules/SessionState"
import type { Snapshot } from "@spindle/core/Session"
import type { SessionHarness } from "@spindle/testing/SessionHarness"

/** What was observed of a session. */
export interface Observed {
  readonly events: ReadonlyArray<SessionEvent.SessionEvent>
  readonly subscribed: ReadonlyArray<SessionEvent.SessionEvent>
  readonly journal: ReadonlyArray<SessionEvent.Record>
  readonly requests: SessionHarness["requests"]
  readonly receipts: ReadonlyArray<Receipt>
  /** How many calls of `abort` answered true. */
  readonly abortCount: number
  /** When the session was idle, before anything else was submitted. */
  readonly idle: Snapshot
  readonly final: Snapshot
  /** Finalizers that were registered, and their runs. */
  readonly opened: number
  readonly closed: number
  readonly streaming: number
  readonly sessionId: SessionId
}

type Law = (seen: Observed) => string | undefined

const records = (seen: Observed) => seen.events.filter(SessionEvent.isRecord)

const foldsWithoutViolation: Law = (seen) => {
  let state = SessionState.empty
  for (const record of records(seen)) {
    const broken = SessionState.violation(state, record)
    if (broken !== undefined) return `violation ${broken}`
    state = SessionState.apply(state, record)
  }
  const live = JSON.stringify([seen.final.items, seen.final.usage, seen.final.turnCount, seen.final.waiting])
  const folded = JSON.stringify([
    History.toArray(state.history),
    state.usage,
    state.turnCount,
    state.inbox.map((entry) => entry.submissionId)
  ])
  return live === folded ? undefined : `J3 the live state is not the fold: ${live} but ${folded}`
}

const journalIsWhatWasTold: Law = (seen) =>
  JSON.stringify(seen.journal) === JSON.stringify(records(seen)) ? undefined : "J1 the journal is not what was told"

const oneTerminalEach: Law = (seen) => {
  const ended = records(seen).filter(SessionEvent.isTerminal)
  for (const event of records(seen)) {
    if (event._tag !== "TurnStarted") continue
    const count = ended.filter((one) => one.turnId === event.turnId).length
    if (count !== 1) return `S2 turn ${event.turnId} has ${count} terminal events`
  }
  return undefined
}

const nothingAfterTheEnd: Law = (seen) => {
  const ended = new Set<string>()
  for (const event of seen.events) {
    if ("turnId" in event && event.turnId !== undefined && ended.has(event.turnId)) {
      if (event._tag !== "InputAccepted" && event._tag !== "ProcessStarted") return `S2 ${event._tag} after the end`
    }
    if (event._tag === "StragglerEnded" && !ended.has(event.ofTurn)) return "I3 a straggler ended before it was named"
    if (SessionEvent.isRecord(event) && SessionEvent.isTerminal(event)) ended.add(event.turnId)
  }
  return undefined
}

const abortsAreKept: Law = (seen) => {
  const aborted = records(seen).filter((one) => one._tag === "TurnAborted" && one.reason === "Interrupted").length
  const byAnswer = records(seen).filter((one) => one._tag === "RequestSettled" && one.decision._tag === "Abort").length
  return aborted >= seen.abortCount && aborted <= seen.abortCount + byAnswer
    ? undefined
    : `I1 ${seen.abortCount} aborts answered true, ${aborted} turns were aborted`
}

/** Each acknowledged input has one fate (P2), and none waits in silence: whoever is kept is named, or starts. */
const everyInputHasOneFate: Law = (seen) => {
  const fates = new Map<SubmissionId, Array<string>>()
  const add = (id: SubmissionId, fate: string) => void fates.set(id, [...(fates.get(id) ?? []), fate])
  for (const event of records(seen)) {
    if (event._tag === "ItemRecorded" && event.item._tag === "UserMessage" && event.item.submissionId !== undefined) {
      add(event.item.submissionId, "carried")
    }
    if (event._tag === "InputBlocked") add(event.submissionId, "blocked")
    if (event._tag === "TurnAborted") {
      for (const { submissionId } of event.returned) add(submissionId, "returned")
      for (const submissionId of event.dropped) add(submissionId, "dropped")
    }
  }
  for (const submissionId of seen.final.waiting) add(submissionId, "kept")
  for (const receipt of seen.receipts) {
    if (receipt._tag === "Rejected" || receipt._tag === "Accepted") continue
    const fate = fates.get(receipt.submissionId) ?? []
    if (fate.length !== 1) return `P2 ${receipt._tag} input ${receipt.submissionId} has fates [${fate.join(", ")}]`
  }
  return undefined
}

const nobodyWaitsInSilence: Law = (seen) => {
  // a session that was closed keeps its input for whoever opens it again
  if (seen.idle.status === "closed") return undefined
  const before = records(seen).filter((one) => one.seq < seen.idle.seq)
  const last = before.findLast(SessionEvent.isTerminal)
  const named = last === undefined || last._tag === "TurnCompleted" ? [] : last.kept
  const silent = seen.idle.waiting.filter((id) => !named.includes(id))
  return silent.length === 0 ? undefined : `P2 ${silent.join(", ")} waits, and nobody was told`
}

/** Input that steered a turn which completed was carried, or blocked, by that turn (P4). */
const steeredIsCarried: Law = (seen) => {
  for (const receipt of seen.receipts) {
    if (receipt._tag !== "Steered") continue
    const { submissionId, turnId } = receipt
    const told = records(seen).filter((one) => "turnId" in one && one.turnId === turnId)
    const taken = told.some(
      (one) =>
        (one._tag === "InputBlocked" && one.submissionId === submissionId) ||
        (one._tag === "ItemRecorded" && one.item._tag === "UserMessage" && one.item.submissionId === submissionId)
    )
    if (!taken && told.at(-1)?._tag === "TurnCompleted")
      return `P4 ${submissionId} steered a turn that did not carry it`
  }
  return undefined
}

const requestsPair: Law = (seen) => {
  for (const { items } of seen.requests) {
    const defect = History.defect(items)
    if (defect !== undefined) return `I6 a model request: ${defect}`
  }
  const defect = History.defect(
    seen.final.items.filter((item) => !("partial" in item) || item.partial !== "superseded")
  )
  return defect === undefined ? undefined : `I6 the history: ${defect}`
}

/** What was streamed is a prefix of what is recorded (I7), in pieces without gaps or overlaps. */
const streamedIsKept =
  (of: (seen: Observed) => ReadonlyArray<SessionEvent.SessionEvent>): Law =>
  (seen) => {
    const streamed = new Map<string, string>()
    for (const event of of(seen)) {
      if (event._tag !== "TextDelta" && event._tag !== "ReasoningDelta") continue
      const text = streamed.get(event.itemId) ?? ""
      if (event.offset !== text.length) return `I7 a piece at ${event.offset} where ${text.length} was due`
      streamed.set(event.itemId, text + event.text)
    }
    // among the records: a rollback takes items out of the history, and leaves them in the journal
    const items = records(seen).flatMap((one) => (one._tag === "ItemRecorded" ? [one.item] : []))
    for (const [itemId, text] of streamed) {
      const item = items.find((one) => one.id === itemId)
      const recorded = item !== undefined && "text" in item ? item.text : undefined
      if (recorded === undefined || !recorded.startsWith(text)) return `I7 ${JSON.stringify(text)} was shown and lost`
    }
    return undefined
  }

const subscribersSeeAll: Law = (seen) =>
  JSON.stringify(seen.subscribed.filter(SessionEvent.isRecord)) === JSON.stringify(records(seen))
    ? undefined
    : "W2 a subscriber missed a record"

const markerAfterInterrupt: Law = (seen) => {
  for (const event of records(seen)) {
    if (event._tag !== "TurnAborted" || event.reason !== "Interrupted") continue
    const last = records(seen).findLast((one) => one._tag === "ItemRecorded" && one.seq < event.seq)
    const item = last?._tag === "ItemRecorded" && last.turnId === event.turnId ? last.item : undefined
    if (item?._tag !== "UserMessage" || item.fragment !== History.markerFragment) return "I5 there is no marker"
  }
  return undefined
}

const finalizersRunOnce: Law = (seen) =>
  seen.opened === seen.closed ? undefined : `I4 ${seen.opened} opened, ${seen.closed} closed`

const nothingStreams: Law = (seen) => (seen.streaming === 0 ? undefined : `I2 ${seen.streaming} answers are streaming`)

const laws: ReadonlyArray<Law> = [
  foldsWithoutViolation,
  journalIsWhatWasTold,
  oneTerminalEach,
  nothingAfterTheEnd,
  abortsAreKept,
  everyInputHasOneFate,
  nobodyWaitsInSilence,
  steeredIsCarried,
  requestsPair,
  streamedIsKept((seen) => seen.events),
  streamedIsKept((seen) => seen.subscribed),
  subscribersSeeAll,
  markerAfterInterrupt,
  finalizersRunOnce,
  nothingStreams
]

/** The first law that a run broke. */
export const broken = (seen: Observed): string | undefined => {
  for (const law of laws) {
    const found = law(seen)
    if (found !== undefined) return found
  }
  return undefined
}
