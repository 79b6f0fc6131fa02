/**
 * Negative controls: programs that `SessionPrograms` drew, each with core as it is and without the mechanism that it needs. The other mechanisms are in
 * `controls.races.test.ts`.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import { withoutIt } from "./controls.ts"
import { type Mechanism, mechanisms } from "./mechanisms.ts"
import { programs } from "./programs.ts"

const aborts = 20

const page = readFileSync(join(import.meta.dirname, "../../../../docs/decisions/0020-negative-controls.md"), "utf8")

it("decision 20 names each mechanism, its file and what shows it", () => {
  for (const [name, { by, closes, file }] of Object.entries<Mechanism>(mechanisms)) {
    const shown = by === "program" ? "a drawn program" : `\`${by}\``
    assert.include(page, `| \`${name}\` | ${closes} | \`${file.slice("core/src/".length)}\` | ${shown} |`)
  }
})

describe("a drawn program", () => {
  for (const [name, program] of Object.entries<SessionPrograms.SessionProgram>(programs)) {
    it(`I10 keeps every law: ${name}`, () =>
      assert.isUndefined(SessionPrograms.check(program, { law: Laws.session, aborts }).violation))
  }
})

/**
 * The program with the seeds of its schedule that come first: which schedule comes upon a fault depends on the number of steps of everything, and
 * changes with the code.
 */
const schedules = (program: SessionPrograms.SessionProgram) =>
  Array.from({ length: 200 }, (_, index) => ({ ...program, seed: program.seed + index }))

describe("without the mechanism", () => {
  for (const [name, { breaks, by, closes }] of Object.entries<Mechanism>(mechanisms)) {
    if (by !== "program") continue
    it(`${closes}: ${name}`, async () => {
      const lacking = await withoutIt(name)
      const law = lacking.Laws.session
      for (const program of schedules(programs[name as keyof typeof programs])) {
        const { violation } = lacking.SessionPrograms.check(program, { law, aborts })
        if (violation === undefined || !breaks.test(violation.law)) continue
        assert.match(lacking.SessionPrograms.replay(program, { law }, violation.decisions)!, breaks)
        return assert.isUndefined(SessionPrograms.check(program, { law: Laws.session, aborts }).violation)
      }
      assert.fail("nothing was found")
    })
  }
})
