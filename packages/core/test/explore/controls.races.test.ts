/** Explorations that come close to one race each: they find nothing, and find the fault when the mechanism that closes it is taken out. */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { withoutIt } from "./controls.ts"
import { type Mechanism, mechanisms } from "./mechanisms.ts"
import { races } from "./races.ts"
import { holds } from "./scenario.ts"

describe("a race", () => {
  for (const [name, race] of Object.entries(races)) {
    it(`I10 is closed: ${name}`, () => holds(race))
  }
})

describe("without the mechanism", () => {
  for (const [name, mechanism] of Object.entries<Mechanism>(mechanisms)) {
    const { breaks, by, closes } = mechanism
    if (by === "program") continue
    it(`${closes}: ${name}`, async () => {
      const race = (await withoutIt(name)).races[by]
      const report = Interrupts.explore({ ...race, maxShrinks: 0 })
      const found = report.violations.find(({ law }) => breaks.test(law))
      assert.isDefined(found, `nothing was found\n${Interrupts.format(report)}`)
      assert.match(Interrupts.replay(race, found!.decisions)!, breaks)
    })
  }
})
