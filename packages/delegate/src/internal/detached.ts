/** Fibers that nothing waits for. */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/**
 * Starts an effect in a fiber that no scope and no parent interrupts, and returns the fiber. For calls into a child: a
 * child that hangs then blocks nothing but its own fiber.
 */
export const forkDetached = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<Fiber.Fiber<A, E>> =>
  Effect.forkDetach(effect, { startImmediately: true })
