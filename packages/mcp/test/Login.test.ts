import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import type { Grant } from "@spindle/mcp/Grants"
import * as Login from "@spindle/mcp/Login"
import type { HttpServer as HttpConfig } from "@spindle/mcp/ServerConfig"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import * as AuthorizationServer from "./fixtures/authorizationServer.ts"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

/** What differs from a server that names an authorization server, and refuses every request without a token. */
interface World extends AuthorizationServer.Options {
  readonly challenge?: string
  /** What the server says about itself; undefined if it says nothing. */
  readonly resourceMetadata?: ((issuer: string, url: string) => object) | undefined
}

const world = Effect.fnUntraced(function* (options: World = {}) {
  const issuer = yield* AuthorizationServer.start(options)
  const describeServer =
    "resourceMetadata" in options
      ? options.resourceMetadata
      : (issuer: string, url: string) => ({ resource: url, authorization_servers: [issuer] })
  const wire: HttpServer.WireServer = yield* HttpServer.start({
    refuse: () => [401, options.challenge ?? "Bearer"],
    ...(describeServer !== undefined && { resourceMetadata: () => describeServer(issuer.issuer, wire.url) })
  })
  return { issuer, wire }
})

/** A browser that follows redirections, and a redirection to this machine that needs no server. */
const browser = Effect.fnUntraced(function* () {
  const arrivals = yield* Queue.unbounded<Login.Arrival>()
  const pages: Array<string> = []
  const opened: Array<URL> = []
  const respond = (sentence: string) => Effect.sync(() => void pages.push(sentence))
  const arrive = (url: string) => Queue.offer(arrivals, { url, respond })
  const open = (address: string) =>
    Effect.gen(function* () {
      opened.push(new URL(address))
      const response = yield* Effect.promise(() => fetch(address, { redirect: "manual" }))
      yield* arrive(response.headers.get("location")!)
    })
  const redirect: Login.Redirect = { uri: "http://127.0.0.1:9/callback", next: Queue.take(arrivals) }
  return { arrive, open, opened, pages, redirect }
})

type Browser = Effect.Success<ReturnType<typeof browser>>

const login = (
  url: string,
  at: Browser,
  more: Partial<Login.Options> & { readonly config?: Partial<HttpConfig> } = {}
) =>
  Login.login({
    server: Harness.http(url, more.config),
    headers: {},
    program: "test",
    redirect: at.redirect,
    open: at.open,
    ...more
  }).pipe(Effect.provide(NodeHttpClient.layerUndici))

/** Why a login in this world fails. */
const reasonIn = Effect.fnUntraced(function* (options: World, config: Partial<HttpConfig> = {}) {
  const at = yield* browser()
  const { wire } = yield* world(options)
  const error = yield* Effect.flip(login(wire.url, at, { config }))
  return { reason: error.reason, message: error.message, pages: at.pages, opened: at.opened }
})

