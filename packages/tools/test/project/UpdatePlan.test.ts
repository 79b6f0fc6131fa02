import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ProjectTools } from "../../src/index.ts"
import * as UpdatePlan from "../../src/project/UpdatePlan.ts"

const step = (text: string, status: "pending" | "in_progress" | "completed" = "pending") => ({ step: text, status })

describe("update_plan", () => {
  it.effect("accepts a plan, with one step in progress or none", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* UpdatePlan.run({ plan: [step("a", "in_progress"), step("b")] }), "Plan updated")
      assert.strictEqual(yield* UpdatePlan.run({ plan: [] }), "Plan updated")
    })
  )

  it.effect("refuses two steps in progress, and a step without a text", () =>
    Effect.gen(function* () {
      const two = yield* Effect.flip(UpdatePlan.run({ plan: [step("a", "in_progress"), step("b", "in_progress")] }))
      assert.strictEqual(two.message, "The plan was not updated: 2 steps are in_progress, and at most one may be")
      const blank = yield* Effect.flip(UpdatePlan.run({ plan: [step("a"), step(" ")] }))
      assert.strictEqual(blank.message, "The plan was not updated: step 2 has no text")
    })
  )

  it("needs no approval, and is a plan to people", () => {
    const { approval, display } = ProjectTools.policies.update_plan
    assert.strictEqual(approval, "allow")
    assert.deepStrictEqual(
      display?.({ explanation: "why", plan: [step("a", "completed"), step("b", "in_progress")] }, {}),
      {
        _tag: "Plan",
        explanation: "why",
        steps: [
          { step: "a", status: "completed" },
          { step: "b", status: "inProgress" }
        ]
      }
    )
  })
})
