import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as CellClock from "../../src/internal/project/cellClock.ts"

describe("the clock of a cell", () => {
  it.effect("stops while a call runs, and while the last of several runs", () =>
    Effect.gen(function* () {
      const clock = CellClock.make(100)
      const used = yield* Effect.forkChild(clock.used, { startImmediately: true })
      const [first, second] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const pause = (call: Deferred.Deferred<void>) =>
        Effect.forkChild(clock.pauseDuring(Deferred.await(call)), { startImmediately: true })
      yield* TestClock.adjust(60)
      yield* pause(first)
      yield* pause(second)
      yield* TestClock.adjust("1 hour")
      yield* Deferred.succeed(first, undefined)
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(used.pollUnsafe())
      yield* Deferred.succeed(second, undefined)
      yield* TestClock.adjust(39)
      assert.isUndefined(used.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(used)
    })
  )

  it.effect("continues after a call that is interrupted, and may be paused before it starts", () =>
    Effect.gen(function* () {
      const clock = CellClock.make(10)
      const call = yield* Effect.forkChild(clock.pauseDuring(Effect.never), { startImmediately: true })
      const used = yield* Effect.forkChild(clock.used, { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.isUndefined(used.pollUnsafe())
      yield* Fiber.interrupt(call)
      yield* TestClock.adjust(10)
      yield* Fiber.join(used)
    })
  )
})
