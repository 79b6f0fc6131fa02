/** Fibers that outlive the fiber that starts them: owners of jobs, tasks, clean-ups and replacements. */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** Starts a fiber that only its owner can interrupt, and otherwise runs until it ends by itself. */
export const forkDetached = <A, E>(
  context: Context.Context<never>,
  effect: Effect.Effect<A, E>,
  options?: { readonly uninterruptible: boolean }
): Fiber.Fiber<A, E> => Effect.runForkWith(context)(effect, options)

/** Runs an effect in a detached fiber and waits for it. **Interruption** stops only the wait. */
export const runDetached = <A, E>(context: Context.Context<never>, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  // mutant run-detached (I9: a replacement keeps running when the task that asked for it ends): replace: effect
  Effect.suspend(() => Fiber.join(forkDetached(context, effect)))
