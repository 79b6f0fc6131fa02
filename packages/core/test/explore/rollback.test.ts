import { describe, it } from "@effect/vitest"
import { rollingBack } from "./races.ts"
import { holds } from "./scenario.ts"

describe("a rollback", () => {
  it("I10 J4 keeps every law at any step, alone and with an abort, input, a replacement or a close", () =>
    holds({
      ...rollingBack,
      actions: [
        ["rollback"],
        ["rollback", "abort"],
        ["abort", "rollback"],
        ["steer", "rollback"],
        ["queue", "rollback"],
        ["replace", "rollback"],
        ["rollback", "rollback"],
        ["close", "rollback"]
      ],
      maxRuns: 20
    }))

  it("I10 J4 keeps every law in random schedules", () =>
    holds({
      ...rollingBack,
      actions: [
        ["abort", "rollback"],
        ["replace", "rollback"]
      ],
      seeds: [1, 2, 3],
      maxRuns: 10
    }))
})
