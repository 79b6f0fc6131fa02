import { assert, describe, it } from "@effect/vitest"
import type { JournalWriter } from "@spindle/core/Journal"
import type { ItemId, SessionId } from "@spindle/core/Ids"
import { JournalFailed } from "@spindle/core/SessionError"
import type { Delta, JournalRecord, SessionEvent } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import { Clock, Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Recorder } from "../../../src/internal/log/recorder.ts"
import { Subscribers } from "../../../src/internal/log/subscribers.ts"
import { sessionId, started, turn, warning } from "../../fixtures/records.ts"

/** A recorder over a journal of a test. */
const make = Effect.fnUntraced(function* (
  append: (records: ReadonlyArray<JournalRecord>) => Effect.Effect<void, JournalFailed>,
  observe?: (event: SessionEvent) => void
) {
  const written: Array<JournalRecord> = []
  const batches: Array<number> = []
  const told: Array<SessionEvent> = []
  const failures: Array<JournalFailed> = []
  const writer: JournalWriter = {
    opened: { records: [], cutBytes: 0, cutFile: undefined },
    append: (records) => {
      batches.push(records.length)
      return Effect.andThen(
        append(records),
        Effect.sync(() => void written.push(...records))
      )
    },
    read: (from, limit) => Effect.sync(() => written.slice(from, from + limit))
  }
  const subscribers = new Subscribers(512, 0)
  const options = {
    sessionId,
    writer,
    context: yield* Effect.context<never>(),
    clock: yield* Clock.Clock,
    deadline: "10 seconds",
    subscribers,
    observers: [
      {
        onEvent: (_: SessionId, event: SessionEvent) => {
          if (observe === undefined) told.push(event)
          else observe(event)
        }
      }
    ],
    onFailure: (error: JournalFailed) => void failures.push(error)
  } as const
  const recorder = new Recorder(options, SessionState.empty)
  recorder.append(started)
  return { recorder, subscribers, writer, written, batches, told, failures }
})

/** An append that waits for a gate, except for the first batch. */
const gated = Effect.map(Deferred.make<void>(), (gate) => {
  let first = true
  return {
    append: () => {
      if (first) {
        first = false
        return Effect.void
      }
      return Deferred.await(gate)
    },
    open: Deferred.succeed(gate, undefined)
  }
})

const broken = new JournalFailed({ sessionId, operation: "append", detail: "disk full" })
/** An append that works for the first batch, and then does something else. */
const then = (next: () => Effect.Effect<void, JournalFailed>) => {
  let first = true
  return () => {
    if (!first) return next()
    first = false
    return Effect.void
  }
}

const delta = (offset: number, text: string): Delta => ({
  _tag: "TextDelta",
  turnId: turn("t"),
  itemId: "0.0" as ItemId,
  offset,
  text
})

const said = (events: ReadonlyArray<SessionEvent>) =>
  events.map((event) => (event._tag === "Warning" ? event.message : "text" in event ? event.text : event._tag))

describe("append", () => {
  it.effect("J1 publishes a record only after it was written", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { recorder, told, written } = yield* make(gate.append)
      recorder.append(warning("a"))
      assert.deepStrictEqual(said(told), ["SessionStarted"])
      assert.lengthOf(written, 1)
      yield* gate.open
      yield* recorder.flush
      assert.deepStrictEqual(said(told), ["SessionStarted", "a"])
      assert.lengthOf(written, 2)
    })
  )

  it.effect("numbers without holes, dates with the clock, and folds at once", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { recorder } = yield* make(gate.append)
      yield* TestClock.adjust("3 seconds")
      const records = [recorder.append(warning("a")), recorder.append(warning("b"))]
      assert.deepStrictEqual(
        records.map(({ at, seq }) => [seq, at]),
        [
          [1, 3_000],
          [2, 3_000]
        ]
      )
      assert.strictEqual(recorder.state.seq, 3)
    })
  )

  it.effect("writes what is appended during a write as one batch after it", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { batches, recorder, told } = yield* make(gate.append)
      for (const message of ["a", "b", "c", "d"]) recorder.append(warning(message))
      assert.deepStrictEqual(batches, [1, 1])
      yield* gate.open
      yield* recorder.flush
      assert.deepStrictEqual(batches, [1, 1, 3])
      assert.deepStrictEqual(said(told).slice(1), ["a", "b", "c", "d"])
    })
  )

  it.effect("records nothing once the session closes its journal", () =>
    Effect.gen(function* () {
      const { recorder, told, written } = yield* make(() => Effect.void)
      recorder.close()
      recorder.append(warning("late"))
      recorder.publishDelta(delta(0, "late"))
      yield* recorder.flush
      assert.deepStrictEqual([written.length, told.length, recorder.state.seq], [1, 1, 1])
    })
  )
})

