import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Op from "@spindle/core/Op"
import * as Input from "@spindle/core/Input"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"

describe("start", () => {
  it.effect("D1 a delegate runs its own turns and ends with the turn that started it", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const answer = yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start(Family.endless)
          const receipt = yield* child.submit(Op.userInput("one"))
          assert.strictEqual(receipt._tag, "Started")
          return { child, status: yield* child.settled }
        })
      )
      assert.deepStrictEqual(answer.status, { _tag: "Completed", message: "echo one" })
      assert.strictEqual((yield* answer.child.status)._tag, "Shutdown")
      assert.include(family.root.tags(), "DelegateEnded")
      assert.isBelow(family.root.tags().indexOf("DelegateEnded"), family.root.tags().indexOf("TurnCompleted"))
    })
  )

  it.effect("D1 D2 the events of a delegate end with it, and earlier events stay readable", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const child = yield* family.run(
        Effect.gen(function* () {
          const started = yield* Delegate.start(Family.endless)
          yield* started.submit(Op.userInput("one"))
          yield* started.settled
          return started
        })
      )
      const events = yield* Stream.runCollect(child.events)
      assert.deepStrictEqual(Family.tags(events), [
        "InputAccepted",
        "TurnStarted",
        "ItemRecorded",
        "ModelRequested",
        "TextDelta",
        "ItemRecorded",
        "TurnCompleted"
      ])
    })
  )
})

describe("a task that is started in a delegate", () => {
  it.effect("D6 is work: the delegate settles when its turn has ended", () =>
    Effect.gen(function* () {
      const says = Task.make(
        "says",
        Effect.flatMap(Turn, (turn) => Effect.andThen(Effect.yieldNow, Effect.as(turn.say("done"), "done")))
      )
      const kind = TaskKind.make("says", { params: Schema.Struct({}), task: () => says })
      const family = yield* Family.make()
      const status = yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start({ ...Family.endless, agent: Agent.make({ tasks: [kind] }) })
          const receipt = yield* child.submit(Op.startTask("says"))
          assert.strictEqual(receipt._tag, "Started")
          return yield* child.settled
        })
      )
      assert.deepStrictEqual(status, { _tag: "Completed", message: "done" })
    })
  )
})

describe("runOnce", () => {
  it.effect("D5 returns the last message of the delegate, and leaves nothing", () =>
    Effect.gen(function* () {
      const family = yield* Family.make()
      const answer = yield* family.run(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
      assert.strictEqual(answer, "echo once")
    })
  )

  it.effect("D1 the abort of the parent's turn ends a one-shot delegate", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.pieces("thinking"), ScriptedModel.hang] })
      const running = yield* family.start(Delegate.runOnce({ ...Family.endless, input: Input.text("once") }))
      const childId = yield* family.awaitTold((event) => event._tag === "TextDelta")
      yield* family.root.session.abort()
      const outcome = yield* running.outcome
      assert.strictEqual(outcome._tag, "Aborted")
      const terminal = Family.terminalOf(family.told(childId))
      assert.strictEqual(terminal?._tag === "TurnAborted" && terminal.reason, "Parent")
      assert.strictEqual(family.model.openCount(), 0)
    })
  )

  it.effect("D5 the deadline ends a delegate that hangs", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: () => [ScriptedModel.pieces("half"), ScriptedModel.hang] })
      const fiber = yield* Effect.forkChild(
        Effect.flip(
          family.run(Delegate.runOnce({ ...Family.endless, deadline: "1 minute", input: Input.text("once") }))
        )
      )
      yield* family.awaitTold((event) => event._tag === "TextDelta")
      yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "DelegateFailed", partial: "half" })
    })
  )
})
