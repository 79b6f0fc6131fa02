import { assert, describe, it } from "@effect/vitest"
import type { Stopping } from "@spindle/core/Hooks"
import type { ModelFailed, ModelFailureKind } from "@spindle/core/SessionError"
import { isDelta, type JournalRecord } from "@spindle/core/SessionEvent"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { heldAt, journalWith } from "../fixtures/journals.ts"

const { call, drop, fail, finish, gate, pieces, reasoning, text } = ScriptedModel
type Tagged<Tag extends JournalRecord["_tag"]> = Extract<JournalRecord, { readonly _tag: Tag }>

const of = <Tag extends JournalRecord["_tag"]>(harness: SessionHarness.SessionHarness, tag: Tag) =>
  harness.records().filter((record): record is Tagged<Tag> => record._tag === tag)

const failing = (kind: ModelFailureKind, times: number): ScriptedModel.Script => [
  ...Array.from({ length: times }, () => [fail(kind)]),
  [text("at last")]
]

/** Runs the retries of a turn, one after the other, and checks that each is sent exactly when its delay has passed. */
const throughRetries = Effect.fnUntraced(function* (harness: SessionHarness.SessionHarness, count: number) {
  const delays: Array<number> = []
  for (let index = 0; index < count; index++) {
    yield* harness.awaitEvent(
      (event): event is Tagged<"ModelRetrying"> => of(harness, "ModelRetrying")[index] === event
    )
    const { delayMillis } = of(harness, "ModelRetrying")[index]!
    delays.push(delayMillis)
    yield* TestClock.adjust(delayMillis - 1)
    assert.strictEqual(harness.requests.length, index + 1, "not before the delay has passed")
    yield* TestClock.adjust(1)
    assert.strictEqual(harness.requests.length, index + 2, "as soon as it has")
  }
  yield* harness.session.awaitIdle
  return delays
})

describe("the journal comes first", () => {
  it.effect("J8 a model attempt is recorded before its request is sent", () =>
    Effect.gen(function* () {
      const held = yield* heldAt("ModelRequested")
      const harness = yield* SessionHarness.make({ journal: held.journal, script: [[text("hello")]] })
      yield* Effect.forkChild(harness.submit("hi"))
      yield* held.reached
      yield* TestClock.adjust("1 second")
      assert.strictEqual(harness.requests.length, 0)
      yield* held.open
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.requests.length, 1)
      assert.strictEqual(of(harness, "TurnCompleted")[0]?.lastMessage, "hello")
    })
  )

  it.effect("J8 a tool call is recorded before its handler starts", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const opened = yield* Deferred.make<void>()
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall")
          ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.andThen(Deferred.await(opened), append))
          : append
      )
      let started = 0
      const harness = yield* SessionHarness.make({
        journal,
        script: [[call("work", {}, "a"), gate("open")], [text("done")]],
        tools: { work: { run: () => Effect.sync(() => ++started) } }
      })
      yield* Effect.forkChild(harness.submit("hi"))
      yield* Deferred.await(reached)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(started, 0)
      yield* Deferred.succeed(opened, undefined)
      yield* harness.model.awaitGate("open")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(started, 1)
      yield* harness.model.open("open")
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
    })
  )

  it.effect("J8 a journal that fails before the request leaves it unsent, and the session fails", () =>
    Effect.gen(function* () {
      const held = yield* heldAt("ModelRequested")
      const harness = yield* SessionHarness.make({ journal: held.journal, script: [[text("hello")]] })
      const submitted = yield* Effect.forkChild(harness.submit("hi"))
      yield* held.reached
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(submitted)
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.requests.length, 0)
      assert.strictEqual(harness.events.at(-1)?._tag, "SessionFailed")
    })
  )
})

