/** Questions that no one seems to answer, and agents that need a decider. */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Approvals from "@spindle/core/Approvals"
import * as Journal from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { warningsOf } from "../fixtures/turns.ts"

const asking: SessionHarness.HarnessOptions = {
  script: (_, index) => (index === 0 ? [ScriptedModel.call("tool", {}, "c")] : [ScriptedModel.text("done")]),
  tools: { tool: { run: () => Effect.succeed("ran"), policy: { approval: "ask", kind: "command" } } }
}

const { agent, handlers } = SessionHarness.agentOf(asking.tools!)

const isQuestion = SessionHarness.hasTag("QuestionOpened")

describe("a question", () => {
  it.effect("A2 that waits without a decider, a deadline and a client is reported, once", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make(asking)
      yield* harness.session.submit(Op.userInput("hi"))
      const { questionId } = yield* harness.awaitEvent(isQuestion)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(warningsOf(harness.records()), [])
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(warningsOf(harness.records()), 1)
      assert.include(warningsOf(harness.records())[0], `no one answers the question ${questionId} (command of tool)`)
      yield* harness.session.submit(Op.answer(questionId, { _tag: "Approved", scope: "once" }))
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.events.at(-1)?._tag, "TurnCompleted")
    })
  )

  it.effect("A2 is not reported while a client reads the events, nor with a deadline, nor once it is answered", () =>
    Effect.gen(function* () {
      const attended = yield* SessionHarness.make(asking)
      const client = yield* Effect.forkChild(Stream.runDrain(attended.session.events()), { startImmediately: true })
      yield* attended.session.submit(Op.userInput("hi"))
      yield* attended.awaitEvent(isQuestion)
      const bounded = yield* SessionHarness.make({ ...asking, config: { questionDeadline: "2 minutes" } })
      yield* bounded.session.submit(Op.userInput("hi"))
      yield* bounded.awaitEvent(isQuestion)
      const answered = yield* SessionHarness.make(asking)
      yield* answered.session.submit(Op.userInput("hi"))
      const { questionId } = yield* answered.awaitEvent(isQuestion)
      yield* answered.session.submit(Op.answer(questionId, { _tag: "Denied" }))
      yield* TestClock.adjust("1 hour")
      for (const harness of [attended, bounded, answered]) assert.deepStrictEqual(warningsOf(harness.records()), [])
      yield* Fiber.interrupt(client)
    })
  )

  it.effect("A2 of an agent that requires a decider is decided by that of the layer", () =>
    Effect.gen(function* () {
      const session = yield* Session.make(Agent.requireDecider(agent))
      yield* session.submit(Op.userInput("hi"))
      yield* session.awaitIdle
      assert.strictEqual((yield* session.snapshot).items.at(-1)?._tag, "AssistantMessage")
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Approvals.layer(Approvals.approveAll),
          Journal.layerMemory(),
          ScriptedModel.make(asking.script!).layer,
          handlers
        )
      )
    )
  )
})
