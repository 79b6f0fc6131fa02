import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import { SessionObserver } from "@spindle/core/SessionObserver"
import type { ItemId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import { isDelta, isRecord, isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Session from "@spindle/core/Session"
import * as Task from "@spindle/core/Task"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Cause, Deferred, Effect, Exit, Fiber, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { heldAt, journalWith } from "./fixtures/journals.ts"
import { send } from "./fixtures/submissions.ts"
import { warningsOf } from "./fixtures/turns.ts"

/** Collects the events of a session in a separate fiber until they end. */
const collect = Effect.fnUntraced(function* (session: Session.Session, options?: { readonly from?: number }) {
  const events: Array<SessionEvent> = []
  const fiber = yield* Effect.forkChild(
    Stream.runForEach(session.events(options), (event) => Effect.sync(() => void events.push(event))),
    { startImmediately: true }
  )
  return { events, fiber }
})

/**
 * Collects the events of a session once `goOn` has run: until then the subscriber is still processing its first event.
 */
const collectSlowly = Effect.fnUntraced(function* (session: Session.Session) {
  const gate = yield* Deferred.make<void>()
  const events: Array<SessionEvent> = []
  yield* Effect.forkChild(
    Stream.runForEach(session.events(), (event) => Effect.map(Deferred.await(gate), () => void events.push(event))),
    { startImmediately: true }
  )
  return { events, resume: Effect.andThen(Deferred.succeed(gate, undefined), Effect.yieldNow) }
})

/** Joins the deltas of each item into its text; fails on a gap or an overlap. */
const textsOf = (events: ReadonlyArray<SessionEvent>): ReadonlyMap<string, string> => {
  const texts = new Map<string, string>()
  for (const event of events) {
    if (event._tag !== "TextDelta" && event._tag !== "ReasoningDelta") continue
    const before = texts.get(event.itemId) ?? ""
    assert.strictEqual(event.offset, before.length, `a delta of ${event.itemId} does not follow`)
    texts.set(event.itemId, before + event.text)
  }
  return texts
}

/**
 * Checks what holds for each subscriber: no record is missing, text is in its place, deltas come before the record of
 * their item.
 */
const assertWhole = (events: ReadonlyArray<SessionEvent>, from = 0): void => {
  assert.deepStrictEqual(
    events.filter(isRecord).map((record) => record.seq),
    events.filter(isRecord).map((_, index) => from + index)
  )
  textsOf(events)
  const recorded = new Set<ItemId>()
  for (const event of events) {
    if (event._tag === "ItemRecorded") recorded.add(event.item.id)
    if (event._tag === "TextDelta") assert.isFalse(recorded.has(event.itemId), "a delta after its item")
  }
}

const words = Array.from({ length: 200 }, (_, index) => `word${index} `)

describe("events", () => {
  it.effect("W2 give a subscriber everything from the first record, in order, with deltas in their place", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.reasoning("hm"), Model.text("a", "b", "c")]] })
      const { events } = yield* collect(harness.session)
      yield* harness.run("go")
      yield* Effect.yieldNow
      assert.deepStrictEqual(events, harness.events)
      assertWhole(events)
    })
  )

  it.effect("W2 continue from the last number that a client saw", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.text("a")], [Model.text("b")]] })
      yield* harness.run("one")
      const first = yield* Stream.runCollect(Stream.take(harness.session.events(), 4))
      const last = first.findLast(isRecord)!.seq
      const rest = yield* collect(harness.session, { from: last + 1 })
      yield* harness.run("two")
      yield* Effect.yieldNow
      const records = [...first, ...rest.events].filter(isRecord)
      assert.deepStrictEqual(records, harness.records())
    })
  )

  it.effect("W2 begin with the first record for a number that is none", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.text("a")]] })
      const { events } = yield* collect(harness.session, { from: Number("not a number") })
      yield* harness.run("one")
      yield* Effect.yieldNow
      assert.deepStrictEqual(events, harness.events)
    })
  )

  it.effect("W2 give a late subscriber the text of an open item from its beginning, then the rest", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [[Model.pieces("one ", "two "), Model.gate("half"), Model.pieces("three")]]
      })
      yield* harness.submit("go")
      yield* harness.model.awaitGate("half")
      const { events } = yield* collect(harness.session)
      yield* Effect.yieldNow
      const { seq } = yield* harness.session.snapshot
      const late = yield* collect(harness.session, { from: seq })
      yield* Effect.yieldNow
      assert.deepStrictEqual([...textsOf(events).values()], ["one two "])
      assert.deepStrictEqual([...textsOf(late.events).values()], ["one two "])
      yield* harness.model.open("half")
      yield* harness.session.awaitIdle
      yield* Effect.yieldNow
      assert.deepStrictEqual([...textsOf(events).values()], ["one two three"])
      assert.deepStrictEqual([...textsOf(late.events).values()], ["one two three"])
      assertWhole(events)
      assertWhole(late.events, seq)
    })
  )

  it.effect(
    "W2 give no text twice, or too early, to a subscriber that arrives while an earlier record is being written",
    () =>
      Effect.gen(function* () {
        const reached = yield* Deferred.make<void>()
        const opened = yield* Deferred.make<void>()
        const journal = yield* journalWith((append, records) =>
          records.some((record) => record._tag === "ItemRecorded" && record.item._tag === "Reasoning")
            ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.andThen(Deferred.await(opened), append))
            : append
        )
        const harness = yield* Harness.make({
          journal,
          script: [[Model.reasoning("hm"), Model.pieces("one ", "two "), Model.gate("half"), Model.pieces("three")]]
        })
        yield* Effect.forkChild(harness.submit("go"))
        yield* harness.model.awaitGate("half")
        const { events } = yield* collect(harness.session)
        yield* Effect.yieldNow
        yield* Deferred.succeed(opened, undefined)
        yield* harness.model.open("half")
        yield* harness.session.awaitIdle
        yield* Effect.yieldNow
        assertWhole(events)
        assert.isTrue([...textsOf(events).values()].includes("one two three"))
        const reasoned = events.findIndex((event) => event._tag === "ItemRecorded" && event.item._tag === "Reasoning")
        assert.isTrue(reasoned < events.findIndex((event) => event._tag === "TextDelta"))
      })
  )

  it.effect("W2 lose nothing for a slow subscriber: every record, text in larger pieces, the terminal event", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        config: { subscriberCapacity: 4 },
        script: [[Model.text(...words), Model.call("tool", {}, "c1")], [Model.text(...words)]],
        tools: { tool: { run: () => Effect.succeed("ok") } }
      })
      const { events, resume } = yield* collectSlowly(harness.session)
      yield* harness.run("go")
      yield* resume
      assert.deepStrictEqual(events.filter(isRecord), harness.records())
      assert.strictEqual(events.filter(isTerminal).length, 1)
      assertWhole(events)
      assert.isTrue(events.filter(isDelta).length < 20)
    })
  )

  it.effect("W2 give a slow subscriber the complete text of an item that is still open", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        config: { subscriberCapacity: 4 },
        script: [[Model.text(...words), Model.call("tool", {}, "c1"), Model.pieces(...words), Model.gate("open")]],
        tools: { tool: { run: () => Effect.never } }
      })
      const { events, resume } = yield* collectSlowly(harness.session)
      yield* harness.submit("go")
      yield* harness.model.awaitGate("open")
      yield* resume
      assertWhole(events)
      assert.strictEqual([...textsOf(events).values()].at(-1), words.join(""))
    })
  )

  it.effect("W2 of a turn do not wait for a subscriber that stopped, hangs or died", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        config: { subscriberCapacity: 2 },
        script: [[Model.text(...words)], [Model.text(...words)]]
      })
      const hung = yield* Effect.forkChild(
        Stream.runForEach(harness.session.events(), () => Effect.never),
        { startImmediately: true }
      )
      yield* Stream.runDrain(Stream.take(harness.session.events(), 1))
      yield* Effect.exit(Stream.runForEach(harness.session.events(), () => Effect.die("broken subscriber")))
      const other = yield* collect(harness.session)
      assert.strictEqual((yield* harness.run("one"))._tag, "TurnCompleted")
      yield* Fiber.interrupt(hung)
      assert.strictEqual((yield* harness.run("two"))._tag, "TurnCompleted")
      yield* Effect.yieldNow
      assert.deepStrictEqual(other.events.filter(isRecord), harness.records())
    })
  )

  it.effect("W2 are the same for two subscribers, of which the second starts in the middle", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [[Model.pieces("one "), Model.gate("half"), Model.pieces("two")]]
      })
      const one = yield* collect(harness.session)
      yield* harness.submit("go")
      yield* harness.model.awaitGate("half")
      const two = yield* collect(harness.session)
      yield* harness.model.open("half")
      yield* harness.session.awaitIdle
      yield* Effect.yieldNow
      assert.deepStrictEqual(one.events.filter(isRecord), two.events.filter(isRecord))
      assert.deepStrictEqual(textsOf(one.events), textsOf(two.events))
    })
  )

  it.effect("W2 from a future number start there, with the complete text of what is open then", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [
          [
            Model.pieces("one "),
            Model.gate("early"),
            Model.call("tool", {}, "c1"),
            Model.gate("half"),
            Model.pieces("two")
          ]
        ],
        tools: { tool: { run: () => Effect.never } }
      })
      const { seq } = yield* harness.session.snapshot
      // InputAccepted, TurnStarted, ItemRecorded (user), ModelRequested come first, then the call while "one" is open
      const from = seq + 5
      const { events } = yield* collect(harness.session, { from })
      yield* harness.submit("go")
      yield* harness.model.awaitGate("early")
      yield* Effect.yieldNow
      assert.deepStrictEqual(events, [])
      yield* harness.model.open("early")
      yield* harness.model.awaitGate("half")
      yield* Effect.yieldNow
      yield* harness.model.open("half")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      yield* Effect.yieldNow
      assertWhole(events, from)
      assert.deepStrictEqual([...textsOf(events).values()], ["one two"])
    })
  )

  it.effect("W2 keep their order for every subscriber when one of them reacts at once", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [[Model.call("tool", {}, "c1"), Model.pieces("one ", "two"), Model.gate("half")]],
        tools: { tool: { run: () => Effect.succeed("ok"), policy: { approval: "ask" } } }
      })
      const subscriber = yield* collect(harness.session)
      yield* Effect.forkChild(
        Effect.gen(function* () {
          const { questionId } = yield* harness.awaitEvent(Harness.hasTag("QuestionOpened"))
          yield* harness.awaitEvent(Harness.hasTag("TextDelta"))
          yield* harness.session.submit(Op.answer(questionId, { _tag: "Denied" }))
        }),
        { startImmediately: true }
      )
      yield* harness.submit("go")
      yield* harness.model.awaitGate("half")
      yield* Effect.yieldNow
      assert.deepStrictEqual(
        harness.events.slice(-3).map((event) => event._tag),
        ["TextDelta", "QuestionSettled", "TextDelta"]
      )
      assert.deepStrictEqual(subscriber.events, harness.events)
    })
  )

  it.effect("W2 end with the session, for a late subscriber too", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const harness = yield* Effect.provideService(Harness.make({ script: [[Model.text("a")]] }), Scope.Scope, scope)
      const { events, fiber } = yield* collect(harness.session)
      yield* harness.run("go")
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(events, harness.events)
      const late = yield* Stream.runCollect(harness.session.events())
      assert.deepStrictEqual(late.filter(isRecord), harness.records())
    })
  )
})