describe("a turn", () => {
  it.effect("sends instructions, tools and the history, and returns the last text", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        instructions: "be brief",
        script: [
          [...reasoning("hm"), ...text("one ", "moment"), call("work", { n: 1 }, "a")],
          [text("done")],
          [text("more")]
        ],
        tools: { work: { run: () => Effect.succeed("worked") } }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, "done")
      assert.deepStrictEqual(end.usage, { input: 20, cachedInput: 0, output: 4, reasoning: 0, total: 24 })
      yield* harness.run("again")
      const [first, second, third] = harness.requests
      assert.strictEqual(first?.instructions, "be brief")
      assert.deepStrictEqual(
        first?.tools.map((tool) => tool.name),
        ["work"]
      )
      assert.strictEqual(second?.tools, first?.tools, "the same array, as a key of caches")
      assert.deepStrictEqual(
        third?.items.map((item) => item._tag),
        ["UserMessage", "Reasoning", "AssistantMessage", "ToolCall", "ToolResult", "AssistantMessage", "UserMessage"]
      )
      assert.deepStrictEqual(
        of(harness, "ModelResponded").map((record) => record.finish),
        ["tool-calls", "stop", "stop"]
      )
      const deltas = harness.events.filter(isDelta).filter((delta) => delta._tag === "TextDelta")
      assert.deepStrictEqual(
        deltas.slice(0, 2).map((delta) => [delta.offset, delta.text]),
        [
          [0, "one "],
          [4, "moment"]
        ]
      )
      const message = third?.items[2]
      assert.strictEqual(message?._tag === "AssistantMessage" && message.text, "one moment")
      const thought = third?.items[1]
      assert.strictEqual(thought?._tag === "Reasoning" && thought.encrypted, "sealed")
    })
  )

  for (const [reason, warning] of [
    ["length", "cut off at its output limit"],
    ["content-filter", "cut off by the provider's content filter"]
  ] as const) {
    it.effect(`a response that ends by ${reason} is kept, and a warning says so`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make({ script: [[...text("as far as"), finish({ output: 3 }, reason)]] })
        const end = yield* harness.run("hi")
        assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, "as far as")
        assert.include(of(harness, "Warning")[0]?.message, warning)
        assert.strictEqual(of(harness, "ModelResponded")[0]?.finish, reason)
      })
    )
  }
})

