import { assert, describe, it } from "@effect/vitest"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, assertTurns } from "./fixtures/turns.ts"

describe("finalizers in order", () => {
  it.effect(
    "I4 run one at a time, last first: one that does not end keeps the remaining ones from starting, and blocks nothing else",
    () =>
      Effect.gen(function* () {
        const harness = yield* Harness.make()
        const started: Array<string> = []
        const released = yield* Deferred.make<void>()
        const finalizer = (name: string, until: Effect.Effect<void>) =>
          Effect.addFinalizer(() =>
            Effect.andThen(
              Effect.sync(() => void started.push(name)),
              until
            )
          )
        const task = Task.make(
          "three",
          Effect.gen(function* () {
            yield* finalizer("first", Effect.void)
            yield* finalizer("second", Deferred.await(released))
            yield* finalizer("third", Effect.void)
            return yield* Effect.never
          })
        )
        const running = yield* harness.session.start(task)
        yield* harness.session.abort()
        yield* TestClock.adjust("100 millis")
        const stragglers = [{ kind: "task" as const, name: "three" }]
        assert.strictEqual((yield* running.outcome)._tag, "Aborted")
        const { at, requestedAt, stragglers: named } = abortedOf(harness.events)
        assert.deepStrictEqual([at - requestedAt, named], [100, stragglers])
        assert.deepStrictEqual(started, ["third", "second"])

        // the turn is over and the next one runs; the first finalizer still waits for the one before it
        yield* (yield* harness.session.start(Task.make("next", Effect.void))).outcome
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(started, ["third", "second"])
        yield* Deferred.succeed(released, undefined)
        const { straggler } = yield* harness.awaitEvent(Harness.hasTag("StragglerEnded"))
        assert.deepStrictEqual(straggler, stragglers[0])
        assert.deepStrictEqual(started, ["third", "second", "first"])
        assertTurns(harness.events)
      })
  )

  it.effect("I4 do not delay the finalizers of a clean-up of the turn", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const ended: Array<string> = []
      const task = Task.make(
        "hung",
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.never)
          const turn = yield* Turn
          const run = () => Effect.sync(() => void ended.push("cleaned up"))
          yield* Effect.asVoid(turn.onAbort({ kind: "cleanup", name: "beside", run }))
          return yield* Effect.never
        })
      )
      yield* harness.session.start(task)
      yield* harness.session.abort()
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(ended, ["cleaned up"])
      yield* TestClock.adjust("100 millis")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).stragglers, [{ kind: "task", name: "hung" }])
    })
  )
})
