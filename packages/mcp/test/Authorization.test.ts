import { assert, describe, it } from "@effect/vitest"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { inspect } from "node:util"
import { Grant, type Grants, GrantsFailed, memory } from "@spindle/mcp/Grants"
import * as McpServers from "@spindle/mcp/McpServers"
import * as McpTools from "@spindle/mcp/McpTools"
import type { HttpServer as HttpConfig } from "@spindle/mcp/ServerConfig"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as AuthorizationServer from "./fixtures/authorizationServer.ts"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

/** A server that accepts the valid tokens of an authorization server. */
const world = Effect.fnUntraced(function* (
  options: AuthorizationServer.Options = {},
  onCall?: HttpServer.Options["onCall"]
) {
  const issuer = yield* AuthorizationServer.start(options)
  const wire = yield* HttpServer.start({
    refuse: ({ headers }) =>
      issuer.valid.has(headers.authorization?.slice("Bearer ".length) ?? "") ? undefined : [401, "Bearer"],
    ...(onCall !== undefined && { onCall })
  })
  return { issuer, wire }
})

type World = Effect.Success<ReturnType<typeof world>>

/** A grant for the server, as a login returns it. */
const grantIn = ({ issuer, wire }: World, more: Partial<Grant> = {}): Grant => {
  const tokens = issuer.issue()
  return {
    resource: wire.url,
    issuer: issuer.issuer,
    tokenEndpoint: `${issuer.issuer}/token`,
    clientId: "client",
    clientAuthentication: "none",
    accessToken: Redacted.make(tokens.access_token),
    refreshToken: Redacted.make(tokens.refresh_token),
    ...more
  }
}

const serversWith = (grants: Grants) =>
  McpServers.layer({ variables: Harness.variables, program: { name: "test", version: "1" }, grants }).pipe(
    Layer.provide(Layer.merge(NodeServices.layer, NodeHttpClient.layerUndici))
  )

/** A server that has started with a stored grant. `call` is a call of its tool. */
const started = Effect.fnUntraced(function* (
  at: World,
  { config = {}, grant = grantIn(at), grants = memory() }: StartOptions = {}
) {
  const server = Harness.http(at.wire.url, config)
  yield* Effect.orDie(grants.save(server, grant))
  const context = yield* Layer.build(serversWith(grants))
  const { get } = yield* Effect.provideContext(McpServers.McpServers, context)
  const running = yield* get(server)
  yield* running.started
  const load = Effect.map(grants.load(server), (stored) => stored!)
  const call = running.callTool({ name: "echo", inputSchema: { type: "object" } } as never, {})
  return { server, running, grants, load, call }
})

interface StartOptions {
  readonly config?: Partial<HttpConfig>
  readonly grant?: Grant
  readonly grants?: Grants
}

/** Makes the server refuse the token of a grant. */
const revoke = ({ issuer }: World, { accessToken }: Grant) => issuer.valid.delete(Redacted.value(accessToken))

const tokenOf = ({ headers }: HttpServer.Received) => headers.authorization?.slice("Bearer ".length)

/** Calls at the same time. */
const atOnce = <A, E>(call: Effect.Effect<A, E>, count: number) =>
  Effect.all(
    Array.from({ length: count }, () => call),
    { concurrency: "unbounded" }
  )

describe("the login of a server", () => {
  it.live("authorizes every request", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const grant = grantIn(at)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { call } = yield* started(at, { grant })
          yield* call
          yield* at.wire.awaitReceived(({ http }) => http === "GET")
        })
      )
      assert.includeMembers(
        at.wire.received.map(({ http, message }) => message.method ?? http),
        ["initialize", "notifications/initialized", "tools/list", "tools/call", "GET", "DELETE"]
      )
      for (const one of at.wire.received) assert.strictEqual(tokenOf(one), Redacted.value(grant.accessToken))
      assert.deepStrictEqual(at.issuer.received, [])
    }).pipe(Effect.scoped)
  )

  it.live("authorizes every request in revision 2026-07-28, and is renewed there", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const grant = grantIn(at)
      const { call, load } = yield* started(at, { grant, config: { protocol: "2026-07-28" } })
      revoke(at, grant)
      yield* atOnce(call, 5)
      assert.strictEqual(at.issuer.of("/token").length, 1)
      assert.strictEqual(tokenOf(at.wire.received.at(-1)!), Redacted.value((yield* load).accessToken))
    }).pipe(Effect.scoped)
  )

  it.live("is missing: the error says how to log in", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const { get } = yield* McpServers.McpServers
      const error = yield* Effect.flip(Effect.flatMap(get(Harness.http(at.wire.url)), (server) => server.started))
      assert.deepStrictEqual(error.reason, { _tag: "LoginNeeded", why: { _tag: "NoToken" } })
      assert.strictEqual(error.message, "cannot use the MCP server http: it needs a login; run: spindle mcp login http")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("is not used if the configuration authorizes the requests", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const config = { headers: { Authorization: "Bearer configured" } }
      const { reason } = yield* Effect.flip(started(at, { config }))
      assert.deepStrictEqual(reason, { _tag: "NotAuthorized", status: 401 })
      assert.deepStrictEqual(
        at.wire.received.map((one) => tokenOf(one)),
        ["configured"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("does not cover a request: the error says what to ask for", () =>
    Effect.gen(function* () {
      const issuer = yield* AuthorizationServer.start()
      const wire = yield* HttpServer.start({
        refuse: ({ message }) =>
          message.method === "tools/call" ? [403, 'Bearer error="insufficient_scope", scope="read write"'] : undefined
      })
      const at = { issuer, wire }
      const { call } = yield* started(at, { grant: { ...grantIn(at), scope: "list read" } })
      const { message, reason } = yield* Effect.flip(call)
      // with the permissions that it has: the next login replaces it
      assert.deepStrictEqual(reason, { _tag: "LoginNeeded", why: { _tag: "Scope", scope: "list read write" } })
      assert.include(message, 'run: spindle mcp login http --scopes "list read write"')
      assert.deepStrictEqual(issuer.received, [])
    }).pipe(Effect.scoped)
  )

  it.live("cannot be read", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const broken = { ...memory(), load: () => Effect.fail(new GrantsFailed({ detail: "it is not readable" })) }
      const { message, reason } = yield* Effect.flip(started(at, { grants: broken }))
      assert.deepStrictEqual(reason, { _tag: "LoginUnreadable", detail: "it is not readable" })
      assert.strictEqual(message, "cannot use the login of the MCP server http: it is not readable")
    }).pipe(Effect.scoped)
  )
})

