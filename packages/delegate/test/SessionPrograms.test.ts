/** The laws hold for a session that is a delegate and for its parent: for all session programs, at all interruption points, in both modes. */
import { assert, describe, it } from "@effect/vitest"
import * as Laws from "@spindle/testing/Laws"
import type * as SessionHarness from "@spindle/testing/SessionHarness"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import * as Vitest from "@spindle/testing/Vitest"
import * as Effect from "effect/Effect"
import * as DelegateHost from "./fixtures/delegateHost.ts"

const factor = Vitest.factor()

const linked = DelegateHost.make({ detached: false, answeredAt: "parent", endsWith: "parent" })
const detached = DelegateHost.make({ detached: true, answeredAt: "parent", endsWith: "delegate" })

/** Draws programs with a seed, and runs each one unchanged and aborted at some of its steps. */
const holdsForAll = (kind: string, factory: SessionHarness.SessionFactory, seed: number): void => {
  let runs = 0
  let points = 0
  const name = `${kind}, ${seed === 1 ? "the same each time" : "drawn anew"}`
  it.effect.prop(
    `I10 D1 every law holds for every program, aborted at any step: ${name}`,
    [SessionPrograms.SessionProgram],
    ([program]) =>
      Effect.sync(() => {
        const checked = SessionPrograms.check(program, { factory, law: Laws.session, aborts: 10 })
        runs += checked.runs
        points += checked.points
        if (checked.violation === undefined) return
        const drawn = `${kind}, drawn with EXPLORE_SEED=${seed} EXPLORE_FACTOR=${factor}`
        assert.fail(`${SessionPrograms.format(program, checked.violation)}\n  ${drawn}`)
      }),
    { timeout: 300_000 * factor, arbitrary: { runs: Math.ceil(60 * factor), seed } }
  )

  it(`I10 the programs were run and hit: ${name}`, () => {
    if (factor > 1) console.log(`${name}, seed ${seed}: ${runs} runs, ${points} points`)
    assert.isAbove(points, runs / 2)
  })
}

describe("session programs on a delegate", () => {
  for (const seed of [1, Vitest.seed()]) {
    holdsForAll("linked", linked, seed)
    holdsForAll("detached", detached, seed)
  }
})
