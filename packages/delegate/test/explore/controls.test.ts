/** Negative controls: the exploration of each mutant finds nothing in the unchanged sources, and finds the fault in the mutant. */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { loadMutant, titleOf } from "../../../core/test/fixtures/mutants.ts"
import { cases } from "./cases.ts"
import type { Case } from "./exploring.ts"
import { mutants, ofCore } from "./mutants.ts"
import type * as World from "./world.ts"

/** Loads everything that finds faults of delegates, with a mutant of the sources. */
const loadWorld = (name: string) => loadMutant<typeof World>(new URL("./world.ts", import.meta.url), name)

/** Returns the first finding among the random trees. `trees.test.ts` runs as many with the unchanged sources. */
const findInTrees = ({ runTree }: Pick<typeof World, "runTree">, breaks: RegExp) => {
  for (let seed = 1; seed <= 400; seed++) {
    const law = runTree(seed).finding?.law
    if (law === undefined || !breaks.test(law)) continue
    assert.strictEqual(runTree(seed).finding?.law, law)
    return law
  }
  return undefined
}

const findIn = (one: Case, breaks: RegExp) => {
  const isFault = ({ law }: Interrupts.Violation) => breaks.test(law)
  const found = Interrupts.explore({ ...one, maxShrinks: 0, until: isFault }).violations.find(isFault)
  if (found !== undefined) assert.match(Interrupts.replay(one, found.decisions)!, breaks)
  return found?.law
}

describe("the unchanged sources", () => {
  for (const [name, one] of Object.entries<Case>(cases)) {
    it(`nothing is found: ${name}`, () => {
      const report = Interrupts.explore({ ...one, maxShrinks: 0 })
      assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
    })
  }
})

describe("A1 A2 A3 A4 D1 D2 D5 D6 D7 I2 I3 O1 S7 a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries(mutants)) {
    it(titleOf(name), async () => {
      const world = await loadWorld(name)
      const law = by === "trees" ? findInTrees(world, breaks) : findIn(world.cases[by]!, breaks)
      assert.isDefined(law, "the mutant was not found")
    })
  }

  for (const [name, breaks] of Object.entries(ofCore)) {
    it(`trees find a mutant of core: ${name}`, async () =>
      assert.isDefined(findInTrees(await loadWorld(name), breaks), "the mutant was not found"))
  }
})
