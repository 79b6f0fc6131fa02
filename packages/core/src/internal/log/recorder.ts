/**
 * Write, then tell: numbers records, folds them into the state, writes them in batches, and publishes them in order
 * once they are durable.
 *
 * Deltas pass through the same queue, so that they keep their place between records. There is at most one writing
 * fiber, started when a write has to wait and gone when nothing is queued: an idle session holds none.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type { JournalWriter } from "../../ports/Journal.ts"
import type { SessionObserver, SessionSignal } from "../../ports/SessionObserver.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import type { Delta, KnownRecord, NewRecord, JournalRecord, SessionEvent } from "../../protocol/SessionEvent.ts"
import { isDelta } from "../../protocol/SessionEvent.ts"
import { JournalFailed } from "../../protocol/SessionError.ts"
import * as SessionState from "../../state/SessionState.ts"
import type { Subscribers } from "./subscribers.ts"

/** What a recorder works with. */
export interface RecorderOptions {
  readonly sessionId: SessionId
  readonly writer: JournalWriter
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly deadline: Duration.Input
  readonly subscribers: Subscribers
  readonly observers: ReadonlyArray<SessionObserver>
  /** Called once, when the journal has failed: nothing will be recorded any more. */
  readonly onFailure: (error: JournalFailed) => void
}

interface Waiter {
  readonly seq: number
  readonly resume: (effect: Effect.Effect<void, JournalFailed>) => void
}

/** The recorder of one session. */
export class Recorder {
  state: SessionState.SessionState
  failure: JournalFailed | undefined
  /** Whether the session has let go of its journal. */
  closed = false
  private queue: Array<JournalRecord | Delta> = []
  private durable: number
  private busy = false
  /** In order. Made when somebody waits, so that an idle session is small. */
  private waiters: Array<Waiter> | undefined
  private readonly options: RecorderOptions
  private readonly observers: RecorderOptions["observers"]
  /** Those of them that want signals. */
  private readonly signalled: RecorderOptions["observers"]
  /** Those of them that threw. Made when one does, so that an idle session is small. */
  private reported: Set<SessionObserver> | undefined

  constructor(options: RecorderOptions, state: SessionState.SessionState) {
    this.options = options
    this.observers = options.observers
    this.signalled = options.observers.filter(({ onSignal }) => onSignal !== undefined)
    this.state = state
    this.durable = state.seq
  }

  /**
   * Numbers, dates and folds a record, and queues it. After a failure nothing is recorded, and the state stays as it
   * was.
   */
  append(added: NewRecord): KnownRecord {
    const at = this.options.clock.currentTimeMillisUnsafe()
    const record = { ...added, seq: this.state.seq, at } as KnownRecord
    // mutant nothing-after-the-last-record (J5: nothing is recorded after a failure or after the close): drop
    if (this.failure !== undefined || this.closed) return record
    this.state = SessionState.apply(this.state, record)
    this.queue.push(record)
    this.pump()
    return record
  }

  /** Queues a delta; without records before it, it is published at once. */
  tell(delta: Delta): void {
    if (this.failure !== undefined || this.closed) return
    if (this.busy || this.queue.length > 0) return void this.queue.push(delta)
    // whoever is told may cause events at once; they come after this one, for every subscriber
    this.busy = true
    this.publish(delta)
    this.busy = false
    if (this.queue.length > 0) this.pump()
  }

  /** Waits until everything that was appended before is durable. **Interruption** stops only the wait. */
  get barrier(): Effect.Effect<void, JournalFailed> {
    return Effect.suspend(() => this.whenDurable())
  }

  private whenDurable(): Effect.Effect<void, JournalFailed> {
    if (this.failure !== undefined) return Effect.fail(this.failure)
    const seq = this.state.seq
    if (this.durable >= seq) return Effect.void
    const wait = this.awaitSeq(seq)
    if (!this.isMeasuring) return wait
    const from = this.nowNanos()
    return Effect.ensuring(
      wait,
      Effect.sync(() => this.measured({ _tag: "Flushed", millis: this.millisSince(from) }))
    )
  }

  /** Whether a barrier would have to wait now. */
  get isBehind(): boolean {
    return this.failure === undefined && this.durable < this.state.seq
  }

  private awaitSeq(seq: number): Effect.Effect<void, JournalFailed> {
    return Effect.callback<void, JournalFailed>((resume) => {
      // looked at again in the step that registers: between the two the last write may end and find nobody to wake
      if (this.failure !== undefined) return resume(Effect.fail(this.failure))
      // mutant look-and-wait-for-the-write (P2: a fiber that waits for a record checks it atomically with
      //   registration):
      //   drop
      if (this.durable >= seq) return resume(Effect.void)
      const waiter = { seq, resume }
      const waiters = (this.waiters ??= [])
      waiters.push(waiter)
      return Effect.sync(() => {
        const index = waiters.indexOf(waiter)
        if (index >= 0) waiters.splice(index, 1)
      })
    })
  }