describe("a login", () => {
  it.live("finds the authorization server, registers, and exchanges a code with PKCE for a grant", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const { issuer, wire } = yield* world()
      const grant = yield* login(wire.url, at)
      const [registration] = issuer.of("/register")
      assert.deepInclude(registration!.body, {
        client_name: "test",
        redirect_uris: [at.redirect.uri],
        grant_types: ["authorization_code", "refresh_token"],
        token_endpoint_auth_method: "none"
      })
      const asked = Object.fromEntries(at.opened[0]!.searchParams)
      assert.deepInclude(asked, {
        response_type: "code",
        client_id: "registered",
        code_challenge_method: "S256",
        resource: wire.url
      })
      assert.notProperty(asked, "scope")
      // the server of the fixture checks the verifier, the address of the redirection and the resource
      assert.isTrue(issuer.valid.has(Redacted.value(grant.accessToken)))
      assert.deepInclude(grant, {
        resource: wire.url,
        issuer: issuer.issuer,
        tokenEndpoint: `${issuer.issuer}/token`,
        clientId: "registered",
        clientAuthentication: "none"
      })
      assert.deepStrictEqual(at.pages, ["Logged in to http. You can close this window."])
    }).pipe(Effect.scoped)
  )

  it.live(
    "asks for the scopes of the person, else of the configuration, else of the challenge, else of the server",
    () =>
      Effect.gen(function* () {
        const challenge = 'Bearer error="invalid_token", scope="of challenge"'
        const resourceMetadata = (issuer: string, url: string) => ({
          resource: url,
          authorization_servers: [issuer],
          scopes_supported: ["of", "server"]
        })
        const scopeIn = Effect.fnUntraced(function* (options: World, more: Parameters<typeof login>[2] = {}) {
          const at = yield* browser()
          const { wire } = yield* world({ ...options, resourceMetadata })
          const grant = yield* login(wire.url, at, more)
          assert.strictEqual(grant.scope, at.opened[0]!.searchParams.get("scope"))
          return grant.scope
        })
        const config = { scopes: ["of", "configuration"] }
        assert.strictEqual(yield* scopeIn({ challenge }, { config, scopes: ["of", "person"] }), "of person")
        assert.strictEqual(yield* scopeIn({ challenge }, { config }), "of configuration")
        assert.strictEqual(yield* scopeIn({ challenge }), "of challenge")
        assert.strictEqual(yield* scopeIn({}), "of server")
      }).pipe(Effect.scoped)
  )

  it.live(
    "uses a client that is the address of a document where such documents are read, and registers elsewhere",
    () =>
      Effect.gen(function* () {
        const config = { clientId: "https://example.org/client.json" }
        for (const isRead of [true, false]) {
          const at = yield* browser()
          const { issuer, wire } = yield* world({ metadata: { client_id_metadata_document_supported: isRead } })
          const grant = yield* login(wire.url, at, { config })
          assert.strictEqual(grant.clientId, isRead ? config.clientId : "registered")
          assert.strictEqual(at.opened[0]!.searchParams.get("client_id"), grant.clientId)
          assert.strictEqual(issuer.of("/register").length, isRead ? 0 : 1)
          assert.strictEqual(grant.clientAuthentication, "none")
        }
      }).pipe(Effect.scoped)
  )

  it.live("escapes of the name of a client only what Basic authentication cannot have", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const clients = { "my-client.of:tests": "se~cret %" }
      const { issuer, wire } = yield* world({ clients, metadata: { registration_endpoint: undefined } })
      yield* login(wire.url, at, {
        config: { clientId: "my-client.of:tests" },
        clientSecret: Redacted.make("se~cret %")
      })
      const [, encoded] = issuer.of("/token")[0]!.authorization!.split(" ")
      assert.strictEqual(Buffer.from(encoded!, "base64").toString(), "my-client.of%3Atests:se~cret%20%25")
    }).pipe(Effect.scoped)
  )

  it.live("uses the client of the configuration, with its secret in the way that the server supports", () =>
    Effect.gen(function* () {
      const config = { clientId: "mine" }
      const clients = { mine: "client-secret" }
      for (const method of ["client_secret_basic", "client_secret_post"] as const) {
        const at = yield* browser()
        const { issuer, wire } = yield* world({
          clients,
          metadata: { token_endpoint_auth_methods_supported: [method], registration_endpoint: undefined }
        })
        const grant = yield* login(wire.url, at, { config, clientSecret: Redacted.make("client-secret") })
        assert.strictEqual(grant.clientAuthentication, method)
        const [request] = issuer.of("/token")
        assert.strictEqual(request!.authorization !== undefined, method === "client_secret_basic")
        assert.strictEqual(request!.body["client_secret"] !== undefined, method === "client_secret_post")
      }
    }).pipe(Effect.scoped)
  )

  it.live("uses the secret that comes with a registration, even if it does not say when the secret expires", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const { wire } = yield* world({
        clients: { registered: "client-secret" },
        registration: [{ client_id: "registered", client_secret: "client-secret" }, 200],
        metadata: { token_endpoint_auth_methods_supported: ["client_secret_post"] }
      })
      const grant = yield* login(wire.url, at)
      assert.strictEqual(grant.clientAuthentication, "client_secret_post")
      assert.strictEqual(Redacted.value(grant.clientSecret!), "client-secret")
    }).pipe(Effect.scoped)
  )

  it.live("works with a server of revision 2025-03-26, which names no authorization server", () =>
    Effect.gen(function* () {
      for (const isSilent of [false, true]) {
        const at = yield* browser()
        const server = yield* AuthorizationServer.start({
          isSilent,
          metadata: { authorization_response_iss_parameter_supported: undefined }
        })
        const { issuer } = server
        const grant = yield* login(`${issuer}/mcp`, at)
        assert.deepInclude(grant, { resource: `${issuer}/mcp`, issuer, tokenEndpoint: `${issuer}/token` })
        assert.strictEqual(server.of("/register").length, 1)
      }
    }).pipe(Effect.scoped)
  )

  it.live("ignores a browser that comes back from another login", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const { wire } = yield* world()
      yield* at.arrive(`${at.redirect.uri}?code=stolen&state=other`)
      yield* login(wire.url, at)
      assert.deepStrictEqual(at.pages, [
        "This is not the answer to a login that was started here.",
        "Logged in to http. You can close this window."
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("ends after its time limit", () =>
    Effect.gen(function* () {
      const { redirect } = yield* browser()
      const { wire } = yield* world()
      const opened = yield* Deferred.make<string>()
      const open = (address: string) => Effect.asVoid(Deferred.succeed(opened, address))
      const running = yield* Effect.forkChild(
        Login.login({ server: Harness.http(wire.url), headers: {}, program: "test", redirect, open }).pipe(
          Effect.provide(NodeHttpClient.layerUndici)
        )
      )
      yield* Deferred.await(opened)
      yield* TestClock.adjust("5 minutes")
      const error = yield* Effect.flip(Fiber.join(running))
      assert.strictEqual(
        error.message,
        "cannot log in to the MCP server http: there was no answer from the browser within 300 s"
      )
    }).pipe(Effect.scoped)
  )
})

describe("a login that fails", () => {
  it.live("was denied", () =>
    Effect.gen(function* () {
      const answer = { error: "access_denied", error_description: "not today" }
      const { message, pages, reason } = yield* reasonIn({ answer })
      assert.deepStrictEqual(reason, { _tag: "Denied", detail: "access_denied: not today" })
      assert.include(message, "cannot log in to the MCP server http: the login was denied: access_denied: not today")
      assert.deepStrictEqual(pages, ["Not logged in to http: access_denied: not today."])
    }).pipe(Effect.scoped)
  )

  it.live("has an answer of another issuer", () =>
    Effect.gen(function* () {
      const { reason } = yield* reasonIn({ answer: { code: "x", iss: "https://evil.example" } })
      assert.deepInclude(reason, { _tag: "Refused" })
    }).pipe(Effect.scoped)
  )

  it.live("has a code that the server does not accept, which is not in the error", () =>
    Effect.gen(function* () {
      const { message, reason } = yield* reasonIn({ answer: { code: "the-wrong-code" } })
      assert.deepStrictEqual(reason, { _tag: "Refused", detail: "invalid_grant" })
      assert.notInclude(message, "the-wrong-code")
    }).pipe(Effect.scoped)
  )

  it.live.each<readonly [string, World, string]>([
    ["the server names no authorization server", { challenge: "Basic", resourceMetadata: undefined }, "NotOffered"],
    ["no client can be registered", { metadata: { registration_endpoint: undefined } }, "ClientMissing"],
    [
      "the registration is refused",
      { registration: [{ error: "invalid_redirect_uri", error_description: "not\u001b here" }, 400] },
      "/register registered no client: invalid_redirect_uri: not  here"
    ],
    ["the registration is unreadable", { registration: [{ id: 1 }, 201] }, "registered no client: HTTP 201"],
    ["there is no PKCE", { metadata: { code_challenge_methods_supported: undefined } }, "does not support PKCE"],
    ["there is no page to log in", { metadata: { authorization_endpoint: undefined } }, "offers no login"],
    [
      "the login is not at a secure address",
      { metadata: { authorization_endpoint: "http://a.example/" } },
      "not a secure"
    ],
    ["the tokens are not at a secure address", { metadata: { token_endpoint: "http://a.example/" } }, "not a secure"],
    ["a page to log in is a script", { metadata: { authorization_endpoint: "javascript:alert(1)" } }, "not a secure"],
    ["the authorization server is another one", { metadata: { issuer: "https://evil.example" } }, "does not match"],
    ["the authorization server does not describe itself", { isSilent: true }, "does not describe itself"],
    [
      "the server describes another one",
      { resourceMetadata: (issuer) => ({ resource: "https://evil.example/mcp", authorization_servers: [issuer] }) },
      "another server"
    ],
    [
      "the description is at an address that cannot be reached",
      { challenge: 'Bearer resource_metadata="http://127.0.0.1:1/"' },
      "127.0.0.1:1 cannot be reached"
    ]
  ])("says that %s", ([, options, expected]) =>
    Effect.gen(function* () {
      const { message, opened, reason } = yield* reasonIn(options)
      assert.isTrue(reason._tag === expected || message.includes(expected), message)
      assert.deepStrictEqual(opened, [])
    }).pipe(Effect.scoped)
  )
})

describe("the tokens of a login", () => {
  /** Logs in to a server with a place to revoke tokens. */
  const loggedIn = Effect.fnUntraced(function* (options: World = {}, path = "/revoke") {
    const at = yield* browser()
    const { issuer, wire } = yield* world(options)
    const grant = yield* login(wire.url, at)
    return { grant: { ...grant, revocationEndpoint: `${issuer.issuer}${path}` }, issuer }
  })
  const revoke = (grant: Grant) => Login.revoke(grant).pipe(Effect.provide(NodeHttpClient.layerUndici))

  it.live("are both revoked at their authorization server", () =>
    Effect.gen(function* () {
      const { grant, issuer } = yield* loggedIn()
      assert.isTrue(yield* revoke(grant))
      assert.isFalse(issuer.valid.has(Redacted.value(grant.accessToken)))
      assert.deepStrictEqual(
        issuer.of("/revoke").map(({ body }) => [body["token_type_hint"], body["token"], body["client_id"]]),
        [
          ["refresh_token", Redacted.value(grant.refreshToken!), "registered"],
          ["access_token", Redacted.value(grant.accessToken), "registered"]
        ]
      )
    }).pipe(Effect.scoped)
  )

  it.live("are not revoked where that is not offered", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const { issuer, wire } = yield* world()
      assert.isFalse(yield* revoke(yield* login(wire.url, at)))
      assert.deepStrictEqual(issuer.of("/revoke"), [])
    }).pipe(Effect.scoped)
  )

  it.live("are revoked at the address that the authorization server names", () =>
    Effect.gen(function* () {
      const at = yield* browser()
      const { wire } = yield* world({ metadata: { revocation_endpoint: "https://example.org/revoke" } })
      const { revocationEndpoint } = yield* login(wire.url, at)
      assert.strictEqual(revocationEndpoint, "https://example.org/revoke")
    }).pipe(Effect.scoped)
  )

  it.live("cannot be revoked: the error says why, and has no secret", () =>
    Effect.gen(function* () {
      const refused = yield* loggedIn({ revocation: 400 })
      const error = yield* Effect.flip(revoke(refused.grant))
      assert.strictEqual(error.message, `cannot revoke the tokens at ${refused.issuer.issuer}: unsupported_token_type`)
      const insecure = { ...refused.grant, revocationEndpoint: "http://example.org/revoke" }
      const other = yield* Effect.flip(revoke(insecure))
      assert.strictEqual(other.detail, "http://example.org is not a secure address")
      for (const secret of refused.issuer.secrets) assert.notInclude(`${error} ${other}`, secret)
    }).pipe(Effect.scoped)
  )
})