describe("retries", () => {
  it.effect("a request that fails is sent again after a delay that doubles, within ten per cent", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: failing("ServerError", 4) })
      yield* harness.submit("hi")
      const delays = yield* throughRetries(harness, 4)
      for (const [index, delay] of delays.entries()) {
        const exact = 200 * 2 ** index
        assert.isAtLeast(delay, exact * 0.9 - 1)
        assert.isAtMost(delay, exact * 1.1 + 1)
      }
      assert.isAbove(new Set(delays.map((delay, index) => delay / 2 ** index)).size, 1, "they vary")
      const end = of(harness, "TurnCompleted")[0]
      assert.strictEqual(end?.lastMessage, "at last")
      assert.deepStrictEqual(
        of(harness, "ModelRetrying").map(({ attempt, detail, kind, maxAttempts }) => [
          attempt,
          maxAttempts,
          kind,
          detail
        ]),
        [1, 2, 3, 4].map((attempt) => [attempt, 4, "ServerError", "scripted ServerError"])
      )
      assert.deepStrictEqual(
        of(harness, "ModelRequested").map((record) => record.attempt),
        [1, 2, 3, 4, 5]
      )
      assert.deepStrictEqual(
        of(harness, "ModelRetrying").map((record) => record.requestId),
        of(harness, "ModelRequested")
          .slice(0, 4)
          .map((record) => record.requestId)
      )
      for (const request of harness.requests) assert.deepStrictEqual(request.items, harness.requests[0]?.items)
    })
  )

  it.effect("the delay that the provider asks for replaces the back-off", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [[fail("RateLimited", 7_000)], [fail("RateLimited", 3)], [text("at last")]]
      })
      yield* harness.submit("hi")
      assert.deepStrictEqual(yield* throughRetries(harness, 2), [7_000, 3])
    })
  )

  it.effect("a schedule gives the delays, is run for requests and streams separately, and ends the attempts", () =>
    Effect.gen(function* () {
      const kinds: Array<ModelFailureKind> = []
      const retrySchedule = Schedule.spaced("3 seconds").pipe(
        Schedule.upTo({ times: 2 }),
        Schedule.passthrough,
        Schedule.setInputType<ModelFailed>(),
        Schedule.tap(({ input }) => Effect.sync(() => kinds.push(input.kind)))
      )
      const harness = yield* SessionHarness.make({
        script: [
          [fail("ServerError")],
          [fail("Disconnected")],
          [fail("RateLimited", 500)],
          [fail("IdleTimeout")],
          [fail("ServerError")]
        ],
        config: { retrySchedule }
      })
      yield* harness.submit("hi")
      assert.deepStrictEqual(yield* throughRetries(harness, 4), [3_000, 3_000, 500, 3_000])
      assert.deepStrictEqual(kinds, ["ServerError", "Disconnected", "RateLimited", "IdleTimeout"])
      assert.strictEqual(of(harness, "TurnFailed")[0]?.error.message, "scripted ServerError")
    })
  )

  for (const kind of ["Connection", "ServerError", "RateLimited"] as const) {
    it.effect(`${kind} uses the attempts of requests, and then fails the turn`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make({
          script: () => [fail(kind)],
          config: { requestRetries: 2, streamRetries: 0 }
        })
        yield* harness.submit("hi")
        yield* throughRetries(harness, 2)
        const end = of(harness, "TurnFailed")[0]
        assert.deepStrictEqual(end?.error, { tag: "ModelFailed", message: `scripted ${kind}` })
        assert.strictEqual(harness.requests.length, 3)
      })
    )
  }

  for (const [name, kind, step] of [
    ["a broken stream", "Disconnected", fail("Disconnected")],
    ["a stream without an end", "Disconnected", drop],
    ["a silent stream", "IdleTimeout", fail("IdleTimeout")]
  ] as const) {
    it.effect(`${name} uses the attempts of streams, and then fails the turn`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make({
          script: () => [...pieces("so"), step],
          config: { requestRetries: 0, streamRetries: 2 }
        })
        yield* harness.submit("hi")
        yield* throughRetries(harness, 2)
        assert.strictEqual(of(harness, "TurnFailed")[0]?.error.tag, "ModelFailed")
        assert.deepStrictEqual(
          of(harness, "ModelRetrying").map((record) => [record.kind, record.maxAttempts]),
          [
            [kind, 2],
            [kind, 2]
          ]
        )
      })
    )
  }

  it.effect("requests and streams are counted separately, and both start again with the next request of the turn", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [
          [fail("ServerError")],
          [drop],
          [call("work", {}, "a")],
          [fail("ServerError")],
          [fail("Disconnected")],
          [text("at last")]
        ],
        tools: { work: { run: () => Effect.succeed("worked") } },
        config: { requestRetries: 1, streamRetries: 1 }
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      for (let count = 0; count < 4; count++) yield* TestClock.adjust("1 second")
      const end = yield* Fiber.join(turn)
      assert.strictEqual(end._tag, "TurnCompleted")
      assert.deepStrictEqual(
        of(harness, "ModelRetrying").map((record) => record.attempt),
        [1, 1, 1, 1]
      )
      assert.deepStrictEqual(
        of(harness, "ModelRequested").map((record) => record.attempt),
        [1, 2, 3, 1, 2, 3]
      )
    })
  )

  for (const kind of [
    "Overloaded",
    "QuotaExceeded",
    "Unauthorized",
    "ContextWindowExceeded",
    "InvalidRequest",
    "InvalidResponse",
    "Incomplete"
  ] as const) {
    it.effect(`${kind} fails the turn at once, and the session continues`, () =>
      Effect.gen(function* () {
        const harness = yield* SessionHarness.make({ script: [[fail(kind)], [text("hello")]] })
        const end = yield* harness.run("hi")
        assert.deepStrictEqual(end._tag === "TurnFailed" && end.error, {
          tag: "ModelFailed",
          message: `scripted ${kind}`
        })
        assert.strictEqual(harness.requests.length, 1)
        assert.deepStrictEqual(of(harness, "ModelRetrying"), [])
        assert.strictEqual((yield* harness.run("again"))._tag, "TurnCompleted")
      })
    )
  }

  it.effect("I7 a request that the provider refused has no usage, and that of one that broke off is estimated", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: [[fail("ServerError")], [drop], [text("at last")]] })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(turn)
      const [refused, broken] = of(harness, "ModelResponded")
      assert.deepStrictEqual([refused?.usage.total, refused?.estimated], [0, undefined])
      assert.isAbove(broken!.usage.input, 0)
      assert.isTrue(broken!.estimated)
    })
  )

  it.effect("text of a broken response stays in the journal as superseded, and is not sent again", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [[...reasoning("hm"), ...pieces("I was ", "about"), drop], [text("whole")], [text("next")]]
      })
      const turn = yield* Effect.forkChild(harness.run("hi"))
      yield* TestClock.adjust("1 second")
      const end = yield* Fiber.join(turn)
      assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, "whole")
      yield* harness.run("again")
      const items = of(harness, "ItemRecorded").map((record) => record.item)
      assert.deepStrictEqual(
        items.flatMap((item) => (item._tag === "AssistantMessage" ? [[item.text, item.partial]] : [])),
        [
          ["I was about", "superseded"],
          ["whole", undefined],
          ["next", undefined]
        ]
      )
      const [broken] = of(harness, "ModelResponded")
      assert.deepStrictEqual([broken?.finish, broken?.estimated], ["failed", true])
      assert.isAbove(broken!.usage.output, 0)
      for (const request of harness.requests.slice(1)) {
        assert.notInclude(JSON.stringify(request.items), "about")
      }
    })
  )

  it.effect(
    "I6 a call that was complete before the response broke gets its result before the request is sent again",
    () =>
      Effect.gen(function* () {
        const finishCall = yield* Deferred.make<void>()
        const started = yield* Deferred.make<void>()
        const harness = yield* SessionHarness.make({
          script: [[call("work", {}, "a"), ...pieces("and"), drop], [text("whole")]],
          tools: {
            work: {
              run: () =>
                Effect.as(Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(finishCall)), "worked")
            }
          }
        })
        const turn = yield* Effect.forkChild(harness.run("hi"))
        yield* Deferred.await(started)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(harness.requests.length, 1)
        assert.deepStrictEqual(of(harness, "ModelRetrying"), [], "the delay begins when the call has ended")
        yield* Deferred.succeed(finishCall, undefined)
        yield* harness.awaitEvent(SessionHarness.hasTag("ModelRetrying"))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(turn)
        assert.deepStrictEqual(
          harness.requests[1]?.items.map((item) => (item._tag === "ToolResult" ? item.output : item._tag)),
          ["UserMessage", "ToolCall", "worked"]
        )
      })
  )

  it.effect("I2 after an abort while a retry waits nothing is sent", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: () => [fail("ServerError")] })
      yield* harness.submit("hi")
      yield* harness.awaitEvent(SessionHarness.hasTag("ModelRetrying"))
      assert.isTrue(yield* harness.session.abort())
      yield* harness.session.awaitIdle
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(harness.requests.length, 1)
      assert.strictEqual(harness.tags().at(-1), "TurnAborted")
    })
  )
})

