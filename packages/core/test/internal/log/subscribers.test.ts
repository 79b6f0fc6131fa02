import { assert, describe, it } from "@effect/vitest"
import type { JournalWriter } from "@spindle/core/Journal"
import type { CallId, ItemId } from "@spindle/core/Ids"
import { JournalFailed } from "@spindle/core/SessionError"
import type { KnownRecord, NewRecord, SessionEvent } from "@spindle/core/SessionEvent"
import { Deferred, Effect, Fiber, Latch, Stream } from "effect"
import { Subscribers } from "../../../src/internal/log/subscribers.ts"
import { numbered, sessionId, started, turn, warning } from "../../fixtures/records.ts"

/** Subscribers of a session in which the test decides what is written and what is published. */
const make = (capacity: number, read?: JournalWriter["read"]) => {
  const written: Array<KnownRecord> = []
  const subscribers = new Subscribers(capacity, 0)
  const writer: JournalWriter = {
    opened: { records: [], cutBytes: 0, cutFile: undefined },
    append: () => Effect.void,
    read: read ?? ((from, limit) => Effect.sync(() => written.slice(from, from + limit)))
  }
  /** Writes records without publishing them, as between the two steps of a recorder. */
  const write = (...records: ReadonlyArray<NewRecord>) => {
    const added = numbered(records, written.length)
    written.push(...added)
    return added
  }
  const publish = (...events: ReadonlyArray<SessionEvent>) => {
    for (const event of events) subscribers.publish(event)
  }
  const record = (...records: ReadonlyArray<NewRecord>) => publish(...write(...records))
  return { subscribers, writer, write, publish, record }
}

/** A subscriber that takes one event at a time, when the test allows it. */
const subscribe = Effect.fnUntraced(function* ({ subscribers, writer }: ReturnType<typeof make>, from = 0) {
  const events: Array<SessionEvent> = []
  const latch = yield* Latch.make(false)
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(subscribers.stream(from, writer), (event) =>
      Effect.map(latch.await, () => void events.push(event))
    ),
    { startImmediately: true }
  )
  return { events, fiber, go: Effect.andThen(latch.open, Effect.yieldNow), stop: latch.close }
})

const text = (offset: number, value: string, item = "0.1"): SessionEvent => ({
  _tag: "TextDelta",
  turnId: turn("t"),
  itemId: item as ItemId,
  offset,
  text: value
})

const output = (offset: number, value: string): SessionEvent => ({
  _tag: "ToolOutput",
  turnId: turn("t"),
  callId: "c" as CallId,
  offset,
  text: value
})

const message = (value: string, item = "0.1"): NewRecord => ({
  _tag: "ItemRecorded",
  turnId: turn("t"),
  item: { _tag: "AssistantMessage", id: item as ItemId, text: value }
})

const failed: SessionEvent = { _tag: "SessionFailed", sessionId, message: "disk full" }

const labelsOf = (events: ReadonlyArray<SessionEvent>) =>
  events.map((event) => {
    if (event._tag === "Warning") return event.message
    if (event._tag === "ItemRecorded") return event.item.id as string
    return "text" in event ? `${event.offset}:${event.text}` : event._tag
  })

