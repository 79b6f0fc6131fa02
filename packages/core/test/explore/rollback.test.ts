import { describe, it } from "@effect/vitest"
import type { ScenarioOptions } from "./scenario.ts"
import { conversation, holds, session } from "./scenario.ts"

/** A rollback stands between turns, and never in a turn that goes on. */
const standsBetweenTurns: ScenarioOptions["law"] = ({ journal }) => {
  let turn: string | undefined
  for (const record of journal ?? []) {
    if (record._tag === "RolledBack" && turn !== undefined) return `J4 a rollback in turn ${turn}`
    if (record._tag === "TurnStarted") turn = record.turnId
    if (record._tag === "TurnCompleted" || record._tag === "TurnFailed" || record._tag === "TurnAborted")
      turn = undefined
  }
  return undefined
}

describe("a rollback", () => {
  const exploration = session({ harness: conversation, law: standsBetweenTurns })

  it("I10 J4 keeps every law at any step, alone and with an abort, input, a replacement or a close", () =>
    holds({
      ...exploration,
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

  it("I10 J4 keeps every law in drawn schedules", () =>
    holds({
      ...exploration,
      actions: [
        ["abort", "rollback"],
        ["replace", "rollback"]
      ],
      seeds: [1, 2, 3],
      maxRuns: 10
    }))
})
