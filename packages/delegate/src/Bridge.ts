/**
 * The two bounded queues between a delegate and whoever started it, with one forwarding fiber each way.
 *
 * ```
 *   owner ── submissions (512) ──► forwarder ──► child
 *   owner ◄── events (512) ◄────── forwarder ◄── child
 * ```
 *
 * It knows no session: a child is what takes submissions and tells events, here or in another process. Both fibers live
 * in the scope that made the bridge. A queue takes nothing after its end, and what it holds then stays readable (D2).
 */
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import type { Receipt, Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BridgeInUse, DelegateClosed, DelegateRefused } from "./DelegateError.ts"

/** What a bridge needs of a child session, wherever it runs. */
export interface Child {
  /** The sessions from the root to the child. */
  readonly path: ReadonlyArray<SessionId>
  /**
   * Takes one submission as it is: id, operation and trace (D4). Fails when the child cannot take it: whoever submitted it
   * learns of a `DelegateRefused`, and of everything else as the end of the child.
   */
  readonly submit: (submission: Submission) => Effect.Effect<Receipt, unknown>
  /** What the child tells, in order; ends with the child. */
  readonly events: Stream.Stream<SessionEvent, unknown>
  /** Asks the child's turn to stop; answers at once. */
  readonly interrupt: (reason: AbortReason) => Effect.Effect<unknown>
  /** Ends the child. Its events end then. */
  readonly shutdown: Effect.Effect<unknown>
}

/** Why a submission has no receipt. */
type SubmitError = DelegateClosed | DelegateRefused

/** How to make a bridge. */
export interface BridgeOptions {
  /** How many submissions, and how many events, may wait. Default 512. */
  readonly capacity?: number
  /** Narrows what is forwarded beside what is always swallowed (D3). */
  readonly forward?: (event: SessionEvent) => boolean
  /** How long a child that was asked to end is waited for. Default 500 ms. */
  readonly drain?: Duration.Input
}

/** A bridge to a child. */
export interface Bridge {
  /**
   * Submissions for the child, in order. Offers are refused (`false`) when the bridge has ended. What the child answers is
   * told to nobody: `submit` waits for it.
   */
  readonly submissions: Queue.Enqueue<Submission>
  /**
   * Hands a submission to the child and waits for its receipt. **Interruption** stops only the wait, once the queue has
   * it. **Errors**: `DelegateRefused` when the child refuses it; `DelegateClosed` when it ends before it has answered.
   */
  readonly submit: (submission: Submission) => Effect.Effect<Receipt, SubmitError>
  /**
   * What the child tells, for one reader at a time; the next one goes on where the last one stopped (D2). Ends with the
   * child. **Interruption** ends the reading; an event is given out once: who is interrupted while it is handed one
   * loses that one. **Errors**: `BridgeInUse` when somebody reads.
   */
  readonly events: Stream.Stream<SessionEvent, BridgeInUse>
  /**
   * The same for a function, which gets one event after the other until the child has ended; several times faster than
   * the stream. **Interruption** ends the reading; an event is given out once, as by `events`.
   */
  readonly forEach: <E, R>(
    read: (event: SessionEvent) => Effect.Effect<void, E, R>
  ) => Effect.Effect<void, E | BridgeInUse, R>
  /**
   * Ends the child and then the bridge, once, within the drain deadline: the child's turn is asked to stop, the child is
   * shut down, and what it still tells is queued as far as there is room. **Interruption**: none, it is bounded.
   */
  readonly end: (reason: AbortReason) => Effect.Effect<void>
  /** Waits for the end of the bridge. **Interruption** stops only the wait. */
  readonly ended: Effect.Effect<void>
}

/** The capacity of each queue, unless another is asked for. */
export const defaultCapacity = 512

/**
 * Whether an event concerns whoever reads a delegate (D3). Swallowed are counts of tokens and the settings of the
 * session; requests go to the parent's approvals instead.
 */
export const isForwarded = ({ _tag }: SessionEvent): boolean => !swallowed.has(_tag)

const swallowed: ReadonlySet<SessionEvent["_tag"]> = new Set([
  "ModelResponded",
  "SessionStarted",
  "SessionResumed",
  "QuestionOpened",
  "QuestionSettled"
])

