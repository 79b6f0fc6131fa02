import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Delivery } from "@spindle/core/Input"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"
import type { Submissions } from "../../../src/internal/session/submissions.ts"

const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }

/** A session, and the callers that it remembers: nothing but memory shows who was forgotten. */
const remembering = Effect.gen(function* () {
  const harness = yield* Harness.make({ script: () => [Model.text("fine")] })
  let submissions: Submissions | undefined
  const look = Effect.map(Turn, ({ session }) => void (submissions = Reflect.get(session, "submissions")))
  yield* Effect.flatMap(harness.session.start(Task.make("looking", look)), ({ outcome }) => outcome)
  yield* harness.session.awaitIdle
  const callers = (): ReadonlyArray<string> => {
    const remembered: ReadonlyMap<SubmissionId, unknown> | undefined = Reflect.get(submissions!, "callers")
    return Array.from(remembered?.keys() ?? [])
  }
  const submit = (id: string, delivery: Delivery) =>
    harness.session.submit({ _tag: "UserInput", input: Input.text(id), delivery }, { id: id as SubmissionId, trace })
  return { ...harness, callers, submit }
})

describe("the caller of input that waits", () => {
  it.effect("O1 is remembered until the input starts a turn", () =>
    Effect.gen(function* () {
      const { callers, session, submit } = yield* remembering
      yield* session.start(Task.make("holding", Effect.never))
      yield* submit("first", "queue")
      yield* submit("second", "queue")
      assert.deepStrictEqual(callers(), ["first", "second"])
      yield* session.start(Task.make("other", Effect.void))
      yield* session.awaitIdle
      assert.deepStrictEqual(callers(), [])
    })
  )

  it.effect("O1 is forgotten when another turn has carried the input", () =>
    Effect.gen(function* () {
      const { callers, session, submit } = yield* remembering
      yield* submit("notice", "wait")
      assert.deepStrictEqual(callers(), ["notice"])
      yield* submit("hi", "steer")
      yield* session.awaitIdle
      assert.deepStrictEqual(callers(), [])
    })
  )

  it.effect("O1 is forgotten when an abort has dropped the input", () =>
    Effect.gen(function* () {
      const { callers, session, submit } = yield* remembering
      yield* session.start(Task.make("holding", Effect.never))
      yield* submit("queued", "queue")
      yield* submit("notice", "wait")
      assert.deepStrictEqual(callers(), ["queued", "notice"])
      yield* session.abort("Parent")
      yield* session.awaitIdle
      assert.deepStrictEqual(callers(), [])
    })
  )
})
