import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../src/ApiKeys.ts"

/** A source of keys that takes a second. */
const world = () => {
  const counts = { asked: 0 }
  const ask = Effect.andThen(
    Effect.sleep("1 second"),
    Effect.sync(() => Redacted.make(`key-${++counts.asked}`))
  )
  return { ask, counts }
}

describe("a refresh", () => {
  it.effect("continues when the only request that waits for it is interrupted", () =>
    Effect.gen(function* () {
      const { ask, counts } = world()
      const keys = yield* ApiKeys.make(ask)
      const waiting = yield* Effect.forkChild(keys.get, { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(waiting)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(Redacted.value(yield* keys.get), "key-1")
      assert.strictEqual(counts.asked, 1)
    })
  )

  it.effect("is not repeated for a key that was dropped before, even if its text is the same", () =>
    Effect.gen(function* () {
      let asked = 0
      const same = Redacted.make("same")
      const keys = yield* ApiKeys.make(Effect.sync(() => (asked++, same)))
      const expired = yield* keys.get
      yield* keys.refuse(expired)
      yield* keys.get
      yield* keys.refuse(expired)
      yield* keys.get
      assert.strictEqual(asked, 2)
    })
  )

  it.effect("comes when the key is too old", () =>
    Effect.gen(function* () {
      let asked = 0
      const keys = yield* ApiKeys.make(
        Effect.sync(() => Redacted.make(`key-${++asked}`)),
        { maxAge: "5 minutes" }
      )
      const valueOf = Effect.map(keys.get, Redacted.value)
      yield* valueOf
      yield* TestClock.adjust("4 minutes")
      assert.strictEqual(yield* valueOf, "key-1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* valueOf, "key-2")
    })
  )

  it.effect("that fails reaches all that wait, and is not kept", () =>
    Effect.gen(function* () {
      let isLocked = true
      const keys = yield* ApiKeys.make(
        Effect.suspend(() => (isLocked ? Effect.fail({ message: "locked" }) : Effect.succeed(Redacted.make("k"))))
      )
      const failures = yield* Effect.all([Effect.flip(keys.get), Effect.flip(keys.get)], { concurrency: 2 })
      assert.deepStrictEqual(
        failures.map(({ message }) => message),
        ["locked", "locked"]
      )
      isLocked = false
      assert.strictEqual(Redacted.value(yield* keys.get), "k")
    })
  )
})
