import { assert, describe, it } from "@effect/vitest"
import type { Approvals, Question } from "@spindle/core/Approvals"
import { CurrentTurnContext, type TurnContext } from "@spindle/core/TurnContext"
import { Effect } from "effect"
import type { Settings } from "../../src/Settings.ts"
import { applyPolicy } from "../../src/settings/approvals.ts"
import { questionId, sessionId } from "../fixtures/events.ts"

const allowAll: Approvals = { decide: () => Effect.succeed({ _tag: "Approved", scope: "once" }) }
const granular = { rules: true, sandboxApproval: true, elicitations: false, permissions: true }

const decisionOf = (
  approvalPolicy: Settings["approvalPolicy"],
  kind: Question["kind"] = "command",
  context: TurnContext = {}
) =>
  applyPolicy({ approvalPolicy, sandboxMode: "read-only" } as Settings, allowAll)
    .decide({ sessionId, questionId, kind, payload: null, path: [sessionId] })
    .pipe(Effect.provideService(CurrentTurnContext, () => context))

const reasonOf = (...args: Parameters<typeof decisionOf>) =>
  Effect.map(decisionOf(...args), (decision) => (decision._tag === "Denied" ? decision.reason : decision._tag))

describe("applyPolicy", () => {
  it.effect("asks no question if the policy of the settings or of the turn is never", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf("never"), "the approval policy is never")
      assert.strictEqual(
        yield* reasonOf("on-request", "command", { approvalPolicy: "never" }),
        "the approval policy is never"
      )
      assert.strictEqual(yield* reasonOf("on-request"), "Approved")
      assert.strictEqual(yield* reasonOf("never", "command", { approvalPolicy: "on-request" }), "Approved")
    })
  )

  it.effect("refuses the kinds of questions that a granular policy excludes", () =>
    Effect.gen(function* () {
      const refused = "the approval policy is granular and does not allow this question"
      assert.strictEqual(yield* reasonOf(granular, "elicitation"), refused)
      assert.strictEqual(yield* reasonOf(granular, "permissions"), "Approved")
      assert.strictEqual(yield* reasonOf({ ...granular, permissions: false }, "permissions"), refused)
      assert.strictEqual(yield* reasonOf({ ...granular, permissions: false }, "command"), "Approved")
    })
  )
})