describe("stop hooks", () => {
  it.effect("the turn continues with the text of the hook, and the hook gets the last message", () =>
    Effect.gen(function* () {
      const seen: Array<Stopping> = []
      const harness = yield* SessionHarness.make({
        script: [[text("one")], [text("two")]],
        hooks: {
          stop: (_, stopping) =>
            Effect.sync(() => (seen.push(stopping) === 1 ? { continueWith: "and the tests?" } : {}))
        }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag === "TurnCompleted" && end.lastMessage, "two")
      assert.deepStrictEqual(seen, [
        { lastMessage: "one", continuations: 0 },
        { lastMessage: "two", continuations: 1 }
      ])
      const last = harness.requests[1]?.items.at(-1)
      assert.strictEqual(last?._tag === "DeveloperMessage" && last.text, "and the tests?")
      assert.strictEqual(of(harness, "TurnStarted").length, 1)
    })
  )

  it.effect("a hook that always continues is asked no more often than its bound", () =>
    Effect.gen(function* () {
      let calls = 0
      const harness = yield* SessionHarness.make({
        script: (_, index) => [text(`${index}`)],
        config: { stopContinuations: 3 },
        hooks: { stop: () => Effect.sync(() => (calls++, { continueWith: "more" })) }
      })
      const end = yield* harness.run("hi")
      assert.strictEqual(end._tag, "TurnCompleted")
      assert.strictEqual(calls, 3)
      assert.strictEqual(harness.requests.length, 4)
    })
  )
})
