/** Recovers from effects of the application, which may also interrupt themselves. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Turn } from "../Turn.ts"

/**
 * Replaces the result of an effect that fails, dies or interrupts itself, for example because it joined a fiber that was
 * interrupted. `orElse` gets the error, or a text if there is only an interruption. If the calling fiber is being interrupted, or if its turn is stopping, the
 * interruption remains.
 */
export const recover = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  orElse: (error: unknown) => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E2, R | R2> =>
  Effect.catchCause(effect, (cause) => {
    const failed = () => orElse(Cause.hasInterruptsOnly(cause) ? "it was interrupted" : Cause.squash(cause))
    return Cause.hasInterrupts(cause) ? Effect.flatMap(unlessStopping, failed) : failed()
  })

const unlessStopping: Effect.Effect<void> = Effect.andThen(
  // ends here if the fiber is being interrupted
  Effect.interruptible(Effect.void),
  Effect.contextWith((context: Context.Context<never>) => {
    const turn = Context.getOrUndefined(context as Context.Context<Turn>, Turn)
    if (turn === undefined) return Effect.void
    return Effect.flatMap(turn.abortReason, (reason) => (reason === undefined ? Effect.void : Effect.interrupt))
  })
)
