/** Functions of the application that decide about the context of turns, and throw. */
import { assert, describe, it } from "@effect/vitest"
import { ModelOfTurn } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import { TurnContextRule } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"

const throws = (): never => {
  throw new Error("a bug")
}
const script = () => [ScriptedModel.text("done")]
const changing = Op.userInput("go", { context: { model: "other" } })

describe("a function about the context of turns that throws", () => {
  it.effect("P1 the rule rejects its input with the failure, and no other", () =>
    Effect.gen(function* () {
      const { run, session } = yield* Effect.provideService(SessionHarness.make({ script }), TurnContextRule, throws)
      const receipt = yield* session.submit(changing)
      assert.deepInclude(receipt, {
        _tag: "Rejected",
        reason: { _tag: "InvalidContext", message: "TurnContextRule failed: a bug" }
      })
      assert.strictEqual((yield* run("again"))._tag, "TurnCompleted")
    })
  )

  it.effect("S5 the model of a turn fails that turn by name, and no later one", () =>
    Effect.gen(function* () {
      let calls = 0
      const h = yield* SessionHarness.make({ script }).pipe(
        Effect.provideService(TurnContextRule, () => undefined),
        Effect.provideService(ModelOfTurn, (_, own) => (calls++ === 0 ? throws() : own))
      )
      yield* h.session.submit(changing)
      yield* h.session.awaitIdle
      const end = h.events.at(-1)
      assert.deepStrictEqual(end?._tag === "TurnFailed" && end.error, {
        tag: "CallbackFailed",
        message: "ModelOfTurn failed: a bug"
      })
      assert.strictEqual((yield* h.run("again"))._tag, "TurnCompleted")
    })
  )
})
