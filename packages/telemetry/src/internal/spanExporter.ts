/**
 * Buffers spans for a collector that may be slow or unreachable.
 *
 * Exporting a span costs a push. When the buffer is full, the span is dropped and counted. One fiber sends one batch at
 * a time. A batch that may succeed later stays in the buffer until its attempts are over.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { SpanData } from "../SpanData.ts"

/** The result of sending a batch: sent, refused for good, or to be tried again later. */
export type Sent = "sent" | "refused" | "later"

/** The limits of an exporter, and its function that sends. */
export interface ExporterOptions {
  /** The most spans that wait, including those of the batch that is being sent. */
  readonly capacity: number
  readonly batchSize: number
  /** The longest time that a span waits for a batch to fill. */
  readonly interval: Duration.Duration
  /** The time that closing the exporter may take. */
  readonly shutdownLimit: Duration.Duration
  /**
   * The schedule by which a batch that may succeed later is sent again. When it ends, the batch is refused. Default:
   * {@link retriesFor}.
   */
  readonly retries?: Schedule.Schedule<unknown> | undefined
  readonly send: (batch: ReadonlyArray<SpanData>) => Effect.Effect<Sent>
  readonly onDropped: (count: number, reason: "queue_full" | "refused" | "shutdown") => void
}

const longestWait = Duration.seconds(60)

/**
 * A schedule without an end. The first pause is twice the interval; each later one is twice as long, up to a minute.
 */
const retriesFor = (interval: Duration.Duration): Schedule.Schedule<unknown> =>
  Schedule.min([Schedule.exponential(Duration.times(interval, 2)), Schedule.spaced(longestWait)])

/** Starts an exporter in the current scope. Closing the scope sends the remaining spans, within the limit. */
export const make = Effect.fnUntraced(function* (
  options: ExporterOptions
): Effect.fn.Return<{ readonly push: (span: SpanData) => void; readonly depth: () => number }, never, Scope.Scope> {
  const { batchSize, capacity, interval, onDropped, send, shutdownLimit } = options
  let waiting: Array<SpanData> = []
  const retries = options.retries ?? retriesFor(interval)
  let step: RetryStep | undefined
  /** The pause before the next attempt, if the last one failed. */
  let pause: Duration.Duration | undefined
  const isFull = Latch.makeUnsafe(false)

  // the batch stays at the head of the buffer until its result is known
  const sendBatch = Effect.gen(function* () {
    const count = Math.min(batchSize, waiting.length)
    const sent = yield* send(waiting.slice(0, count))
    if (sent === "later") {
      step ??= yield* Schedule.toStep(retries)
      pause = yield* pauseOf(step(yield* Clock.currentTimeMillis, undefined))
      if (pause !== undefined) return sent
    }
    waiting = waiting.slice(count)
    if (sent !== "sent") onDropped(count, "refused")
    step = pause = undefined
    return sent
  })
  const sendAll = Effect.gen(function* () {
    while (waiting.length > 0) if ((yield* sendBatch) === "later") return
  })
  const work = Effect.forever(
    Effect.gen(function* () {
      // after a failure, a full buffer does not shorten the wait
      yield* pause === undefined ? Effect.timeoutOption(isFull.await, interval) : Effect.sleep(pause)
      isFull.closeUnsafe()
      yield* sendAll
    })
  )
  yield* Effect.addFinalizer(() =>
    Effect.map(Effect.timeoutOption(Effect.interruptible(sendAll), shutdownLimit), () => {
      if (waiting.length > 0) onDropped(waiting.length, "shutdown")
      waiting = []
    })
  )
  yield* Effect.forkScoped(work)
  return {
    push: (span) => {
      if (waiting.length >= capacity) return onDropped(1, "queue_full")
      waiting.push(span)
      if (waiting.length >= batchSize) isFull.openUnsafe()
    },
    depth: () => waiting.length
  }
})

/**
 * Runs a send within a time limit. One that dies counts as refused: the same batch would die again and block those
 * after it.
 */
export const sendWithin = <E>(
  send: Effect.Effect<Sent, E>,
  limit: Duration.Duration,
  onError: (error: E) => Sent
): Effect.Effect<Sent> =>
  Effect.map(
    Effect.exit(
      Effect.timeoutOption(Effect.matchEager(send, { onFailure: onError, onSuccess: (sent) => sent }), limit)
    ),
    (exit) => {
      if (Exit.isFailure(exit)) return Cause.hasDies(exit.cause) ? "refused" : "later"
      return exit.value._tag === "Some" ? exit.value.value : "later"
    }
  )

type RetryPull = Pull.Pull<[unknown, Duration.Duration], never, unknown>
type RetryStep = (now: number, input: unknown) => RetryPull

const pauseOf = (pull: RetryPull): Effect.Effect<Duration.Duration | undefined> =>
  Pull.matchEffect(pull, {
    onSuccess: ([, pause]) => Effect.succeed(pause),
    onFailure: (cause) => Effect.failCause(cause),
    onDone: () => Effect.undefined
  })
