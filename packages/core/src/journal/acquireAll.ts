/** Acquires several resources, all or none. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs an effect in a child of the caller's scope. If the effect fails or is interrupted, the resources that it
 * acquired are released at once. If it succeeds, they are held until the caller's scope closes, and then released one
 * after the other.
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
