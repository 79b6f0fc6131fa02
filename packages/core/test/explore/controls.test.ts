/**
 * Negative controls: programs that `SessionPrograms` generated, each run on core unchanged and on the mutant that it
 * finds. The other mutants are in `controls.races.test.ts`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import { titleOf } from "../fixtures/mutants.ts"
import { loadWorld } from "./controls.ts"
import type { Row } from "./mutantMarkers.ts"
import { mutants } from "./mutants.ts"
import { programs } from "./programs.ts"

const aborts = 20

/** The checks of the unchanged core. A program does the same in each check, so each is checked once. */
const checks = new Map<string, SessionPrograms.Checked>()

const keepsEveryLaw = (program: SessionPrograms.SessionProgram): void => {
  const key = JSON.stringify(program)
  const checked = checks.get(key) ?? SessionPrograms.check(program, { law: Laws.session, aborts })
  checks.set(key, checked)
  assert.isUndefined(checked.violation)
}

describe("a generated program", () => {
  for (const [name, program] of Object.entries<SessionPrograms.SessionProgram>(programs)) {
    it(`I10 keeps every law: ${name}`, () => keepsEveryLaw(program))
  }
})

/**
 * The program with the seeds of its first schedules. Which schedule finds a fault depends on the number of steps of
 * everything, and changes with the code.
 */
const schedules = (program: SessionPrograms.SessionProgram) =>
  Array.from({ length: 200 }, (_, index) => ({ ...program, seed: program.seed + index }))

describe("a mutant is found", () => {
  for (const [name, { breaks, by }] of Object.entries<Row>(mutants)) {
    if (by !== "program") continue
    it(titleOf(name), async () => {
      const mutant = await loadWorld(name)
      const law = mutant.Laws.session
      for (const program of schedules(programs[name as keyof typeof programs])) {
        const { violation } = mutant.SessionPrograms.check(program, { law, aborts })
        if (violation === undefined || !breaks.test(violation.law)) continue
        assert.match(mutant.SessionPrograms.replay(program, { law }, violation.decisions)!, breaks)
        return keepsEveryLaw(program)
      }
      assert.fail("the mutant was not found")
    })
  }
})
