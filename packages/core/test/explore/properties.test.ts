/** Checks that the laws hold for all session programs and all interruption points, in both modes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import * as Vitest from "@spindle/testing/Vitest"

const factor = Vitest.factor()

/** Generates programs from a seed, and runs each unaborted and aborted at twenty of its steps. */
const holdsForAll = (name: string, seed: number): void => {
  let runs = 0
  let points = 0
  it.effect.prop(
    `I10 every law holds for every program, aborted at any step: ${name}`,
    [SessionPrograms.SessionProgram],
    ([program]) =>
      Effect.sync(() => {
        const checked = SessionPrograms.check(program, { law: Laws.session, aborts: 20 })
        runs += checked.runs
        points += checked.points
        if (checked.violation === undefined) return
        const drawn = `drawn with EXPLORE_SEED=${seed} EXPLORE_FACTOR=${factor}`
        assert.fail(`${SessionPrograms.format(program, checked.violation)}\n  ${drawn}`)
      }),
    { timeout: 300_000 * factor, arbitrary: { runs: Math.ceil(120 * factor), seed } }
  )

  it(`I10 programs were run and aborted: ${name}`, () => {
    if (factor > 1) console.log(`${name}, seed ${seed}: ${runs} runs, ${points} points`)
    assert.isAbove(points, runs / 2)
  })
}

describe("session programs", () => {
  // The first programs are the same in every run, so that a failure is due to the change under test. The others are
  // generated from a new seed, so that every run of the tests tries new programs (decision 20).
  holdsForAll("the same each time", 1)
  holdsForAll("drawn anew", Vitest.seed())
})
