import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Interrupts from "@spindle/testing/Interrupts"
import { holding, session, threeRounds } from "./scenario.ts"

const working = session({
  harness: (counts) => ({
    script: threeRounds,
    tools: { hold: holding(counts, 3), guarded: { ...holding(counts, 1), policy: { approval: "ask" } } },
    approvals: { decide: () => Effect.as(Effect.sleep(3), { _tag: "Approved", scope: "once" } as const) },
    hooks: { userPromptSubmit: () => Effect.as(Effect.sleep(1), { block: false, contexts: ["context"] }) }
  })
})
const holds = (exploration: typeof working): void => {
  const report = Interrupts.explore(exploration)
  console.log(JSON.stringify(exploration.actions), Interrupts.format(report))
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
}
describe("regular", () => {
  const n = Number(process.env["N"] ?? 300)
  for (const actions of [["abort"], ["steer"], ["queue"], ["replace"], ["close"], ["approve"], ["deny"], ["abortByAnswer"],["abort","abort"],["abort","steer"],["steer","abort"],["abort","queue"],["queue","abort"],["abort","close"],["abort","approve"],["approve","abort"],["abortByAnswer","abort"],["replace","abort"],["abort","replace"],["replace","replace"],["replace","close"],["steer","replace"],["steer","steer"],["queue","queue"], ["steer","queue"],["steer","close"]])
  it("I10 "+actions, () => holds({...working, actions: [actions], maxRuns: n}))
  it("I10 seeds", () => holds({...working, actions: [["abort"],["abort","steer"],["steer","abort"],["replace","abort"]], seeds: [1,2,3,4,5,6,7,8,9,10], maxRuns: 50}))
})
