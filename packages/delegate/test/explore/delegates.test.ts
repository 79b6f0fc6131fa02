/** Trees of delegates under the explorer: any action, at every step. */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import type { Step } from "../trees/treeSpec.ts"
import { type Case, explored, node, spawn } from "./exploring.ts"

const ask: Step = { _tag: "Ask", question: false }
const sleep: Step = { _tag: "Sleep", millis: 5 }

const holds = (exploration: Case) => {
  const report = Interrupts.explore(exploration)
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 0)
}

describe("a tree of delegates", () => {
  it("D1 D6 a child that is being started when its parent is aborted does not survive, at any step", () =>
    holds({ ...explored([spawn(node("n0", "linked", sleep))]), actions: [["abort"]], maxRuns: 3_000 }))

  it("D5 a one-shot delegate ends with its caller, at any step", () =>
    holds({ ...explored([spawn(node("n0", "once", sleep))]), actions: [["abort"], ["replace"]], maxRuns: 600 }))

  it("D1 A1 A3 no delegate of two levels that ask survives, and no question is left open, whatever happens", () =>
    holds({
      ...explored([spawn(node("n0", "linked", spawn(node("n1", "once", ask)))), sleep]),
      actions: [["abort"], ["close"], ["end child"], ["abort child"], ["approve"], ["replace"], ["approve", "abort"]],
      maxRuns: 60
    }))

  it("D7 a detached delegate keeps running and ends with the session, at any step", () =>
    holds({
      ...explored([spawn(node("n0", "detached", ask, sleep))]),
      actions: [["abort"], ["close"], ["abort", "close"], ["replace", "approve"]],
      maxRuns: 80
    }))

  it("D1 I3 a deaf child with a slow journal is named and has ended by the drain deadline", () =>
    holds({
      ...explored([spawn(node("n0", "linked", { _tag: "Deaf", millis: 250 }))], { journalMillis: 1 }),
      actions: [["abort"], ["close"]],
      maxRuns: 80
    }))
})
