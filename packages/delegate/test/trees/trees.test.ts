import { assert, describe, it } from "@effect/vitest"
import * as Vitest from "@spindle/testing/Vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { runTree, simulate } from "./simulate.ts"
import * as TreeLaws from "./treeLaws.ts"
import * as TreeRun from "./treeRun.ts"
import type { NodeSpec, Step } from "./treeSpec.ts"

describe("an idle root", () => {
  it("A1 A3 D7 shows the questions of its detached delegates, answers them, and settles them at both ends, whatever happens at any step", () => {
    const ask: Step = { _tag: "Ask", question: false }
    const detached = (name: string, ...steps: ReadonlyArray<Step>): NodeSpec => ({
      name,
      kind: "detached",
      deadline: 200,
      steps
    })
    const inner = detached("n1", { _tag: "Sleep", millis: 5 }, ask)
    const outer = detached("n0", { _tag: "Spawn", children: [inner], wait: false }, ask)
    let shown = 0
    const report = Interrupts.explore<TreeRun.TreeHistory, unknown>({
      modes: ["before"],
      actions: [["approve"], ["close"], ["end child"], ["abort child"], ["abort"], ["approve", "end child"]],
      maxRuns: 60,
      program: (stage) =>
        TreeRun.run(
          {
            root: [{ _tag: "Spawn", children: [outer], wait: false }],
            hits: [],
            concurrent: 10,
            journalMillis: 0
          },
          stage
        ),
      law: (exit) => {
        if (exit._tag === "Failure") return `the program failed: ${exit.cause}`
        const { rootId, told } = exit.value
        shown += told.get(rootId)!.filter((event) => event._tag === "QuestionOpened").length
        return TreeLaws.broken(exit.value, true)
      }
    })
    assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
    assert.isAbove(report.points, 100)
    assert.isAbove(shown, 100)
  })
})

describe("random trees", () => {
  it("A5 I1 the decision Abort comes too late for a turn that has returned and waits for its delegates", () =>
    assert.isUndefined(runTree(9_269).finding))

  it(
    "D1 D6 A1 A3 I3 no delegate survives, none is left unsettled, and every law of sessions holds",
    () => {
      const figures = simulate(1, Math.ceil(400 * Vitest.factor()))
      assert.deepStrictEqual(figures.violations, [])
      assert.isAbove(figures.delegates, figures.trees)
      assert.strictEqual(figures.deepest, 5)
      assert.isAbove(figures.decided, 0)
    },
    300_000 * Math.max(1, Vitest.factor())
  )
})
