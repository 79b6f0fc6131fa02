/** Requests to authorization servers: `oauth4webapi`, over the HTTP client of the program. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Base64 from "effect/encoding/Base64"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type { HttpMethod } from "effect/http/HttpMethod"
import * as Protocol from "oauth4webapi"
import type { ClientAuthentication, Grant } from "../Grants.ts"
import * as Web from "./web.ts"

/**
 * An authorization server refused, or did not keep to the protocol. `code` is its name of the error. `isAnswer` is true
 * if it was the answer to a person. The error contains no secret.
 */
export class OAuthFailed extends Schema.TaggedError<OAuthFailed>()("OAuthFailed", {
  code: Schema.optionalKey(Schema.String),
  isAnswer: Schema.optionalKey(Schema.Boolean),
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** The largest response that is read. */
const limitBytes = 1024 * 1024
/** The limit of a request. */
const limitSeconds = 30
const longestDetail = 200

/** The options of every request of the library: its `fetch`, and the signal that aborts it. */
export interface RequestOptions {
  readonly [Protocol.customFetch]: (url: string, init: Init) => Promise<object>
  readonly [Protocol.allowInsecureRequests]: true
  readonly signal: never
}

/** A request, as `fetch` takes it. */
export interface Init {
  readonly method: string
  readonly headers: { readonly [name: string]: string }
  readonly body?: { readonly toString: () => string } | null | undefined
  readonly signal?: unknown
}

/**
 * Makes requests with the library. The error contains none of `secrets`. **Errors**: `OAuthFailed`. **Interruption**
 * aborts the request.
 */
export const run = <A>(
  secrets: ReadonlyArray<string>,
  make: (options: RequestOptions) => Promise<A>
): Effect.Effect<A, OAuthFailed, HttpClient.HttpClient> =>
  Effect.flatMap(Effect.context<HttpClient.HttpClient>(), (context) =>
    Effect.tryPromise({
      try: (signal) =>
        make({
          [Protocol.customFetch]: (url, init) =>
            Effect.runPromiseWith(context)(Effect.map(send(url, init), responseOf), { signal: init.signal as never }),
          // `send` decides which addresses are secure enough
          [Protocol.allowInsecureRequests]: true,
          signal: signal as never
        }),
      catch: (error) => toOAuthFailed(error, secrets)
    })
  )

/** A response that was read. */
export interface Received {
  readonly status: number
  readonly headers: { readonly [name: string]: string | undefined }
  readonly text: string
}

/** Makes a response as the library takes it. */
export const responseOf = ({ headers, status, text }: Received): never =>
  new Web.Response(text === "" ? null : text, { status, headers }) as never

/** Sends one request, without following redirections, and reads its response. */
export const send = Effect.fnUntraced(function* (url: string, { body, headers, method }: Init) {
  const { host } = yield* parseSecure(url)
  const client = yield* HttpClient.HttpClient
  const fail = (what: string) => new OAuthFailed({ detail: `${host} ${what}` })
  const request = HttpClientRequest.make(method as HttpMethod)(url, { headers })
  const exchange = Effect.gen(function* () {
    const response = yield* client
      .execute(body == null ? request : HttpClientRequest.bodyText(request, String(body), headers["content-type"]))
      .pipe(
        // some HTTP clients fail for an error status
        Effect.catch(({ response }) => (response === undefined ? fail("cannot be reached") : Effect.succeed(response)))
      )
    const text = yield* Stream.mapError(response.stream, () => fail("closed its response before the end")).pipe(
      Stream.limitBytes(limitBytes, () => Stream.fail(fail(`sent more than ${limitBytes} bytes`))),
      Stream.decodeText(),
      Stream.mkString
    )
    return { status: response.status, headers: response.headers, text } satisfies Received as Received
  })
  return yield* Effect.timeoutOrElse(exchange, {
    duration: `${limitSeconds} seconds`,
    orElse: () => fail(`did not respond within ${limitSeconds} s`)
  })
})

/** Parses an address. Tokens go over https only, or to a server on this machine. */
export const parseSecure = (url: string): Effect.Effect<Web.URL, OAuthFailed> =>
  Effect.suspend(() => {
    if (!Web.URL.canParse(url))
      return Effect.fail(new OAuthFailed({ detail: `${JSON.stringify(url)} is not an address` }))
    const parsed = new Web.URL(url)
    const isLocal = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(parsed.hostname)
    return parsed.protocol === "https:" || (parsed.protocol === "http:" && isLocal)
      ? Effect.succeed(parsed)
      : Effect.fail(new OAuthFailed({ detail: `${parsed.protocol}//${parsed.host} is not a secure address` }))
  })

/** Converts an error of the library. */
export const toOAuthFailed = (error: unknown, secrets: ReadonlyArray<string>): OAuthFailed => {
  if (error instanceof OAuthFailed) return error
  if (error instanceof Protocol.ResponseBodyError || error instanceof Protocol.AuthorizationResponseError) {
    const { error: code, error_description: description } = error
    const detail = description === undefined ? code : `${code}: ${description}`
    const isAnswer = error instanceof Protocol.AuthorizationResponseError
    return new OAuthFailed({ code, isAnswer, detail: toReadable(detail, secrets) })
  }
  return new OAuthFailed({ detail: toReadable(error instanceof Error ? error.message : String(error), secrets) })
}

const decodeError = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ error: Schema.String, error_description: Schema.optionalKey(Schema.String) }))
)

