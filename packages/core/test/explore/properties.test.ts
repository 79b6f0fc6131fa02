/** For all session programs, for all interruption points, the laws hold. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { isRecord } from "@spindle/core/protocol/SessionEvent"
import * as SessionState from "@spindle/core/rules/SessionState"
import * as SessionPrograms from "@spindle/testing/SessionPrograms"
import * as Vitest from "@spindle/testing/Vitest"
import { broken } from "./laws.ts"

/** What holds of a session whose journal failed. */
const brokenAfterFailure: SessionPrograms.Law = (run) => {
  const told = run.events.filter(isRecord)
  let state = SessionState.empty
  for (const record of told) {
    const violation = SessionState.violation(state, record)
    if (violation !== undefined) return violation
    state = SessionState.apply(state, record)
  }
  const failed = run.events.findIndex((event) => event._tag === "SessionFailed")
  if (failed < run.events.length - 1) return "S2 something was told after the failure"
  if (JSON.stringify(run.journal) !== JSON.stringify(told)) return "J5 what was told is not what is stored"
  const accepted = told.flatMap((record) => (record._tag === "InputAccepted" ? [record.submissionId] : []))
  const lost = run.receipts.find(
    (receipt) => receipt._tag !== "Rejected" && receipt._tag !== "Accepted" && !accepted.includes(receipt.submissionId)
  )
  if (lost !== undefined) return `J1 ${lost.submissionId} was acknowledged and is lost`
  if (run.streaming > 0) return `I2 ${run.streaming} answers are streaming`
  return run.opened === run.closed ? undefined : "I4 a finalizer did not run"
}

const law: SessionPrograms.Law = (run) => (run.isFailed ? brokenAfterFailure(run) : broken(run))

const factor = Vitest.factor()

describe("session programs", () => {
  let runs = 0
  let points = 0
  it.effect.prop(
    "I10 every law holds for every program, aborted at any step",
    [SessionPrograms.SessionProgram],
    ([program]) =>
      Effect.sync(() => {
        const checked = SessionPrograms.check(program, { law, aborts: 20 })
        runs += checked.runs
        points += checked.points
        if (checked.violation !== undefined) assert.fail(SessionPrograms.format(program, checked.violation))
      }),
    { timeout: 120_000 * factor, arbitrary: { runs: Math.ceil(120 * factor) } }
  )

  it("I10 the programs were run and hit", () => {
    if (factor > 1) console.log(`${runs} runs, ${points} points`)
    assert.isAbove(points, runs / 2)
  })
})
