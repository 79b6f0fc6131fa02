/** Negative controls: each mutant of the application is found. `tasks.test.ts` finds nothing in the unchanged sources. */
import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { loadMutant, titleOf } from "../../../core/test/fixtures/mutants.ts"
import type { Case } from "./exploring.ts"
import { mutants } from "./mutants.ts"
import type * as World from "./world.ts"

/** Loads everything that explores the tasks, with a mutant of the sources. */
const loadWorld = (name: string) => loadMutant<typeof World>(new URL("./world.ts", import.meta.url), name)

/** Aborts at the steps of a sample, and of larger ones until the law is broken. */
const find = (one: Case, breaks: RegExp): string | undefined => {
  for (const maxRuns of [12, 120, 1_200]) {
    const until = ({ law }: Interrupts.Violation) => breaks.test(law)
    const exploration = { ...one, actions: [["abort"]], seeds: [0], maxRuns, maxShrinks: 0, until }
    const found = Interrupts.explore(exploration).violations.find(until)
    if (found === undefined) continue
    assert.match(Interrupts.replay(one, found.decisions)!, breaks)
    return found.law
  }
  return undefined
}

describe("M4 S12 a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries(mutants)) {
    it(titleOf(name), async () => {
      const one: Case = (await loadWorld(name)).cases[by]
      assert.isDefined(find(one, breaks), "the mutant was not found")
    })
  }
})
