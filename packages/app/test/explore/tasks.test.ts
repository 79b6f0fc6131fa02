/** Each task of the application, alone and in pairs with what a client may do, at each of its steps (contract I10, S12). */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { cases, leaking } from "./cases.ts"
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

  it("I10 closes the files of instructions when it is aborted at any step, and the next one reads them", () =>
    holds({ ...cases.reading, actions: [["abort"]], seeds: [0], maxRuns: 150 }))

  it("I10 finds a file that stays open", () => {
    const { violations } = Interrupts.explore({
      ...leaking,
      actions: [["abort"]],
      seeds: [0],
      maxRuns: 2,
      maxShrinks: 0
    })
    assert.match(violations[0]!.law, /^I10 a turn leaves \d+ files open/)
  })
})
