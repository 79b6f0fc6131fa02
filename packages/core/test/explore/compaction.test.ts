import { describe, it } from "@effect/vitest"
import { askedFor, byItself, compacts, recordingMeanwhile } from "./races/compactions.ts"
import { holds, session } from "./scenario.ts"

const actions = [
  ["abort"],
  ["steer"],
  ["close"],
  ["queue"],
  ["rollback"],
  ["abort", "steer"],
  ["steer", "abort"],
  ["replace", "abort"],
  ["abort", "close"]
]

describe("a compaction", () => {
  it("S11 is reached by each of these conversations", () => {
    for (const options of [askedFor, byItself, recordingMeanwhile]) {
      holds({ ...session({ ...options, law: compacts }), actions: [[]] })
    }
  })

  it("I10 S11 keeps every law at each step, when a client asks for it", () =>
    holds({ ...session(askedFor), actions, seeds: [0, 1], maxRuns: 2 }))

  it("I10 S11 keeps every law at each step, when a turn makes it by itself", () =>
    holds({ ...session(byItself), actions, seeds: [0, 1], maxRuns: 3 }))

  it("I10 S11 keeps what is recorded while it runs", () =>
    holds({ ...session(recordingMeanwhile), actions: [[], ["abort"], ["close"]], seeds: [0, 1], maxRuns: 6 }))
})
