/** Input that a client takes back before a turn has carried it. */
import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as TaskKind from "@spindle/core/TaskKind"
import * as Task from "@spindle/core/Task"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Schema } from "effect"
import { id, reasonOf, running, send, userTexts } from "./fixtures/submissions.ts"

const notWaiting = (submissionId: SubmissionId) => ({ _tag: "NotWaiting" as const, submissionId })

describe("a withdrawal", () => {
  it.effect("P8 takes back steered and queued input, which no turn carries", () =>
    Effect.gen(function* () {
      const { model, records, session } = yield* running()
      yield* send(session, "steered")
      yield* send(session, "queued", "queue")
      yield* send(session, "kept", "queue")
      for (const text of ["steered", "queued"]) {
        assert.strictEqual((yield* session.submit(Op.withdraw(id(text))))._tag, "Accepted")
      }
      assert.deepStrictEqual((yield* session.snapshot).waiting, [id("kept")])
      yield* model.open("held")
      yield* session.awaitIdle
      assert.deepStrictEqual(model.requests.flatMap(userTexts), ["first", "first", "kept"])
      const withdrawn = records().flatMap((one) => (one._tag === "InputWithdrawn" ? [one.submissionId] : []))
      assert.deepStrictEqual(withdrawn, [id("steered"), id("queued")])
    })
  )

  it.effect("P8 is rejected for input that was carried, withdrawn or never accepted", () =>
    Effect.gen(function* () {
      const { session } = yield* running()
      yield* send(session, "queued", "queue")
      yield* session.submit(Op.withdraw(id("queued")))
      for (const text of ["first", "queued", "unknown"]) {
        const receipt = yield* session.submit(Op.withdraw(id(text)))
        assert.deepStrictEqual(reasonOf(receipt), notWaiting(id(text)))
      }
    })
  )

  it.effect("P8 takes back input while a prompt hook decides about it", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const gate = yield* Deferred.make<void>()
      const { events, model, session } = yield* Harness.make({
        hooks: {
          userPromptSubmit: () =>
            Effect.andThen(
              Deferred.succeed(asked, undefined),
              Effect.as(Deferred.await(gate), { block: false, contexts: ["a context"] })
            )
        }
      })
      yield* send(session, "first")
      yield* Deferred.await(asked)
      assert.strictEqual((yield* session.submit(Op.withdraw(id("first"))))._tag, "Accepted")
      yield* Deferred.succeed(gate, undefined)
      yield* session.awaitIdle
      assert.deepStrictEqual((yield* session.snapshot).items, [])
      assert.lengthOf(model.requests, 0)
      assert.strictEqual(events.at(-1)?._tag, "TurnCompleted")
    })
  )

  it.effect("P8 takes back a task that waits, and no task that runs", () =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<undefined>()
      const kind = TaskKind.make("staying", {
        params: Schema.Struct({}),
        task: () => Task.make("staying", Deferred.await(end))
      })
      const { session } = yield* Harness.make({ tasks: [kind] })
      const start = (name: string) => session.submit({ id: id(name), op: Op.startTask("staying") })
      yield* start("a")
      yield* start("b")
      assert.deepStrictEqual(reasonOf(yield* session.submit(Op.withdraw(id("a")))), notWaiting(id("a")))
      assert.strictEqual((yield* session.submit(Op.withdraw(id("b"))))._tag, "Accepted")
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
      assert.strictEqual((yield* session.snapshot).turnCount, 1)
    })
  )

  it.effect("P8 P6 with a repeated id gets the same receipt, even after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const withdrawal = { id: id("back"), op: Op.withdraw(id("queued")) }
      const { receipt, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const { session } = yield* running({ journal })
          yield* send(session, "queued", "queue")
          const first = yield* session.submit(withdrawal)
          assert.deepStrictEqual(yield* session.submit(withdrawal), first)
          return { receipt: first, sessionId: session.sessionId }
        })
      )
      const { session } = yield* Harness.make({ journal, resume: sessionId, script: () => [Model.text("again")] })
      assert.deepStrictEqual((yield* session.snapshot).waiting, [])
      assert.deepStrictEqual(yield* session.submit(withdrawal), receipt)
    })
  )
})
