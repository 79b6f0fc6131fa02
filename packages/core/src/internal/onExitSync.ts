/** Steps at the end of effects. */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

/**
 * Runs a step when an effect succeeds, fails or is interrupted. It does the same as `Effect.onExit` with a `sync`, at
 * half the cost.
 */
export const onExitSync = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  step: (exit: Exit.Exit<A, E>) => void
): Effect.Effect<A, E, R> =>
  Effect.onExitPrimitive(effect, (exit) => {
    step(exit)
    return undefined
  })