describe("a journal that fails", () => {
  const broken = (session: string) =>
    new JournalFailed({ sessionId: session as JournalFailed["sessionId"], operation: "append", detail: "disk full" })

  /** A journal whose appends fail from a given record onwards. */
  const failingAt = (tag: string, how: (error: JournalFailed) => Effect.Effect<void, JournalFailed> = Effect.fail) => {
    let failed = false
    return journalWith((append, records) => {
      failed ||= records.some((record) => record._tag === tag)
      return failed ? how(broken("s")) : append
    })
  }

  it.effect("J5 fails the submission that needed it with the typed error, and acknowledges nothing", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ journal: yield* failingAt("InputAccepted") })
      const { events, fiber } = yield* collect(harness.session)
      const error = yield* Effect.flip(harness.submit("go"))
      assert.instanceOf(error, JournalFailed)
      assert.strictEqual(error.detail, "disk full")
      yield* harness.session.awaitIdle
      yield* Fiber.join(fiber)
      assert.deepStrictEqual(
        events.map((event) => event._tag),
        ["SessionStarted", "SessionFailed"]
      )
      assert.strictEqual(harness.requests.length, 0)
    })
  )

  it.effect("J5 S2 fails the turn that needed it with its error, and ends the events with SessionFailed", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ journal: yield* failingAt("TurnCompleted") })
      const { events, fiber } = yield* collect(harness.session)
      const { outcome } = yield* harness.session.start(Task.make("short", Effect.succeed("done")))
      const ended = yield* outcome
      assert.strictEqual(ended._tag, "Failed")
      if (ended._tag === "Failed") assert.instanceOf(Cause.squash(ended.cause), JournalFailed)
      yield* Fiber.join(fiber)
      assert.isFalse(events.some(isTerminal))
      assert.deepStrictEqual(
        events.filter((event) => event._tag === "SessionFailed"),
        events.slice(-1)
      )
      assert.strictEqual((yield* harness.session.snapshot).status, "failed")
    })
  )

  it.effect("J5 S2 rejects every later submission and task, and a late subscriber gets the failure", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ journal: yield* failingAt("InputAccepted") })
      yield* Effect.flip(harness.submit("go"))
      yield* harness.session.awaitIdle
      for (const op of [Op.userInput("again"), Op.interrupt]) {
        const receipt = yield* harness.session.submit(op)
        assert.strictEqual(receipt._tag === "Rejected" ? receipt.reason._tag : undefined, "SessionClosed")
      }
      const ran: Array<string> = []
      const start = harness.session.start(
        Task.make(
          "late",
          Effect.sync(() => void ran.push("late"))
        )
      )
      assert.strictEqual((yield* Effect.flip(start))._tag, "SessionClosed")
      assert.deepStrictEqual(ran, [])
      const late = yield* Stream.runCollect(harness.session.events())
      assert.deepStrictEqual(
        late.map((event) => event._tag),
        ["SessionStarted", "SessionFailed"]
      )
    })
  )

  it.effect("J5 S2 that hangs fails at its deadline, so no caller waits forever", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ journal: yield* failingAt("InputAccepted", () => Effect.never) })
      const submitted = yield* Effect.forkChild(Effect.flip(harness.submit("go")), { startImmediately: true })
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(submitted.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.instanceOf(yield* Fiber.join(submitted), JournalFailed)
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.events.at(-1)?._tag, "SessionFailed")
    })
  )

  it.effect("J5 S2 during a turn stops that turn as failed, not as aborted", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        journal: yield* failingAt("ModelRequested", () => Effect.die(new Error("journal died"))),
        script: [[Model.text("never sent")]]
      })
      const { fiber, events } = yield* collect(harness.session)
      yield* Effect.exit(harness.submit("go"))
      yield* harness.session.awaitIdle
      yield* Fiber.join(fiber)
      assert.strictEqual(harness.requests.length, 0)
      assert.strictEqual(events.at(-1)?._tag, "SessionFailed")
      assert.isFalse(events.some(isTerminal))
    })
  )
})

