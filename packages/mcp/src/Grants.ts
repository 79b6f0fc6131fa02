/** The store of logins to HTTP servers: the tokens that an authorization server has granted. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import type * as Scope from "effect/Scope"
import type { HttpServer } from "./ServerConfig.ts"

const Secret = Schema.RedactedFromValue(Schema.String)

/** The ways in which a client authenticates itself to a token endpoint. */
export const ClientAuthentication = Schema.Literals(["none", "client_secret_basic", "client_secret_post"])
/** @see {@link ClientAuthentication} */
export type ClientAuthentication = typeof ClientAuthentication.Type

/** The tokens that an authorization server has granted for one MCP server, with everything that a renewal needs. */
export class Grant extends Schema.Opaque<Grant>()(
  Schema.Struct({
    /** The MCP server, as the authorization server names it. Tokens are sent to no other one. */
    resource: Schema.String,
    issuer: Schema.String,
    tokenEndpoint: Schema.String,
    /** The address at which tokens are revoked, if the authorization server offers that. */
    revocationEndpoint: Schema.optionalKey(Schema.String),
    clientId: Schema.String,
    clientSecret: Schema.optionalKey(Secret),
    clientAuthentication: ClientAuthentication,
    accessToken: Secret,
    refreshToken: Schema.optionalKey(Secret),
    /** The time at which the access token expires, in milliseconds since 1970. */
    expiresAt: Schema.optionalKey(Schema.Finite),
    /** The permissions that were granted, separated by spaces. */
    scope: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "Grant" })
) {}

/** Grants cannot be read or written. */
export class GrantsFailed extends Schema.TaggedError<GrantsFailed>()("GrantsFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** Keeps one grant for each server. A server is known by its name and address, so another address has another grant. */
export interface Grants {
  readonly load: (server: HttpServer) => Effect.Effect<Grant | undefined, GrantsFailed>
  readonly save: (server: HttpServer, grant: Grant) => Effect.Effect<void, GrantsFailed>
  /** Removes the grant. Returns false if there was none. */
  readonly remove: (server: HttpServer) => Effect.Effect<boolean, GrantsFailed>
  /**
   * Waits for the right to renew the grant of a server, which ends with the scope. Everything that keeps its grants in
   * the same place shares it: a refresh token can often be used only once.
   */
  readonly lock: (server: HttpServer) => Effect.Effect<void, GrantsFailed, Scope.Scope>
}

/** Returns the text that names a server among others. */
export const keyOf = ({ name, url }: Pick<HttpServer, "name" | "url">): string => `${name}\0${url}`

/** Keeps grants until the program ends. */
export const memory = (): Grants => {
  const grants = new Map<string, Grant>()
  const lock = Semaphore.makeUnsafe(1)
  return {
    load: (server) => Effect.sync(() => grants.get(keyOf(server))),
    save: (server, grant) => Effect.sync(() => void grants.set(keyOf(server), grant)),
    remove: (server) => Effect.sync(() => grants.delete(keyOf(server))),
    lock: () => Effect.asVoid(Semaphore.takeScoped(lock, 1))
  }
}