/** Makes a bridge in the current scope. Closing the scope ends both forwarders; ending the child is `end`. */
export const make = (child: Child, options: BridgeOptions = {}): Effect.Effect<Bridge, never, Scope.Scope> =>
  Effect.gen(function* () {
    const capacity = options.capacity ?? defaultCapacity
    const submissions = yield* Queue.bounded<Submission, Cause.Done>(capacity)
    const events = new EventQueue(yield* Queue.bounded<SessionEvent, Cause.Done>(capacity), child.path.at(-1)!)
    const receipts = new Receipts(child.path)
    const over = yield* Deferred.make<void>()
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        Queue.endUnsafe(submissions)
        receipts.refuse()
        Deferred.doneUnsafe(over, Effect.void)
      })
    )
    const forward = options.forward ?? (() => true)
    const downward = yield* Effect.forkScoped(forwardSubmissions(submissions, child, receipts))
    // at once, so that it misses nothing that is not kept
    const upward = yield* Effect.forkScoped(
      forwardEvents(events, child, (event) => isForwarded(event) && forward(event)),
      { startImmediately: true }
    )
    // whoever ends the forwarder ends what it fills
    upward.addObserver(() => events.end())
    const ending = Effect.fnUntraced(function* (reason: AbortReason) {
      Queue.endUnsafe(submissions)
      receipts.refuseQueued()
      // mutant lets-go-of-a-full-queue (D2: a forwarder that is blocked on a full queue ends at once): drop
      events.leave()
      const stopping = yield* outlive(Effect.ensuring(child.interrupt(reason), child.shutdown))
      yield* Effect.timeoutOption(
        // mutant drains (D2: events that a child emits while it ends are readable): replace: Effect.void
        Effect.forEach([stopping, upward, downward], Fiber.await, { discard: true }),
        // mutant drains-for-so-long (D2: the bridge waits for a child that hangs no longer than the drain deadline):
        //   replace: "2 days"
        options.drain ?? "500 millis"
      )
      downward.interruptUnsafe()
      upward.interruptUnsafe()
      // mutant answers-who-waits-for-a-receipt (D2: a caller that waits for a receipt learns of the end): drop
      receipts.refuse()
      Deferred.doneUnsafe(over, Effect.void)
    })
    let begun = false
    return {
      submissions,
      submit: (submission) => receipts.await(submission, submissions),
      events: events.stream,
      forEach: (read) => events.forEach(read),
      end: (reason) =>
        // the region is open before the end has begun
        // mutant begins-the-end-in-its-region (D1: a bridge that has begun to end does end):
        //   replace: `Effect.uninterruptibleMask((restore) => {`
        //   => `Effect.suspend((restore = (effect) => effect) => {`
        Effect.uninterruptibleMask((restore) => {
          if (begun) return restore(Deferred.await(over))
          begun = true
          // mutant begins-the-end-in-its-region (D1): replace: return Effect.uninterruptible(ending(reason))
          return ending(reason)
        }),
      ended: Deferred.await(over)
    }
  })

/** Runs what ends a child: one that hangs is left behind, and holds up nobody. */
export const outlive = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkDetach(effect, { startImmediately: true })

/**
 * Peek, then take: a submission leaves the queue in the step that hands it over, so that an interruption loses none. Its
 * only reader. A child that does not answer keeps the next submission waiting, and not the end of the bridge.
 */
const forwardSubmissions = (queue: Queue.Dequeue<Submission, Cause.Done>, child: Child, receipts: Receipts) =>
  // mutant hands-over-in-one-step (D2: a submission that the child was given gets a receipt):
  //   replace: `Effect.uninterruptibleMask((restore) =>` => `Effect.suspend((restore = (effect) => effect) =>`
  Effect.uninterruptibleMask((restore) =>
    // mutant hands-over-in-one-step (D2): replace: `Queue.peek(queue)` => `Queue.take(queue)`
    restore(Queue.peek(queue)).pipe(
      // mutant hands-over-in-one-step (D2): drop
      Effect.andThen(Queue.take(queue)),
      Effect.flatMap((submission) => {
        if (!receipts.hand(submission.id)) return Effect.void
        return Effect.flatMap(outlive(child.submit(submission)), (handed) => {
          handed.addObserver((exit) => receipts.settle(submission.id, exit))
          const waiting = Fiber.await(handed)
          // mutant leaves-a-child-that-hangs (D2: a child that hangs on a submission does not block the end of its
          //   forwarder):
          //   replace: `restore(waiting)` => `waiting`
          return Effect.onInterrupt(restore(waiting), () => Effect.sync(() => handed.interruptUnsafe()))
        })
      })
    )
  ).pipe(Effect.forever, Effect.ignore)

/** A child whose events fail has no more of them: its end says how it ended. */
const forwardEvents = (queue: EventQueue, child: Child, wanted: (event: SessionEvent) => boolean) =>
  Effect.ignore(Stream.runForEachArray(child.events, (events) => queue.put(events.filter(wanted))))

/** Whoever waits for the receipt of a submission, by id. */
class Receipts {
  private readonly path: ReadonlyArray<SessionId>
  private readonly waiting = new Map<SubmissionId, Deferred.Deferred<Receipt, SubmitError>>()
  private isRefusing = false
  /** The one that the child has. */
  private handed: SubmissionId | undefined
  constructor(path: ReadonlyArray<SessionId>) {
    this.path = path
  }