describe("publishDelta", () => {
  it.effect("publishes a delta at once if no record is queued, and writes nothing", () =>
    Effect.gen(function* () {
      const { batches, recorder, told } = yield* make(() => Effect.void)
      recorder.publishDelta(delta(0, "text"))
      assert.deepStrictEqual(said(told), ["SessionStarted", "text"])
      assert.deepStrictEqual(batches, [1])
    })
  )

  it.effect("keeps a delta in its place between records that are being written", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { recorder, told } = yield* make(gate.append)
      recorder.append(warning("a"))
      recorder.publishDelta(delta(0, "one"))
      recorder.append(warning("b"))
      recorder.publishDelta(delta(3, "two"))
      yield* gate.open
      yield* recorder.flush
      yield* Effect.yieldNow
      assert.deepStrictEqual(said(told).slice(1), ["a", "one", "b", "two"])
    })
  )

  it.effect("keeps the order for every subscriber when an observer causes records and deltas at once", () =>
    Effect.gen(function* () {
      let made: Effect.Success<ReturnType<typeof make>> | undefined
      const observed: Array<SessionEvent> = []
      made = yield* make(
        () => Effect.void,
        (event) => {
          observed.push(event)
          if (event._tag !== "TextDelta" || event.offset > 0) return
          made?.recorder.append(warning("reaction"))
          made?.recorder.publishDelta(delta(3, "two"))
        }
      )
      const subscribed: Array<SessionEvent> = []
      yield* Effect.forkChild(
        Stream.runForEach(made.subscribers.stream(1, made.writer), (event) =>
          Effect.sync(() => void subscribed.push(event))
        ),
        { startImmediately: true }
      )
      made.recorder.publishDelta(delta(0, "one"))
      yield* made.recorder.flush
      yield* Effect.yieldNow
      assert.deepStrictEqual(said(observed).slice(1), ["one", "reaction", "two"])
      assert.deepStrictEqual(said(subscribed), ["one", "reaction", "two"])
    })
  )
})

describe("flush", () => {
  it.effect("returns at once when everything is durable", () =>
    Effect.gen(function* () {
      const { recorder } = yield* make(() => Effect.void)
      const waiting = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      assert.isDefined(waiting.pollUnsafe())
    })
  )

  it.effect("waits for the records before it, and not for later ones", () =>
    Effect.gen(function* () {
      const gates = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let index = -1
      const { recorder } = yield* make(() => {
        const gate = gates[index++]
        return gate === undefined ? Effect.void : Deferred.await(gate)
      })
      recorder.append(warning("a"))
      const first = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      recorder.append(warning("b"))
      const second = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      assert.isUndefined(first.pollUnsafe())
      yield* Deferred.succeed(gates[0]!, undefined)
      yield* Fiber.join(first)
      assert.isUndefined(second.pollUnsafe())
      yield* Deferred.succeed(gates[1]!, undefined)
      yield* Fiber.join(second)
    })
  )

  it.effect("can be interrupted, and other fibers keep waiting", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { recorder } = yield* make(gate.append)
      recorder.append(warning("a"))
      const left = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      const staying = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      yield* Fiber.interrupt(left)
      assert.isUndefined(staying.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(staying)
    })
  )
})

