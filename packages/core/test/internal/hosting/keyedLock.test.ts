import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { KeyedLock } from "../../../src/internal/hosting/keyedLock.ts"

describe("KeyedLock", () => {
  it.effect("runs effects of one key in order, those of other keys at the same time, and keeps no key", () =>
    Effect.gen(function* () {
      const locks = new KeyedLock<string>()
      const log: Array<string> = []
      const work = (key: string, name: string) =>
        locks.withLock(
          key,
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => void log.push(name))
          )
        )
      const fibers = yield* Effect.forEach(
        [
          ["a", "a1"],
          ["a", "interrupted"],
          ["a", "a2"],
          ["b", "b1"]
        ] as const,
        ([key, name]) => Effect.forkChild(work(key, name))
      )
      yield* TestClock.adjust(0)
      assert.strictEqual(locks.size, 2)
      yield* Fiber.interrupt(fibers[1]!)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log.toSorted(), ["a1", "b1"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(log.slice(2), ["a2"])
      assert.strictEqual(locks.size, 0)
    })
  )
})
