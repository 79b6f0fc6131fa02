import { assert, describe, it } from "@effect/vitest"
import * as Interrupts from "@spindle/testing/Interrupts"
import { Duration, Effect, Exit, Fiber, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as ApiKeys from "../src/ApiKeys.ts"

/** A provider that refuses the first key, and a source of keys that takes a second. */
const world = () => {
  const counts = { asked: 0, served: 0 }
  const ask = Effect.andThen(
    Effect.sleep("1 second"),
    Effect.sync(() => Redacted.make(`key-${++counts.asked}`))
  )
  /** One request, as a model sends it: again with another key after a refusal. */
  const request = (keys: ApiKeys.ApiKeys, isFirst = true): Effect.Effect<void, { readonly message: string }> =>
    Effect.gen(function* () {
      const key = yield* keys.get
      yield* Effect.sleep("10 millis")
      if (Redacted.value(key) !== "key-1") return void counts.served++
      if (!isFirst) return yield* Effect.fail({ message: "refused twice" })
      yield* keys.refuse(key)
      yield* request(keys, false)
    })
  return { ask, counts, request }
}

/** Keys in a cache that each refusal empties, and that stops asking when nothing waits. */
const naive = (ask: Effect.Effect<Redacted.Redacted<string>, { readonly message: string }>) =>
  Effect.map(Effect.cachedInvalidateWithTTL(ask, Duration.infinity), ([get, forget]): ApiKeys.ApiKeys => ({
    get,
    refuse: () => forget
  }))

const requests = 20

/** Interrupts the first of 20 requests whose key has expired at each of its steps. */
const explore = (make: typeof naive, maxRuns?: number) =>
  Interrupts.explore({
    maxRuns,
    maxShrinks: 20,
    program: (stage) =>
      Effect.gen(function* () {
        const { ask, counts, request } = world()
        const keys = yield* make(ask)
        // the key that all of them have
        yield* keys.get
        const first = yield* stage.victim(request(keys))
        const others = yield* Effect.forEach(Array.from({ length: requests - 1 }), () =>
          Effect.forkChild(request(keys))
        )
        yield* Fiber.await(first)
        yield* stage.disarm
        yield* Effect.forEach(others, Fiber.join)
        return counts
      }),
    law: (exit) => {
      if (Exit.isFailure(exit)) return `a request failed: ${exit.cause}`
      const { asked, served } = exit.value
      if (asked !== 2) return `the key was refreshed ${asked - 1} times`
      return served >= requests - 1 ? undefined : `${served} requests were served`
    }
  })

describe("20 requests with an expired key", () => {
  it("refresh it once, wherever the first of them is interrupted", () => {
    const report = explore(ApiKeys.make)
    assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
    assert.isAbove(report.points, 20)
  })

  it("refresh it more than once where each refusal empties the cache", () => {
    assert.match(explore(naive, 20).smallest[0]?.law ?? "", /the key was refreshed \d+ times/)
  })
})

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
