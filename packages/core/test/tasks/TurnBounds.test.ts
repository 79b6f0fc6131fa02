/** The bounds of a turn (contract S10). */
import { assert, describe, it } from "@effect/vitest"
import * as Task from "@spindle/core/Task"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { markersOf, abortedOf, assertTurns, itemsOf } from "../fixtures/turns.ts"

/** A session whose model calls a tool in every response, with other arguments each time. */
const looping = (config: Harness.HarnessOptions["config"], options: Harness.HarnessOptions = {}) =>
  Harness.make({
    script: (_, index) => [
      ...Model.text(`step ${index + 1}`),
      Model.call("look", { index }, `call-${index}`),
      Model.finish({ input: 6, output: 4, total: 10 })
    ],
    tools: { look: { run: () => Effect.succeed("nothing") } },
    config,
    ...options
  })

const runsOf = ({ events }: Pick<Harness.SessionHarness, "events">) =>
  itemsOf(events).flatMap((item) => (item._tag === "ToolResult" ? [item.status] : []))

const stopped = (bound: string, last: string) =>
  `This turn was stopped at its bound of ${bound}. What it did is kept; new input continues from here.\n\nIts last message: ${last}`

describe("a turn that reaches a bound", () => {
  it.effect("S10 sends no more model requests, and hands back one message", () =>
    Effect.gen(function* () {
      const harness = yield* looping({ turnModelRequests: 3 })
      yield* harness.run("go")
      assert.strictEqual(harness.requests.length, 3)
      const { lastMessage, reason } = abortedOf(harness.events)
      assert.deepStrictEqual([reason, lastMessage], ["Budget", stopped("3 model requests", "step 3")])
      const items = itemsOf(harness.events)
      assert.deepStrictEqual(
        items.slice(-2).map((item) => item._tag),
        ["AssistantMessage", "UserMessage"]
      )
      assert.lengthOf(markersOf(items), 1)
      assertTurns(harness.events)
    })
  )

  it.effect("S10 counts each turn for itself", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: () => Model.text("fine"), config: { turnModelRequests: 1 } })
      assert.strictEqual((yield* harness.run("a"))._tag, "TurnCompleted")
      assert.strictEqual((yield* harness.run("b"))._tag, "TurnCompleted")
    })
  )

  it.effect("S10 runs no tool call beyond its bound", () =>
    Effect.gen(function* () {
      const harness = yield* looping({ turnToolCalls: 2 })
      yield* harness.run("go")
      assert.deepStrictEqual(runsOf(harness), ["completed", "completed", "aborted"])
      const { lastMessage, reason } = abortedOf(harness.events)
      assert.deepStrictEqual([reason, lastMessage], ["Budget", stopped("2 tool calls", "step 3")])
      assertTurns(harness.events)
    })
  )

  it.effect("S10 sends no request once its tokens are used", () =>
    Effect.gen(function* () {
      const harness = yield* looping({ turnTokens: 15 })
      yield* harness.run("go")
      assert.strictEqual(harness.requests.length, 2)
      const { lastMessage, reason, usage } = abortedOf(harness.events)
      assert.deepStrictEqual([reason, lastMessage, usage.total], ["Budget", stopped("15 tokens", "step 2"), 20])
    })
  )

  it.effect("S10 ends at its deadline, and the next turn has its own", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ config: { turnDuration: "1 minute" } })
      const { outcome } = yield* harness.session.start(Task.make("never", Effect.never))
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* outcome, { _tag: "Aborted", reason: "Deadline", stragglers: [] })
      const expected = "This turn was stopped at its bound of 1m. What it did is kept; new input continues from here."
      assert.strictEqual(abortedOf(harness.events).lastMessage, expected)
      const quick = yield* harness.session.start(Task.make("quick", Effect.sleep("50 seconds")))
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual((yield* quick.outcome)._tag, "Completed")
      const late = yield* harness.session.start(Task.make("late", Effect.sleep("50 seconds")))
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual((yield* late.outcome)._tag, "Completed")
    })
  )

  it.effect("S10 repeats a long last message only in part", () =>
    Effect.gen(function* () {
      const script = () => [...Model.text("x".repeat(10_000)), Model.call("look", {}, "c")]
      const harness = yield* looping({ turnModelRequests: 1 }, { script })
      yield* harness.run("go")
      assert.isBelow(abortedOf(harness.events).lastMessage!.length, 2_200)
    })
  )
})

describe("a call that fails with the same arguments", () => {
  const repeating = (argumentsOf: (index: number) => unknown, isFine: (index: number) => boolean = () => false) => {
    let ran = 0
    const harness = Harness.make({
      script: (_, index) =>
        index === 5 ? Model.text("given up") : [Model.call("try", argumentsOf(index), `c${index}`)],
      tools: { try: { run: () => Effect.suspend(() => (isFine(ran++) ? Effect.succeed("ok") : Effect.fail("no"))) } },
      config: { identicalFailures: 2 }
    })
    return Effect.map(harness, (made) => ({ ...made, ran: () => ran }))
  }

  it.effect("S10 is not run again after so many failures, and the model gets a notice", () =>
    Effect.gen(function* () {
      const harness = yield* repeating(() => ({ path: "x" }))
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.strictEqual(harness.ran(), 2)
      const outputs = itemsOf(harness.events).flatMap((item) => (item._tag === "ToolResult" ? [item.output] : []))
      assert.strictEqual(outputs[1], "no")
      assert.match(String(outputs[2]), /^try was not run: it has failed 2 times with these arguments/)
    })
  )

  it.effect("S10 runs with other arguments, and again after a call that completed", () =>
    Effect.gen(function* () {
      const others = yield* repeating((index) => ({ index }))
      yield* others.run("go")
      assert.strictEqual(others.ran(), 5)
      const changed = yield* repeating(
        () => ({ path: "x" }),
        (index) => index === 1
      )
      yield* changed.run("go")
      assert.strictEqual(changed.ran(), 4)
    })
  )
})
