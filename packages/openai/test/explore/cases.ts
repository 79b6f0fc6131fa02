/** Explorations of keys that change: requests with an expired key, of which one is interrupted. */
import type * as Interrupts from "@spindle/testing/Interrupts"
import { Effect, Exit, Fiber, Redacted } from "effect"
import * as ApiKeys from "../../src/ApiKeys.ts"

/** A provider that refuses the first key, and a source of keys that takes a second. */
const world = () => {
  const counts = { asked: 0, served: 0 }
  const ask = Effect.suspend(() => Effect.as(Effect.sleep("1 second"), Redacted.make(`key-${++counts.asked}`)))
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

/** Interrupts the first of so many requests at each of its steps; the others start with it, or after it has ended. */
const expired = (count: number, when: "with it" | "after it") => ({
  program: (stage: Interrupts.Stage) =>
    Effect.gen(function* () {
      const { ask, counts, request } = world()
      const keys = yield* ApiKeys.make(ask)
      // the key that all of them have
      yield* keys.get
      const first = yield* stage.victim(request(keys))
      if (when === "after it") yield* Fiber.await(first)
      const others = yield* Effect.forEach(Array.from({ length: count - 1 }), () => Effect.forkChild(request(keys)))
      yield* Fiber.await(first)
      yield* stage.disarm
      yield* Effect.forEach(others, Fiber.join)
      return counts
    }),
  law: (exit: Exit.Exit<{ readonly asked: number; readonly served: number }, unknown>) => {
    if (Exit.isFailure(exit)) return `M3 a request failed: ${exit.cause}`
    const { asked, served } = exit.value
    if (asked !== 2) return `M3 the key was refreshed ${asked - 1} times`
    return served >= count - 1 ? undefined : `M3 ${served} requests were served`
  }
})

/** The explorations, by the name that the table of mutants uses. */
export const cases = { manyRequests: expired(20, "with it"), oneAfterAnother: expired(2, "after it") }
