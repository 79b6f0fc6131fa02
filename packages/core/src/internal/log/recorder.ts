/**
 * The recorder numbers records, folds them into the state, writes them in batches, and publishes them in order once
 * they are durable.
 *
 * Deltas pass through the same queue, so that they keep their place between records. There is at most one writing
 * fiber. It starts when a write has to wait and ends when the queue is empty, so an idle session has none.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import type { JournalWriter } from "../../ports/Journal.ts"
import type { SessionObserver } from "../../ports/SessionObserver.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import type { Delta, KnownRecord, NewRecord, JournalRecord, SessionEvent } from "../../protocol/SessionEvent.ts"
import { isDelta } from "../../protocol/SessionEvent.ts"
import { JournalFailed } from "../../protocol/SessionError.ts"
import * as SessionState from "../../state/SessionState.ts"
import { forkDetached } from "../detached.ts"
import { textOf } from "../foreign.ts"
import { Signals } from "./signals.ts"
import type { Subscribers } from "./subscribers.ts"

/** The options of a recorder. */
export interface RecorderOptions {
  readonly sessionId: SessionId
  readonly writer: JournalWriter
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly deadline: Duration.Input
  readonly subscribers: Subscribers
  readonly observers: ReadonlyArray<SessionObserver>
  /** Called once, when the journal has failed. Nothing is recorded afterwards. */
  readonly onFailure: (error: JournalFailed) => void
}

/** The number of slices into which the deadline of a write is divided. */
const sliceCount = 10

/**
 * Waits for a write until the deadline, in slices. Returns undefined if the write has not ended by then. A timer that
 * fires late, because the thread was blocked or the process was stopped, counts as one slice only. So the deadline
 * counts the time in which the process could run.
 */
const awaitInTime = <A, E>(
  context: Context.Context<never>,
  write: Fiber.Fiber<A, E>,
  deadline: Duration.Input
): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  Effect.callback((resume) => {
    const slice = Duration.toMillis(Duration.fromInputUnsafe(deadline)) / sliceCount
    let timer: Fiber.Fiber<void>
    const startSlice = (left: number) => {
      timer = forkDetached(context, Effect.sleep(slice))
      timer.addObserver((exit) => {
        // the write has ended
        if (exit._tag === "Failure") return
        if (left > 1) startSlice(left - 1)
        else resume(Effect.undefined)
      })
    }
    startSlice(sliceCount)
    write.addObserver((exit) => {
      timer.interruptUnsafe()
      resume(Effect.succeed(exit))
    })
  })

interface Waiter {
  readonly seq: number
  readonly resume: (effect: Effect.Effect<void, JournalFailed>) => void
}

/** The recorder of one session. */
export class Recorder {
  state: SessionState.SessionState
  failure: JournalFailed | undefined
  readonly signals: Signals
  /**
   * The span that records descend from: that of the last turn, or before the first turn that of the request that makes
   * the session.
   */
  private parentSpan: Tracer.AnySpan | undefined
  /** The running step, whose records descend from its own span. */
  private step: { readonly span: Tracer.AnySpan | undefined } | undefined
  private isClosed = false
  private queue: Array<JournalRecord | Delta> = []
  /** The span that the next write descends from: that of the first of its records (contract O1). */
  private writeParent: Tracer.AnySpan | undefined
  private durable: number
  private isBusy = false
  /** The fibers that wait, in the order of the records that they wait for. */
  private readonly waiters: Array<Waiter> = []
  private readonly options: RecorderOptions
  private readonly observers: RecorderOptions["observers"]
  /** The observers that threw. */
  private readonly reported = new Set<SessionObserver>()

  constructor(options: RecorderOptions, state: SessionState.SessionState) {
    const { clock, observers, sessionId } = options
    this.options = options
    this.observers = observers
    this.signals = new Signals({ sessionId, clock, observers, onThrow: (one, error) => this.reportThrow(one, error) })
    this.state = state
    this.durable = state.seq
  }

  /**
   * Gives a record its number and its time, folds it into the state, and queues it. After a failure nothing is
   * recorded, and the state stays as it was.
   */
  append(added: NewRecord): KnownRecord {
    const record = this.queueRecord(added)
    this.pump()
    return record
  }

