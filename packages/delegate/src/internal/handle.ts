/** A delegate from its start to its end, as whoever started it holds it (contract D1, D2, D5). */
import type { SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import type { Op, Receipt, Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionConfig } from "@spindle/core/SessionConfig"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { TraceContext } from "@spindle/core/TraceContext"
import type { Session } from "@spindle/core/Session"
import type { DelegateEnd, Turn } from "@spindle/core/Turn"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Bridge from "../Bridge.ts"
import type { Interactive } from "../Delegate.ts"
import { DelegateClosed, type DelegateRefused } from "../DelegateError.ts"
import type * as Limits from "../Limits.ts"
import * as Status from "../Status.ts"
import type { DelegateSpan } from "./delegateSpan.ts"
import * as Notices from "./notices.ts"
import { Tracking } from "./tracking.ts"
import { Node, nodes } from "./tree.ts"

/** What a delegate is made of. */
export interface HandleOptions {
  readonly delegateId: SessionId
  readonly turn: Turn
  readonly node: Node
  readonly limits: Limits.Limits
  readonly endsAt: number
  readonly name: string
  readonly isDetached: boolean
  readonly config: SessionConfig
  readonly newId: () => string
}

/** A delegate from its start to its end. */
export class Handle implements Interactive {
  readonly delegateId: SessionId
  readonly path: ReadonlyArray<SessionId>
  readonly name: string
  readonly isDetached: boolean
  readonly startedBy: TurnId
  readonly turn: Turn
  readonly node: Node
  readonly config: SessionConfig
  /** Set while it is opened; nothing but its end uses them before. */
  scope: Scope.Closeable | undefined
  session: Session | undefined
  shutdown: Effect.Effect<void> = Effect.void
  bridge: Bridge.Bridge | undefined
  span: DelegateSpan = { trace: undefined, end: () => undefined }
  timer: Fiber.Fiber<void> | undefined
  isEnding = false
  private readonly parent: Node
  private readonly tracking: Tracking
  private readonly newId: () => string
  private readonly over = Deferred.makeUnsafe<void>()
  private unregister: Effect.Effect<void> = Effect.void
  private recordEnd: (end: DelegateEnd) => void = () => undefined
  private isClosed = false

  constructor(options: HandleOptions) {
    this.delegateId = options.delegateId
    this.turn = options.turn
    this.parent = options.node
    this.path = [...options.turn.session.path, options.delegateId]
    this.name = options.name
    this.isDetached = options.isDetached
    this.startedBy = options.turn.turnId
    this.config = options.config
    this.newId = options.newId
    this.node = new Node(this.path, options.limits, options.node, options.endsAt)
    nodes.set(this, this.node)
    this.tracking = new Tracking(options.node, (spent, isDone) => {
      for (const one of spent?.descendants() ?? [this]) {
        // mutant stops-when-spent (D6: busy delegates are stopped when the tokens are spent): drop
        if (!isDone || one !== this) Effect.runSync(one.abort("Budget"))
      }
    })
  }

  readonly onEvent: Tracking["onEvent"] = (event) => this.tracking.onEvent(event)

  /**
   * Makes its turn end it, then announces it; before there is a session, so that no abort misses it (D6). In this order:
   * what is announced is ended and named by its turn, wherever an abort comes in between (I3).
   */
  readonly register = Effect.suspend(() => {
    const { delegateId, isDetached, name, turn } = this
    this.parent.children.set(delegateId, this)
    const announced = Effect.map(turn.delegate({ delegateId, name, linked: !isDetached }), (record) => {
      this.recordEnd = record
    })
    // mutant linked (D1: a delegate ends with the turn that started it): true
    // mutant detached (D7: a detached delegate keeps running when its turn ends): drop
    if (isDetached) return announced
    const cleanup = {
      kind: "delegate",
      name,
      // mutant waits-for-its-delegates (D1: a turn that returns waits for its delegates): replace: drain: 0
      drain: this.config.delegateDeadline,
      run: () => this.end("Parent")
    } as const
    // mutant registers-before-it-announces (I3: a delegate is registered before it is announced, so that the end of its
    //   turn names it):
    //   replace: return Effect.andThen(announced, Effect.map(turn.onAbort(cleanup), (remove) => void (this.unregister =
    //   remove)))
    return Effect.flatMap(turn.onAbort(cleanup), (remove) => {
      this.unregister = remove
      return announced
    })
  })

  /** Takes back a start that came to nothing. */
  readonly discard = Effect.suspend(() => {
    this.isEnding = true
    return Effect.andThen(this.shutdown, this.finish)
  })

  get status(): Effect.Effect<Status.Status> {
    return Effect.sync(() => (this.isClosed ? Status.shutdown : this.tracking.status))
  }

  get snapshot() {
    return Effect.suspend(() => this.session!.snapshot)
  }

  get settled(): Effect.Effect<Status.Status> {
    const { tracking } = this
    // it may have gone on since
    return Effect.map(tracking.settled, () => (tracking.isSettled ? tracking.status : tracking.settledAs))
  }

  get awaitClosed(): Effect.Effect<void> {
    return Deferred.await(this.over)
  }

  get outcome(): Effect.Effect<Status.Status> {
    return Effect.map(this.awaitClosed, () => this.tracking.status)
  }

  get submissions() {
    return this.bridge!.submissions
  }

  get events() {
    return this.bridge!.events
  }

  forEach<E, R>(read: (event: SessionEvent) => Effect.Effect<void, E, R>) {
    return this.bridge!.forEach(read)
  }

  submit(op: Op, options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }) {
    return Effect.suspend((): Effect.Effect<Receipt, DelegateClosed | DelegateRefused> => {
      if (this.isEnding) return this.closed
      const id = options?.id ?? (this.newId() as SubmissionId)
      // mutant trace (O1: the spans of a delegate descend from the operation that started it):
      //   replace: const trace = options?.trace
      const trace = options?.trace ?? this.span.trace
      const submission: Submission = { id, op, ...(trace === undefined ? {} : { trace }) }
      return this.bridge === undefined
        ? Effect.catchTag(this.take(submission), "JournalFailed", () => this.closed)
        : this.bridge.submit(submission)
    })
  }

  /**
   * Hands a submission to the session, whoever submitted it, and input only with a slot (D6): taken here, so that what
   * still waits for room in the bridge, and may be withdrawn, has none. Nobody may wait for the answer any more.
   */
  take({ id, op, trace }: Submission): Effect.Effect<Receipt, DelegateRefused | JournalFailed> {
    return Effect.suspend((): Effect.Effect<Receipt, DelegateRefused | JournalFailed> => {
      const isInput = op._tag === "UserInput" || op._tag === "Notice" || op._tag === "StartTask"
      // mutant slot-to-go-on (D6: a delegate that has settled needs a slot to continue): false
      const refused = isInput ? this.tracking.begin(id) : undefined
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.onExit(this.session!.submit(op, { id, ...(trace === undefined ? {} : { trace }) }), () =>
        // mutant slot-of-refused-input (D6: input that is rejected has no slot): replace: Effect.void
        Effect.sync(() => this.tracking.answered(id))
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
    // the region is open before the end has begun: who is interrupted between the two would leave it to nobody
    // mutant begins-its-end-in-its-region (D1: a delegate that has begun to end does end):
    //   replace: `Effect.uninterruptibleMask((restore) => {` => `Effect.suspend((restore = (effect) => effect) => {`
    return Effect.uninterruptibleMask((restore) => {
      const awaited = restore(Deferred.await(this.over))
      if (this.isEnding) return awaited
      this.isEnding = true
      // one that is still being opened is ended by whoever opens it
      // mutant leaves-the-end-to-who-opens (D1: the fiber that opens a delegate ends it if it was stopped meanwhile):
      //   drop
      if (this.session === undefined) return awaited
      const stopped = this.bridge === undefined ? this.stop(reason) : this.bridge.end(reason)
      // mutant begins-its-end-in-its-region (D1):
      //   replace: return Effect.uninterruptible(Effect.andThen(stopped, this.finish))
      return Effect.andThen(stopped, this.finish)
    })
  }

  /** Ends a session that has no bridge, within the drain deadline. */
  private stop(reason: AbortReason): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      const stopping = yield* Bridge.outlive(Effect.andThen(this.abort(reason), this.shutdown))
      if (stopping.pollUnsafe() !== undefined) return
      // mutant bounded-without-a-bridge (D1: the parent waits for a one-shot delegate that hangs no longer than the
      //   drain deadline):
      //   replace: yield* Fiber.await(stopping)
      yield* Effect.timeoutOption(Fiber.await(stopping), this.config.delegateDeadline)
    })
  }

  private readonly finish = Effect.suspend(() => {
    this.isClosed = true
    this.timer?.interruptUnsafe()
    this.parent.children.delete(this.delegateId)
    this.tracking.end()
    this.recordEnd(Status.toEnd(this.tracking.status))
    this.span.end(this.tracking.status)
    Deferred.doneUnsafe(this.over, Effect.void)
    const { scope } = this
    // mutant closes-its-scope (D1: the end of a delegate closes its scope): replace: return this.unregister
    return Effect.andThen(this.unregister, scope === undefined ? Effect.void : Scope.close(scope, Exit.void))
  })

  /**
   * Tells the parent's inbox how it settled, each time, until it has ended (D7). When it settles more than once while the
   * parent is being told, the last time is told.
   */
  reporting(wake: boolean): Effect.Effect<void> {
    const { delegateId, tracking, turn } = this
    return Effect.gen(function* () {
      for (let told = 0; ;) {
        // mutant tells-once (D7: the parent gets one notice each time that a detached delegate settles):
        //   replace: yield* tracking.settled
        told = yield* tracking.settledAfter(told)
        if (told === Infinity) return
        // mutant tells-each-time (D7: the parent gets a notice each time that a detached delegate settles):
        //   replace: `yield*` => `return yield*`
        // mutant tells-how-it-settled (D7: a notice says how the delegate settled, even if it continues at once):
        //   replace: `tracking.settledAs` => `tracking.status`
        yield* Notices.tell(turn.session, { delegateId, status: tracking.settledAs, wake })
      }
    })
  }
}