describe("a token that is no longer valid", () => {
  it.live("M3 is renewed once for 20 calls that the server refuses at the same time", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const grant = grantIn(at)
      const { call, load } = yield* started(at, { grant })
      revoke(at, grant)
      const results = yield* atOnce(call, 20)
      assert.strictEqual(results.length, 20)
      const [request, ...others] = at.issuer.of("/token")
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(request!.body, {
        grant_type: "refresh_token",
        refresh_token: Redacted.value(grant.refreshToken!),
        client_id: "client",
        resource: at.wire.url
      })
      // the refresh token is another one, and is stored with the access token
      const stored = yield* load
      assert.isTrue(at.issuer.valid.has(Redacted.value(stored.accessToken)))
      assert.notStrictEqual(Redacted.value(stored.refreshToken!), Redacted.value(grant.refreshToken!))
    }).pipe(Effect.scoped)
  )

  it.effect("M3 is renewed once for 20 calls that find it expired, before they are sent", () =>
    Effect.gen(function* () {
      const at = yield* world({ seconds: 60 })
      const { call, load } = yield* started(at, { grant: grantIn(at, { expiresAt: 60_000 }) })
      yield* TestClock.adjust("45 seconds")
      yield* atOnce(call, 20)
      assert.strictEqual(at.issuer.of("/token").length, 1)
      const stored = yield* load
      assert.strictEqual(stored.expiresAt, 105_000)
      const sent = at.wire.of("tools/call").map((one) => tokenOf(one))
      assert.deepStrictEqual(sent, Array(20).fill(Redacted.value(stored.accessToken)))
    }).pipe(Effect.scoped)
  )

  it.live("M3 is renewed, even if the call that needed it first is interrupted", () =>
    Effect.gen(function* () {
      let respond = () => {}
      const at = yield* world({ onRefresh: (grant) => void (respond = grant) })
      const grant = grantIn(at)
      const { call } = yield* started(at, { grant })
      revoke(at, grant)
      const first = yield* Effect.forkChild(call)
      yield* at.issuer.awaitReceived("/token")
      const second = yield* Effect.forkChild(call, { startImmediately: true })
      yield* Fiber.interrupt(first)
      respond()
      yield* Fiber.join(second)
      assert.strictEqual(at.issuer.of("/token").length, 1)
    }).pipe(Effect.scoped)
  )

  // the clock of the test stands still: no limit passes
  it.effect("M3 is stored, even if the connection is closed while it is renewed", () =>
    Effect.gen(function* () {
      let respond = () => {}
      const at = yield* world({ onRefresh: (grant) => void (respond = grant) })
      const grant = grantIn(at)
      const scope = yield* Scope.make()
      const { call, load } = yield* Scope.provide(started(at, { grant }), scope)
      revoke(at, grant)
      yield* Effect.forkChild(call)
      yield* at.issuer.awaitReceived("/token")
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      respond()
      yield* Fiber.join(closing)
      assert.notStrictEqual(Redacted.value((yield* load).accessToken), Redacted.value(grant.accessToken))
    }).pipe(Effect.scoped)
  )

  it.live("has been renewed by another program", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const grant = grantIn(at)
      const { call, grants, server } = yield* started(at, { grant })
      revoke(at, grant)
      yield* grants.save(server, grantIn(at))
      yield* atOnce(call, 3)
      assert.deepStrictEqual(at.issuer.of("/token"), [])
    }).pipe(Effect.scoped)
  )

  it.live("is refused although it is new: the error says so after one renewal", () =>
    Effect.gen(function* () {
      const at: World = yield* world({
        onRefresh: (grant) => {
          grant()
          at.issuer.valid.clear()
        }
      })
      const grant = grantIn(at)
      const { call } = yield* started(at, { grant })
      revoke(at, grant)
      const { message, reason } = yield* Effect.flip(call)
      assert.deepStrictEqual(reason, { _tag: "LoginNeeded", why: { _tag: "Expired" } })
      assert.strictEqual(message, "cannot use the MCP server http: its login has expired; run: spindle mcp login http")
      assert.strictEqual(at.issuer.of("/token").length, 1)
    }).pipe(Effect.scoped)
  )
})

