/** The submissions of a bridge that wait for the receipt of the child, by id (contract D2, D4). */
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import type { Receipt, Submission } from "@spindle/core/Op"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import { DelegateClosed, DelegateRefused } from "../DelegateError.ts"

/** The reason why a submission has no receipt. */
export type SubmitError = DelegateClosed | DelegateRefused

/** The receipts that callers wait for. */
export class PendingReceipts {
  private readonly path: ReadonlyArray<SessionId>
  private readonly waiting = new Map<SubmissionId, Deferred.Deferred<Receipt, SubmitError>>()
  private isRefusing = false
  /** The submission that the child has and has not answered. */
  private current: SubmissionId | undefined
  constructor(path: ReadonlyArray<SessionId>) {
    this.path = path
  }

  /** Queues a submission and waits for its receipt. **Interruption** stops only the wait, once the queue has it. */
  submit(submission: Submission, queue: Queue.Enqueue<Submission>): Effect.Effect<Receipt, SubmitError> {
    return Effect.suspend(() => {
      if (this.isRefusing) return this.closed
      const known = this.waiting.get(submission.id)
      const receipt = known ?? Deferred.makeUnsafe<Receipt, SubmitError>()
      this.waiting.set(submission.id, receipt)
      return Effect.flatMap(Queue.offer(queue, submission), (isTaken) =>
        isTaken ? Deferred.await(receipt) : this.closed
      )
    })
  }

  /** Marks a submission as the one that the child has. Returns false if the child must no longer get it. */
  start(id: SubmissionId): boolean {
    if (this.isRefusing) return false
    this.current = id
    return true
  }

  /** Completes the receipt of a submission with the child's reply. */
  complete(id: SubmissionId, exit: Exit.Exit<Receipt, unknown>): void {
    this.current = undefined
    const receipt = this.waiting.get(id)
    if (receipt === undefined) return
    this.waiting.delete(id)
    Deferred.doneUnsafe(receipt, Exit.isSuccess(exit) ? this.replyOf(exit.value) : this.failureOf(exit))
  }

  /**
   * Refuses the submissions that the child does not have yet, now and later. The child may still reply to the one that
   * it has.
   */
  refuseQueued(): void {
    this.isRefusing = true
    for (const [id, receipt] of this.waiting) {
      if (id === this.current) continue
      this.waiting.delete(id)
      Deferred.doneUnsafe(receipt, this.closed)
    }
  }

  /** Refuses everything that still waits. */
  refuseAll(): void {
    this.current = undefined
    this.refuseQueued()
  }

  /**
   * Returns the receipt. Fails for a child whose session has closed or failed: it has ended for its caller, even if its
   * bridge does not know it yet (decision 82).
   */
  private replyOf(receipt: Receipt): Effect.Effect<Receipt, SubmitError> {
    const isClosed = receipt._tag === "Rejected" && receipt.reason._tag === "SessionClosed"
    return isClosed ? this.closed : Effect.succeed(receipt)
  }

  private failureOf(exit: Exit.Exit<Receipt, unknown>): Effect.Effect<never, SubmitError> {
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    return error instanceof DelegateRefused ? Effect.fail(error) : this.closed
  }

  private get closed() {
    return Effect.fail(new DelegateClosed({ path: this.path, delegateId: this.path.at(-1)! }))
  }
}
