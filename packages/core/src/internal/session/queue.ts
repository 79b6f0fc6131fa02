/**
 * The queue decides what starts next: the input and the tasks of clients that wait in the inbox, one turn at a time,
 * the head of the queue first.
 *
 * Four events may start the head. Each applies the rule `startable`, and nothing else starts the head. "Input" means
 * tasks of clients too.
 *
 * ```
 *   input was accepted ──────────┐
 *   input was rejected, because  │
 *     the queue is full ─────────┤
 *   a turn has ended: it         ├─► startable ─┬─ now ───► a turn starts with the head
 *     completed, or a start      │              ├─ later ─► a start is due: the event that clears the obstacle starts it
 *     is due ──(next step)───────┤              └─ no ────► nothing: the queue is empty, the session is not open, or a
 *   a replacement is over, and   │                          turn runs, whose end decides
 *     a start is due ────────────┘
 * ```
 *
 * Invariants:
 * 1. Input starts only in a free slot, and never between a turn and its replacement (contract S4).
 * 2. A start is due only for input that no terminal record has named: it was accepted after the terminal record of
 *    the turn in the slot, or during a replacement. When a turn starts, no start is due any longer, since its terminal
 *    record will name the input that still waits (P2).
 * 3. After a turn that completed the queue continues. After a turn that failed or was aborted, the input that its
 *    record names as kept does not start (P2).
 * 4. A session is idle when no turn is in the slot, no replacement is running and no start is scheduled (S4, P2).
 * 5. Replacements run one at a time, in order of arrival (S4). A task that replaces the running turn waits in the
 *    inbox until its replacement starts it ahead of the queue. After a crash it is queued.
 * 6. A task that can no longer start leaves the queue with `InputBlocked`, which `makeParts` records, and the next
 *    entry is the head.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import type { SubmissionId, TurnId } from "../../protocol/Ids.ts"
import type { Outcome } from "../../protocol/Outcome.ts"
import * as Inbox from "../../state/Inbox.ts"
import type { SessionState } from "../../state/SessionState.ts"
import type { TaskSupervisor } from "../../TaskSupervisor.ts"
import { forkDetached, runDetached } from "../detached.ts"
import type { TraceParent } from "./submissionSpan.ts"

/** The state that the rule decides by. */
export interface QueueState {
  /** True if the session takes submissions and starts tasks. */
  readonly isOpen: boolean
  readonly isEmpty: boolean
  /** True if a task is about to replace the turn in the slot. */
  readonly isReplacing: boolean
  /**
   * The turn in the slot: none, one without a terminal record (`open`), or one with a terminal record that is still
   * settling (`ended`).
   */
  readonly turn: "none" | "open" | "ended"
}

/** The rule: returns whether the head of the queue starts now, later or not. */
export const startable = ({ isEmpty, isOpen, isReplacing, turn }: QueueState): "now" | "later" | "no" => {
  // mutant closed-starts-no-queue (S7: a session that is closed or has failed does not start its queue): drop
  if (!isOpen) return "no"
  if (isEmpty || turn === "open") return "no"
  // mutant replacement-holds-the-queue (S4: no input starts between a turn and its replacement): drop
  if (isReplacing) return "later"
  return turn === "ended" ? "later" : "now"
}

/** The result of an attempt to start an entry of the queue. */
export type StartResult =
  | { readonly _tag: "Started"; readonly turnId: TurnId }
  /** Another turn is in the slot. The entry still waits. */
  | { readonly _tag: "SlotTaken" }
  /** The entry is a task that can no longer start. It has left the queue. */
  | { readonly _tag: "Blocked" }
  /** The entry no longer waits, because an abort dropped it. */
  | { readonly _tag: "Gone" }

/** The options of a queue. */
export interface QueueOptions {
  readonly context: Context.Context<never>
  readonly supervisor: Pick<TaskSupervisor, "state" | "awaitIdle">
  readonly isOpen: () => boolean
  readonly stateOf: () => SessionState
  /** Starts a turn with an entry. If the entry is a task that can no longer start, it records `InputBlocked`. */
  readonly start: (entry: Inbox.Entry, parent: TraceParent | undefined) => StartResult
}

/** The queue of one session. Its entries are in the inbox; the queue decides when they start. */
export class Queue {
  /** The number of replacements that wait or run. */
  private replacementCount = 0
  /** True if a start is due. */
  private isDue = false
  /** The fiber that is about to start the head, in the step after the end of a turn. */
  private starting: Fiber.Fiber<void> | undefined
  private readonly replaceLock = Semaphore.makeUnsafe(1)
  /** The trace parents of waiting input. They are not recorded, so a resumed session has none. */
  private readonly parents = new Map<SubmissionId, TraceParent>()
  private readonly options: QueueOptions
  constructor(options: QueueOptions) {
    this.options = options
  }

  /** The position of input that would be accepted now; undefined if it would start at once. */
  get nextPosition(): number | undefined {
    const { inbox, turn } = this.options.stateOf()
    const aheadCount = Inbox.aheadCount(inbox, turn?.startedWith)
    if (this.decide({ isEmpty: false }) !== "now") return aheadCount
    // the input will start the head, which is then no longer ahead of it
    return aheadCount === 0 ? undefined : aheadCount - 1
  }

