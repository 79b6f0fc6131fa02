/** Openings that succeed as a whole or leave nothing behind. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs an opening in a scope of its own below its caller's: one that fails or is interrupted lets go at once of what it
 * took, and one that succeeds holds it until the caller's scope closes, whose finalizers then run one after the other.
 */
export const acquireAll = <A, E, R>(
  opening: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(
      Effect.flatMap(Effect.scope, (scope) => Scope.fork(scope, "sequential")),
      (scope) =>
        Effect.onError(restore(Scope.provide(opening, scope)), (cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  )
