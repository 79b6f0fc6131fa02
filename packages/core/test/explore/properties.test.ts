/** For all session programs, for all interruption points, in both modes, the laws hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Laws from "@spindle/testing/Laws"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import * as Vitest from "@spindle/testing/Vitest"

const factor = Vitest.factor()

/** Draws programs with a seed, and runs each as it is and aborted at twenty of its steps. */
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
    { timeout: 120_000 * factor, arbitrary: { runs: Math.ceil(120 * factor), seed } }
  )

  it(`I10 the programs were run and hit: ${name}`, () => {
    if (factor > 1) console.log(`${name}, seed ${seed}: ${runs} runs, ${points} points`)
    assert.isAbove(points, runs / 2)
  })
}

describe("session programs", () => {
  // the first are the same in every run, so that a change which breaks one of them is the change that is tested; the others are drawn anew, so that
  // every run of the tests looks where none has looked yet (decision 20)
  holdsForAll("the same each time", 1)
  holdsForAll("drawn anew", Vitest.seed())
})
