/** Finds the authorization server that a server over HTTP names, and reads its description. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Protocol from "oauth4webapi"
import type { Headers } from "../TurnHeaders.ts"
import * as Challenge from "./challenge.ts"
import * as OAuth from "./oauth.ts"
import * as Web from "./web.ts"

/** The place to log in for a server. */
export interface Described {
  /** The server, as the authorization server knows it. */
  readonly resource: string
  readonly authorizationServer: Protocol.AuthorizationServer
  /** The permissions that the server asks for, separated by spaces. */
  readonly scope: string | undefined
}

/**
 * Asks the server without a token, and reads the descriptions of the server and of its authorization server. Returns
 * undefined if it names none. **Errors**: `OAuthFailed`.
 */
export const discover = Effect.fnUntraced(function* (address: string, headers: Headers) {
  const url = yield* OAuth.parseSecure(address)
  const challenge = yield* challengeOf(url, headers)
  const metadata = yield* resourceMetadata(url, challenge?.resourceMetadata)
  if (metadata !== undefined && !covers(metadata.resource, url)) {
    return yield* new OAuth.OAuthFailed({ detail: `it describes another server, ${metadata.resource}` })
  }
  const [issuer] = metadata?.authorization_servers ?? []
  const authorizationServer =
    issuer === undefined ? yield* withoutMetadata(url, challenge !== undefined) : yield* serverAt(issuer)
  if (authorizationServer === undefined) return undefined
  yield* checkEndpoints(authorizationServer)
  const scope = challenge?.scope ?? metadata?.scopes_supported?.join(" ")
  const described: Described = { resource: metadata?.resource ?? url.href, authorizationServer, scope }
  return described
})

/** A request that changes nothing: a server that needs a token refuses it. */
const ping = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" })

const challengeOf = (url: Web.URL, headers: Headers) =>
  Effect.map(
    OAuth.send(url.href, {
      method: "POST",
      headers: { ...headers, accept: "application/json, text/event-stream", "content-type": "application/json" },
      body: ping
    }),
    ({ headers, status }) =>
      status === 401 || status === 403 ? Challenge.parse(headers["www-authenticate"]) : undefined
  )

const ResourceMetadata = Schema.Struct({
  resource: Schema.String,
  authorization_servers: Schema.optionalKey(Schema.Array(Schema.String)),
  scopes_supported: Schema.optionalKey(Schema.Array(Schema.String))
})
const decodeResourceMetadata = Schema.decodeUnknownOption(Schema.fromJsonString(ResourceMetadata))

/** Reads the description of a server: at the address that it names, else at the two that are usual. */
const resourceMetadata = Effect.fnUntraced(function* ({ origin, pathname }: Web.URL, named: string | undefined) {
  const usual = `${origin}/.well-known/oauth-protected-resource`
  for (const address of named === undefined ? places(usual, pathname) : [named]) {
    const { status, text } = yield* get(address)
    const found = status === 200 ? decodeResourceMetadata(text) : Option.none()
    if (Option.isSome(found)) return found.value
  }
  return undefined
})

/** Returns an address with another path after it, and without that path. */
const places = (address: string, pathname: string) =>
  pathname === "/" ? [address] : [`${address}${pathname}`, address]

const get = (address: string) => OAuth.send(address, { method: "GET", headers: { accept: "application/json" } })

/** Returns true if a description is for this address: it has the same origin, and the same path or one above. */
const covers = (resource: string, url: Web.URL): boolean => {
  if (!Web.URL.canParse(resource)) return false
  const { origin, pathname } = new Web.URL(resource)
  const above = pathname.endsWith("/") ? pathname : `${pathname}/`
  return origin === url.origin && `${url.pathname}/`.startsWith(above)
}

/** Reads the description of an authorization server, at the addresses that two standards name. */
const serverAt = Effect.fnUntraced(function* (issuer: string) {
  const found = yield* tryServerAt(issuer)
  return found ?? (yield* new OAuth.OAuthFailed({ detail: `${issuer} does not describe itself` }))
})

const tryServerAt = Effect.fnUntraced(function* (issuer: string) {
  const url = yield* OAuth.parseSecure(issuer)
  const path = url.pathname.replace(/\/$/, "")
  const addresses = [
    `${url.origin}/.well-known/oauth-authorization-server${path}`,
    `${url.origin}/.well-known/openid-configuration${path}`,
    ...(path === "" ? [] : [`${url.origin}${path}/.well-known/openid-configuration`])
  ]
  for (const address of addresses) {
    const received = yield* get(address)
    if (received.status === 200) {
      return yield* OAuth.run([], () => Protocol.processDiscoveryResponse(url, OAuth.responseOf(received)))
    }
  }
  return undefined
})

/** Finds the authorization server of a server without a description (revision 2025-03-26): it is at its origin. */
const withoutMetadata = Effect.fnUntraced(function* ({ origin }: Web.URL, isChallenged: boolean) {
  const found = yield* tryServerAt(origin)
  if (found !== undefined || !isChallenged) return found
  const usual: Protocol.AuthorizationServer = {
    issuer: origin,
    authorization_endpoint: `${origin}/authorize`,
    token_endpoint: `${origin}/token`,
    registration_endpoint: `${origin}/register`,
    code_challenge_methods_supported: ["S256"]
  }
  return usual
})

/** Checks that a login is possible and safe: with PKCE, and at secure addresses. */
const checkEndpoints = Effect.fnUntraced(function* (server: Protocol.AuthorizationServer) {
  const {
    authorization_endpoint: authorize,
    code_challenge_methods_supported: methods,
    issuer,
    token_endpoint
  } = server
  if (authorize === undefined || token_endpoint === undefined) {
    return yield* new OAuth.OAuthFailed({ detail: `${issuer} offers no login with a browser` })
  }
  if (methods?.includes("S256") !== true) {
    return yield* new OAuth.OAuthFailed({ detail: `${issuer} does not support PKCE with S256` })
  }
  yield* Effect.forEach([authorize, token_endpoint], OAuth.parseSecure)
})