describe("a journal that fails", () => {
  const ways: ReadonlyArray<readonly [string, () => Effect.Effect<void, JournalFailed>]> = [
    ["fails", () => Effect.fail(broken)],
    ["dies", () => Effect.die(new Error("a bug"))],
    ["is interrupted", () => Effect.interrupt],
    [
      "throws",
      () => {
        throw new Error("not an effect")
      }
    ],
    ["fails later", () => Effect.andThen(Effect.yieldNow, Effect.fail(broken))],
    ["dies later", () => Effect.andThen(Effect.yieldNow, Effect.die(new Error("a bug")))],
    ["is interrupted later", () => Effect.andThen(Effect.yieldNow, Effect.interrupt)]
  ]

  it.effect.each(ways)(
    "J5 that %s fails the flushes that wait, once and with its type, and publishes nothing of the batch",
    (way) =>
      Effect.gen(function* () {
        const { failures, recorder, told, written } = yield* make(then(way[1]))
        recorder.append(warning("lost"))
        const errors = yield* Effect.all([Effect.flip(recorder.flush), Effect.flip(recorder.flush)])
        assert.isTrue(errors.every((error) => error instanceof JournalFailed && error.operation === "append"))
        assert.deepStrictEqual(failures, [errors[0]])
        assert.deepStrictEqual(said(told), ["SessionStarted", "SessionFailed"])
        assert.lengthOf(written, 1)
      })
  )

  it.effect("J5 keeps the cause of a journal that died", () =>
    Effect.gen(function* () {
      const { recorder } = yield* make(then(() => Effect.die(new Error("a bug"))))
      recorder.append(warning("lost"))
      const error = yield* Effect.flip(recorder.flush)
      assert.strictEqual((error.cause as Error).message, "a bug")
    })
  )

  it.effect("J5 records and publishes nothing more, and leaves the state unchanged", () =>
    Effect.gen(function* () {
      const { batches, recorder, told } = yield* make(then(() => Effect.fail(broken)))
      recorder.append(warning("lost"))
      yield* Effect.flip(recorder.flush)
      const { seq } = recorder.state
      recorder.append(warning("later"))
      recorder.publishDelta(delta(0, "later"))
      assert.instanceOf(yield* Effect.flip(recorder.flush), JournalFailed)
      assert.strictEqual(recorder.state.seq, seq)
      assert.deepStrictEqual(batches, [1, 1])
      assert.deepStrictEqual(said(told), ["SessionStarted", "SessionFailed"])
    })
  )

  it.effect("J5 S2 that hangs fails at the deadline, and a late end changes nothing", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const { failures, recorder, told } = yield* make(gate.append)
      recorder.append(warning("lost"))
      const waiting = yield* Effect.forkChild(Effect.flip(recorder.flush), { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const error = yield* Fiber.join(waiting)
      assert.strictEqual(error.detail, "the write did not end in time")
      assert.deepStrictEqual(failures, [error])
      yield* gate.open
      yield* Effect.yieldNow
      assert.deepStrictEqual(said(told), ["SessionStarted", "SessionFailed"])
    })
  )

  it.effect("J5 S2 that hangs in an uninterruptible region fails at the deadline as well", () =>
    Effect.gen(function* () {
      const { recorder } = yield* make(then(() => Effect.uninterruptible(Effect.never)))
      recorder.append(warning("lost"))
      const waiting = yield* Effect.forkChild(Effect.flip(recorder.flush), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.instanceOf(yield* Fiber.join(waiting), JournalFailed)
    })
  )

  it.effect("J5 S2 whose timers fire late, because the thread was blocked, has more time", () =>
    Effect.gen(function* () {
      const gate = yield* gated
      const timers: Array<Deferred.Deferred<void>> = []
      const sleep = () =>
        Effect.suspend(() => {
          const timer = Deferred.makeUnsafe<void>()
          timers.push(timer)
          return Deferred.await(timer)
        })
      const clock = { ...(yield* Clock.Clock), sleep }
      const { failures, recorder } = yield* Effect.provideService(make(gate.append), Clock.Clock, clock)
      recorder.append(warning("slow"))
      const waiting = yield* Effect.forkChild(recorder.flush, { startImmediately: true })
      // however late the first timer fires: more than the deadline may have passed while the thread was blocked
      yield* Deferred.succeed(timers[0]!, undefined)
      yield* Effect.yieldNow
      assert.deepStrictEqual(failures, [])
      yield* gate.open
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(failures, [])
    })
  )

  it.effect("J5 S2 ends the streams with SessionFailed, after everything that was written", () =>
    Effect.gen(function* () {
      const { recorder, subscribers, writer } = yield* make(then(() => Effect.fail(broken)))
      const stream = yield* Effect.forkChild(Stream.runCollect(subscribers.stream(0, writer)), {
        startImmediately: true
      })
      recorder.append(warning("lost"))
      assert.deepStrictEqual(said(yield* Fiber.join(stream)), ["SessionStarted", "SessionFailed"])
      const late = yield* Stream.runCollect(subscribers.stream(1, writer))
      assert.deepStrictEqual(said(late), ["SessionFailed"])
    })
  )
})

describe("an observer that throws", () => {
  it.effect("is reported once as a warning, and called with every later event", () =>
    Effect.gen(function* () {
      let calls = 0
      const { recorder, written } = yield* make(
        () => Effect.void,
        () => {
          calls++
          throw new Error("broken observer")
        }
      )
      recorder.append(warning("a"))
      recorder.publishDelta(delta(0, "text"))
      recorder.append(warning("b"))
      yield* recorder.flush
      assert.strictEqual(calls, 5)
      const [, ...messages] = said(written)
      assert.lengthOf(messages, 3)
      assert.lengthOf(
        messages.filter((message) => message.includes("broken observer")),
        1
      )
    })
  )

  it.effect("S2 is reported even if what it throws cannot be read", () =>
    Effect.gen(function* () {
      const { recorder, written } = yield* make(
        () => Effect.void,
        () => {
          throw {
            get message(): string {
              throw new Error("unreadable")
            },
            toString: () => {
              throw new Error("unreadable")
            }
          }
        }
      )
      recorder.append(warning("a"))
      yield* recorder.flush
      assert.lengthOf(written, 3)
    })
  )

  it.effect("at the failure of the session changes nothing", () =>
    Effect.gen(function* () {
      const { recorder, failures } = yield* make(
        then(() => Effect.fail(broken)),
        (event) => {
          if (event._tag === "SessionFailed") throw new Error("broken observer")
        }
      )
      recorder.append(warning("lost"))
      yield* Effect.flip(recorder.flush)
      assert.deepStrictEqual(failures, [broken])
    })
  )
})