  private pump(): void {
    if (this.busy) return
    this.busy = true
    if (this.options.writer.coalesces !== true) return this.drain()
    this.detach(
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => this.drain())
      )
    )
  }

  /** Writes and tells what is queued, batch by batch; without a fiber of its own as long as no write has to wait. */
  private drain(): void {
    while (this.queue.length > 0 && this.failure === undefined) {
      const batch = this.queue
      this.queue = []
      const records = batch.some(isDelta)
        ? batch.filter((one): one is JournalRecord => !isDelta(one))
        : (batch as Array<JournalRecord>)
      const from = this.options.writer.coalesces === true && this.isMeasuring ? this.nowNanos() : undefined
      // mutant write-then-tell (J1: an event is published after its record is in the journal):
      //   insert: for (const event of batch) this.publish(event)
      const written = records.length === 0 ? Exit.void : this.write(records)
      if (!Exit.isExit(written)) {
        return this.detach(
          Effect.map(written, (exit) => {
            this.settle(batch, records, { exit, from })
            this.drain()
          })
        )
      }
      this.settle(batch, records, { exit: written, from })
    }
    this.busy = false
  }

  private settle(
    batch: ReadonlyArray<JournalRecord | Delta>,
    records: ReadonlyArray<JournalRecord>,
    { exit, from }: { readonly exit: Exit.Exit<void, JournalFailed>; readonly from: bigint | undefined }
  ): void {
    if (exit._tag === "Failure") return this.fail(this.errorOf(exit.cause))
    // a write that costs no more than a record is not worth a look at the clock
    if (from !== undefined && records.length > 0) {
      this.measured({ _tag: "Appended", recordsCount: records.length, millis: this.millisSince(from) })
    }
    this.durable = records.at(-1) === undefined ? this.durable : records.at(-1)!.seq + 1
    // mutant write-then-tell (J1): drop
    for (const event of batch) this.publish(event)
    this.wake()
  }

  /** One batch: how its write ended, or the wait for that, within the deadline (contract S2). */
  private write(
    records: ReadonlyArray<JournalRecord>
  ): Exit.Exit<void, JournalFailed> | Effect.Effect<Exit.Exit<void, JournalFailed>> {
    const { context, deadline, sessionId, writer } = this.options
    // in a fiber of its own: a write that hangs cannot be interrupted, only left behind
    const fiber = Effect.runForkWith(context)(Effect.suspend(() => writer.append(records)))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    return Effect.map(
      Effect.timeoutOption(Fiber.await(fiber), deadline),
      Option.getOrElse(() =>
        Exit.fail(new JournalFailed({ sessionId, operation: "append", detail: "the write did not end in time" }))
      )
    )
  }

  /** A journal that dies has failed, too. */
  private errorOf(cause: Cause.Cause<JournalFailed>): JournalFailed {
    const error = Cause.squash(cause)
    if (error instanceof JournalFailed) return error
    return new JournalFailed({ sessionId: this.options.sessionId, operation: "append", cause: error })
  }

  private detach(effect: Effect.Effect<void>): void {
    Effect.runForkWith(this.options.context)(effect, { uninterruptible: true })
  }

  private wake(): void {
    const { waiters } = this
    if (waiters === undefined) return
    while (waiters.length > 0 && waiters[0]!.seq <= this.durable) waiters.shift()!.resume(Effect.void)
  }

  private publish(event: SessionEvent): void {
    this.observe(event)
    this.options.subscribers.publish(event)
  }

  /** Whether somebody wants to know how long things take. */
  get isMeasuring(): boolean {
    return this.signalled.length > 0
  }

  /** The time, for {@link millisSince}. */
  nowNanos(): bigint {
    return this.options.clock.currentTimeNanosUnsafe()
  }

  /** Milliseconds, with fractions, since a time. */
  millisSince(from: bigint): number {
    return Number(this.nowNanos() - from) / 1e6
  }

  /** Tells the observers what was measured. */
  measured(signal: SessionSignal): void {
    for (const observer of this.signalled) {
      try {
        observer.onSignal!(this.options.sessionId, signal)
      } catch (error) {
        this.reportThrow(observer, error)
      }
    }
  }

  private observe(event: SessionEvent): void {
    for (const observer of this.observers) {
      try {
        observer.onEvent(this.options.sessionId, event)
      } catch (error) {
        this.reportThrow(observer, error)
      }
    }
  }

  /** Reports an observer that throws, once. It loses the event or signal, and nothing else. */
  private reportThrow(observer: SessionObserver, error: unknown): void {
    if (this.reported?.has(observer) === true) return
    this.reported = (this.reported ?? new Set()).add(observer)
    this.append({ _tag: "Warning", message: `an observer of the session threw: ${error}` })
  }

  private fail(error: JournalFailed): void {
    this.failure = error
    this.busy = false
    this.queue = []
    const event = { _tag: "SessionFailed", sessionId: this.options.sessionId, message: error.message } as const
    // noted first: whoever learns of the failure, or of the end of the turn, may close the session and end the streams
    this.options.subscribers.publish(event)
    this.observe(event)
    this.options.subscribers.end()
    this.options.onFailure(error)
    // last: whoever waits then finds a session that has failed, and its turn ended by its owner
    for (const waiter of this.waiters?.splice(0) ?? []) waiter.resume(Effect.fail(error))
  }
}
