import { assert, describe, it } from "@effect/vitest"
import { Hooks, none } from "@spindle/core/Hooks"
import { Journal } from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import * as Input from "@spindle/core/Input"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as Effect from "effect/Effect"
import * as Family from "./fixtures/family.ts"

/** Calls `reach`, then says how the call ended. */
const reaching: ScriptedModel.Script = ({ items }) => {
  const last = items.at(-1)
  return last?._tag === "ToolResult"
    ? [ScriptedModel.text(`${last.status}: ${String(last.output)}`)]
    : [ScriptedModel.call("reach", {}, "reach")]
}

const reach = Family.withTools({ reach: { run: () => Effect.succeed("reached") } })
const child = reach.provide(Delegate.runOnce({ ...Family.endless, agent: reach.agent, input: Input.text("go") }))

describe("what a delegate takes from the context of its caller", () => {
  it.effect("its hooks, unless others are provided around the start", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const family = yield* Family.make({
        script: reaching,
        hooks: {
          preToolUse: (_, tool) =>
            Effect.sync(() => {
              asked.push(tool)
              return { deny: true, reason: "not here" }
            })
        }
      })
      assert.strictEqual(yield* family.run(child), "denied: denied: not here")
      assert.deepStrictEqual(asked, ["reach"])
      assert.strictEqual(yield* family.run(Effect.provideService(child, Hooks, none)), "completed: reached")
      assert.lengthOf(asked, 1)
    })
  )

  it.effect("its model and its journal, unless others are provided around the start", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: reaching })
      yield* family.run(child)
      assert.lengthOf(family.model.requests, 2)
      const other = ScriptedModel.make(() => [ScriptedModel.text("from another model")])
      const elsewhere = yield* SessionHarness.memoryJournal
      const said = yield* family.run(
        child.pipe(Effect.provideService(Model, other.model), Effect.provideService(Journal, elsewhere))
      )
      assert.strictEqual(said, "from another model")
      assert.lengthOf(family.model.requests, 2)
      assert.lengthOf(yield* elsewhere.list, 1)
      assert.lengthOf(yield* family.journal.list, 2)
    })
  )

  it.effect("no tools and no instructions, which come from its agent", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) =>
          Family.asked(request) === "delegate" && !Family.isAnswered(request)
            ? [ScriptedModel.call("start", {}, "start")]
            : [ScriptedModel.text("done")],
        instructions: "You lead.",
        tools: {
          start: {
            run: () =>
              Delegate.runOnce({ ...Family.endless, input: Input.text("work") }) as Effect.Effect<
                unknown,
                unknown,
                never
              >
          }
        }
      })
      yield* family.root.run("delegate")
      const request = family.model.requests.find((one) => Family.asked(one) === "work")!
      assert.deepStrictEqual([request.tools, request.instructions], [[], undefined])
    })
  )
})
