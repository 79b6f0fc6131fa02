/**
 * The receipts of submissions that a client named itself, so that one that comes again gets the same answer and runs
 * once (contract P6).
 */
import type { SubmissionId } from "../../protocol/Ids.ts"
import type { Receipt } from "../../protocol/Op.ts"
import type { JournalRecord } from "../../protocol/SessionEvent.ts"
import * as Inbox from "../../state/Inbox.ts"
import * as SessionState from "../../state/SessionState.ts"

/** How many are remembered. */
const capacityCount = 1_024

/** The latest receipts, in order. */
export type Receipts = ReadonlyArray<Receipt>

/** The receipt of a submission, if it was accepted and is remembered. */
export const find = (receipts: Receipts, submissionId: SubmissionId): Receipt | undefined =>
  receipts.findLast((receipt) => receipt.submissionId === submissionId)

/** Remembers a receipt, and forgets the oldest beyond the capacity. */
export const remember = (receipts: Receipts, receipt: Receipt): Receipts => [
  ...receipts.slice(1 - capacityCount),
  receipt
]

/**
 * The receipts of the inputs and rollbacks in a journal, as they were given: which is read from what each record left
 * behind.
 */
export const ofRecords = (records: ReadonlyArray<JournalRecord>): Receipts => {
  const receipts: Array<Receipt> = []
  let state = SessionState.empty
  records.forEach((record, index) => {
    state = SessionState.apply(state, record)
    if (record._tag === "RolledBack") receipts.push({ _tag: "Accepted", submissionId: record.submissionId })
    if (record._tag === "InputAccepted") receipts.push(receiptOf(state, record, records[index + 1]))
  })
  return receipts.slice(-capacityCount)
}

type Accepted = Extract<JournalRecord, { readonly _tag: "InputAccepted" }>

/** Input that steered says so; if a turn was started for the head of the queue, its record is the next one. */
const receiptOf = (
  { inbox, turn }: SessionState.SessionState,
  { delivery, submissionId, turnId }: Accepted,
  next: JournalRecord | undefined
): Receipt => {
  if (turnId !== undefined) return { _tag: "Steered", submissionId, turnId }
  if (delivery === "wait") return { _tag: "Queued", submissionId, position: inbox.length - 1 }
  const started = next?._tag === "TurnStarted" ? next : undefined
  if (started !== undefined && started.submissionId === submissionId) {
    return { _tag: "Started", submissionId, turnId: started.turnId }
  }
  const queue = Inbox.queued(inbox).filter((entry) => entry.submissionId !== turn?.startedWith)
  return { _tag: "Queued", submissionId, position: queue.length - (started === undefined ? 1 : 2) }
}
