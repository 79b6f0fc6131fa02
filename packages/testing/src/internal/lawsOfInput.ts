/** Laws over what becomes of submissions. */
import type { SubmissionId } from "@spindle/core/Ids"
import type { Receipt } from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import type { History, Law } from "../Laws.ts"
import { isFailed, recordsOf, tagged } from "./lawsOfRecords.ts"

/** Receipts of input that was taken. */
const taken = ({ receipts }: History): ReadonlyArray<Receipt> =>
  (receipts ?? []).filter(({ _tag }) => _tag === "Started" || _tag === "Steered" || _tag === "Queued")

/** The submission that a record carries into the history. */
const carriedBy = (record: SessionEvent.JournalRecord): SubmissionId | undefined =>
  record._tag === "ItemRecorded" && record.item._tag === "UserMessage" ? record.item.submissionId : undefined

export const P1: Law = ({ receipts }) => {
  const seen = new Map<SubmissionId, string>()
  for (const receipt of receipts ?? []) {
    // a submission that was refused may be tried again under its id
    if (receipt._tag === "Rejected") continue
    const text = JSON.stringify(receipt)
    const before = seen.get(receipt.submissionId)
    if (before !== undefined && before !== text) return `P1 ${receipt.submissionId} has the receipts ${before}, ${text}`
    seen.set(receipt.submissionId, text)
  }
  return undefined
}

export const P2: Law = (history) => durable(history) ?? oneFate(history) ?? silent(history)

const durable = (history: History): string | undefined => {
  const accepted = new Set(tagged(history, "InputAccepted").map(({ submissionId }) => submissionId))
  const lost = taken(history).find(({ submissionId }) => !accepted.has(submissionId))
  return lost === undefined ? undefined : `P2 ${lost.submissionId} was acknowledged and is not in the journal`
}

/** The fates of each input, in order. */
const fatesOf = (history: History): ReadonlyMap<SubmissionId, ReadonlyArray<string>> => {
  const fates = new Map<SubmissionId, Array<string>>()
  const add = (id: SubmissionId, fate: string) => void fates.set(id, [...(fates.get(id) ?? []), fate])
  for (const record of recordsOf(history)) {
    const carried = carriedBy(record)
    if (carried !== undefined) add(carried, "carried")
    if (record._tag === "InputBlocked") add(record.submissionId, "blocked")
    if (record._tag !== "TurnAborted") continue
    for (const { submissionId } of record.returned) add(submissionId, "returned")
    for (const submissionId of record.dropped) add(submissionId, "dropped")
  }
  for (const submissionId of waiting(history)) add(submissionId, "kept")
  return fates
}

/** What waits at the end. In the live state of a session that failed there is what could not be written; whoever opens it again sees the records. */
const waiting = (history: History): ReadonlyArray<SubmissionId> =>
  isFailed(history)
    ? SessionState.fold(recordsOf(history)).inbox.map(({ submissionId }) => submissionId)
    : (history.final?.waiting ?? [])

const oneFate = (history: History): string | undefined => {
  const fates = fatesOf(history)
  for (const { submissionId } of tagged(history, "InputAccepted")) {
    const fate = fates.get(submissionId) ?? []
    const isWrong = fate.length > 1 || (fate.length === 0 && history.final !== undefined)
    if (isWrong) return `P2 input ${submissionId} has the fates [${fate.join(", ")}]`
  }
  return undefined
}

/** What waits while nothing runs was named by the turn before. A session that was closed keeps its input for whoever opens it again. */
const silent = (history: History): string | undefined => {
  const { idle } = history
  if (idle === undefined || idle.status === "closed" || idle.status === "failed") return undefined
  const last = recordsOf(history)
    .filter(({ seq }) => seq < idle.seq)
    .findLast(SessionEvent.isTerminal)
  const named = last === undefined || last._tag === "TurnCompleted" ? [] : last.kept
  const unnamed = idle.waiting.filter((id) => !named.includes(id))
  return unnamed.length === 0 ? undefined : `P2 ${unnamed.join(", ")} waits, and nobody was told`
}

export const P3: Law = (history) => {
  const queued = tagged(history, "InputAccepted").filter(({ turnId }) => turnId === undefined)
  const order = new Map(queued.map(({ submissionId }, index) => [submissionId, index]))
  let latest = -1
  for (const record of recordsOf(history)) {
    const id = carriedBy(record) ?? (record._tag === "InputBlocked" ? record.submissionId : undefined)
    const index = id === undefined ? undefined : order.get(id)
    if (index === undefined) continue
    if (index < latest) return `P3 input ${id} came after input that was queued behind it`
    latest = index
  }
  return undefined
}

export const P4: Law = (history) => {
  for (const receipt of taken(history)) {
    if (receipt._tag !== "Steered") continue
    const { submissionId, turnId } = receipt
    const told = recordsOf(history).filter((record) => "turnId" in record && record.turnId === turnId)
    const isTaken = told.some(
      (record) =>
        carriedBy(record) === submissionId || (record._tag === "InputBlocked" && record.submissionId === submissionId)
    )
    const end = told.find((record) => SessionEvent.isTerminal(record))
    if (!isTaken && end?._tag === "TurnCompleted") return `P4 ${submissionId} steered a turn that did not carry it`
  }
  return undefined
}

export const P6: Law = (history) => {
  const accepted = new Set<SubmissionId>()
  for (const { submissionId } of tagged(history, "InputAccepted")) {
    if (accepted.has(submissionId)) return `P6 ${submissionId} was accepted twice`
    accepted.add(submissionId)
  }
  const carried = new Set<SubmissionId>()
  for (const record of recordsOf(history)) {
    const id = carriedBy(record)
    if (id === undefined) continue
    if (carried.has(id)) return `P6 ${id} was carried twice`
    carried.add(id)
  }
  return undefined
}