describe("a subscriber that keeps up", () => {
  it.effect("gets every event when it is published", () =>
    Effect.gen(function* () {
      const session = make(8)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      yield* go
      session.publish(text(0, "a"))
      session.record(warning("one"))
      session.publish(text(1, "b"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(labelsOf(events), ["SessionStarted", "0:a", "one", "1:b"])
    })
  )

  it.effect("starts at the record it asks for", () =>
    Effect.gen(function* () {
      const session = make(8)
      session.record(started, warning("one"), warning("two"))
      const { events, go } = yield* subscribe(session, 2)
      yield* go
      session.record(warning("three"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(labelsOf(events), ["two", "three"])
    })
  )

  it.effect("reads a long past back in pages, and then joins what was published meanwhile without a gap", () =>
    Effect.gen(function* () {
      const session = make(8)
      session.record(started, ...Array.from({ length: 999 }, (_, index) => warning(`${index}`)))
      const { events, fiber, go, stop } = yield* subscribe(session)
      yield* go
      yield* stop
      session.record(warning("while it reads"))
      session.subscribers.end()
      yield* go
      yield* Fiber.join(fiber)
      assert.lengthOf(events, 1_001)
      assert.deepStrictEqual(
        events.map((event) => ("seq" in event ? event.seq : undefined)),
        events.map((_, index) => index)
      )
    })
  )

  it.effect("waits for a future record, and gets no record before it", () =>
    Effect.gen(function* () {
      const session = make(8)
      session.record(started)
      const { events, go } = yield* subscribe(session, 3)
      yield* go
      session.publish(text(0, "a"))
      session.record(warning("one"), warning("two"))
      yield* Effect.yieldNow
      // text that is open where it starts is delivered from its beginning
      assert.deepStrictEqual(labelsOf(events), ["0:a"])
      session.publish(text(1, "b"))
      session.record(warning("three"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(labelsOf(events), ["0:a", "1:b", "three"])
    })
  )
})

describe("a subscriber that arrives while an event is delivered", () => {
  /** Returns what a subscriber gets if it arrives with the first event of another one. */
  const collectLate = Effect.fnUntraced(function* (first: (session: ReturnType<typeof make>) => void) {
    const session = make(8)
    session.record(started)
    const events: Array<SessionEvent> = []
    const { subscribers, writer } = session
    const subscribeLate = Effect.forkDetach(
      Stream.runForEach(subscribers.stream(0, writer), (event) => Effect.sync(() => void events.push(event))),
      { startImmediately: true }
    )
    let hasSubscribed = false
    yield* Effect.forkChild(
      Stream.runForEach(subscribers.stream(1, writer), () => {
        if (hasSubscribed) return Effect.void
        hasSubscribed = true
        return subscribeLate
      }),
      { startImmediately: true }
    )
    first(session)
    session.record(warning("next"))
    return labelsOf(events)
  })

  it.effect("gets that record once", () =>
    Effect.gen(function* () {
      const events = yield* collectLate(({ record }) => record(warning("first")))
      assert.deepStrictEqual(events, ["SessionStarted", "first", "next"])
    })
  )

  it.effect("gets that text once", () =>
    Effect.gen(function* () {
      const events = yield* collectLate(({ publish }) => publish(text(0, "a"), text(1, "b")))
      assert.deepStrictEqual(events, ["SessionStarted", "0:a", "1:b", "next"])
    })
  )
})

describe("a subscriber that falls behind", () => {
  it.effect("reads back the records that did not fit, in order and once", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, fiber, go } = yield* subscribe(session)
      session.record(...Array.from({ length: 600 }, (_, index) => warning(`${index}`)))
      session.subscribers.end()
      yield* go
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(labelsOf(events), [
        "SessionStarted",
        ...Array.from({ length: 600 }, (_, index) => `${index}`)
      ])
    })
  )

  it.effect("holds no more records than its capacity while it is not read; the others are read back", () =>
    Effect.gen(function* () {
      const [capacity, count] = [8, 500]
      let readBack = 0
      const session = make(capacity, (from, limit) =>
        Effect.sync(() => {
          const page = all.slice(from, from + limit)
          readBack += page.length
          return page
        })
      )
      const all = session.write(started, ...Array.from({ length: count }, (_, index) => warning(`${index}`)))
      const { events, fiber, go } = yield* subscribe(session)
      session.publish(all[0]!)
      yield* Effect.yieldNow
      session.publish(...all.slice(1))
      session.subscribers.end()
      yield* go
      yield* Fiber.join(fiber)
      assert.lengthOf(events, count + 1)
      // in addition to those it held, its reader had one record in hand
      assert.isAtLeast(readBack, count - capacity)
    })
  )

  it.effect("holds no more pieces of text than its capacity while it is not read, whatever items they belong to", () =>
    Effect.gen(function* () {
      const capacity = 8
      const session = make(capacity)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      for (let index = 0; index < 200; index++) session.publish(text(index, "a", "0.1"), text(index, "b", "0.2"))
      yield* go
      const texts = events.flatMap((event) => (event._tag === "TextDelta" ? [event] : []))
      // what it held, and the rest of each text in one piece
      assert.isAtMost(texts.length, capacity + 2)
      for (const [item, letter] of [
        ["0.1", "a"],
        ["0.2", "b"]
      ] as const) {
        const whole = texts.flatMap((event) => (event.itemId === item ? [event.text] : [])).join("")
        assert.strictEqual(whole, letter.repeat(200))
      }
    })
  )

  it.effect("gets text in larger pieces", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      for (const [index, value] of [..."abcdef"].entries()) session.publish(text(index, value))
      yield* go
      assert.strictEqual(labelsOf(events).at(-1)?.endsWith("f"), true)
      assert.strictEqual(events.map((event) => (event._tag === "TextDelta" ? event.text : "")).join(""), "abcdef")
      assert.isTrue(events.length < 5)
    })
  )

  it.effect("does not mix the texts of two items", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      for (let index = 0; index < 4; index++) session.publish(text(index, "a", "0.1"), text(index, "b", "0.2"))
      yield* go
      const of = (item: string) =>
        events.map((event) => (event._tag === "TextDelta" && event.itemId === item ? event.text : "")).join("")
      assert.deepStrictEqual([of("0.1"), of("0.2")], ["aaaa", "bbbb"])
    })
  )

  it.effect("gets no text of an item after its record", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      session.record(warning("one"), warning("two"), warning("three"))
      session.publish(text(0, "lost"))
      session.record(message("lost"))
      yield* go
      assert.deepStrictEqual(labelsOf(events), ["SessionStarted", "one", "two", "three", "0.1"])
    })
  )

  it.effect("that has read a record before it was published gets no text out of place", () =>
    Effect.gen(function* () {
      const session = make(8)
      session.record(started, warning("one"))
      const [two, item] = session.write(warning("two"), message("ab"))
      const { events, go } = yield* subscribe(session)
      yield* go
      session.publish(two!, text(0, "a"), text(1, "b"), item!)
      yield* Effect.yieldNow
      session.publish(text(0, "c", "0.2"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(labelsOf(events), ["SessionStarted", "one", "two", "0.1", "0:c"])
    })
  )

  it.effect("loses only output of tools, and the offsets show the gap", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, go } = yield* subscribe(session)
      for (let index = 0; index < 5; index++) session.publish(output(index, "x"))
      session.record(warning("one"))
      yield* go
      session.publish(output(5, "y"))
      yield* Effect.yieldNow
      assert.strictEqual(labelsOf(events).at(-1), "5:y")
      assert.isTrue(labelsOf(events).includes("one"))
    })
  )

  it.effect("fails with the typed error when records cannot be read back", () =>
    Effect.gen(function* () {
      const broken = new JournalFailed({ sessionId, operation: "read" })
      const session = make(2, () => Effect.fail(broken))
      session.record(started)
      const error = yield* Effect.flip(Stream.runDrain(session.subscribers.stream(0, session.writer)))
      assert.strictEqual(error, broken)
    })
  )

  it.effect("gets the records that are left if the journal keeps only its latest ones", () =>
    Effect.gen(function* () {
      const session = make(2, (from) =>
        Effect.sync(() => numbered([warning("eight"), warning("nine")], 8).filter((record) => record.seq >= from))
      )
      session.publish(...numbered([started, ...Array.from({ length: 9 }, (_, index) => warning(`${index}`))]))
      const { events, go } = yield* subscribe(session)
      yield* go
      assert.deepStrictEqual(labelsOf(events), ["eight", "nine"])
    })
  )
})