  /** Remembers the trace parent of input that waits. */
  remember(submissionId: SubmissionId, parent: TraceParent): void {
    this.parents.set(submissionId, parent)
  }

  /** Forgets input that was withdrawn. */
  forget(submissionId: SubmissionId): void {
    this.parents.delete(submissionId)
  }

  private decide({ isEmpty }: Pick<QueueState, "isEmpty">): ReturnType<typeof startable> {
    const { isOpen, stateOf, supervisor } = this.options
    const turn = supervisor.state()._tag === "Idle" ? "none" : stateOf().turn === undefined ? "ended" : "open"
    return startable({ isOpen: isOpen(), isEmpty, isReplacing: this.replacementCount > 0, turn })
  }

  /** Starts the head of the queue if the rule allows it, and returns the id of its turn. */
  startNext(): TurnId | undefined {
    for (;;) {
      const head = Inbox.queuedEntries(this.options.stateOf().inbox)[0]
      const when = this.decide({ isEmpty: head === undefined })
      this.isDue = when === "later"
      if (head === undefined || when !== "now") return undefined
      const started = this.start(head)
      if (started._tag !== "Blocked") return started._tag === "Started" ? started.turnId : undefined
    }
  }

  /** True if a task would start at once, ahead of the queue. */
  get isFree(): boolean {
    return this.replacementCount === 0 && this.options.supervisor.state()._tag === "Idle"
  }

  /** Starts a submission in a free slot, ahead of the queue. */
  startAhead(submissionId: SubmissionId): StartResult {
    const entry = this.options.stateOf().inbox.find((one) => one.submissionId === submissionId)
    return entry === undefined ? { _tag: "Gone" } : this.start(entry)
  }

  private start(entry: Inbox.Entry): StartResult {
    const started = this.options.start(entry, this.parents.get(entry.submissionId))
    if (started._tag !== "SlotTaken") this.parents.delete(entry.submissionId)
    return started
  }

  /** Called when the start of a turn is recorded. */
  readonly onTurnStart = (): void => {
    this.isDue = false
  }

  /** Called when a turn has ended and the slot is free. */
  readonly onTurnEnd = ({ _tag }: Outcome<unknown, unknown>): void => {
    const { context, stateOf } = this.options
    this.forgetParents()
    // mutant late-input-starts (P2: input that arrives after the end of a turn was reported starts):
    //   replace: `this.isDue` => `false`
    const continues = _tag === "Completed" || this.isDue
    if (!continues || stateOf().inbox.length === 0) return
    // in the next step, so that a long queue of short turns does not grow the stack
    this.starting = forkDetached(
      context,
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          this.starting = undefined
          this.startNext()
        })
      )
    )
  }

  /** Forgets the trace parents of input that no longer waits, because an abort may drop queued input. */
  private forgetParents(): void {
    if (this.parents.size === 0) return
    const waiting = new Set(this.options.stateOf().inbox.map((entry) => entry.submissionId))
    for (const id of this.parents.keys()) if (!waiting.has(id)) this.parents.delete(id)
  }

  /**
   * Runs a replacement when the earlier ones have ended. No input starts until it has ended. It runs in a detached
   * fiber, so that a task may replace itself (I9). **Interruption** stops only the wait.
   */
  replace<A, E>(replacement: Effect.Effect<A, E>): Effect.Effect<A, E> {
    // counted in the detached fiber, and ended before the next replacement starts
    const counted = Effect.ensuring(
      replacement,
      Effect.sync(() => {
        this.replacementCount--
        // mutant replacement-resumes-the-queue (P2: a finished replacement starts the queue that it held back): drop
        if (this.isDue) this.startNext()
      })
    )
    return runDetached(
      this.options.context,
      Effect.suspend(() => {
        this.replacementCount++
        // mutant replace-lock (S4: the replacements of a session do not overlap): replace: return counted
        return Semaphore.withPermit(this.replaceLock, counted)
      })
    )
  }

  /** Waits until the session is idle. **Interruption** stops only the wait. */
  readonly awaitIdle: Effect.Effect<void> = Effect.suspend(() => {
    const { supervisor } = this.options
    if (supervisor.state()._tag !== "Idle") return Effect.andThen(supervisor.awaitIdle, this.awaitIdle)
    // mutant idle-after-replacements (S4: a session is not idle between a turn and its replacement): drop
    // mutant waiting-yields (S4: a fiber that waits for a replacement yields to it):
    //   replace: `Effect.yieldNow` => `Effect.void`
    if (this.replacementCount > 0)
      return Effect.andThen(Semaphore.withPermit(this.replaceLock, Effect.yieldNow), this.awaitIdle)
    // mutant idle-after-the-queue (P2: a session is not idle while the head of the queue is about to start): true
    return this.starting === undefined ? Effect.void : Effect.andThen(Fiber.await(this.starting), this.awaitIdle)
  })
}
