/**
 * The two bounded queues between a child session and its owner, with one forwarding fiber each way.
 *
 * ```
 *   owner ── submissions (512) ──► forwarder ──► child
 *   owner ◄── events (512) ◄────── forwarder ◄── child
 * ```
 *
 * A bridge knows no session: a child is anything that takes submissions and emits events, in this process or in another
 * one. A bridge always ends its child: when `end` is called, when the turn ends that made the bridge, or when its scope
 * closes (D2). A queue that has ended takes nothing more, and its content stays readable.
 */
import { CallbackFailed } from "@spindle/core/AgentError"
import type { SessionId } from "@spindle/core/Ids"
import type { Receipt, Submission } from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { BridgeInUse, DelegateClosed, DelegateRefused } from "./DelegateError.ts"
import { forkDetached } from "./internal/detached.ts"
import { EventQueue } from "./internal/eventQueue.ts"
import { PendingReceipts } from "./internal/pendingReceipts.ts"

/** A child session as a bridge sees it, wherever it runs. */
export interface Child {
  /** The sessions from the root to the child. */
  readonly path: ReadonlyArray<SessionId>
  /**
   * Takes one submission unchanged: id, operation and trace (D4). Fails when the child cannot take it. The caller of
   * `Bridge.submit` sees a `DelegateRefused` as it is, and any other failure as `DelegateClosed`.
   */
  readonly submit: (submission: Submission) => Effect.Effect<Receipt, unknown>
  /** The events of the child, in order. Ends with the child. */
  readonly events: Stream.Stream<SessionEvent, unknown>
  /** Asks the child's turn to stop, and returns at once. */
  readonly interrupt: (reason: AbortReason) => Effect.Effect<unknown>
  /** Ends the child, and with it its events. */
  readonly shutdown: Effect.Effect<unknown>
}

/** The options of a bridge. */
export interface BridgeOptions {
  /** The number of submissions, and of events, that may wait. Default: 512. */
  readonly capacity?: number | undefined
  /** Selects the forwarded events, among those that may be forwarded (D3). If it throws, the event is forwarded. */
  readonly forward?: ((event: SessionEvent) => boolean) | undefined
  /** The time that `end` waits for the child. Default: 500 ms. */
  readonly drain?: Duration.Input | undefined
  /** The name of the child in the list of what an aborted turn left running. Default: the id of the child. */
  readonly name?: string | undefined
  /** Keeps the child running when the turn ends that made the bridge. Its scope still ends it. Default: false. */
  readonly detached?: boolean | undefined
}

/** A bridge to a child. */
export interface Bridge {
  /**
   * The queue of submissions for the child. An offer returns `false` once the bridge has ended. Receipts of submissions
   * that are offered here are lost; `submit` returns them.
   */
  readonly submissions: Queue.Enqueue<Submission>
  /**
   * Hands a submission to the child and waits for its receipt. **Interruption** stops only the wait, once the queue has
   * the submission. **Errors**: `DelegateRefused` when the child refuses it; `DelegateClosed` when the child ends
   * before it has replied, and in place of a receipt that says `SessionClosed`.
   */
  readonly submit: (submission: Submission) => Effect.Effect<Receipt, DelegateClosed | DelegateRefused>
  /**
   * The events of the child, for one reader at a time; the next reader continues where the last one stopped (D2). Ends
   * with the child. **Interruption** ends the reading; an event that is being delivered at that moment is lost.
   * **Errors**: `BridgeInUse` while another reader reads.
   */
  readonly events: Stream.Stream<SessionEvent, BridgeInUse>
  /**
   * Ends the child and then the bridge, once, within the drain deadline: asks the child's turn to stop, shuts the child
   * down, and queues the events that it still emits as far as there is room. **Interruption**: none, it is bounded.
   */
  readonly end: (reason: AbortReason) => Effect.Effect<void>
  /** Waits for the end of the bridge. **Interruption** stops only the wait. */
  readonly ended: Effect.Effect<void>
}

/** The capacity of each queue, unless the options give another one. */
export const defaultCapacity = 512

/**
 * Returns true if an event is forwarded to the reader of a child (D3). Token counts, the settings and the title of the
 * session are not forwarded. Questions go to the parent's approvals instead.
 */
export const isForwarded = ({ _tag }: SessionEvent): boolean => !swallowed.has(_tag)

const swallowed: ReadonlySet<SessionEvent["_tag"]> = new Set([
  "ModelResponded",
  "SessionStarted",
  "SessionResumed",
  "SessionRenamed",
  "QuestionOpened",
  "QuestionSettled"
])

const defaultDrain: Duration.Input = "500 millis"

/**
 * Makes a bridge in the current scope. Closing the scope ends the child. So does the end of the running turn, unless
 * the bridge is detached: an abort interrupts the child and shuts it down at once, and a turn that returns waits for
 * the child until the drain deadline (D1, D2). A turn that is already stopping interrupts the caller, and the child is
 * ended.
 */
export const make = (child: Child, options: BridgeOptions = {}): Effect.Effect<Bridge, never, Scope.Scope> =>
  Effect.uninterruptible(
    Effect.gen(function* () {
      const bridge = yield* open(child, options)
      const turn = yield* Effect.serviceOption(Turn)
      // mutant ends-with-its-turn (D2: a bridge ends its child with the turn that made it): true
      if (options.detached === true || turn._tag === "None") return bridge
      const cleanup = {
        kind: "delegate",
        name: options.name ?? child.path.at(-1)!,
        drain: options.drain ?? defaultDrain,
        run: () => bridge.end("Parent")
      } as const
      const unlink = yield* Effect.onError(turn.value.onAbort(cleanup), () => bridge.end("Parent"))
      return { ...bridge, end: (reason) => Effect.ensuring(bridge.end(reason), unlink) }
    })
  )