describe("the observer", () => {
  const observed = (onEvent: (event: SessionEvent) => void) =>
    Effect.gen(function* () {
      const model = Model.make([[Model.text("a", "b")], [Model.text("c")]])
      const journal = yield* Harness.memoryJournal
      const session: Session.Session = yield* Session.make(Agent.make({})).pipe(
        Effect.provideService(SessionObserver, { onEvent: (_, event) => onEvent(event) }),
        Effect.provideService(Journal, journal),
        Effect.provide(model.layer)
      )
      return session
    })

  it.effect("is called with every event, in order, including deltas", () =>
    Effect.gen(function* () {
      const received: Array<SessionEvent> = []
      const session = yield* observed((event) => void received.push(event))
      const { events } = yield* collect(session)
      yield* send(session, "go")
      yield* session.awaitIdle
      yield* Effect.yieldNow
      assert.isTrue(received.some(isDelta))
      assert.deepStrictEqual(received, events)
    })
  )

  it.effect.each(["SessionStarted", "ModelRequested", "TextDelta", "TurnCompleted"] as const)(
    "that throws from %s onwards is reported once as a warning, and misses no event; the turn is not affected",
    (tag) =>
      Effect.gen(function* () {
        const seen: Array<SessionEvent> = []
        const session = yield* observed((event) => {
          seen.push(event)
          if (seen.some((one) => one._tag === tag)) throw new Error("broken observer")
        })
        const { events } = yield* collect(session)
        yield* send(session, "go")
        yield* session.awaitIdle
        yield* send(session, "again")
        yield* session.awaitIdle
        yield* Effect.yieldNow
        assert.deepStrictEqual(seen, events)
        const warnings = warningsOf(events)
        assert.lengthOf(warnings, 1)
        assert.include(warnings[0], "broken observer")
        assert.strictEqual(events.filter((event) => event._tag === "TurnCompleted").length, 2)
        assertWhole(events)
      })
  )
})

describe("a record", () => {
  it.effect("J1 is published only after it was written", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("TurnCompleted")
      const harness = yield* Harness.make({ journal, script: [[Model.text("done")]] })
      const { events } = yield* collect(harness.session)
      yield* Effect.forkChild(harness.submit("go"))
      yield* reached
      yield* Effect.yieldNow
      assert.isFalse(harness.events.some(isTerminal) || events.some(isTerminal))
      yield* open
      yield* harness.session.awaitIdle
      yield* Effect.yieldNow
      assert.isTrue(isTerminal(harness.events.at(-1)!) && isTerminal(events.at(-1)!))
    })
  )
})
