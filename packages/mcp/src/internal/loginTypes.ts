/** The options and the failures of a login; see `Login`. */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { HttpServer } from "../ServerConfig.ts"

/** The reason why a login failed. */
export const Reason = Schema.Union([
  /** The server names no authorization server. */
  Schema.TaggedStruct("NotOffered", {}),
  /** The authorization server registers no clients, and the configuration names none. */
  Schema.TaggedStruct("ClientMissing", {}),
  /** The person, or the authorization server, said no. */
  Schema.TaggedStruct("Denied", { detail: Schema.String }),
  /** A server cannot be reached, refused a request, or does not keep to the protocol. */
  Schema.TaggedStruct("Refused", { detail: Schema.String }),
  Schema.TaggedStruct("TimedOut", { seconds: Schema.Finite })
])
/** @see {@link Reason} */
export type Reason = typeof Reason.Type

/** A login failed. Nothing was stored. */
export class LoginFailed extends Schema.TaggedError<LoginFailed>()("LoginFailed", {
  server: Schema.String,
  reason: Reason
}) {
  override get message() {
    return `cannot log in to the MCP server ${this.server}: ${describe(this.reason)}`
  }
}

const describe = (reason: Reason): string => {
  switch (reason._tag) {
    case "NotOffered":
      return "it names no authorization server"
    case "ClientMissing":
      return "its authorization server registers no clients by itself; set oauth_client_id"
    case "Denied":
      return `the login was denied: ${reason.detail}`
    case "Refused":
      return reason.detail
    case "TimedOut":
      return `there was no answer from the browser within ${reason.seconds} s`
  }
}

/** A browser that came back. `respond` shows it a page of one sentence. */
export interface Arrival {
  readonly url: string
  readonly respond: (sentence: string) => Effect.Effect<void>
}

/** The address to which browsers come back. */
export interface Redirect {
  readonly uri: string
  /** Waits for the next browser. */
  readonly next: Effect.Effect<Arrival>
}

/** The options of a login. */
export interface Options {
  readonly server: HttpServer
  /** Headers of all requests to the server; see `ServerConfig.headersOf`. */
  readonly headers: { readonly [name: string]: string }
  readonly clientSecret?: Redacted.Redacted | undefined
  /** The name of this program for the person. */
  readonly program: string
  readonly redirect: Redirect
  /** Shows the person the address at which to log in. */
  readonly open: (address: string) => Effect.Effect<void>
  /** The permissions to ask for, in place of those of the configuration and the server. */
  readonly scopes?: ReadonlyArray<string> | undefined
  /** The time that the person has to log in. Default: 5 minutes. */
  readonly deadline?: Duration.Input | undefined
}
