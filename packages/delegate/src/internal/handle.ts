/**
 * A delegate from its start to its end (contract D1, D2, D5).
 *
 * ```
 *   Opening ──► Open ──► Ending ──► Ended
 *      └───────────────────►┘
 * ```
 *
 * A delegate that is ended while it is opening is ended by the fiber that opens it.
 */
import type { SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import { isSubmission, type Op, type Receipt, type Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { Session } from "@spindle/core/Session"
import type { SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { DelegateEnd, Turn, TurnDelegate } from "@spindle/core/Turn"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { Bridge } from "../Bridge.ts"
import { DelegateClosed, type DelegateRefused } from "../DelegateError.ts"
import type { Limits } from "../Limits.ts"
import * as Status from "../Status.ts"
import type { DelegateSpan } from "./delegateSpan.ts"
import { forkDetached } from "./detached.ts"
import * as Notices from "./notices.ts"
import { Tracking } from "./tracking.ts"
import { type Member, Node } from "./tree.ts"

/** A delegate in all its states. */
export class Handle implements Member {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly name: string
  readonly isDetached: boolean
  readonly isOneShot: boolean
  readonly startedBy: TurnId
  readonly turn: Turn
  readonly node: Node
  readonly config: SessionConfig
  private state: State = { _tag: "Opening" }
  private readonly parent: Node
  readonly scope: Scope.Closeable
  private readonly span: DelegateSpan
  private readonly tracking: Tracking
  private readonly newId: () => string
  private readonly over = Deferred.makeUnsafe<void>()
  private recordEnd: (end: DelegateEnd) => void = () => undefined
  private timer: Fiber.Fiber<void> | undefined

  constructor(options: HandleOptions) {
    this.delegateId = options.delegateId
    this.path = options.path
    this.name = options.name
    this.isDetached = options.isDetached
    this.isOneShot = options.isOneShot
    this.startedBy = options.turn.turnId
    this.turn = options.turn
    this.config = options.config
    this.parent = options.parent
    this.scope = options.scope
    this.span = options.span
    this.newId = options.newId
    this.node = new Node(options.path, options.limits, options.parent, options.endsAt)
    this.tracking = new Tracking(options.parent, (spent, isDone) => {
      for (const one of spent?.descendants() ?? [this]) {
        // mutant stops-when-spent (D6: busy delegates are stopped when the tokens are spent): drop
        if (!isDone || one !== this) Effect.runSync(one.abort("Budget"))
      }
    })
  }

  readonly onEvent: Tracking["onEvent"] = (event) => this.tracking.onEvent(event)

  /**
   * Announces it, owned by its turn unless it is detached, before its session exists, so that no abort misses it (D6).
   * The turn ends and names every delegate that was announced, wherever an abort comes in between (I3).
   */
  readonly register = Effect.suspend(() => {
    const { delegateId, isDetached, name } = this
    this.parent.children.set(delegateId, this)
    const owned = {
      // mutant waits-for-its-delegates (D1: a turn that returns waits for its delegates): replace: drain: 0
      drain: this.config.delegateDeadline,
      end: () => this.end("Parent")
    }
    const child = { delegateId, name, linked: !isDetached }
    // mutant linked (D1: a delegate ends with the turn that started it): true
    // mutant detached (D7: a detached delegate keeps running when its turn ends): replace: `(isDetached)` => `(false)`
    if (isDetached) return this.announce(child)
    return this.announce({ ...child, ...owned })
  })

  private announce(child: TurnDelegate): Effect.Effect<void> {
    return Effect.map(this.turn.delegate(child), (record) => {
      this.recordEnd = record
    })
  }

  /** Makes it open. Called once its session exists. */
  open(opened: Opened): void {
    this.state = { _tag: "Open", opened }
  }

  /** Ends it after a start that failed, or that was stopped after its session was opened. */
  discard(opened?: Opened): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.state = { _tag: "Ending", opened }
      return Effect.andThen(opened?.shutdown ?? Effect.void, this.finish)
    })
  }

  /** Ends it at a time, in milliseconds from now, unless it has ended before. */
  expireIn(millis: number, scope: Scope.Scope): Effect.Effect<void> {
    const expiry = Effect.andThen(Effect.sleep(millis), this.end("Deadline"))
    return Effect.map(Effect.forkIn(expiry, scope), (timer) => void (this.timer = timer))
  }

  /** Its session, once it has one. */
  get session(): Session | undefined {
    return this.opened?.session
  }

  /** True if its end has begun. */
  get isEnding(): boolean {
    return this.state._tag === "Ending" || this.state._tag === "Ended"
  }

  private get opened(): Opened | undefined {
    return this.state._tag === "Opening" ? undefined : this.state.opened
  }

  /** Its bridge. Only interactive delegates are read and take submissions of others (D5). */
  private get bridge(): Bridge {
    return this.opened!.bridge!
  }

  get status(): Effect.Effect<Status.Status> {
    return Effect.sync(() => (this.state._tag === "Ended" ? Status.shutdown : this.tracking.status))
  }

  get snapshot() {
    return Effect.suspend(() => this.session!.snapshot)
  }

  get settled(): Effect.Effect<Status.Status> {
    const { tracking } = this
    // it may have continued in the meantime
    return Effect.map(tracking.settled, () => (tracking.isSettled ? tracking.status : tracking.settledAs))
  }

  get awaitClosed(): Effect.Effect<void> {
    return Deferred.await(this.over)
  }

  get outcome(): Effect.Effect<Status.Status> {
    return Effect.map(this.awaitClosed, () => this.tracking.status)
  }

  get submissions() {
    return this.bridge.submissions
  }

  get events() {
    return this.bridge.events
  }

  submit(submitted: Op | Submission) {
    return Effect.suspend((): Effect.Effect<Receipt, DelegateClosed | DelegateRefused> => {
      const { state } = this
      if (state._tag !== "Open") return this.closed
      const submission = this.toSubmission(submitted)
      const { bridge, session } = state.opened
      return bridge === undefined
        ? Effect.catchTag(this.deliver(session, submission), "JournalFailed", () => this.closed)
        : bridge.submit(submission)
    })
  }

  /** Returns the submission with an id and a trace. */
  private toSubmission(submitted: Op | Submission): Submission {
    const submission = isSubmission(submitted) ? submitted : { id: this.newId() as SubmissionId, op: submitted }
    const { trace } = this.span
    // mutant trace (O1: the spans of a delegate descend from the operation that started it): replace: return submission
    return trace === undefined ? submission : { trace, ...submission }
  }

  /**
   * Hands a submission to the session, and input only with a slot (D6). The slot is taken here, because a submission
   * that still waits for room in the bridge, and may be withdrawn, needs none.
   */
  deliver(session: Session, submission: Submission): Effect.Effect<Receipt, DelegateRefused | JournalFailed> {
    return Effect.suspend((): Effect.Effect<Receipt, DelegateRefused | JournalFailed> => {
      const { id, op } = submission
      const isInput = op._tag === "UserInput" || op._tag === "Notice" || op._tag === "StartTask"
      // mutant slot-to-continue (D6: a delegate that has settled needs a slot to continue): false
      const refused = isInput ? this.tracking.acquire(id) : undefined
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.onExit(session.submit(submission), () =>
        // mutant slot-of-refused-input (D6: input that is rejected has no slot): replace: Effect.void
        Effect.sync(() => this.tracking.onReceipt(id))
      )
    })
  }

  private get closed() {
    return Effect.fail(new DelegateClosed({ path: this.path, delegateId: this.delegateId }))
  }

  abort(reason: AbortReason = "Interrupted"): Effect.Effect<boolean> {
    return Effect.suspend(() => this.session?.abort(reason) ?? Effect.succeed(false))
  }

  end(reason: AbortReason = "Parent"): Effect.Effect<void> {
    // Enter the uninterruptible region before changing the state. An interruption between the two would leave the
    // delegate marked as ending with no fiber ending it.
    // mutant begins-its-end-in-its-region (D1: a delegate that has begun to end does end):
    //   replace: `Effect.uninterruptibleMask((restore) => {` => `Effect.suspend((restore = (effect) => effect) => {`
    return Effect.uninterruptibleMask((restore) => {
      const awaited = restore(Deferred.await(this.over))
      if (this.isEnding) return awaited
      const { opened } = this
      this.state = { _tag: "Ending", opened }
      // mutant leaves-the-end-to-its-opener (D1: the fiber that opens a delegate ends it if it was stopped meanwhile):
      //   drop
      if (opened === undefined) return awaited
      const stopped = opened?.bridge === undefined ? this.stop(opened, reason) : opened.bridge.end(reason)
      // mutant begins-its-end-in-its-region (D1):
      //   replace: return Effect.uninterruptible(Effect.andThen(stopped, this.finish))
      return Effect.andThen(stopped, this.finish)
    })
  }

  /** Ends a session without a bridge, within the drain deadline. */
  private stop(opened: Opened | undefined, reason: AbortReason): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const stopping = yield* forkDetached(Effect.andThen(this.abort(reason), opened?.shutdown ?? Effect.void))
      if (stopping.pollUnsafe() !== undefined) return
      // mutant bounded-without-a-bridge (D1: the parent waits for a one-shot delegate that hangs no longer than the
      //   drain deadline):
      //   replace: yield* Fiber.await(stopping)
      yield* Effect.timeoutOption(Fiber.await(stopping), this.config.delegateDeadline)
    })
  }

  private readonly finish = Effect.suspend(() => {
    this.state = { _tag: "Ended", opened: this.opened }
    this.timer?.interruptUnsafe()
    this.parent.children.delete(this.delegateId)
    this.tracking.end()
    const { started, tokens } = this.node.used
    const spent = { started, tokens: tokens + this.tracking.tokens }
    this.recordEnd({ ...Status.toEnd(this.tracking.status), spent })
    this.span.end(this.tracking.status)
    Deferred.doneUnsafe(this.over, Effect.void)
    // mutant closes-its-scope (D1: the end of a delegate closes its scope): replace: return Effect.void
    return Scope.close(this.scope, Exit.void)
  })

  /**
   * Notifies the parent each time that it settles, until it has ended (D7). If it settles more than once while a notice
   * is being sent, the next notice reports the last time.
   */
  notifyParent(wake: boolean): Effect.Effect<void> {
    const { delegateId, tracking, turn } = this
    return Effect.gen(function* () {
      for (let count = 0; ;) {
        // mutant notifies-once (D7: the parent gets one notice each time that a detached delegate settles):
        //   replace: yield* tracking.settled
        count = yield* tracking.awaitSettledAfter(count)
        if (count === Infinity) return
        // mutant notifies-each-time (D7: the parent gets a notice each time that a detached delegate settles):
        //   replace: `yield*` => `return yield*`
        // mutant notifies-how-it-settled (D7: a notice says how the delegate settled, even if it continues at once):
        //   replace: `tracking.settledAs` => `tracking.status`
        yield* Notices.send(turn.session, { delegateId, status: tracking.settledAs, wake })
      }
    })
  }
}

/** The parts of a delegate. */
export interface HandleOptions {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly name: string
  readonly isDetached: boolean
  readonly isOneShot: boolean
  readonly turn: Turn
  readonly parent: Node
  readonly limits: Limits
  readonly endsAt: number
  /** The scope of everything that belongs to the delegate. It closes at its end. */
  readonly scope: Scope.Closeable
  readonly span: DelegateSpan
  readonly config: SessionConfig
  readonly newId: () => string
}

/** The parts of a delegate that exist once it is open. */
export interface Opened {
  readonly session: Session
  /** Closes the session. */
  readonly shutdown: Effect.Effect<void>
  /** Undefined for a one-shot delegate. */
  readonly bridge: Bridge | undefined
}

type State =
  | { readonly _tag: "Opening" }
  | { readonly _tag: "Open"; readonly opened: Opened }
  | { readonly _tag: "Ending" | "Ended"; readonly opened: Opened | undefined }
