/** Delegates under the explorer: whatever hits the tree, at every step of it. */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as TreeLaws from "../trees/treeLaws.ts"
import * as TreeRun from "../trees/treeRun.ts"
import type { NodeSpec, Step } from "../trees/treeSpec.ts"

const ask: Step = { _tag: "Ask", question: false }
const sleep: Step = { _tag: "Sleep", millis: 5 }
const node = (name: string, kind: NodeSpec["kind"], ...steps: ReadonlyArray<Step>): NodeSpec => ({
  name,
  kind,
  deadline: 300,
  steps
})
const spawn = (...children: ReadonlyArray<NodeSpec>): Step => ({ _tag: "Spawn", children, wait: true })

/** A tree under actions at each of its steps. */
const explored = (
  root: ReadonlyArray<Step>,
  journalMillis: 0 | 1 = 0
): Interrupts.Exploration<TreeRun.TreeHistory, unknown> => ({
  program: (stage) => TreeRun.run({ root, hits: [], concurrent: 10, journalMillis }, stage),
  law: (exit) => (exit._tag === "Failure" ? `the program failed: ${exit.cause}` : TreeLaws.broken(exit.value, true))
})

const holds = (exploration: Interrupts.Exploration<TreeRun.TreeHistory, unknown>) => {
  const report = Interrupts.explore({ modes: ["before"], ...exploration })
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 0)
}

describe("a tree of delegates", () => {
  it("D1 D6 a child that is being started when its parent is aborted does not survive, at any step", () =>
    holds({ ...explored([spawn(node("n0", "linked", sleep))]), actions: [["abort"]], maxRuns: 3_000 }))

  it("D5 a one-shot delegate ends with its caller, at any step", () =>
    holds({ ...explored([spawn(node("n0", "once", sleep))]), actions: [["abort"], ["replace"]], maxRuns: 600 }))

  it("D1 A1 A3 two levels that ask: whatever comes, nobody survives and nothing is left open", () =>
    holds({
      ...explored([spawn(node("n0", "linked", spawn(node("n1", "once", ask)))), sleep]),
      actions: [["abort"], ["close"], ["end child"], ["abort child"], ["approve"], ["replace"], ["approve", "abort"]],
      maxRuns: 60
    }))

  it("D7 a detached delegate goes on, and ends with the session, at any step", () =>
    holds({
      ...explored([spawn(node("n0", "detached", ask, sleep))]),
      actions: [["abort"], ["close"], ["abort", "close"], ["replace", "approve"]],
      maxRuns: 80
    }))

  it("D1 I3 a deaf child with a slow journal is named and gone by the drain deadline", () =>
    holds({
      ...explored([spawn(node("n0", "linked", { _tag: "Deaf", millis: 250 }))], 1),
      actions: [["abort"], ["close"]],
      maxRuns: 80
    }))
})
