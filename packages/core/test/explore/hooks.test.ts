/** A session with hooks at every point, under every action at any step (contract I10, P5). */
import { assert, describe, it } from "@effect/vitest"
import * as Hooks from "@spindle/core/Hooks"
import { everyHook, visited } from "./races/hooks.ts"
import { holds } from "./scenario.ts"

const pairs = [
  ["abort", "steer"],
  ["steer", "abort"],
  ["approve", "abort"],
  ["abort", "approve"],
  ["steer", "approve"],
  ["abort", "close"],
  ["steer", "close"],
  ["approve", "close"],
  ["replace", "abort"]
]

describe("the conversation with hooks", () => {
  it("runs each of them", () => {
    holds({ ...everyHook["that take some time"]!, maxRuns: 4 })
    assert.deepStrictEqual([...visited].sort(), Object.keys(Hooks.none).sort())
  })
})

for (const [name, exploration] of Object.entries(everyHook)) {
  describe(`hooks at every point ${name}`, () => {
    it("I10 keep every law when the turn is aborted at any step", () => holds({ ...exploration, maxRuns: 30 }))

    it("I10 keep every law under each other action", () =>
      holds({
        ...exploration,
        actions: ["steer", "queue", "replace", "close", "approve", "deny", "abortByAnswer"].map((one) => [one]),
        maxRuns: 4
      }))

    it("I10 keep every law under two actions", () => holds({ ...exploration, actions: pairs, maxRuns: 3 }))
  })
}
