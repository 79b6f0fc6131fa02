/** Each task of the application, alone and in pairs with what a client may do, at each of its steps (contract I10, S12). */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { cases } from "./cases.ts"
import { actions, type Case } from "./exploring.ts"

/** Multiplies the number of runs of a normal test run, which samples the steps. */
const factor = Number(process.env["EXPLORE_FACTOR"] ?? 1)

const holds = (exploration: Case & { readonly maxRuns: number }) => {
  const report = Interrupts.explore({ ...exploration, maxRuns: Math.ceil(exploration.maxRuns * factor) })
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 0)
}
const alone = actions.map((action) => [action])
const paired = ["abort", "steer", "answer", "close"]

describe("a task of the application", () => {
  for (const [name, one] of Object.entries<Case>(cases)) {
    it(`I10 S12 keeps every law with an action at each step: ${name}`, () =>
      holds({ ...one, actions: alone, seeds: [0], maxRuns: 16 }))

    it(`I10 S12 keeps every law with two actions: ${name}`, () =>
      holds({ ...one, actions: Interrupts.pairs(paired, paired), seeds: [0], maxRuns: 2 }))
  }
})
