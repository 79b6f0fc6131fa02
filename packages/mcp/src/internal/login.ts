/** The steps of a login. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Protocol from "oauth4webapi"
import type { ClientAuthentication } from "../Grants.ts"
import * as Discovery from "./discovery.ts"
import { type Arrival, LoginFailed, type Options, type Reason } from "./loginTypes.ts"
import * as OAuth from "./oauth.ts"
import * as Web from "./web.ts"

/** Logs in; see `Login`. */
export const login = Effect.fnUntraced(function* (options: Options) {
  const { headers, redirect, server } = options
  const fail = (reason: Reason) => new LoginFailed({ server: server.name, reason })
  return yield* Effect.gen(function* () {
    const described = yield* Discovery.discover(server.url, headers)
    if (described === undefined) return yield* fail({ _tag: "NotOffered" })
    const scope = (options.scopes ?? server.scopes)?.join(" ") ?? described.scope
    const client = yield* clientOf(options, described, scope)
    if (client === undefined) return yield* fail({ _tag: "ClientMissing" })
    const request: AuthorizationRequest = {
      ...described,
      client,
      scope,
      redirectUri: redirect.uri,
      state: Protocol.generateRandomState(),
      verifier: Protocol.generateRandomCodeVerifier()
    }
    yield* options.open(yield* addressOf(request))
    const deadline = Duration.fromInputUnsafe(options.deadline ?? "5 minutes")
    const arrival = yield* Effect.timeoutOrElse(awaitBrowser(redirect.next, request.state), {
      duration: deadline,
      orElse: () => fail({ _tag: "TimedOut", seconds: Duration.toSeconds(deadline) })
    })
    return yield* exchange(arrival.url, request).pipe(
      Effect.tap(() => arrival.respond(`Logged in to ${server.name}. You can close this window.`)),
      Effect.tapError((error) => arrival.respond(`Not logged in to ${server.name}: ${error.message}.`))
    )
  }).pipe(
    Effect.catchTag("OAuthFailed", ({ detail, isAnswer }) =>
      fail({ _tag: isAnswer === true ? "Denied" : "Refused", detail })
    )
  )
})

/** A client of an authorization server. */
interface Client {
  readonly id: string
  readonly secret: Redacted.Redacted | undefined
  readonly authentication: ClientAuthentication
}

/**
 * Returns the client of the configuration, or one that is registered now; undefined if there is neither. A client that
 * is the address of a document is known to the servers that read such documents, and registers at all others.
 */
