/**
 * The login of a person to an HTTP server, with OAuth: an authorization code with PKCE, and a redirection to an address
 * of this machine. The result is a grant, to be kept in `Grants`.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as HttpClient from "effect/http/HttpClient"
import type { Grant } from "./Grants.ts"
import type { LoginFailed, Options } from "./internal/loginTypes.ts"

export { type Arrival, LoginFailed, type Options, Reason, type Redirect } from "./internal/loginTypes.ts"

/**
 * Logs in and returns the grant, which it does not store. **Interruption** leaves nothing. **Errors**: `LoginFailed`.
 */
export const login = (options: Options): Effect.Effect<Grant, LoginFailed, HttpClient.HttpClient> =>
  Effect.flatMap(
    // loaded with the first login
    Effect.promise(() => import("./internal/login.ts")),
    (internal) => internal.login(options)
  )

/** Tokens could not be revoked, so they stay valid until they expire. */
export class RevocationFailed extends Schema.TaggedError<RevocationFailed>()("RevocationFailed", {
  issuer: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `cannot revoke the tokens at ${this.issuer}: ${this.detail}`
  }
}

/**
 * Revokes the tokens of a grant at its authorization server (RFC 7009). Returns false if the server offers no
 * revocation. **Errors**: `RevocationFailed`.
 */
export const revoke = (grant: Grant): Effect.Effect<boolean, RevocationFailed, HttpClient.HttpClient> =>
  Effect.flatMap(
    Effect.promise(() => import("./internal/oauth.ts")),
    (internal) =>
      Effect.mapError(internal.revoke(grant), ({ detail }) => new RevocationFailed({ issuer: grant.issuer, detail }))
  )
