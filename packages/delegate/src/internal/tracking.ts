/** What a delegate does, seen from its owner: status, slot in the tree, tokens. Called with each event, in its step. */
import type { SubmissionId } from "@spindle/core/Ids"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"
import type { DelegateRefused } from "../DelegateError.ts"
import * as Status from "../Status.ts"
import type { Node } from "./tree.ts"

/** The tracking of one delegate. It begins with a slot, that of its start. */
export class Tracking {
  /** How its last turn ended, or that one runs. */
  status: Status.Status = Status.pendingInit
  /** Where it stood when it settled last; it may have gone on since. */
  settledAs: Status.Status = Status.pendingInit
  private readonly parent: Node
  private hasSlot = true
  /** The submission that its session has and has not accepted: what comes of it needs the slot. */
  private handed: SubmissionId | undefined
  /** Whether the slot was taken for more than input that was refused. */
  private hasWorked = true
  private settles = 0
  private lastText: string | undefined
  private isOver = false
  /** Accepted input that no turn has carried; not what waits for a turn that starts for another reason. */
  private readonly waiting = new Set<SubmissionId>()
  private readonly waiters = new Set<() => void>()
  private readonly onSpent: (at: Node | undefined, isDone: boolean) => void

  /**
   * `onSpent` is called when the tokens of a session above have been spent just now, with that session, or before, and
   * with whether this delegate is done.
   */
  constructor(parent: Node, onSpent: (at: Node | undefined, isDone: boolean) => void) {
    this.parent = parent
    this.onSpent = onSpent
  }

  /** Whether nothing runs and nothing is about to. */
  get isSettled(): boolean {
    return this.isOver || (Status.isSettled(this.status) && !this.hasSlot)
  }

  /**
   * Its session is handed input, one at a time: takes a slot for the work that it brings, or keeps the one that there is,
   * also when the turn that has it ends meanwhile. Why there is none, if there is none.
   */
  begin(id: SubmissionId): DelegateRefused | undefined {
    if (!this.hasSlot) {
      const refused = this.parent.begin()
      if (refused !== undefined) return refused
      this.hasSlot = true
      this.hasWorked = false
    }
    this.handed = id
    return undefined
  }

  /** Input was answered: if it brings no work, refused or known from before, the slot is free unless something else has it. */
  answered(id: SubmissionId): void {
    if (this.handed !== id) return
    this.handed = undefined
    if (Status.isSettled(this.status) && !this.goesOn) this.release()
  }

  /** Whether the input of a next turn waits: what waits behind a turn that failed or was stopped starts none. */
  private get goesOn(): boolean {
    // mutant settles-behind-its-input (D6: a delegate has not settled while its input waits for a turn):
    //   replace: return this.handed !== undefined
    // mutant slot-of-what-it-was-handed (D6: a delegate has not settled while its session is taking input):
    //   replace: return this.status._tag === "Completed" && this.waiting.size > 0
    return this.handed !== undefined || (this.status._tag === "Completed" && this.waiting.size > 0)
  }

  onEvent(event: SessionEvent): void {
    this.status = Status.step(this.status, event)
    this.noteText(event)
    this.noteInput(event)
    // a turn that its session starts by itself
    if (event._tag === "TurnStarted" && !this.hasSlot && !this.isOver) {
      this.hasSlot = true
      this.hasWorked = true
      this.parent.count(1)
    }
    if (event._tag === "ModelResponded") {
      // an answer that nothing follows is whole: who gave it is not stopped
      const isDone = event.finish === "stop"
      const spent = this.parent.charge(event.usage.total)
      // mutant stops-again-when-spent (D6: a delegate that continues after the tokens are spent is stopped):
      //   replace: if (spent !== undefined) this.onSpent(spent, isDone)
      if (spent !== undefined || (!isDone && this.parent.isSpent)) this.onSpent(spent, isDone)
    }
    // mutant slot-of-a-failed-session (D6: a delegate whose session has failed has no slot):
    //   replace: if (isTerminal(event) && !this.goesOn) this.release()
    if (event._tag === "SessionFailed" || (isTerminal(event) && !this.goesOn)) this.release()
  }

  /** What a turn that was stopped had said is handed back, also when it broke off. */
  private noteText(event: SessionEvent): void {
    if (event._tag === "TurnStarted") this.lastText = undefined
    else if (event._tag === "ItemRecorded" && event.item._tag === "AssistantMessage") this.lastText = event.item.text
    else if (this.status._tag === "Interrupted" && this.status.message === undefined) {
      this.status = { ...this.status, message: this.lastText }
    }
  }

  private noteInput(event: SessionEvent): void {
    if (event._tag === "InputAccepted") {
      // a notice of a delegate of its own, for one, starts no turn (D7)
      // mutant settles-with-a-notice (D6: a notice does not keep a delegate from settling): drop
      if (event.delivery === "wait") return
      this.waiting.add(event.submissionId)
      this.hasWorked = true
      if (event.submissionId === this.handed) this.handed = undefined
    } else if (event._tag === "InputBlocked") this.waiting.delete(event.submissionId)
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

  /** The delegate has ended. */
  end(): void {
    // mutant ended-is-settled (D6: a fiber that waits for a delegate learns of its end): drop
    this.isOver = true
    // mutant slot-of-an-ended (D6: a delegate that has ended has no slot): insert: this.hasSlot = false
    this.release()
  }

  private release(): void {
    if (this.hasSlot) {
      this.hasSlot = false
      // nothing was done: whoever waits for the next time that it settles is told nothing
      // mutant tells-of-no-refusal (D7: rejected input does not count as settling): true
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

  /** Waits until it has settled more often than `count`; answers how often, `Infinity` once it has ended. */
  settledAfter(count: number): Effect.Effect<number> {
    return Effect.map(
      // mutant counts-what-it-tells (D7: a delegate that settles while the notice before is sent gets another one):
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
