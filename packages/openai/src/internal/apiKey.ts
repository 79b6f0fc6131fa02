/** The key of a model: a value, or an effect that is run when a key is needed and its result kept. */
import type { ModelFailed } from "@spindle/core/SessionError"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Failures from "./failures.ts"

/** A key, or where it comes from. The message of a failure says why there is none. */
export type ApiKey = Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, { readonly message: string }>

/** A key that can be asked for again. */
export interface Keys {
  readonly get: Effect.Effect<Redacted.Redacted<string> | undefined, ModelFailed>
  /** Drops a key that the provider refused. False means that no other key can come. */
  readonly renew: Effect.Effect<boolean>
}

/** Makes the keys of one model. A failure is not kept: the next request asks again. */
export const make = (context: Failures.FailureContext, apiKey: ApiKey | undefined): Effect.Effect<Keys> => {
  if (apiKey === undefined || Redacted.isRedacted(apiKey)) {
    return Effect.succeed({ get: Effect.succeed(apiKey), renew: Effect.succeed(false) })
  }
  const lifetime = (exit: Exit.Exit<unknown, unknown>) => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  return Effect.map(Effect.cachedInvalidateWithTTL(apiKey, lifetime), ([cached, invalidate]) => ({
    get: Effect.mapError(cached, ({ message }) =>
      Failures.failure(context, "Unauthorized", { detail: `there is no key for ${context.provider}: ${message}` })
    ),
    renew: Effect.as(invalidate, true)
  }))
}