describe("a renewal that fails", () => {
  it.live("is a typed error, for all calls that wait for it, and is tried again by the next call", () =>
    Effect.gen(function* () {
      let isBroken = true
      const at = yield* world({
        onRefresh: (grant, refuse) => (isBroken ? refuse(503, { error: "temporarily_unavailable" }) : grant())
      })
      const grant = grantIn(at)
      const { call } = yield* started(at, { grant })
      revoke(at, grant)
      const errors = yield* atOnce(Effect.flip(call), 3)
      for (const { message, reason } of errors) {
        assert.strictEqual(reason._tag, "TokenNotRenewed")
        assert.match(message, /^cannot renew the login of the MCP server http: /)
      }
      isBroken = false
      yield* call
    }).pipe(Effect.scoped)
  )

  it.live("because the login has ended says so, and is not tried again before the next login", () =>
    Effect.gen(function* () {
      const at = yield* world({ onRefresh: (_, refuse) => refuse(400, { error: "invalid_grant" }) })
      const grant = grantIn(at)
      const { call, grants, server } = yield* started(at, { grant })
      revoke(at, grant)
      for (const _ of [1, 2]) {
        const { reason } = yield* Effect.flip(call)
        assert.deepStrictEqual(reason, { _tag: "LoginNeeded", why: { _tag: "Expired" } })
      }
      assert.strictEqual(at.issuer.of("/token").length, 1)
      // another program logs in
      yield* grants.save(server, grantIn(at))
      yield* call
    }).pipe(Effect.scoped)
  )

  it.live("because there is no refresh token says that a login is needed", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const { refreshToken: _, ...grant } = grantIn(at)
      const { call } = yield* started(at, { grant })
      revoke(at, grant)
      const { reason } = yield* Effect.flip(call)
      assert.deepStrictEqual(reason, { _tag: "LoginNeeded", why: { _tag: "Expired" } })
    }).pipe(Effect.scoped)
  )
})

describe("the secrets of a login", () => {
  it.live("M3 are in no record, log, span or error", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          seen.push(span)
          return span
        }
      })
      let refreshes = 0
      const at: World = yield* world({
        // the second time it repeats what it was sent
        onRefresh: (grant, refuse) => {
          refreshes++
          const { refresh_token } = at.issuer.of("/token").at(-1)!.body
          return refreshes === 1 ? grant() : refuse(400, { error: "invalid_request", error_description: refresh_token })
        }
      })
      const grant = grantIn(at)
      const grants = memory()
      const server = Harness.http(at.wire.url)
      yield* grants.save(server, grant)
      revoke(at, grant)
      const logger = Logger.make((options) => void seen.push(options))
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"], ["mcp__http__echo"]])
        yield* harness.run("go")
        at.issuer.valid.clear()
        yield* harness.run("again")
        seen.push(harness.records(), harness.events, harness.requests)
        const [running] = (yield* McpTools.McpTools).servers
        const error = yield* Effect.flip(running!.callTool({ name: "echo", inputSchema: {} } as never, {}))
        seen.push(error, error.message)
      }).pipe(
        Effect.provide(
          McpTools.layer({ servers: [server], approval: "allow" }).pipe(
            Layer.provide(serversWith(grants)),
            Layer.provideMerge(Logger.layer([logger]))
          )
        ),
        Effect.provideService(Tracer.Tracer, tracer),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      assert.isAtLeast(refreshes, 2)
      const shown = inspect(seen, { depth: 12, maxArrayLength: null, maxStringLength: null })
      // spans and records are really among what was seen
      assert.include(shown, "url.full")
      assert.include(shown, "cannot renew the login of the MCP server http: invalid_request: ...")
      const secrets = [...at.issuer.secrets]
      assert.isAtLeast(secrets.length, 4)
      for (const secret of secrets) assert.notInclude(shown, secret)
    }).pipe(Effect.scoped)
  )

  it("are hidden in a grant, and are written only to be stored", () => {
    const grant = { accessToken: "secret-a", refreshToken: "secret-b", clientSecret: "secret-c" }
    const stored = {
      ...grant,
      resource: "r",
      issuer: "i",
      tokenEndpoint: "t",
      clientId: "c",
      clientAuthentication: "none"
    }
    const read = Schema.decodeUnknownSync(Grant)(stored)
    assert.notInclude(inspect(read, { depth: 9 }) + JSON.stringify(read), "secret-")
    assert.deepStrictEqual(Schema.encodeSync(Grant)(read), stored as never)
  })
})
