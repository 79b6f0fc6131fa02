/** Random programs of several sessions on one connection: no call has the headers of another turn (contract M1). */
import { assert, describe, it } from "@effect/vitest"
import * as Simulation from "@spindle/testing/Simulation"
import * as Exit from "effect/Exit"
import { between, broken, type Outcome, Program, run } from "./programs.ts"

describe("the headers of turns on one connection", () => {
  it.prop(
    "M1 M2 are those of the call, whatever sessions, turns and aborts overlap",
    [Program, between(1, 1_000_000)],
    ([program, seed]) => {
      const { exit, finding } = Simulation.run(seed, run(program), { maxShrinks: 0 })
      assert.isUndefined(finding, finding?.law)
      if (exit === undefined || Exit.isFailure(exit)) return assert.fail(`the program failed: ${String(exit?.cause)}`)
      const law = broken(program)(exit.value)
      assert.isUndefined(law, law)
    },
    { arbitrary: { runs: 40 } }
  )

  it("M1 are sent with every call, even if two sessions make the table of tools at the same time", () => {
    const turn = { calls: 1, callMillis: 0, headerMillis: 0, abortAfter: undefined }
    const program: Program = [[turn], [turn], [turn]]
    const law = (exit: Exit.Exit<Outcome, unknown>) =>
      Exit.isSuccess(exit) ? broken(program)(exit.value) : String(exit.cause)
    const report = Simulation.explore(run(program), { runs: 40, law, maxShrinks: 0 })
    assert.strictEqual(report.violations.length, 0, Simulation.format(report))
  })
})