  /**
   * Appends records, and publishes none of them before all are part of the state. So an observer of any of them finds
   * the state after the last one.
   */
  appendAll(added: ReadonlyArray<NewRecord>): void {
    for (const one of added) this.queueRecord(one)
    this.pump()
  }

  private queueRecord(added: NewRecord): KnownRecord {
    const at = this.options.clock.currentTimeMillisUnsafe()
    const record = { ...added, seq: this.state.seq, at } as KnownRecord
    // mutant closed-records-nothing (J5: nothing is recorded after a failure or after the close): drop
    if (this.failure !== undefined || this.isClosed) return record
    this.state = SessionState.apply(this.state, record)
    this.writeParent ??= this.step === undefined ? this.parentSpan : this.step.span
    this.queue.push(record)
    return record
  }

  /** Sets the span that the following records descend from. */
  descendFrom(span: Tracer.AnySpan | undefined): void {
    this.parentSpan = span
    this.step = undefined
  }

  /**
   * Runs a step whose records descend from a span. If the step starts a turn, the records after that descend from the
   * turn.
   */
  runBelow<A>(span: Tracer.AnySpan | undefined, step: () => A): A {
    const before = this.step
    this.step = { span }
    try {
      return step()
    } finally {
      this.step = before
    }
  }

  /** Queues a delta. It is published at once if no record is queued before it. */
  publishDelta(delta: Delta): void {
    if (this.failure !== undefined || this.isClosed) return
    if (this.isBusy || this.queue.length > 0) return void this.queue.push(delta)
    // an observer may cause more events, which every subscriber must get after this one
    this.isBusy = true
    this.publish(delta)
    this.isBusy = false
    if (this.queue.length > 0) this.pump()
  }

  /** Stops recording, because the session is about to close its journal. */
  close(): void {
    this.isClosed = true
  }

  /** Waits until everything that was appended before is durable. **Interruption** stops only the wait. */
  get flush(): Effect.Effect<void, JournalFailed> {
    return Effect.suspend(() => this.whenDurable())
  }

  /** Waits as {@link flush} does, for everything that is appended at this moment. */
  whenDurable(): Effect.Effect<void, JournalFailed> {
    if (this.failure !== undefined) return Effect.fail(this.failure)
    const seq = this.state.seq
    if (this.durable >= seq) return Effect.void
    const { signals } = this
    const wait = this.awaitSeq(seq)
    if (!signals.isMeasuring) return wait
    const from = signals.nowNanos()
    return Effect.ensuring(
      wait,
      Effect.sync(() => signals.emit({ _tag: "Flushed", millis: signals.millisSince(from) }))
    )
  }

  /** True if a flush would have to wait now. */
  get isBehind(): boolean {
    return this.failure === undefined && this.durable < this.state.seq
  }

  private awaitSeq(seq: number): Effect.Effect<void, JournalFailed> {
    return Effect.callback<void, JournalFailed>((resume) => {
      // checked again atomically with the registration: in between the last write may have ended and woken no waiter
      if (this.failure !== undefined) return resume(Effect.fail(this.failure))
      // mutant check-record-and-wait (P2: a fiber that waits for a record checks it atomically with
      //   registration):
      //   drop
      if (this.durable >= seq) return resume(Effect.void)
      const waiter = { seq, resume }
      const { waiters } = this
      waiters.push(waiter)
      return Effect.sync(() => {
        const index = waiters.indexOf(waiter)
        if (index >= 0) waiters.splice(index, 1)
      })
    })
  }

  private pump(): void {
    if (this.isBusy || this.queue.length === 0) return
    this.isBusy = true
    if (this.options.writer.coalesces === true) {
      return this.detach(Effect.flatMap(Effect.yieldNow, () => this.drain() ?? Effect.void))
    }
    const rest = this.drain()
    if (rest !== undefined) this.detach(rest)
  }

