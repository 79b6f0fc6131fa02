/**
 * Negative controls in the kernel itself: each takes one mechanism out of a running session, and the explorer finds what it prevents. The same explorations
 * find nothing with the mechanism, as `regular.test.ts` and `tasks.test.ts` show.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Task from "@spindle/core/Task"
import type { Outcome } from "@spindle/core/protocol/Outcome"
import { Turn } from "@spindle/core/Turn"
import * as Interrupts from "@spindle/testing/Interrupts"
import type { Kernel } from "../../src/internal/kernel.ts"
import { Ledger } from "../../src/internal/ledger.ts"
import { Submissions } from "../../src/internal/submissions.ts"
import { conversation, holds, session, starting } from "./scenario.ts"

/** Explores with a method replaced, and fails if no violation is found, or with it in place, and fails if one is. */
const control = <A, E>(
  exploration: Interrupts.Exploration<A, E>,
  without?: { readonly of: object; readonly method: string; readonly variant: unknown }
): void => {
  if (without === undefined) return holds(exploration)
  const target = without.of as { [method: string]: unknown }
  const kept = target[without.method]
  target[without.method] = without.variant
  try {
    const report = Interrupts.explore(exploration)
    assert.isAbove(report.violations.length, 0, Interrupts.format(report))
  } finally {
    target[without.method] = kept
  }
}

/** A task that goes on after it was asked to stop: it sends one request after another. */
const asking = {
  ...session({
    begin: starting(() =>
      Task.make(
        "asking",
        Effect.gen(function* () {
          const turn = yield* Turn
          for (let round = 0; round < 4; round++) {
            yield* Effect.sleep(3)
            yield* turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, () => Effect.void)
          }
        }),
        { onAbort: "signal" }
      )
    ),
    harness: conversation
  }),
  maxRuns: 400
}

/** Input that comes when the end of an aborted turn has been told, and the slot is not free yet. */
const afterwards = { ...session({ harness: conversation }), actions: [["abort", "queue"]], maxRuns: 1_500 } as const

const { freed } = Submissions.prototype

describe("a kernel without", () => {
  it("I2 nothing of its mechanisms keeps every law", () => {
    control({ ...asking, maxRuns: 100 })
    control({ ...afterwards, maxRuns: 100 })
  })

  it("I2 the check that a turn is closing starts requests after the abort", () =>
    control(asking, { of: Ledger.prototype, method: "isClosing", variant: () => false }))

  it("P2 the start for input that nobody names leaves it waiting", () =>
    control(afterwards, {
      of: Submissions.prototype,
      method: "freed",
      variant(this: { readonly kernel: Kernel }, outcome: Outcome<unknown, unknown>) {
        this.kernel.unnamed = false
        if (outcome._tag === "Completed") freed.call(this as never, outcome)
      }
    }))
})
