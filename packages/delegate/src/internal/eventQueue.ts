/** The bounded queue of events of a bridge (contract D2): one writer, one reader at a time. */
import type { SessionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { BridgeInUse } from "../DelegateError.ts"

/** A queue whose writer waits for room until it is released. */
export class EventQueue {
  private readonly queue: Queue.Queue<SessionEvent, Cause.Done>
  private readonly delegateId: SessionId
  private writer: (() => void) | undefined
  private isRead = false
  private isReleased = false
  constructor(queue: Queue.Queue<SessionEvent, Cause.Done>, delegateId: SessionId) {
    this.queue = queue
    this.delegateId = delegateId
  }

  /** Queues events, and waits for room. **Interruption**: queued events stay, the rest is not queued. */
  put(events: ReadonlyArray<SessionEvent>): Effect.Effect<void> {
    return Effect.suspend(() => {
      const rest = Queue.offerAllUnsafe(this.queue, events)
      return rest.length === 0 || this.isReleased ? Effect.void : Effect.andThen(this.room, this.put(rest))
    })
  }

  private get room(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      // checked again atomically with registration
      // mutant look-and-wait-for-room (D2: a forwarder that waits for room checks the queue atomically with
      //   registration):
      //   drop
      if (this.isReleased || !Queue.isFullUnsafe(this.queue)) return resume(Effect.void)
      this.writer = () => resume(Effect.void)
      return Effect.sync(() => void (this.writer = undefined))
    })
  }

  private wakeWriter(): void {
    const { writer } = this
    this.writer = undefined
    writer?.()
  }

  /** Releases the writer: it no longer waits for room, and events that do not fit are lost. */
  release(): void {
    this.isReleased = true
    this.wakeWriter()
  }

  /** Ends the queue. It takes no more events; the queued ones stay readable. */
  end(): void {
    this.release()
    // mutant keeps-what-is-queued (D2: queued events stay readable after the end):
    //   replace: Effect.runSync(Queue.shutdown(this.queue))
    Queue.endUnsafe(this.queue)
  }

  /** Makes the caller the reader until its scope closes. */
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

  /** The events, for one reader at a time. The next reader continues where the last one stopped. */
  get stream(): Stream.Stream<SessionEvent, BridgeInUse> {
    return Stream.unwrap(Effect.as(this.reading, Stream.fromPull(Effect.succeed(this.next))))
  }

  /** Takes one event at a time, so that an event that a reader has not asked for stays for the next reader. */
  private get next(): Effect.Effect<[SessionEvent], Cause.Done> {
    return Effect.suspend((): Effect.Effect<[SessionEvent], Cause.Done> => {
      const taken = this.take()
      if (taken === undefined) return Effect.andThen(Queue.peek(this.queue), this.next)
      return Exit.isFailure(taken) ? Effect.failCause(taken.cause) : Effect.succeed<[SessionEvent]>([taken.value])
    })
  }

  private take(): Exit.Exit<SessionEvent, Cause.Done> | undefined {
    const taken = Queue.takeUnsafe(this.queue)
    // the writer is woken once the queue is half empty, not for each event
    if (this.writer !== undefined && Queue.sizeUnsafe(this.queue) <= this.queue.capacity / 2) this.wakeWriter()
    return taken
  }
}
