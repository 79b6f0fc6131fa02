import { describe, it } from "@effect/vitest"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { actions, explorations, pairs } from "./kinds.ts"
import { conversation, holds, session, threeRounds } from "./scenario.ts"

const working = explorations["the regular task"]!

describe("the regular task with tools, an approval and prompt hooks", () => {
  it("I10 keeps every law when it is aborted at any step", () => holds({ ...working, maxRuns: 400 }))

  for (const action of actions.filter((one) => one !== "abort")) {
    it(`I10 keeps every law under ${action} at any step`, () => holds({ ...working, actions: [[action]], maxRuns: 25 }))
  }

  for (const pair of pairs) {
    it(`I10 keeps every law under ${pair.join(", then ")}`, () => holds({ ...working, actions: [pair], maxRuns: 14 }))
  }

  it("I10 keeps every law in random schedules that delay fibers", () =>
    holds({
      ...working,
      actions: [["abort"], ["abort", "steer"], ["replace", "abort"], ["close"]],
      seeds: [1, 2, 3],
      maxRuns: 15
    }))

  it("I10 keeps every law with a journal that writes at once", () =>
    holds({
      ...session({ harness: conversation, journalMillis: 0 }),
      actions: [["abort"], ["steer", "abort"], ["abort", "steer"], ["close"]],
      maxRuns: 25
    }))

  it("I10 keeps every law under the choices of the reference", () =>
    holds({
      ...session({ harness: (counts) => ({ ...conversation(counts), policy: SessionPolicy.reference }) }),
      actions: [["abort"], ["steer"], ["abort", "steer"], ["close"]],
      maxRuns: 25
    }))

  it("W2 loses nothing for a subscriber that holds three events", () =>
    holds({
      ...session({ harness: (counts) => ({ ...conversation(counts), config: { subscriberCapacity: 3, grace: 0 } }) }),
      actions: [["abort"], ["steer", "abort"], ["close"]],
      seeds: [0, 1, 2],
      maxRuns: 20
    }))

  it("I10 keeps every law when every second response breaks off", () =>
    holds({
      ...session({
        harness: (counts) => {
          let attempts = 0
          return {
            ...conversation(counts),
            script: (request, index) =>
              attempts++ % 2 === 0
                ? [ScriptedModel.pieces("half"), ScriptedModel.call("hold", {}, `x${index}`), ScriptedModel.drop]
                : threeRounds(request, index)
          }
        }
      }),
      actions: [["abort"], ["steer"], ["abort", "steer"], ["close"]],
      maxRuns: 25
    }))
})