describe("the end", () => {
  it.effect("comes after everything that was published, even for a subscriber that is behind", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const { events, fiber, go } = yield* subscribe(session)
      session.record(...Array.from({ length: 10 }, (_, index) => warning(`${index}`)))
      session.subscribers.end()
      yield* go
      yield* Fiber.join(fiber)
      assert.lengthOf(events, 11)
    })
  )

  it.effect("of a session that failed is SessionFailed, once, last, for each subscriber and for late ones", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const quick = yield* subscribe(session)
      yield* quick.go
      const slow = yield* subscribe(session)
      session.record(...Array.from({ length: 10 }, (_, index) => warning(`${index}`)))
      session.publish(failed)
      session.subscribers.end()
      yield* slow.go
      yield* Fiber.join(quick.fiber)
      yield* Fiber.join(slow.fiber)
      const late = yield* Stream.runCollect(session.subscribers.stream(10, session.writer))
      const future = yield* Stream.runCollect(session.subscribers.stream(100, session.writer))
      for (const events of [quick.events, slow.events]) {
        assert.lengthOf(events, 12)
        assert.deepStrictEqual(labelsOf(events).slice(-2), ["9", "SessionFailed"])
      }
      assert.deepStrictEqual([labelsOf(late), labelsOf(future)], [["9", "SessionFailed"], ["SessionFailed"]])
    })
  )

  it.effect("of one subscription leaves nothing of it, and the other subscribers continue", () =>
    Effect.gen(function* () {
      const session = make(2)
      session.record(started)
      const ended = yield* Deferred.make<void>()
      const left = yield* Effect.forkChild(
        Stream.runForEach(session.subscribers.stream(0, session.writer), () => Effect.never).pipe(
          Effect.ensuring(Deferred.succeed(ended, undefined))
        ),
        { startImmediately: true }
      )
      const { events, go } = yield* subscribe(session)
      yield* go
      yield* Fiber.interrupt(left)
      yield* Deferred.await(ended)
      assert.strictEqual((session.subscribers as unknown as { all?: ReadonlySet<unknown> }).all?.size, 1)
      session.record(warning("one"))
      yield* Effect.yieldNow
      assert.deepStrictEqual(labelsOf(events), ["SessionStarted", "one"])
    })
  )
})
