/**
 * The receipts of submissions whose ids clients chose, so that a repeated submission gets the same receipt and runs once
 * (contract P6).
 */
import type { SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Receipt } from "../../protocol/Op.ts"
import type { JournalRecord } from "../../protocol/SessionEvent.ts"

/** The number of receipts that are remembered. */
const capacityCount = 1_024

/** The latest receipts, in order. */
export type Receipts = ReadonlyArray<Receipt>

/** Returns the receipt of a submission, if it was accepted and is remembered. */
export const find = (receipts: Receipts, submissionId: SubmissionId): Receipt | undefined =>
  receipts.findLast((receipt) => receipt.submissionId === submissionId)

/** Remembers a receipt, and forgets the oldest beyond the capacity. */
export const remember = (receipts: Receipts, receipt: Receipt): Receipts => [
  ...receipts.slice(1 - capacityCount),
  receipt
]

/** Returns the receipts that the submissions in a journal got. */
export const ofRecords = (records: ReadonlyArray<JournalRecord>): Receipts => {
  const started = new Map<SubmissionId, TurnId>()
  for (const record of records) {
    if (record._tag === "TurnStarted" && record.submissionId !== undefined) {
      started.set(record.submissionId, record.turnId)
    }
  }
  const receipts = records.flatMap((record): ReadonlyArray<Receipt> => {
    if (record._tag === "RolledBack" || record._tag === "OperationAccepted" || record._tag === "SessionRenamed") {
      const { submissionId } = record
      return submissionId === undefined ? [] : [{ _tag: "Accepted", submissionId }]
    }
    if (record._tag === "InputWithdrawn") return [{ _tag: "Accepted", submissionId: record.by }]
    return record._tag === "InputAccepted" ? [receiptOf(record, started)] : []
  })
  return receipts.slice(-capacityCount)
}

type InputAccepted = Extract<JournalRecord, { readonly _tag: "InputAccepted" }>

/**
 * Returns the receipt of input. Steering input has a turn, and waiting input has a position. Any other input was the
 * head of the queue and started a turn at once. Older journals have no positions; there the first turn that started
 * with the input is used.
 */
const receiptOf = (
  { position, submissionId, turnId }: InputAccepted,
  started: ReadonlyMap<SubmissionId, TurnId>
): Receipt => {
  if (turnId !== undefined) return { _tag: "Steered", submissionId, turnId }
  const startedTurn = position === undefined ? started.get(submissionId) : undefined
  return startedTurn === undefined
    ? { _tag: "Queued", submissionId, position: position ?? 0 }
    : { _tag: "Started", submissionId, turnId: startedTurn }
}