  await(submission: Submission, queue: Queue.Enqueue<Submission>): Effect.Effect<Receipt, SubmitError> {
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

  /** Whether a submission that leaves the queue may go to the child. */
  hand(id: SubmissionId): boolean {
    if (this.isRefusing) return false
    this.handed = id
    return true
  }

  settle(id: SubmissionId, exit: Exit.Exit<Receipt, unknown>): void {
    this.handed = undefined
    const receipt = this.waiting.get(id)
    if (receipt === undefined) return
    this.waiting.delete(id)
    Deferred.doneUnsafe(receipt, Exit.isSuccess(exit) ? Effect.succeed(exit.value) : this.failed(exit))
  }

  /** Nothing is handed over any more; what the child has may still be answered. */
  refuseQueued(): void {
    this.isRefusing = true
    for (const [id, receipt] of this.waiting) {
      if (id === this.handed) continue
      this.waiting.delete(id)
      Deferred.doneUnsafe(receipt, this.closed)
    }
  }

  /** Nothing is answered any more. */
  refuse(): void {
    this.handed = undefined
    this.refuseQueued()
  }

  private failed(exit: Exit.Exit<Receipt, unknown>): Effect.Effect<never, SubmitError> {
    const error = Option.getOrUndefined(Exit.findErrorOption(exit))
    return error instanceof DelegateRefused ? Effect.fail(error) : this.closed
  }

  private get closed() {
    return Effect.fail(new DelegateClosed({ path: this.path, delegateId: this.path.at(-1)! }))
  }
}

/** The queue of events: one writer, one reader at a time, and a writer that can be told to wait no longer. */
class EventQueue {
  private readonly queue: Queue.Queue<SessionEvent, Cause.Done>
  private readonly delegateId: SessionId
  private writer: (() => void) | undefined
  private isRead = false
  private isLeaving = false
  constructor(queue: Queue.Queue<SessionEvent, Cause.Done>, delegateId: SessionId) {
    this.queue = queue
    this.delegateId = delegateId
  }

  /** Queues events, and waits for room. **Interruption**: what was queued stays, the rest is not queued. */
  put(events: ReadonlyArray<SessionEvent>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const rest = Queue.offerAllUnsafe(this.queue, events)
      return rest.length === 0 || this.isLeaving ? Effect.void : Effect.andThen(this.room, this.put(rest))
    })
  }

  private get room(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      // looked at again in the step that registers
      // mutant look-and-wait-for-room (D2: a forwarder that waits for room checks the queue atomically with
      //   registration):
      //   drop
      if (this.isLeaving || !Queue.isFullUnsafe(this.queue)) return resume(Effect.void)
      this.writer = () => resume(Effect.void)
      return Effect.sync(() => void (this.writer = undefined))
    })
  }

  private wakeWriter(): void {
    const { writer } = this
    this.writer = undefined
    writer?.()
  }

  /** From now on the writer waits for no room: what does not fit is let go of. */
  leave(): void {
    this.isLeaving = true
    this.wakeWriter()
  }

  /** Takes nothing any more; what is queued stays readable. */
  end(): void {
    this.leave()
    // mutant keeps-what-is-queued (D2: queued events stay readable after the end):
    //   replace: Effect.runSync(Queue.shutdown(this.queue))
    Queue.endUnsafe(this.queue)
  }

  /** Who reads, until the scope closes. */
  private get reading() {
    return Effect.acquireRelease(
      Effect.suspend(() => {
        if (this.isRead) return Effect.fail(new BridgeInUse({ delegateId: this.delegateId }))
        this.isRead = true
        return Effect.void
      }),
      () => Effect.sync(() => void (this.isRead = false))
    )
  }

  get stream(): Stream.Stream<SessionEvent, BridgeInUse> {
    return Stream.unwrap(Effect.as(this.reading, Stream.fromPull(Effect.succeed(this.next))))
  }

  forEach<E, R>(read: (event: SessionEvent) => Effect.Effect<void, E, R>): Effect.Effect<void, E | BridgeInUse, R> {
    const { queue } = this
    const take = () => this.take()
    const loop = Effect.gen(function* () {
      for (;;) {
        const taken = take()
        if (taken !== undefined && Exit.isFailure(taken)) return
        if (taken === undefined) yield* Effect.exit(Queue.peek(queue))
        else yield* read(taken.value)
      }
    })
    return Effect.scoped(Effect.andThen(this.reading, loop))
  }

  /** One event at a time: what a reader has not asked for stays for the next one. */
  private get next(): Effect.Effect<[SessionEvent], Cause.Done> {
    return Effect.suspend((): Effect.Effect<[SessionEvent], Cause.Done> => {
      const taken = this.take()
      if (taken === undefined) return Effect.andThen(Queue.peek(this.queue), this.next)
      return Exit.isFailure(taken) ? Effect.failCause(taken.cause) : Effect.succeed<[SessionEvent]>([taken.value])
    })
  }

  private take(): Exit.Exit<SessionEvent, Cause.Done> | undefined {
    const taken = Queue.takeUnsafe(this.queue)
    // a writer that waits is woken for half a queue, not for each event
    if (this.writer !== undefined && Queue.sizeUnsafe(this.queue) <= this.queue.capacity / 2) this.wakeWriter()
    return taken
  }
}
