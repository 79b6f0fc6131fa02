import { assert, describe, it } from "@effect/vitest"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Cause, Deferred, Effect, Fiber } from "effect"
import { abortedOf, assertTurns, itemsOf } from "../fixtures/turns.ts"

/** A session whose model calls each tool once, in parallel, and then speaks. */
const calling = (tools: { readonly [name: string]: Harness.TestTool["run"] }) =>
  Harness.make({
    script: (_, index) =>
      index === 0 ? Object.keys(tools).map((name) => Model.call(name, {}, name)) : [Model.text("done")],
    tools: Object.fromEntries(Object.entries(tools).map(([name, run]) => [name, { run }]))
  })

const results = (harness: Harness.SessionHarness) =>
  itemsOf(harness.events).flatMap((item) =>
    item._tag === "ToolResult" ? [[item.callId as string, item.status, item.output]] : []
  )

describe("a tool that is interrupted without an abort", () => {
  it.effect("S5 by itself has a failed result for the model, and its siblings and the turn continue", () =>
    Effect.gen(function* () {
      const harness = yield* calling({
        before: () => Effect.as(Effect.yieldNow, "ran"),
        itself: () => Effect.interrupt,
        after: () => Effect.as(Effect.yieldNow, "ran")
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(results(harness), [
        ["before", "completed", "ran"],
        ["itself", "failed", "itself was interrupted"],
        ["after", "completed", "ran"]
      ])
      assert.lengthOf(harness.requests, 2)
      assertTurns(harness.events)
    })
  )

  it.effect("S5 by one of its fibers that was interrupted has a failed result as well", () =>
    Effect.gen(function* () {
      const harness = yield* calling({
        joins: () =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(Effect.never)
            yield* Fiber.interrupt(fiber)
            return yield* Fiber.join(fiber)
          })
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(results(harness), [["joins", "failed", "joins was interrupted"]])
    })
  )

  it.effect("S5 in one part, by the failure of another part, reports that failure to the model", () =>
    Effect.gen(function* () {
      const harness = yield* calling({
        parts: () =>
          Effect.all([Effect.never, Effect.andThen(Effect.yieldNow, Effect.fail("no disk"))], {
            concurrency: "unbounded"
          })
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(results(harness), [["parts", "failed", "no disk"]])
    })
  )

  it.effect("S5 in addition to a failure reports that failure to the model", () =>
    Effect.gen(function* () {
      const harness = yield* calling({
        mixed: () => Effect.failCause(Cause.combine(Cause.interrupt(), Cause.fail("no disk")))
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      assert.deepStrictEqual(results(harness), [["mixed", "failed", "no disk"]])
    })
  )
})

describe("a tool that is interrupted in a turn that closes", () => {
  it.effect("I6 has an aborted result, even if it interrupts itself in its finalizer", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      const harness = yield* calling({
        itself: () =>
          Effect.uninterruptible(
            Effect.andThen(
              Deferred.succeed(begun, undefined),
              Effect.andThen(Deferred.await(released), Effect.interrupt)
            )
          )
      })
      yield* harness.submit("go")
      yield* Deferred.await(begun)
      yield* harness.session.abort()
      yield* Deferred.succeed(released, undefined)
      yield* harness.session.awaitIdle
      assert.strictEqual(abortedOf(harness.events).reason, "Interrupted")
      assert.deepStrictEqual(
        results(harness).map(([name, status]) => [name, status]),
        [["itself", "aborted"]]
      )
      assertTurns(harness.events)
    })
  )

  it.effect("I6 has an aborted result if the turn refuses to start something for it", () =>
    Effect.gen(function* () {
      const harness = yield* calling({
        asks: () =>
          Effect.flatMap(Turn, (turn) =>
            Effect.andThen(turn.abort("Deadline"), turn.ask({ kind: "question", payload: "may I?" }))
          )
      })
      yield* harness.run("go")
      assert.strictEqual(abortedOf(harness.events).reason, "Deadline")
      assert.deepStrictEqual(
        results(harness).map(([name, status]) => [name, status]),
        [["asks", "aborted"]]
      )
      assertTurns(harness.events)
    })
  )
})
