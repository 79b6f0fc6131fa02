/** Laws about submissions and the fate of their input. */
import type { SubmissionId } from "@spindle/core/Ids"
import type { Receipt } from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import { type History, isFailed, type Law, recordsOf, statesOf, recordsWithTag } from "./history.ts"

/** The receipts of accepted input. */
const acceptedReceipts = ({ receipts }: History): ReadonlyArray<Receipt> =>
  (receipts ?? []).filter(({ _tag }) => _tag === "Started" || _tag === "Steered" || _tag === "Queued")

/** The submission that a record carries: input into the history, a task into its turn. */
const carriedSubmission = (record: SessionEvent.JournalRecord): SubmissionId | undefined => {
  if (record._tag === "TurnStarted") return record.carried === true ? record.submissionId : undefined
  return record._tag === "ItemRecorded" && record.item._tag === "UserMessage" ? record.item.submissionId : undefined
}

export const P1: Law = ({ receipts }) => {
  const seen = new Map<SubmissionId, string>()
  for (const receipt of receipts ?? []) {
    // a rejected submission may be repeated under its id
    if (receipt._tag === "Rejected") continue
    const text = JSON.stringify(receipt)
    const before = seen.get(receipt.submissionId)
    if (before !== undefined && before !== text) return `P1 ${receipt.submissionId} has the receipts ${before}, ${text}`
    seen.set(receipt.submissionId, text)
  }
  return undefined
}

export const P2: Law = (history) => lostInput(history) ?? wrongFate(history) ?? unnamedInput(history)

const lostInput = (history: History): string | undefined => {
  const accepted = new Set(recordsWithTag(history, "InputAccepted").map(({ submissionId }) => submissionId))
  const lost = acceptedReceipts(history).find(({ submissionId }) => !accepted.has(submissionId))
  return lost === undefined ? undefined : `P2 ${lost.submissionId} was acknowledged, but is not in the journal`
}

/** The fates of each input, in order. */
const fatesOf = (history: History): ReadonlyMap<SubmissionId, ReadonlyArray<string>> => {
  const fates = new Map<SubmissionId, Array<string>>()
  const add = (id: SubmissionId, fate: string) => void fates.set(id, [...(fates.get(id) ?? []), fate])
  for (const record of recordsOf(history)) {
    const carried = carriedSubmission(record)
    if (carried !== undefined) add(carried, "carried")
    if (record._tag === "InputBlocked") add(record.submissionId, "blocked")
    if (record._tag === "InputWithdrawn") add(record.submissionId, "withdrawn")
    if (record._tag !== "TurnAborted") continue
    for (const { submissionId } of record.returned) add(submissionId, "returned")
    for (const submissionId of record.dropped) add(submissionId, "dropped")
  }
  for (const submissionId of waitingAtEnd(history)) add(submissionId, "kept")
  return fates
}

/**
 * The input that waits at the end. The live state of a failed session has input that could not be written, so its
 * records count: a resume sees them.
 */
const waitingAtEnd = (history: History): ReadonlyArray<SubmissionId> =>
  isFailed(history)
    ? statesOf(history)
        .at(-1)!
        .inbox.map(({ submissionId }) => submissionId)
    : (history.final?.waiting ?? [])

const wrongFate = (history: History): string | undefined => {
  const fates = fatesOf(history)
  for (const { submissionId } of recordsWithTag(history, "InputAccepted")) {
    const fate = fates.get(submissionId) ?? []
    const isWrong = fate.length > 1 || (fate.length === 0 && history.final !== undefined)
    if (isWrong) return `P2 input ${submissionId} has the fates [${fate.join(", ")}]`
  }
  return undefined
}

/**
 * Input that waits while nothing runs must be named by the turn before, unless its delivery is `wait`.
 * A closed session keeps its input for a resume.
 */
const unnamedInput = (history: History): string | undefined => {
  const { idle } = history
  if (idle === undefined || idle.status === "closed" || idle.status === "failed") return undefined
  const last = recordsOf(history)
    .filter(({ seq }) => seq < idle.seq)
    .findLast(SessionEvent.isTerminal)
  const named = last === undefined || last._tag === "TurnCompleted" ? [] : last.kept
  const joining = recordsWithTag(history, "InputAccepted").filter(({ delivery }) => delivery === "wait")
  const known = new Set([...named, ...joining.map(({ submissionId }) => submissionId)])
  const unnamed = idle.waiting.filter((id) => !known.has(id))
  return unnamed.length === 0 ? undefined : `P2 ${unnamed.join(", ")} waits, but the turn before did not name it`
}

export const P3: Law = (history) => {
  // a task that replaces the running turn starts ahead of the queue
  const queued = recordsWithTag(history, "InputAccepted").filter(
    ({ task, turnId }) => turnId === undefined && task?.mode !== "replace"
  )
  const order = new Map(queued.map(({ submissionId }, index) => [submissionId, index]))
  let latest = -1
  for (const record of recordsOf(history)) {
    const id = carriedSubmission(record) ?? (record._tag === "InputBlocked" ? record.submissionId : undefined)
    const index = id === undefined ? undefined : order.get(id)
    if (index === undefined) continue
    if (index < latest) return `P3 input ${id} was carried after input that was queued later`
    latest = index
  }
  return undefined
}

export const P4: Law = (history) => {
  // a task alongside the turn may report its result when the turn takes no more input
  const tasks = new Set(recordsWithTag(history, "InputAccepted").flatMap((one) => (one.task ? [one.submissionId] : [])))
  const withdrawn = new Set(recordsWithTag(history, "InputWithdrawn").map(({ submissionId }) => submissionId))
  for (const receipt of acceptedReceipts(history)) {
    if (receipt._tag !== "Steered" || tasks.has(receipt.submissionId)) continue
    const { submissionId, turnId } = receipt
    const records = recordsOf(history).filter((record) => "turnId" in record && record.turnId === turnId)
    const isTaken = records.some(
      (record) =>
        carriedSubmission(record) === submissionId ||
        (record._tag === "InputBlocked" && record.submissionId === submissionId)
    )
    const end = records.find((record) => SessionEvent.isTerminal(record))
    if (!isTaken && !withdrawn.has(submissionId) && end?._tag === "TurnCompleted")
      return `P4 ${submissionId} steered a turn that did not carry it`
  }
  return undefined
}

export const P6: Law = (history) => {
  const accepted = new Set<SubmissionId>()
  for (const { submissionId } of recordsWithTag(history, "InputAccepted")) {
    if (accepted.has(submissionId)) return `P6 ${submissionId} was accepted twice`
    accepted.add(submissionId)
  }
  const carried = new Set<SubmissionId>()
  for (const record of recordsOf(history)) {
    const id = carriedSubmission(record)
    if (id === undefined) continue
    if (carried.has(id)) return `P6 ${id} was carried twice`
    carried.add(id)
  }
  return undefined
}
