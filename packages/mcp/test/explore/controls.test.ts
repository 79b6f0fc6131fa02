/** Renewals of tokens and overlapping turns under the explorer, and negative controls: each mutant is found (decision 20). */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { loadMutant, titleOf } from "../../../core/test/fixtures/mutants.ts"
import type * as Cases from "./cases.ts"
import { cases } from "./cases.ts"
import { mutants } from "./mutants.ts"

type Case = Interrupts.Exploration<any, unknown>

/** Loads the explorations with a mutant of the sources. */
const loadWorld = (name: string) => loadMutant<typeof Cases>(new URL("./cases.ts", import.meta.url), name)

describe("M1 M3 I10 a connection", () => {
  for (const [name, one] of Object.entries<Case>(cases)) {
    it(`keeps its laws: ${name}`, () => {
      const report = Interrupts.explore({ ...one, maxShrinks: 0 })
      assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
      assert.isAtLeast(report.runs, 1)
    })
  }
})

describe("M1 M3 a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries(mutants)) {
    it(titleOf(name), async () => {
      const world = await loadWorld(name)
      const one: Case = world.cases[by]
      const isFault = ({ law }: Interrupts.Violation) => breaks.test(law)
      const found = Interrupts.explore({ ...one, maxShrinks: 0, until: isFault }).violations.find(isFault)
      assert.isDefined(found, "the mutant was not found")
      assert.match(Interrupts.replay(one, found!.decisions)!, breaks)
    })
  }
})