  /**
   * Writes and publishes the queue, batch by batch, while no write has to wait. Returns the rest of the work, which
   * needs a fiber.
   */
  private drain(): Effect.Effect<void> | undefined {
    while (this.queue.length > 0 && this.failure === undefined) {
      const batch = this.queue
      this.queue = []
      const records = batch.some(isDelta)
        ? batch.filter((one): one is JournalRecord => !isDelta(one))
        : (batch as Array<JournalRecord>)
      const from =
        this.options.writer.coalesces === true && this.signals.isMeasuring ? this.signals.nowNanos() : undefined
      // mutant write-then-publish (J1: an event is published after its record is in the journal):
      //   insert: for (const event of batch) this.publish(event)
      const written = records.length === 0 ? Exit.void : this.write(records)
      if (!Exit.isExit(written)) {
        return Effect.flatMap(written, (exit) => {
          this.finish(batch, records, { exit, from })
          return this.drain() ?? Effect.void
        })
      }
      this.finish(batch, records, { exit: written, from })
    }
    this.isBusy = false
    return undefined
  }

  private finish(
    batch: ReadonlyArray<JournalRecord | Delta>,
    records: ReadonlyArray<JournalRecord>,
    { exit, from }: { readonly exit: Exit.Exit<void, JournalFailed>; readonly from: bigint | undefined }
  ): void {
    if (exit._tag === "Failure") return this.fail(this.errorOf(exit.cause))
    // a cheap write is not measured, because reading the clock would cost as much
    if (from !== undefined && records.length > 0) {
      this.signals.emit({ _tag: "Appended", recordsCount: records.length, millis: this.signals.millisSince(from) })
    }
    this.durable = records.at(-1) === undefined ? this.durable : records.at(-1)!.seq + 1
    // mutant write-then-publish (J1): drop
    for (const event of batch) this.publish(event)
    this.wake()
  }

  /**
   * Writes one batch within the deadline (contract S2). Returns the exit itself if the write did not have to wait: a
   * journal in memory then costs no fiber and no step (decision 24).
   */
  private write(
    records: ReadonlyArray<JournalRecord>
  ): Exit.Exit<void, JournalFailed> | Effect.Effect<Exit.Exit<void, JournalFailed>> {
    const { context, deadline, sessionId, writer } = this.options
    const parent = this.writeParent
    this.writeParent = undefined
    // in its own fiber, because a write that hangs cannot be interrupted, only abandoned
    const fiber = forkDetached(
      parent === undefined ? context : Context.add(context, Tracer.ParentSpan, parent),
      Effect.suspend(() => writer.append(records))
    )
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return exit
    return Effect.map(
      awaitInTime(context, fiber, deadline),
      (ended) =>
        ended ??
        Exit.fail(new JournalFailed({ sessionId, operation: "append", detail: "the write did not end in time" }))
    )
  }

  /** Returns the error of a write. A journal that dies counts as one that failed. */
  private errorOf(cause: Cause.Cause<JournalFailed>): JournalFailed {
    const error = Cause.squash(cause)
    if (error instanceof JournalFailed) return error
    return new JournalFailed({ sessionId: this.options.sessionId, operation: "append", cause: error })
  }

  private detach(effect: Effect.Effect<void>): void {
    forkDetached(this.options.context, effect, { uninterruptible: true })
  }

  private wake(): void {
    const { waiters } = this
    while (waiters.length > 0 && waiters[0]!.seq <= this.durable) waiters.shift()!.resume(Effect.void)
  }

  private publish(event: SessionEvent): void {
    this.observe(event)
    this.options.subscribers.publish(event)
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

  /** Reports an observer that throws, once. The observer loses that event or signal only. */
  private reportThrow(observer: SessionObserver, error: unknown): void {
    if (this.reported.has(observer)) return
    this.reported.add(observer)
    this.append({ _tag: "Warning", message: `an observer of the session threw: ${textOf(error)}` })
  }

  private fail(error: JournalFailed): void {
    this.failure = error
    this.isBusy = false
    this.queue = []
    const event = { _tag: "SessionFailed", sessionId: this.options.sessionId, message: error.message } as const
    // subscribers first, because an observer of the failure, or of the end of the turn, may close the session and end
    // the streams
    this.options.subscribers.publish(event)
    this.observe(event)
    this.options.subscribers.end()
    this.options.onFailure(error)
    // waiters last, so that a waiter finds a session that has failed and a turn that its owner has ended
    for (const waiter of this.waiters.splice(0)) waiter.resume(Effect.fail(error))
  }
}
