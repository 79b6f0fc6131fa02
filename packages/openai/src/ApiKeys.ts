/**
 * A key that can change. It is requested when a model request needs it, kept, and requested again once the provider has
 * refused it. All requests of all models that have the same `ApiKeys` share each refresh.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"

/** A key that can change. The `message` of a failure gives the reason why there is no key. */
export interface ApiKeys {
  /** Returns the key. **Interruption** stops only the wait: the refresh continues for the other callers. */
  readonly get: Effect.Effect<Redacted.Redacted<string>, { readonly message: string }>
  /**
   * Drops a key that the provider has refused, so that the next `get` requests another one. Has no effect if the key
   * was dropped before: of many requests with one key, only the first refusal causes a refresh.
   */
  readonly refuse: (key: Redacted.Redacted<string>) => Effect.Effect<void>
}

/**
 * Makes a key from the effect `ask`, which returns it. A key that is older than `maxAge` is requested again (default:
 * no limit). A failure reaches all callers that wait, and is not kept.
 *
 * Once started, `ask` runs to its end in its own fiber, so it should be bounded in time.
 */
export const make = (
  ask: Effect.Effect<Redacted.Redacted<string>, { readonly message: string }>,
  options: { readonly maxAge?: Duration.Input | undefined } = {}
): Effect.Effect<ApiKeys> =>
  Effect.gen(function* () {
    const maxAge = Duration.fromInputUnsafe(options.maxAge ?? Duration.infinity)
    let current: Redacted.Redacted<string> | undefined
    // a new object for each refresh, by which `refuse` knows the key, even if its text is the same as before
    const asked = Effect.map(ask, (key) => (current = Redacted.make(Redacted.value(key))))
    const lifetime = (exit: Exit.Exit<unknown, unknown>) => (Exit.isSuccess(exit) ? maxAge : Duration.zero)
    const [cached, forget] = yield* Effect.cachedInvalidateWithTTL(asked, lifetime)
    return {
      // the cache stops asking when nothing waits; a detached fiber waits for each caller
      // mutant asks-for-a-key-in-no-caller (M3: a refresh survives the request that started it):
      //   replace: `Effect.flatMap(Effect.forkDetach(cached), Fiber.join)` => `cached`
      get: Effect.flatMap(Effect.forkDetach(cached), Fiber.join),
      // an interruption between the two steps would keep a key that no request can refuse again
      refuse: (key) =>
        Effect.uninterruptible(
          Effect.suspend(() => {
            // mutant refuses-a-key-once (M3: requests that are refused with one key share one refresh): drop
            if (key !== current) return Effect.void
            current = undefined
            return forget
          })
        )
    }
  })
