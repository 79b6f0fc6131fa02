/** For all session programs, for all interruption points, the laws hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import * as Vitest from "@spindle/testing/Vitest"

const factor = Vitest.factor()

describe("session programs", () => {
  // a test run is the same every time; EXPLORE_FACTOR draws anew
  let runs = 0
  let points = 0
  it.effect.prop(
    "I10 every law holds for every program, aborted at any step",
    [SessionPrograms.SessionProgram],
    ([program]) =>
      Effect.sync(() => {
        // "during" claims more than can happen: it is for reviews by hand, and "before" is the gate (decision 6)
        const checked = SessionPrograms.check({ ...program, mode: "before" }, { law: Laws.session, aborts: 20 })
        runs += checked.runs
        points += checked.points
        if (checked.violation !== undefined) assert.fail(SessionPrograms.format(program, checked.violation))
      }),
    { timeout: 120_000 * factor, arbitrary: { runs: Math.ceil(120 * factor), ...(factor === 1 ? { seed: 1 } : {}) } }
  )

  it("I10 the programs were run and hit", () => {
    if (factor > 1) console.log(`${runs} runs, ${points} points`)
    assert.isAbove(points, runs / 2)
  })
})
