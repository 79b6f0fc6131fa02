/**
 * Negative controls: for each mechanism that repairs a defect of the reference, or closes a race, what shows the fault finds nothing with the sources as
 * they are, and finds it without the mechanism.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { cases } from "./cases.ts"
import type { Case } from "./exploring.ts"
import type { Mechanism } from "./mechanism.ts"
import { mechanisms, ofCore } from "./mechanisms.ts"
import type * as World from "./world.ts"

/** All that shows a fault, loaded anew from sources that lack a mechanism. */
const withoutIt = (name: string): Promise<typeof World> => import(/* @vite-ignore */ `./world.ts?without=${name}`)

const explore = (one: Case) => Interrupts.explore({ ...one, maxShrinks: 0 })

/** A finding among the random trees from the first one on; `trees.test.ts` runs as many with the sources as they are. */
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
  const found = explore(one).violations.find(({ law }) => breaks.test(law))
  if (found !== undefined) assert.match(Interrupts.replay(one, found.decisions)!, breaks)
  return found?.law
}

const decisions = join(import.meta.dirname, "../../../../docs/decisions")

it("decision 23 names each mechanism, its file and what shows it", () => {
  const page = readFileSync(join(decisions, "0023-negative-controls-of-delegates.md"), "utf8")
  for (const [name, { by, closes, file }] of Object.entries<Mechanism>(mechanisms)) {
    const shown = by === "trees" ? "random trees" : `\`${by}\``
    assert.include(page, `| \`${name}\` | ${closes} | \`${file}\` | ${shown} |`)
  }
})

describe("with all mechanisms", () => {
  for (const [name, one] of Object.entries<Case>(cases)) {
    it(`nothing is found: ${name}`, () => {
      const report = explore(one)
      assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
    })
  }
})

describe("A1 A2 A3 A4 D1 D2 D5 D6 D7 I2 I3 O1 S7 without the mechanism", () => {
  for (const [name, { breaks, by, closes }] of Object.entries<Mechanism>(mechanisms)) {
    it(`${closes}: ${name}`, async () => {
      const world = await withoutIt(name)
      const law = by === "trees" ? findInTrees(world, breaks) : findIn(world.cases[by]!, breaks)
      assert.isDefined(law, "nothing was found")
    })
  }

  for (const [name, breaks] of Object.entries(ofCore)) {
    it(`trees need what core has: ${name}`, async () =>
      assert.isDefined(findInTrees(await withoutIt(name), breaks), "nothing was found"))
  }
})
