/**
 * Tracks the work of a delegate: status, slot in the tree, tokens. Called synchronously with each event of its session.
 */
import type { SubmissionId } from "@spindle/core/Ids"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"
import type { DelegateRefused } from "../DelegateError.ts"
import * as Status from "../Status.ts"
import type { Node } from "./tree.ts"

/** Tracks one delegate: status, slot, tokens. It starts with the slot that `spawn` took. */
export class Tracking {
  /** The end of its last turn, or `Running` while a turn runs. */
  status: Status.Status = Status.pendingInit
  /** Its status when it last settled. It may have continued since. */
  settledAs: Status.Status = Status.pendingInit
  private readonly parent: Node
  private hasSlot = true
  /** The submission that its session has received and not answered yet. Its work needs the slot. */
  private pending: SubmissionId | undefined
  /** True if the slot was used for more than input that was rejected. */
  private hasWorked = true
  private settles = 0
  private lastText: string | undefined
  private isOver = false
  /** The tokens of the model requests of its session. */
  tokens = 0
  /** Accepted input that no turn has carried, except input that starts no turn by itself. */
  private readonly waiting = new Set<SubmissionId>()
  private readonly waiters = new Set<() => void>()
  private readonly onSpent: (at: Node | undefined, isDone: boolean) => void

  /**
   * `onSpent` is called when a response of this delegate finds the tokens spent. It gets the session whose limit the
   * response has just reached, or undefined if the tokens were spent before, and whether this delegate is done.
   */
  constructor(parent: Node, onSpent: (at: Node | undefined, isDone: boolean) => void) {
    this.parent = parent
    this.onSpent = onSpent
  }

  /** True if no turn runs and none is about to start. */
  get isSettled(): boolean {
    return this.isOver || (Status.isSettled(this.status) && !this.hasSlot)
  }

  /**
   * Takes a slot for input that its session is about to get, one at a time, or keeps the one that it has, even if the
   * turn that uses it ends in the meantime. Returns the error if there is no slot, else undefined.
   */
  acquire(id: SubmissionId): DelegateRefused | undefined {
    if (!this.hasSlot) {
      const refused = this.parent.acquire()
      if (refused !== undefined) return refused
      this.hasSlot = true
      this.hasWorked = false
    }
    this.pending = id
    return undefined
  }

  /**
   * Called with the receipt of input. Releases the slot if the input brings no work, because it was rejected or sent
   * twice.
   */
  onReceipt(id: SubmissionId): void {
    if (this.pending !== id) return
    this.pending = undefined
    if (Status.isSettled(this.status) && !this.continues) this.release()
  }

  /** True if waiting input starts another turn. After a turn that failed or was stopped, it starts none. */
  private get continues(): boolean {
    // mutant settles-after-its-input (D6: a delegate has not settled while its input waits for a turn):
    //   replace: return this.pending !== undefined
    // mutant slot-of-pending-input (D6: a delegate has not settled while its session is taking input):
    //   replace: return this.status._tag === "Completed" && this.waiting.size > 0
    return this.pending !== undefined || (this.status._tag === "Completed" && this.waiting.size > 0)
  }

  onEvent(event: SessionEvent): void {
    this.status = Status.step(this.status, event)
    this.noteText(event)
    this.noteInput(event)
    // a turn that its session has started by itself
    if (event._tag === "TurnStarted" && !this.hasSlot && !this.isOver) {
      this.hasSlot = true
      this.hasWorked = true
      this.parent.count(1)
    }
    if (event._tag === "ModelResponded") {
      // the delegate is done if nothing follows the response, and is then not stopped
      const isDone = event.finish === "stop"
      this.tokens += event.usage.total
      const spent = this.parent.charge(event.usage.total)
      // mutant stops-again-when-spent (D6: a delegate that continues after the tokens are spent is stopped):
      //   replace: if (spent !== undefined) this.onSpent(spent, isDone)
      if (spent !== undefined || (!isDone && this.parent.isSpent)) this.onSpent(spent, isDone)
    }
    // mutant slot-of-a-failed-session (D6: a delegate whose session has failed has no slot):
    //   replace: if (isTerminal(event) && !this.continues) this.release()
    if (event._tag === "SessionFailed" || (isTerminal(event) && !this.continues)) this.release()
  }

