/** A model request with other items than the history (contract I2, I6, I7, J8). */
import { assert, describe, it } from "@effect/vitest"
import type { ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import { Model } from "@spindle/core/Model"
import { isDelta } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { type Sampled, Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Fiber } from "effect"
import { assertTurns } from "../../fixtures/turns.ts"

const items: ReadonlyArray<Item> = [
  { _tag: "UserMessage", id: "q" as ItemId, content: [{ _tag: "Text", text: "sum it up" }], fragment: "question" },
  { _tag: "ToolCall", id: "c" as ItemId, callId: "open" as never, name: "work", params: {} }
]
const request = { instructions: "Be brief.", tools: [], output: undefined, items }

const asking = Task.make(
  "asking",
  Effect.flatMap(Turn, (turn) => turn.sample(request, 1, () => Effect.die("a call of an aside request")))
)

const start = Effect.fnUntraced(function* (harness: Harness.SessionHarness, task: typeof asking = asking) {
  return yield* Effect.provideService(harness.session.start(task), Model, harness.model.model)
})

describe("a request aside", () => {
  it.effect("J8 I7 leaves only its usage: no item, no text, no call", () =>
    Effect.gen(function* () {
      const answer = [
        ...ScriptedModel.reasoning("hm"),
        ...ScriptedModel.text("a ", "sum"),
        ScriptedModel.call("work", {}, "c"),
        ScriptedModel.finish({ input: 40, output: 4, total: 44 })
      ]
      const harness = yield* Harness.make({ script: [answer] })
      const outcome = yield* (yield* start(harness)).outcome
      assert.strictEqual(outcome._tag, "Completed")
      assert.strictEqual(outcome._tag === "Completed" && (outcome.value as Sampled).text, "a sum")
      assert.deepStrictEqual(harness.tags(), [
        "SessionStarted",
        "TurnStarted",
        "ModelRequested",
        "ModelResponded",
        "TurnCompleted"
      ])
      assert.isFalse(harness.events.some(isDelta))
      const { items: history, usage } = yield* harness.session.snapshot
      assert.deepStrictEqual(history, [])
      assert.strictEqual(usage.total, 44)
      assert.deepInclude(harness.records()[2], { aside: true })
      assertTurns(harness.events)
    })
  )

  it.effect("I6 carries its items, with calls and results paired, and its own instructions", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[ScriptedModel.text("done")]], instructions: "You are an agent." })
      yield* (yield* start(harness)).outcome
      const [sent] = harness.requests
      assert.deepStrictEqual(
        sent!.items.map((item) => item._tag),
        ["UserMessage", "ToolCall", "ToolResult"]
      )
      assert.deepInclude(sent, { instructions: "Be brief.", tools: [] })
    })
  )

  it.effect("I7 counts its text when it is aborted or reports no usage", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [[...ScriptedModel.pieces("x".repeat(400)), ScriptedModel.gate("g")]]
      })
      const running = yield* start(harness)
      const ended = yield* Effect.forkChild(running.outcome)
      yield* harness.model.awaitGate("g")
      yield* harness.session.abort()
      assert.strictEqual((yield* Fiber.join(ended))._tag, "Aborted")
      const responded = harness.records().find((record) => record._tag === "ModelResponded")
      assert.deepInclude(responded, { finish: "aborted", estimated: true })
      assert.strictEqual(responded?._tag === "ModelResponded" && responded.usage.output, 100)
      const { items: history } = yield* harness.session.snapshot
      assert.isFalse(history.some((item) => item._tag === "AssistantMessage"))
      assertTurns(harness.events)
    })
  )
})