/** Makes the error of a response that reports no success: `what`, and the words of the server. */
export const refusalOf = ({ status, text }: Received, what: string): OAuthFailed => {
  const said = Option.match(decodeError(text), {
    onNone: () => `HTTP ${status}`,
    onSome: ({ error, error_description: description }) =>
      description === undefined ? error : `${error}: ${description}`
  })
  return new OAuthFailed({ detail: `${what}: ${toReadable(said, [])}` })
}

/** Converts a text of a server for a person: one line of bounded length, without secrets. */
const toReadable = (text: string, secrets: ReadonlyArray<string>): string =>
  secrets
    .filter((secret) => secret !== "")
    .reduce((shown, secret) => shown.replaceAll(secret, "..."), text)
    .replace(/[^\x20-\x7e\u00a0-\uffff]+/g, " ")
    .slice(0, longestDetail)

/** Returns the client as the library knows it. */
export const clientOf = ({ clientId }: Pick<Grant, "clientId">): Protocol.Client => ({ client_id: clientId })

/** Returns the authentication of a client at the token endpoint. */
export const authenticationOf = (
  method: ClientAuthentication,
  secret: Redacted.Redacted | undefined
): Protocol.ClientAuth => {
  if (method === "none" || secret === undefined) return Protocol.None()
  const text = Redacted.value(secret)
  return method === "client_secret_post" ? Protocol.ClientSecretPost(text) : basic(text)
}

/**
 * Makes basic authentication. The library's version also escapes characters that need no escape, such as a hyphen, and
 * some servers compare the name of a client without decoding it.
 */
const basic =
  (secret: string): Protocol.ClientAuth =>
  (_server, { client_id }, _body, headers) => {
    const credentials = [client_id, secret].map(encodeURIComponent).join(":")
    headers.set("authorization", `Basic ${Base64.encode(credentials)}`)
  }

/** Everything of a grant but its tokens. */
export type Issued = Omit<Grant, "accessToken" | "refreshToken" | "expiresAt" | "scope">

/** Makes a grant from a response. Without a refresh token or a scope in it, those of the previous grant are kept. */
export const grantOf = (
  issued: Issued,
  tokens: Protocol.TokenEndpointResponse,
  before: Pick<Grant, "refreshToken" | "scope"> = {}
): Effect.Effect<Grant> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const refreshToken = tokens.refresh_token === undefined ? before.refreshToken : Redacted.make(tokens.refresh_token)
    const scope = tokens.scope ?? before.scope
    return {
      ...issued,
      accessToken: Redacted.make(tokens.access_token),
      ...(refreshToken !== undefined && { refreshToken }),
      ...(tokens.expires_in !== undefined && { expiresAt: now + tokens.expires_in * 1_000 }),
      ...(scope !== undefined && { scope })
    }
  })

/**
 * Revokes the tokens of a grant, the refresh token first. Returns false if its authorization server does not offer
 * that. **Errors**: `OAuthFailed`.
 */
export const revoke = Effect.fnUntraced(function* (grant: Grant) {
  if (grant.revocationEndpoint === undefined) return false
  const server: Protocol.AuthorizationServer = { issuer: grant.issuer, revocation_endpoint: grant.revocationEndpoint }
  const secret = grant.clientSecret
  const authentication = authenticationOf(grant.clientAuthentication, secret)
  for (const [hint, redacted] of [
    ["refresh_token", grant.refreshToken],
    ["access_token", grant.accessToken]
  ] as const) {
    if (redacted === undefined) continue
    const token = Redacted.value(redacted)
    yield* run([token, secret === undefined ? "" : Redacted.value(secret)], async (options) =>
      Protocol.processRevocationResponse(
        await Protocol.revocationRequest(server, clientOf(grant), authentication, token, {
          ...options,
          additionalParameters: { token_type_hint: hint }
        })
      )
    )
  }
  return true
})

/** Asks the authorization server of a grant for another token. **Errors**: `OAuthFailed`. */
export const renew = Effect.fnUntraced(function* (grant: Grant, refreshToken: Redacted.Redacted) {
  const { accessToken: _, expiresAt: __, ...issued } = grant
  const server: Protocol.AuthorizationServer = { issuer: grant.issuer, token_endpoint: grant.tokenEndpoint }
  const client = clientOf(grant)
  const token = Redacted.value(refreshToken)
  const secret = grant.clientSecret
  const tokens = yield* run([token, secret === undefined ? "" : Redacted.value(secret)], async (options) =>
    Protocol.processRefreshTokenResponse(
      server,
      client,
      await Protocol.refreshTokenGrantRequest(
        server,
        client,
        authenticationOf(grant.clientAuthentication, secret),
        token,
        {
          ...options,
          additionalParameters: { resource: grant.resource }
        }
      )
    )
  )
  return yield* grantOf(issued, tokens, grant)
})
