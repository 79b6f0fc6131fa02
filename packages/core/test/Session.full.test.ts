import { assert, describe, it } from "@effect/vitest"
import type { TurnId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"

const queued = (text: string) => Op.userInput(text, { delivery: "queue" })
const forAnother: Op.Op = {
  _tag: "UserInput",
  input: Input.text("other"),
  delivery: "queue",
  expectedTurnId: "another" as TurnId
}

describe("an inbox that is full of notices", () => {
  it.effect("P2 takes input that starts a turn, which carries them, and no further notice", () =>
    Effect.gen(function* () {
      const { session, submit, requests } = yield* Harness.make({
        config: { inboxCapacity: 1 },
        script: [[Model.text("seen")]]
      })
      const notice = (text: string): Op.Op => ({
        _tag: "Notice",
        input: Input.text(text),
        fragment: "notice",
        delivery: "wait"
      })
      assert.strictEqual((yield* session.submit(notice("one")))._tag, "Queued")
      assert.strictEqual((yield* session.submit(notice("two")))._tag, "Rejected")
      assert.strictEqual((yield* submit("begin"))._tag, "Started")
      yield* session.awaitIdle
      assert.include(JSON.stringify(requests[0]!.items), "one")
      assert.lengthOf((yield* session.snapshot).waiting, 0)
    })
  )
})

describe("an inbox that is full of kept input", () => {
  const aborted = Effect.gen(function* () {
    const harness = yield* Harness.make({
      config: { inboxCapacity: 1 },
      script: [[Model.hang], [Model.text("kept")], [Model.text("after")]]
    })
    const { session } = harness
    yield* harness.submit("begin")
    yield* harness.awaitEvent(Harness.hasTag("ModelRequested"))
    assert.strictEqual((yield* session.submit(queued("waits")))._tag, "Queued")
    yield* session.abort()
    yield* session.awaitIdle
    assert.lengthOf((yield* session.snapshot).waiting, 1)
    return harness
  })

  it.effect("P2 starts with the next submission, which is rejected, and makes room", () =>
    Effect.gen(function* () {
      const { session, submit, events } = yield* aborted
      assert.strictEqual((yield* submit("too much"))._tag, "Rejected")
      yield* session.awaitIdle
      assert.strictEqual(events.findLast(SessionEvent.isTerminal)?._tag, "TurnCompleted")
      assert.lengthOf((yield* session.snapshot).waiting, 0)
      assert.strictEqual((yield* submit("after"))._tag, "Started")
    })
  )

  it.effect("P2 stays as it is if the submission is for a turn that does not run", () =>
    Effect.gen(function* () {
      const { session } = yield* aborted
      const receipt = yield* session.submit(forAnother)
      assert.strictEqual(receipt._tag, "Rejected")
      yield* session.awaitIdle
      assert.lengthOf((yield* session.snapshot).waiting, 1)
    })
  )
})
