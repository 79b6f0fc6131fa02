/** Refreshes of a key under the explorer, and negative controls: each mutant is found (decision 20). */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { loadMutant, titleOf } from "../../../core/test/fixtures/mutants.ts"
import type * as Cases from "./cases.ts"
import { cases } from "./cases.ts"
import { mutants } from "./mutants.ts"

type Case = Interrupts.Exploration<any, unknown>

const explore = (one: Case) => Interrupts.explore({ ...one, maxShrinks: 0 })

/** Loads the explorations with a mutant of the sources. */
const loadWorld = (name: string) => loadMutant<typeof Cases>(new URL("./cases.ts", import.meta.url), name)

describe("M3 requests with an expired key", () => {
  for (const [name, one] of Object.entries<Case>(cases)) {
    it(`refresh it once, wherever the first of them is interrupted: ${name}`, () => {
      const report = explore(one)
      assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
      assert.isAbove(report.points, 20)
    })
  }
})

describe("M3 a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries(mutants)) {
    it(titleOf(name), async () => {
      const world = await loadWorld(name)
      const one: Case = world.cases[by]
      const found = explore(one).violations.find(({ law }) => breaks.test(law))
      assert.isDefined(found, "the mutant was not found")
      assert.match(Interrupts.replay(one, found!.decisions)!, breaks)
    })
  }
})
