import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { runDetached } from "../../src/internal/detached.ts"

describe("runDetached", () => {
  it.effect("keeps running when its caller is interrupted, and returns the result to a caller that waits", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const gate = yield* Deferred.make<void>()
      const done = yield* Deferred.make<string>()
      const work = Effect.andThen(Deferred.await(gate), Deferred.succeed(done, "continued"))
      const caller = yield* Effect.forkChild(runDetached(context, work), { startImmediately: true })
      yield* Fiber.interrupt(caller)
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Deferred.await(done), "continued")
      assert.strictEqual(yield* runDetached(context, Effect.succeed(3)), 3)
      assert.strictEqual(yield* Effect.flip(runDetached(context, Effect.fail("no"))), "no")
    })
  )
})
