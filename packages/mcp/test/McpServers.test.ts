import { assert, describe, it } from "@effect/vitest"
import * as McpServers from "@spindle/mcp/McpServers"
import { McpFailed } from "@spindle/mcp/McpFailed"
import type { McpServer } from "@spindle/mcp/McpServer"
import * as McpTools from "@spindle/mcp/McpTools"
import { headersOf, type HttpServer as HttpServerConfig, ServerConfig } from "@spindle/mcp/ServerConfig"
import * as Config from "effect/Config"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

const get = (config: ServerConfig) => Effect.flatMap(McpServers.McpServers, ({ get }) => get(config))
const started = Effect.fnUntraced(function* (config: ServerConfig) {
  const server = yield* get(config)
  yield* server.started
  return server
})

const toolOf = (server: McpServer, name: string) => server.tools().find((tool) => tool.name === name)!
const textOf = ({ content }: { readonly content: ReadonlyArray<unknown> }) =>
  (content[0] as { readonly text: string }).text

/** Why the start of a server failed. */
const reasonOf = (config: ServerConfig) =>
  Effect.map(Effect.flip(Effect.flatMap(get(config), ({ started }) => started)), ({ reason }) => reason)

describe("a server that does not start", () => {
  it.live("is described with what its process printed", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.flatMap(get(Harness.stdio("fails")), (server) => server.started))
      assert.strictEqual(
        error.message,
        "cannot start the MCP server stdio: its process exited with code 3; it printed: no such database"
      )
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live.each([
    { options: { command: "/no/such/command" }, detail: "the program /no/such/command does not exist" },
    { options: { command: "/tmp" }, detail: "the program /tmp is not a program that may be run" },
    { options: { command: "cat", cwd: "/no/such" }, detail: "the directory /no/such does not exist" },
    { options: { command: "cat", args: ["a\0b"] }, detail: "the program cat: Argument 1 .*" }
  ])("has no such command: $detail", ({ detail, options }) =>
    Effect.gen(function* () {
      const reason = yield* reasonOf(Harness.stdio("", options))
      if (reason._tag !== "NotStarted") throw new Error(reason._tag)
      assert.match(reason.detail, new RegExp(`^${detail}$`))
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("has no server at its address", () =>
    Effect.gen(function* () {
      const { url } = yield* Effect.scoped(HttpServer.start())
      const reason = yield* reasonOf(Harness.http(`${url}?key=secret`))
      if (reason._tag !== "NotStarted") throw new Error(reason._tag)
      const { host, origin } = new URL(url)
      assert.strictEqual(reason.detail, `cannot reach ${origin}: connect ECONNREFUSED ${host}`)
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("has a header with illegal text in its configuration: the error names it, without its value", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start()
      const illegal: ReadonlyArray<readonly [name: string, value: string]> = [
        ["x-key", "secret\r\nx-other: 1"],
        ["x-key", "secret\u0000"],
        ["x-key", "secret\n"],
        ["x-key", "secr\u00e9t \u{1f511}"],
        ["x key", "secret"],
        ["", "secret"]
      ]
      for (const protocol of ["2025-11-25", "2026-07-28"] as const) {
        for (const [name, value] of illegal) {
          const config = Harness.http(wire.url, { protocol, headers: { [name]: value } })
          const error = yield* Effect.flip(Effect.flatMap(get(config), ({ started }) => started))
          assert.strictEqual(
            error.message,
            `cannot start the MCP server http: its header ${JSON.stringify(name)} is not visible ASCII text`
          )
        }
      }
      assert.deepStrictEqual(wire.received, [])
      // other connections to the same address are not affected
      yield* started(Harness.http(wire.url, { headers: { "x-key": "legal text", "x-empty": "" } }))
      assert.deepInclude(wire.received[0]!.headers, { "x-key": "legal text" })
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.effect("is given up after its time limit", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ isSilent: true })
      const waiting = yield* Effect.forkChild(reasonOf(Harness.http(wire.url, { startupSeconds: 3 })))
      yield* wire.awaitReceived(({ message }) => message.method === "initialize")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "StartTimedOut", seconds: 3 })
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("needs authorisation, and gets it from a variable", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ authorization: "Bearer secret" })
      assert.deepStrictEqual(yield* reasonOf(Harness.http(wire.url)), { _tag: "NotAuthorized", status: 401 })
      assert.deepStrictEqual(yield* reasonOf(Harness.http(wire.url, { bearerTokenVariable: "NO_SUCH" })), {
        _tag: "VariableMissing",
        variable: "NO_SUCH"
      })
      yield* started(Harness.http(wire.url, { bearerTokenVariable: "TOKEN" }))
      yield* started(Harness.http(wire.url, { headers: { authorization: "Bearer secret" } }))
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

describe("the headers of a server", () => {
  const server = (fields: object) => ({ _tag: "Http", name: "s", url: "http://x", ...fields }) as HttpServerConfig

  it("name the variable whose value no header can carry", () => {
    for (const value of ["a\nb", "a\r", "\u0000", "\u2026"]) {
      const variables = { TOKEN: `x${value}x`, OTHER: Redacted.make(`x${value}x`) }
      for (const fields of [{ bearerTokenVariable: "TOKEN" }, { headerVariables: { "x-one": "TOKEN" } }]) {
        assert.deepStrictEqual(headersOf(server(fields), variables), { unusable: "TOKEN" })
      }
      const redacted = headersOf(server({ bearerTokenVariable: "OTHER" }), variables)
      assert.deepStrictEqual(redacted, { unusable: "OTHER" })
    }
    const { message } = new McpFailed({ server: "s", reason: { _tag: "VariableUnusable", variable: "TOKEN" } })
    assert.strictEqual(
      message,
      "cannot start the MCP server s: the value of the variable TOKEN cannot be sent in an HTTP header"
    )
  })

  it("take a value with white space around it", () => {
    const fields = { bearerTokenVariable: "TOKEN", headerVariables: { "x-one": "ONE", "x-two": "TWO" } }
    assert.deepStrictEqual(headersOf(server(fields), { TOKEN: "t\n", ONE: " 1 ", TWO: " " }), {
      headers: { authorization: "Bearer t", "x-one": "1" }
    })
  })
})

describe("the environment of a server", () => {
  it.live("has the harmless variables, and those of its configuration", () =>
    Effect.gen(function* () {
      const env = { OWN: "1" }
      const server = yield* started(Harness.stdio("", { env }))
      const environment = JSON.parse(textOf(yield* server.callTool(toolOf(server, "environment"), {})))
      assert.strictEqual(environment.OWN, "1")
      assert.strictEqual(environment.HOME, "/home/someone")
      assert.notProperty(environment, "TOKEN")
      const more = yield* started(Harness.stdio("", { inherit: ["TOKEN"] }))
      assert.strictEqual(JSON.parse(textOf(yield* more.callTool(toolOf(more, "environment"), {}))).TOKEN, "secret")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

describe("a server that fails in a call", () => {
  it.live("dies: the call says so, and the server is started again", () =>
    Effect.gen(function* () {
      const server = yield* started(Harness.stdio())
      const error = yield* Effect.flip(server.callTool(toolOf(server, "die"), {}))
      assert.strictEqual(
        error.message,
        "the MCP server stdio has ended: its process exited with code 7; it printed: out of memory"
      )
      assert.strictEqual(textOf(yield* server.callTool(toolOf(server, "echo"), { again: true })), '{"again":true}')
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("ends more often than the schedule of the application allows, and is then given up", () => {
    const ends: Array<string> = []
    const restarts = Schedule.recurs(1).pipe(
      Schedule.setInputType<McpFailed>(),
      Schedule.tap(({ input }) => Effect.sync(() => ends.push(input.reason._tag)))
    )
    return Effect.gen(function* () {
      const server = yield* started(Harness.stdio())
      const fail = Effect.flip(server.callTool(toolOf(server, "die"), {}))
      for (let index = 0; index < 2; index++) assert.strictEqual((yield* fail).reason._tag, "Ended")
      assert.strictEqual((yield* Effect.flip(server.started)).reason._tag, "Ended")
      assert.strictEqual(server.failure()?.reason._tag, "Ended")
      assert.deepStrictEqual(ends, ["Ended"])
    }).pipe(Effect.scoped, Effect.provide(Harness.serversWith({ restarts })))
  })

  it.effect("ends too often in a row, and is then given up", () =>
    Effect.gen(function* () {
      const server = yield* started(Harness.stdio())
      const fail = Effect.flip(server.callTool(toolOf(server, "die"), {}))
      const { pids } = yield* McpServers.McpServers
      // time passes only between two starts
      const tick = Effect.suspend(() => (pids().length === 0 ? TestClock.adjust("1 second") : Effect.void))
      const ticking = yield* Effect.forkChild(Effect.forever(Effect.andThen(tick, Effect.yieldNow)))
      for (let index = 0; index < 6; index++) assert.strictEqual((yield* fail).reason._tag, "Ended")
      while (server.failure() === undefined) yield* Effect.yieldNow
      yield* Fiber.interrupt(ticking)
      assert.strictEqual(server.failure()?.reason._tag, "Ended")
      assert.deepStrictEqual(server.tools(), [])
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("answers 10 MiB over standard streams: it is started again", () =>
    Effect.gen(function* () {
      const server = yield* started(Harness.stdio())
      const error = yield* Effect.flip(server.callTool(toolOf(server, "large"), {}))
      assert.deepStrictEqual(error.reason, { _tag: "AnswerTooLarge", limitBytes: 8 * 1024 * 1024 })
      yield* server.callTool(toolOf(server, "echo"), {})
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("answers 10 MiB over HTTP, as a message or as an event: only the call fails", () =>
    Effect.gen(function* () {
      const large = HttpServer.text("x".repeat(10 * 1024 * 1024))
      let count = 0
      const wire = yield* HttpServer.start({
        onCall: (call) => {
          if (count++ === 1) call.send({ jsonrpc: "2.0", method: "notifications/message", params: {} })
          call.reply(count > 2 ? HttpServer.text("small") : large)
        }
      })
      const server = yield* started(Harness.http(wire.url))
      const call = server.callTool(toolOf(server, "echo"), {})
      for (const _ of ["message", "event"]) assert.strictEqual((yield* Effect.flip(call)).reason._tag, "AnswerTooLarge")
      assert.strictEqual(textOf(yield* call), "small")
      assert.strictEqual(wire.of("initialize").length, 1)
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("repeats an id, or uses one of no request: the first response counts, and later calls get theirs", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({
        onCall: (call) => {
          const { id, params } = call.message
          if (params?.["arguments"]?.again !== undefined) return call.reply(HttpServer.text("own"))
          call.send({ jsonrpc: "2.0", id: "unknown", result: HttpServer.text("of no request") })
          call.send({ jsonrpc: "2.0", id, result: HttpServer.text("first") })
          call.reply(HttpServer.text("second"))
        }
      })
      const http = yield* started(Harness.http(wire.url))
      assert.strictEqual(textOf(yield* http.callTool(toolOf(http, "echo"), {})), "first")
      assert.strictEqual(textOf(yield* http.callTool(toolOf(http, "echo"), { again: true })), "own")
      const stdio = yield* started(Harness.stdio())
      assert.strictEqual(textOf(yield* stdio.callTool(toolOf(stdio, "twice"), {})), "first")
      assert.strictEqual(textOf(yield* stdio.callTool(toolOf(stdio, "echo"), { own: 1 })), '{"own":1}')
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("breaks the connection, or refuses: only the call fails", () =>
    Effect.gen(function* () {
      let count = 0
      const wire = yield* HttpServer.start({
        onCall: (call) => {
          count++
          if (count === 1) return call.destroy()
          if (count === 2) return call.status(500)
          call.reply(HttpServer.text("fine"))
        }
      })
      const server = yield* started(Harness.http(wire.url))
      const call = server.callTool(toolOf(server, "echo"), {})
      assert.strictEqual((yield* Effect.flip(call)).reason._tag, "Ended")
      assert.deepStrictEqual((yield* Effect.flip(call)).reason, { _tag: "Refused", detail: "HTTP 500" })
      assert.strictEqual(textOf(yield* call), "fine")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

describe("a response over HTTP", () => {
  it.live("that cannot be read is closed by the client: only the call fails", () =>
    Effect.gen(function* () {
      const closed = Deferred.makeUnsafe<void>()
      let count = 0
      const wire = yield* HttpServer.start({
        onCall: (call) =>
          count++ === 0
            ? call.open("text/html", () => Deferred.doneUnsafe(closed, Effect.void))
            : call.reply(HttpServer.text("fine"))
      })
      const server = yield* started(Harness.http(wire.url))
      const call = server.callTool(toolOf(server, "echo"), {})
      assert.include((yield* Effect.flip(call)).message, "another content type")
      yield* Deferred.await(closed)
      assert.strictEqual(textOf(yield* call), "fine")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})

describe("a session over HTTP", () => {
  it.live("that the server has ended is renewed, and the call is repeated", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start()
      const server = yield* started(Harness.http(wire.url))
      // the last request of the start
      yield* wire.awaitReceived(({ http }) => http === "GET")
      wire.dropSessions()
      assert.strictEqual(textOf(yield* server.callTool(toolOf(server, "echo"), { a: 1 })), '{"a":1}')
      assert.strictEqual(wire.of("initialize").length, 2)
      // the call that was refused, and the one that was not
      assert.deepStrictEqual(
        wire.of("tools/call").map(({ headers }) => headers["mcp-session-id"]),
        ["session-1", "session-2"]
      )
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("can be of an older revision", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ version: "2025-06-18" })
      const server = yield* started(Harness.http(wire.url))
      yield* server.callTool(toolOf(server, "echo"), {})
      assert.strictEqual(wire.of("tools/call")[0]!.headers["mcp-protocol-version"], "2025-06-18")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("is not usable in a revision that is not known", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ version: "1999-01-01" })
      assert.strictEqual((yield* reasonOf(Harness.http(wire.url)))._tag, "Unreadable")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  /** A server that cuts its responses, and continues them on the next stream. */
  const cutting = Effect.gen(function* () {
    const wire: HttpServer.WireServer = yield* HttpServer.start({
      onCall: (call) => {
        call.send({ jsonrpc: "2.0", method: "notifications/message", params: {} }, "event-1")
        call.end()
      },
      onListen: (send, { headers }) => {
        const { id } = wire.of("tools/call")[0]?.message ?? {}
        if (headers["last-event-id"] === "event-1") send({ jsonrpc: "2.0", id, result: HttpServer.text("continued") })
      }
    })
    return { wire, server: yield* started(Harness.http(wire.url)) }
  })

  it.effect("continues a response after the connection was closed in it", () =>
    Effect.gen(function* () {
      const { server, wire } = yield* cutting
      const call = yield* Effect.forkChild(server.callTool(toolOf(server, "echo"), {}))
      yield* wire.awaitReceived(({ message }) => message.method === "tools/call")
      // it waits before it asks for the rest
      const ticking = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(TestClock.adjust("1 second"), Effect.yieldNow))
      )
      assert.strictEqual(textOf(yield* Fiber.join(call)), "continued")
      yield* Fiber.interrupt(ticking)
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  /** Calls a tool of a server that cuts its responses. */
  const callCut = Effect.fnUntraced(function* () {
    const { server } = yield* cutting
    return yield* Effect.map(server.callTool(toolOf(server, "echo"), {}), textOf)
  })

  it.effect("continues a response when the schedule of the program says so", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* callCut(), "continued")
    }).pipe(Effect.scoped, Effect.provide(Harness.serversWith({ reconnects: Schedule.spaced(0) })))
  )

  it.effect("does not continue a response after the end of the schedule", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(callCut())
      assert.include(error.message, "it closed the response before its end")
    }).pipe(Effect.scoped, Effect.provide(Harness.serversWith({ reconnects: Schedule.recurs(0) })))
  )
})

describe("layerConfig", () => {
  it.live("reads the servers, and the secrets that they need, from the configuration", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start()
      const json = JSON.stringify([Harness.http(wire.url, { bearerTokenVariable: "docs", required: true })])
      const env = { SERVERS: json, DOCS_TOKEN: "secret", APPROVAL: "ask" }
      const servers = McpServers.layerConfig({
        program: Config.succeed({ name: "test", version: "1" }),
        variables: Config.all({ docs: Config.Redacted("DOCS_TOKEN") })
      })
      const tools = McpTools.layerConfig({
        servers: Config.schema(Schema.fromJsonString(Schema.Array(ServerConfig)), "SERVERS"),
        approval: Config.Literals(["allow", "ask"], "APPROVAL")
      })
      const build = Layer.build(Layer.provide(tools, Layer.provide(servers, Harness.platform)))
      const from = (values: object) =>
        Effect.provideService(
          build,
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({ env: { ...env, ...values } })
        )
      yield* from({})
      assert.strictEqual(wire.of("initialize")[0]!.headers["authorization"], "Bearer secret")
      assert.strictEqual((yield* Effect.flip(from({ APPROVAL: "perhaps" })))._tag, "ConfigError")
    }).pipe(Effect.scoped)
  )
})

describe("servers", () => {
  it.live("start at the same time", () =>
    Effect.gen(function* () {
      // each `initialize` waits for all of them
      const wires = yield* Effect.forEach([1, 2, 3], () => HttpServer.start({ isSilent: true }))
      for (const [index, { url }] of wires.entries()) yield* get(Harness.http(url, { name: `server-${index}` }))
      for (const wire of wires) yield* wire.awaitReceived(({ message }) => message.method === "initialize")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("list their resources and prompts", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start()
      const server = yield* started(Harness.http(wire.url))
      // this one has none
      assert.deepStrictEqual(yield* server.listResources, [])
      assert.deepStrictEqual(yield* server.listPrompts, [])
      assert.strictEqual((yield* Effect.flip(server.readResource("file:///x"))).reason._tag, "Unreadable")
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )
})