const clientOf = Effect.fnUntraced(function* (
  { clientSecret, program, redirect, server }: Options,
  { authorizationServer }: Discovery.Described,
  scope: string | undefined
) {
  const isDocument = server.clientId?.startsWith("https://") === true
  if (isDocument && authorizationServer.client_id_metadata_document_supported === true) {
    return { id: server.clientId!, secret: undefined, authentication: "none" } satisfies Client as Client
  }
  if (server.clientId !== undefined && !isDocument) {
    const authentication = clientSecret === undefined ? "none" : confidentialMethod(authorizationServer)
    return { id: server.clientId, secret: clientSecret, authentication } satisfies Client as Client
  }
  const { registration_endpoint: address } = authorizationServer
  if (address === undefined) return undefined
  const registration = {
    client_name: program,
    redirect_uris: [redirect.uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    application_type: "native",
    token_endpoint_auth_method: preferredAuthentication(authorizationServer),
    ...(scope !== undefined && { scope })
  }
  const received = yield* OAuth.send(address, {
    method: "POST",
    headers: { accept: "application/json", "content-type": "application/json" },
    body: JSON.stringify(registration)
  })
  const registered = received.status >= 300 ? Option.none() : decodeRegistration(received.text)
  if (Option.isNone(registered)) return yield* OAuth.refusalOf(received, `${address} registered no client`)
  const { client_id, client_secret, token_endpoint_auth_method: method } = registered.value
  const secret = client_secret === undefined ? undefined : Redacted.make(client_secret)
  const authentication =
    secret === undefined ? "none" : (knownMethod(method) ?? confidentialMethod(authorizationServer))
  return { id: client_id, secret, authentication } satisfies Client as Client
})

/** A registration, as servers return it. The library requires fields that many of them leave out. */
const Registration = Schema.Struct({
  client_id: Schema.String,
  client_secret: Schema.optionalKey(Schema.String),
  token_endpoint_auth_method: Schema.optionalKey(Schema.String)
})
const decodeRegistration = Schema.decodeUnknownOption(Schema.fromJsonString(Registration))

const knownMethod = (method: string | undefined): ClientAuthentication | undefined =>
  method === "none" || method === "client_secret_basic" || method === "client_secret_post" ? method : undefined

type Methods = Pick<Protocol.AuthorizationServer, "token_endpoint_auth_methods_supported">

/**
 * Returns the method by which a client with a secret authenticates itself. Servers that list no methods take basic
 * authentication.
 */
const confidentialMethod = ({ token_endpoint_auth_methods_supported: methods }: Methods): ClientAuthentication =>
  methods?.includes("client_secret_basic") === false && methods.includes("client_secret_post")
    ? "client_secret_post"
    : "client_secret_basic"

/**
 * Returns the method by which a new client authenticates itself: none if the server allows that, because a program
 * cannot keep a secret.
 */
const preferredAuthentication = (server: Methods): ClientAuthentication =>
  server.token_endpoint_auth_methods_supported?.includes("none") === false ? confidentialMethod(server) : "none"

interface AuthorizationRequest extends Discovery.Described {
  readonly client: Client
  readonly redirectUri: string
  readonly state: string
  readonly verifier: string
}

/** Returns the address at which the person logs in. */
const addressOf = Effect.fnUntraced(function* (request: AuthorizationRequest) {
  const { authorizationServer, client, redirectUri, resource, scope, state, verifier } = request
  const challenge = yield* Effect.promise(() => Protocol.calculatePKCECodeChallenge(verifier))
  const address = new Web.URL(authorizationServer.authorization_endpoint!)
  const parameters = {
    response_type: "code",
    client_id: client.id,
    redirect_uri: redirectUri,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state,
    resource,
    ...(scope !== undefined && { scope })
  }
  for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value)
  return address.href
})

/** Waits for the browser of this login. Another browser is rejected and does not end the wait. */
const awaitBrowser = Effect.fnUntraced(function* (next: Effect.Effect<Arrival>, state: string) {
  for (;;) {
    const arrival = yield* next
    if (new Web.URL(arrival.url).searchParams.get("state") === state) return arrival
    yield* arrival.respond("This is not the answer to a login that was started here.")
  }
})

/** Checks the answer of the browser, and exchanges its code for tokens. */
const exchange = Effect.fnUntraced(function* (url: string, request: AuthorizationRequest) {
  const { authorizationServer, client, redirectUri, resource, scope, state, verifier } = request
  const protocolClient = OAuth.clientOf({ clientId: client.id })
  const parameters = yield* Effect.try({
    try: () => Protocol.validateAuthResponse(authorizationServer, protocolClient, new Web.URL(url) as never, state),
    catch: (error) => OAuth.toOAuthFailed(error, [])
  })
  const code = new Web.URL(url).searchParams.get("code") ?? ""
  const secret = client.secret === undefined ? "" : Redacted.value(client.secret)
  const tokens = yield* OAuth.run([code, verifier, secret], async (options) =>
    Protocol.processAuthorizationCodeResponse(
      authorizationServer,
      protocolClient,
      await Protocol.authorizationCodeGrantRequest(
        authorizationServer,
        protocolClient,
        OAuth.authenticationOf(client.authentication, client.secret),
        parameters,
        redirectUri,
        verifier,
        { ...options, additionalParameters: { resource } }
      )
    )
  )
  const issued: OAuth.Issued = {
    resource,
    issuer: authorizationServer.issuer,
    tokenEndpoint: authorizationServer.token_endpoint!,
    ...(authorizationServer.revocation_endpoint !== undefined && {
      revocationEndpoint: authorizationServer.revocation_endpoint
    }),
    clientId: client.id,
    ...(client.secret !== undefined && { clientSecret: client.secret }),
    clientAuthentication: client.authentication
  }
  return yield* OAuth.grantOf(issued, tokens, scope === undefined ? {} : { scope })
})
