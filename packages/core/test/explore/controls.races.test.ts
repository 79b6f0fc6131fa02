/**
 * Explorations that come close to one race each: they find nothing in core, and find the fault in the mutant that has
 * the race.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { titleOf } from "../fixtures/mutants.ts"
import { loadWorld } from "./controls.ts"
import type { Row } from "./mutantMarkers.ts"
import { mutants } from "./mutants.ts"
import { races } from "./races.ts"
import { holds } from "./scenario.ts"

describe("a race", () => {
  for (const [name, race] of Object.entries(races)) {
    it(`I10 is closed: ${name}`, () => holds(race))
  }
})

describe("a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries<Row>(mutants)) {
    if (by === "program") continue
    it(titleOf(name), async () => {
      const race = (await loadWorld(name)).races[by as keyof typeof races]
      const isFault = ({ law }: Interrupts.Violation) => breaks.test(law)
      const report = Interrupts.explore({ ...race, maxShrinks: 0, until: isFault })
      const found = report.violations.find(isFault)
      assert.isDefined(found, `the mutant was not found\n${Interrupts.format(report)}`)
      assert.match(Interrupts.replay(race, found!.decisions)!, breaks)
    })
  }
})