const open = (child: Child, options: BridgeOptions): Effect.Effect<Bridge, never, Scope.Scope> =>
  Effect.gen(function* () {
    const capacity = options.capacity ?? defaultCapacity
    const submissions = yield* Queue.bounded<Submission, Cause.Done>(capacity)
    const events = new EventQueue(yield* Queue.bounded<SessionEvent, Cause.Done>(capacity), child.path.at(-1)!)
    const receipts = new PendingReceipts(child.path)
    const over = yield* Deferred.make<void>()
    const forward = options.forward ?? (() => true)
    const downward = yield* Effect.forkScoped(forwardSubmissions(submissions, child, receipts))
    // started immediately, so that it misses no event that the child does not keep
    const upward = yield* Effect.forkScoped(forwardEvents(events, child, forward), { startImmediately: true })
    // whatever ends the forwarder ends the queue that it fills
    upward.addObserver(() => events.end())
    const endBridge = Effect.fnUntraced(function* (reason: AbortReason) {
      Queue.endUnsafe(submissions)
      receipts.refuseQueued()
      // mutant releases-a-full-queue (D2: a forwarder that is blocked on a full queue ends at once): drop
      events.release()
      const stopping = yield* forkDetached(Effect.ensuring(child.interrupt(reason), child.shutdown))
      yield* Effect.timeoutOption(
        // mutant drains (D2: events that a child emits while it ends are readable): replace: Effect.void
        Effect.forEach([stopping, upward, downward], Fiber.await, { discard: true }),
        // mutant drains-for-so-long (D2: the bridge waits for a child that hangs no longer than the drain deadline):
        //   replace: "2 days"
        options.drain ?? defaultDrain
      )
      downward.interruptUnsafe()
      upward.interruptUnsafe()
      // mutant refuses-pending-receipts (D2: a caller that waits for a receipt learns of the end): drop
      receipts.refuseAll()
      Deferred.doneUnsafe(over, Effect.void)
    })
    let hasBegun = false
    const end = (reason: AbortReason) =>
      // Enter the region before setting `hasBegun`. An interruption between the two would leave the bridge marked as
      // ending with no fiber ending it.
      // mutant begins-the-end-in-its-region (D1: a bridge that has begun to end does end):
      //   replace: `Effect.uninterruptibleMask((restore) => {`
      //   => `Effect.suspend((restore = (effect) => effect) => {`
      Effect.uninterruptibleMask((restore) => {
        if (hasBegun) return restore(Deferred.await(over))
        hasBegun = true
        // mutant begins-the-end-in-its-region (D1): replace: return Effect.uninterruptible(ending(reason))
        return endBridge(reason)
      })
    // added last, so that it runs before the forwarders are interrupted
    // mutant ends-with-its-scope (D2: a bridge whose scope closes ends its child): drop
    yield* Effect.addFinalizer(() => end("Parent"))
    return {
      submissions,
      submit: (submission) => receipts.submit(submission, submissions),
      events: events.stream,
      end,
      ended: Deferred.await(over)
    }
  })

/**
 * Forwards submissions. Peeks, then takes: a submission leaves the queue atomically with its hand-over, so that an
 * interruption loses none. A child that does not reply delays the next submission, but not the end of the bridge.
 */
const forwardSubmissions = (queue: Queue.Dequeue<Submission, Cause.Done>, child: Child, receipts: PendingReceipts) =>
  // mutant hands-over-in-one-step (D2: a submission that the child was given gets a receipt):
  //   replace: `Effect.uninterruptibleMask((restore) =>` => `Effect.suspend((restore = (effect) => effect) =>`
  Effect.uninterruptibleMask((restore) =>
    // mutant hands-over-in-one-step (D2): replace: `Queue.peek(queue)` => `Queue.take(queue)`
    restore(Queue.peek(queue)).pipe(
      // mutant hands-over-in-one-step (D2): drop
      Effect.andThen(Queue.take(queue)),
      Effect.flatMap((submission) => {
        if (!receipts.start(submission.id)) return Effect.void
        return Effect.flatMap(forkDetached(child.submit(submission)), (replying) => {
          replying.addObserver((exit) => receipts.complete(submission.id, exit))
          const reply = Fiber.await(replying)
          // mutant leaves-a-child-that-hangs (D2: a child that hangs on a submission does not block the end of its
          //   forwarder):
          //   replace: `restore(reply)` => `reply`
          return Effect.onInterrupt(restore(reply), () => Effect.sync(() => replying.interruptUnsafe()))
        })
      })
    )
  ).pipe(Effect.forever, Effect.ignore)

/**
 * Forwards events. If the stream of events fails, it just ends; the end of the child has the reason. An event at which
 * `forward` throws is forwarded, so that neither it nor later ones are lost. The first failure is logged as a warning.
 */
const forwardEvents = (
  queue: EventQueue,
  child: Child,
  forward: NonNullable<BridgeOptions["forward"]>
): Effect.Effect<void> => {
  let hasThrown = false
  return Effect.ignore(
    Stream.runForEachArray(child.events, (events) => {
      let report: Effect.Effect<void> = Effect.void
      const isWanted = (event: SessionEvent): boolean => {
        if (!isForwarded(event)) return false
        try {
          return forward(event)
        } catch (cause) {
          if (!hasThrown) report = Effect.logWarning(new CallbackFailed({ callback: "forward", cause }).message)
          hasThrown = true
          return true
        }
      }
      const wanted = events.filter(isWanted)
      return Effect.andThen(report, queue.put(wanted))
    })
  )
}
