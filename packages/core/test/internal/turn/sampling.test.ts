import { assert, describe, it } from "@effect/vitest"
import { Model as ModelPort } from "@spindle/core/Model"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Cause, Deferred, Effect, Exit } from "effect"
import { TestClock } from "effect/testing"
import { heldAt } from "../../fixtures/journals.ts"
import { abortedOf, assertTurns, terminals } from "../../fixtures/turns.ts"

const request = { instructions: undefined, tools: [], output: undefined }
const sample = Effect.flatMap(Turn, (turn) => turn.sample(request, 1, () => Effect.void))

/** The records of model requests: their starts and ends, in order. */
const requestStates = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => {
    if (record._tag === "ModelRequested") return ["requested"]
    return record._tag === "ModelResponded" ? [record.finish] : []
  })

describe("a model request that was recorded and not sent", () => {
  it.effect("I7 ends as aborted when its turn does, and costs nothing", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("ModelRequested")
      const harness = yield* Harness.make({ journal, script: [[Model.text("never")]] })
      yield* Effect.forkChild(harness.submit("hi"))
      yield* reached
      assert.isTrue(yield* harness.session.abort())
      yield* open
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(requestStates(harness), ["requested", "aborted"])
      assert.lengthOf(harness.requests, 0)
      assert.deepStrictEqual(abortedOf(harness.events).usage, TokenUsage.zero)
      assertTurns(harness.events)
    })
  )

  it.effect("I7 ends as aborted when its task stops waiting, and the next one is sent", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("ModelRequested")
      const harness = yield* Harness.make({ journal, script: [[Model.text("second")]] })
      const stopped = yield* Deferred.make<void>()
      const twice = Task.make(
        "twice",
        Effect.gen(function* () {
          yield* Effect.raceFirst(sample, Deferred.await(stopped))
          return (yield* sample).text
        })
      )
      const running = yield* Effect.provideService(harness.session.start(twice), ModelPort, harness.model.model)
      yield* reached
      yield* Deferred.succeed(stopped, undefined)
      yield* open
      assert.deepStrictEqual(yield* running.outcome, { _tag: "Completed", value: "second" })
      assert.deepStrictEqual(requestStates(harness), ["requested", "aborted", "requested", "stop"])
      assertTurns(harness.events)
    })
  )

  it.effect("I7 of a straggler is ended by the owner of its turn", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("ModelRequested")
      const harness = yield* Harness.make({ journal })
      const deaf = Task.make("deaf", Effect.uninterruptible(sample))
      yield* Effect.provideService(harness.session.start(deaf), ModelPort, harness.model.model)
      yield* reached
      yield* harness.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* open
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(requestStates(harness), ["requested", "aborted"])
      assert.lengthOf(harness.requests, 0)
      assertTurns(harness.events)
    })
  )
})

describe("two model requests of one turn at once", () => {
  const start = <A, E>(harness: Harness.SessionHarness, effect: Effect.Effect<A, E, Turn | ModelPort>) =>
    Effect.provideService(harness.session.start(Task.make("both", effect)), ModelPort, harness.model.model)

  it.effect("I7 the second is a defect that says so, and does not touch the first", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({
        script: [[Model.gate("held"), Model.text("first")], [Model.text("third")]]
      })
      const both = Effect.all([sample, Effect.exit(sample)], { concurrency: "unbounded" })
      const running = yield* start(harness, Effect.zip(both, sample))
      yield* harness.model.awaitGate("held")
      assert.deepStrictEqual(requestStates(harness), ["requested"])
      yield* harness.model.open("held")
      const outcome = yield* running.outcome
      if (outcome._tag !== "Completed") return assert.fail(outcome._tag)
      const [[first, second], third] = outcome.value
      assert.deepStrictEqual([first.text, third.text], ["first", "third"])
      assert.match(String(Exit.isFailure(second) && Cause.squash(second.cause)), /samples one request at a time/)
      assert.deepStrictEqual(requestStates(harness), ["requested", "stop", "requested", "stop"])
      assertTurns(harness.events)
    })
  )

  it.effect("I7 S5 left alone, the defect fails the turn, and both requests are over", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.hang], [Model.text("fine")]] })
      const running = yield* start(harness, Effect.all([sample, sample], { concurrency: "unbounded" }))
      assert.strictEqual((yield* running.outcome)._tag, "Failed")
      const [end] = terminals(harness.events)
      assert.match(end?._tag === "TurnFailed" ? end.error.message : "", /samples one request at a time/)
      assert.deepStrictEqual(requestStates(harness), ["requested", "aborted"])
      assert.strictEqual(harness.model.openCount(), 0)
      assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
      assertTurns(harness.events)
    })
  )
})
