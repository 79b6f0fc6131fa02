import { assert, describe, it } from "@effect/vitest"
import * as Vitest from "@spindle/testing/Vitest"
import { runTree, simulate } from "./simulate.ts"

describe("random trees", () => {
  it("A5 I1 the decision Abort comes too late for a turn that has returned and waits for its delegates", () =>
    assert.isUndefined(runTree(9_269).finding))

  it(
    "D1 D6 A1 A3 I3 nobody survives, nothing is left unsettled, and every law of sessions holds",
    () => {
      const figures = simulate(1, Math.ceil(400 * Vitest.factor()))
      assert.deepStrictEqual(figures.violations, [])
      assert.isAbove(figures.delegates, figures.trees)
      assert.strictEqual(figures.deepest, 5)
      assert.isAbove(figures.decided, 0)
    },
    120_000 * Math.max(1, Vitest.factor())
  )
})