  /** Keeps the last text of a turn, so that a turn that was stopped returns it even if it is incomplete. */
  private noteText(event: SessionEvent): void {
    if (event._tag === "TurnStarted") this.lastText = undefined
    else if (event._tag === "ItemRecorded" && event.item._tag === "AssistantMessage") this.lastText = event.item.text
    else if (this.status._tag === "Interrupted" && this.status.message === undefined) {
      this.status = { ...this.status, message: this.lastText }
    }
  }

  private noteInput(event: SessionEvent): void {
    if (event._tag === "InputAccepted") {
      // such input, like the notice of a delegate, starts no turn (D7)
      // mutant settles-with-a-notice (D6: a notice does not keep a delegate from settling): drop
      if (event.delivery === "wait") return
      this.waiting.add(event.submissionId)
      this.hasWorked = true
      if (event.submissionId === this.pending) this.pending = undefined
    } else if (event._tag === "InputBlocked" || event._tag === "InputWithdrawn") this.waiting.delete(event.submissionId)
    else if (event._tag === "TurnStarted") {
      // the start of a task takes it from the inbox
      if (event.carried === true && event.submissionId !== undefined) this.waiting.delete(event.submissionId)
    } else if (event._tag === "ItemRecorded" && event.item._tag === "UserMessage") {
      if (event.item.submissionId !== undefined) this.waiting.delete(event.item.submissionId)
    } else if (event._tag === "TurnAborted") {
      for (const { submissionId } of event.returned) this.waiting.delete(submissionId)
      for (const submissionId of event.dropped) this.waiting.delete(submissionId)
    }
  }

  /** Called when the delegate has ended. */
  end(): void {
    // mutant ended-is-settled (D6: a fiber that waits for a delegate learns of its end): drop
    this.isOver = true
    // mutant slot-of-an-ended (D6: a delegate that has ended has no slot): insert: this.hasSlot = false
    this.release()
  }

  private release(): void {
    if (this.hasSlot) {
      this.hasSlot = false
      // if nothing was done, the callers that wait for the next time that it settles keep waiting
      // mutant rejection-is-no-settling (D7: rejected input does not count as settling): true
      if (this.hasWorked) {
        this.settles++
        this.settledAs = this.status
      }
      // mutant slot-of-a-settled (D6: a delegate that has settled has no slot):
      //   replace: if (this.isOver) this.parent.count(-1)
      this.parent.count(-1)
    }
    for (const wake of Array.from(this.waiters)) wake()
  }

  /** Waits until the delegate has settled. **Interruption** stops only the wait. */
  readonly settled: Effect.Effect<void> = this.until(() => this.isSettled)

  /** Waits until it has settled more than `count` times. Returns the count, or `Infinity` once it has ended. */
  awaitSettledAfter(count: number): Effect.Effect<number> {
    return Effect.map(
      // mutant counts-while-notifying (D7: a delegate that settles while the notice before is sent gets another one):
      //   replace: `this.until` => `((count = this.settles), this).until`
      this.until(() => this.isOver || this.settles > count),
      () => (this.settles > count ? this.settles : Infinity)
    )
  }

  private until(holds: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      // mutant look-and-wait-to-settle (D6: a fiber that waits for a delegate checks it atomically with registration):
      //   drop
      if (holds()) return resume(Effect.void)
      const wake = () => {
        if (!holds()) return
        this.waiters.delete(wake)
        resume(Effect.void)
      }
      this.waiters.add(wake)
      return Effect.sync(() => void this.waiters.delete(wake))
    })
  }
}
