/** The key of a model: a value, or one that can change. */
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as ApiKeys from "../ApiKeys.ts"
import * as Failures from "./failures.ts"

/** A key, or an effect that returns it. The message of a failure gives the reason why there is no key. */
export type ApiKey =
  | Redacted.Redacted<string>
  | Effect.Effect<Redacted.Redacted<string>, { readonly message: string }>
  | ApiKeys.ApiKeys

/** The key of one model. */
export interface Key {
  readonly get: Effect.Effect<Redacted.Redacted<string> | undefined, ModelFailed>
  /** Drops a key that the provider has refused. Returns true if there can be another one. */
  readonly refuse: (key: Redacted.Redacted<string> | undefined) => Effect.Effect<boolean>
}

/** Makes the key of one model. */
export const make = (context: Failures.FailureContext, apiKey: ApiKey | undefined): Effect.Effect<Key> => {
  if (apiKey === undefined || Redacted.isRedacted(apiKey)) {
    return Effect.succeed({ get: Effect.succeed(apiKey), refuse: () => Effect.succeed(false) })
  }
  return Effect.map(Effect.isEffect(apiKey) ? ApiKeys.make(apiKey) : Effect.succeed(apiKey), (keys) => ({
    get: Effect.mapError(keys.get, ({ message }) =>
      Failures.failure(context, "Unauthorized", { detail: `there is no key for ${context.provider}: ${message}` })
    ),
    refuse: (key) => (key === undefined ? Effect.succeed(false) : Effect.as(keys.refuse(key), true))
  }))
}
