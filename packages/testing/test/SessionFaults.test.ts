import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { SessionId } from "@spindle/core/Ids"
import { Faults } from "@spindle/testing/Faults"
import * as SessionFaults from "@spindle/testing/SessionFaults"
import * as SessionHarness from "@spindle/testing/SessionHarness"

/** The named fault the first time that its point is passed. */
const once = (point: string, fault: string): Faults => {
  let isDue = true
  return {
    choose: (at, faults) => {
      if (!isDue || at !== point) return undefined
      isDue = false
      return faults.find((one) => one === fault)
    }
  }
}

describe("journal", () => {
  it.effect("J5 refuses all later writes after one that failed", () =>
    Effect.gen(function* () {
      const inner = yield* SessionHarness.memoryJournal
      const journal = yield* Effect.provideService(SessionFaults.journal(inner), Faults, once("journal", "fail"))
      const writer = yield* journal.open("one" as SessionId, "create")
      for (const _ of [1, 2]) assert.strictEqual((yield* Effect.exit(writer.append([])))._tag, "Failure")
    })
  )

  it.effect("changes nothing if there is no fault", () =>
    Effect.gen(function* () {
      const journal = yield* SessionFaults.journal(yield* SessionHarness.memoryJournal)
      const writer = yield* journal.open("one" as SessionId, "create")
      assert.strictEqual((yield* Effect.exit(writer.append([])))._tag, "Success")
    })
  )
})
