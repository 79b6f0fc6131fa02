import { assert, describe, it } from "@effect/vitest"
import type { QuestionId, TurnId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Scope } from "effect"
import { reasonOf, running, send, staying } from "./fixtures/submissions.ts"

describe("rejections", () => {
  it.effect("P1 empty input is rejected", () =>
    Effect.gen(function* () {
      const { session, records } = yield* Harness.make()
      const before = records().length
      for (const text of ["", " \n\t "]) {
        assert.deepStrictEqual(reasonOf(yield* session.submit(Op.userInput(text))), { _tag: "EmptyInput" })
      }
      assert.deepStrictEqual(reasonOf(yield* session.submit({ _tag: "UserInput", input: [] })), { _tag: "EmptyInput" })
      assert.strictEqual(records().length, before)
    })
  )

  it.effect("P1 input over the limit is rejected with both sizes, input at the limit is accepted", () =>
    Effect.gen(function* () {
      const { session } = yield* Harness.make({ config: { inputLimit: 3 }, script: [[Model.hang]] })
      assert.deepStrictEqual(reasonOf(yield* session.submit(Op.userInput("four"))), {
        _tag: "InputTooLarge",
        sizeCharacters: 4,
        limitCharacters: 3
      })
      assert.strictEqual((yield* session.submit(Op.userInput("abc")))._tag, "Started")
    })
  )

  it.effect(
    "P1 input beyond the capacity of the inbox is rejected, which counts steered and queued input together",
    () =>
      Effect.gen(function* () {
        const { session } = yield* running({ config: { inboxCapacity: 2 } })
        yield* send(session, "b")
        yield* send(session, "c", "queue")
        for (const delivery of ["steer", "queue"] as const) {
          assert.deepStrictEqual(reasonOf(yield* send(session, "d", delivery)), { _tag: "InboxFull", capacityCount: 2 })
        }
      })
  )

  it.effect("P1 by default 512 inputs wait", () =>
    Effect.gen(function* () {
      const { session } = yield* running()
      const receipts: Array<Op.Receipt> = []
      for (let index = 0; index < 512; index++) receipts.push(yield* send(session, `input ${index}`, "queue"))
      assert.isTrue(receipts.every(({ _tag }) => _tag === "Queued"))
      const full = { _tag: "InboxFull", capacityCount: 512 } as const
      assert.deepStrictEqual(reasonOf(yield* send(session, "one more", "queue")), full)
    })
  )

  it.effect("P1 input for another turn is rejected with the running turn, or none", () =>
    Effect.gen(function* () {
      const expected = "another" as TurnId
      const idle = yield* Harness.make()
      assert.deepStrictEqual(reasonOf(yield* idle.session.steer(Input.text("b"), expected)), {
        _tag: "TurnMismatch",
        expected
      })
      const { session, turnId } = yield* running()
      assert.deepStrictEqual(reasonOf(yield* session.steer(Input.text("b"), expected)), {
        _tag: "TurnMismatch",
        expected,
        actual: turnId
      })
    })
  )

  it.effect("P1 input for a turn that takes none is rejected as not steerable", () =>
    Effect.gen(function* () {
      const { session } = yield* Harness.make()
      const { turnId } = yield* session.start(staying(yield* Deferred.make<string | undefined>()))
      assert.deepStrictEqual(reasonOf(yield* session.steer(Input.text("b"), turnId)), { _tag: "NotSteerable", turnId })
    })
  )

  it.effect("P1 input for a turn that is being aborted is rejected", () =>
    Effect.gen(function* () {
      const { session, turnId } = yield* running()
      yield* session.abort()
      assert.deepStrictEqual(reasonOf(yield* session.steer(Input.text("b"), turnId)), {
        _tag: "TurnMismatch",
        expected: turnId
      })
    })
  )

  it.effect("P1 an answer to a question that was never asked is rejected", () =>
    Effect.gen(function* () {
      const { session } = yield* Harness.make()
      const questionId = "none" as QuestionId
      const receipt = yield* session.submit(Op.answer(questionId, { _tag: "Denied" }))
      assert.deepStrictEqual(reasonOf(receipt), { _tag: "UnknownQuestion", questionId })
    })
  )

  it.effect("P1 everything is rejected once the session is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { session } = yield* Effect.provideService(Harness.make(), Scope.Scope, scope)
      yield* Scope.close(scope, Exit.void)
      for (const op of [Op.userInput("a"), Op.interrupt, Op.answer("none" as QuestionId, { _tag: "Denied" })]) {
        assert.deepStrictEqual(reasonOf(yield* session.submit(op)), { _tag: "SessionClosed" })
      }
    })
  )
})
