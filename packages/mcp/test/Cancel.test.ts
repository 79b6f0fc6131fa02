import { assert, describe, it } from "@effect/vitest"
import * as McpServers from "@spindle/mcp/McpServers"
import type { McpServer } from "@spindle/mcp/McpServer"
import type { HttpServer as HttpConfig, ServerConfig } from "@spindle/mcp/ServerConfig"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

const toolOf = (server: McpServer, name: string) => server.tools().find((tool) => tool.name === name)!

/** The cancellations that the server of the fixture has got over its standard input. */
const cancellations = Effect.fnUntraced(function* (server: McpServer) {
  const { content } = yield* server.callTool(toolOf(server, "received"), {})
  const received: ReadonlyArray<HttpServer.Message> = JSON.parse((content[0] as { readonly text: string }).text)
  const hanging = received.find(({ params }) => params?.["name"] === "hang")
  const cancelled = received.filter(({ method }) => method === "notifications/cancelled")
  for (const { params } of cancelled) assert.strictEqual(params?.["requestId"], hanging?.id)
  return { isCalled: hanging !== undefined, count: cancelled.length }
})

const started = Effect.fnUntraced(function* (config: ServerConfig) {
  const server = yield* Effect.flatMap(McpServers.McpServers, ({ get }) => get(config))
  yield* server.started
  return server
})

/** A server whose calls are never answered, and one call of it that has arrived. */
const hanging = Effect.fnUntraced(function* (more: Partial<HttpConfig> = {}) {
  const wire = yield* HttpServer.start({ onCall: () => {} })
  const server = yield* started(Harness.http(wire.url, more))
  const call = yield* Effect.forkChild(server.callTool(toolOf(server, "echo"), {}))
  const { message } = yield* wire.awaitReceived((one) => one.message.method === "tools/call")
  const isCancelled = (one: HttpServer.Received) => one.message.method === "notifications/cancelled"
  return { wire, server, call, id: message.id, isCancelled }
})

describe("a call that is interrupted", () => {
  it.live("M2 is cancelled once over HTTP, even by two interruptions", () =>
    Effect.gen(function* () {
      const { call, id, isCancelled, wire } = yield* hanging()
      yield* Effect.all([Fiber.interrupt(call), Fiber.interrupt(call)], { concurrency: 2 })
      const { message } = yield* wire.awaitReceived(isCancelled)
      assert.deepStrictEqual(message.params, { requestId: id })
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("M2 is cancelled once over HTTP, and nothing follows until the connection is closed", () =>
    Effect.gen(function* () {
      const wire = yield* Effect.gen(function* () {
        const { call, isCancelled, wire } = yield* hanging()
        yield* Fiber.interrupt(call)
        yield* Fiber.interrupt(call)
        yield* wire.awaitReceived(isCancelled)
        return wire
      }).pipe(Effect.provide(Harness.servers))
      // the layer is closed: what it had to send is sent
      assert.strictEqual(wire.of("notifications/cancelled").length, 1)
      assert.strictEqual(wire.received.at(-1)!.http, "DELETE")
    }).pipe(Effect.scoped)
  )

  it.effect("M2 is cancelled once after it took too long", () =>
    Effect.gen(function* () {
      const wire = yield* Effect.gen(function* () {
        const { call, isCancelled, wire } = yield* hanging({ callSeconds: 5 })
        yield* TestClock.adjust("5 seconds")
        const error = yield* Effect.flip(Fiber.join(call))
        assert.deepStrictEqual(error.reason, { _tag: "CallTimedOut", seconds: 5 })
        yield* wire.awaitReceived(isCancelled)
        return wire
      }).pipe(Effect.provide(Harness.servers))
      assert.strictEqual(wire.of("notifications/cancelled").length, 1)
    }).pipe(Effect.scoped)
  )

  it.live("M2 is not cancelled after it was answered", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start()
      yield* Effect.gen(function* () {
        const server = yield* started(Harness.http(wire.url))
        const call = yield* Effect.forkChild(server.callTool(toolOf(server, "echo"), {}))
        yield* Fiber.join(call)
        yield* Fiber.interrupt(call)
      }).pipe(Effect.provide(Harness.servers))
      assert.deepStrictEqual(wire.of("notifications/cancelled"), [])
    }).pipe(Effect.scoped)
  )

  it.live("M2 is cancelled once over standard streams", () =>
    Effect.gen(function* () {
      const server = yield* started(Harness.stdio())
      const call = yield* Effect.forkChild(server.callTool(toolOf(server, "hang"), {}), { startImmediately: true })
      // the server reads in order: it has got the call once it has answered another one
      assert.deepStrictEqual(yield* cancellations(server), { isCalled: true, count: 0 })
      yield* Effect.all([Fiber.interrupt(call), Fiber.interrupt(call)], { concurrency: 2 })
      assert.deepStrictEqual(yield* cancellations(server), { isCalled: true, count: 1 })
    }).pipe(Effect.scoped, Effect.provide(Harness.servers))
  )

  it.live("M2 the abort of a turn cancels its call once", () =>
    Effect.gen(function* () {
      const wire = yield* HttpServer.start({ onCall: () => {} })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]])
        yield* harness.submit("go")
        yield* wire.awaitReceived(({ message }) => message.method === "tools/call")
        yield* Effect.all([harness.session.abort("Interrupted"), harness.session.abort("Interrupted")], {
          concurrency: 2
        })
        yield* harness.session.awaitIdle
        yield* wire.awaitReceived(({ message }) => message.method === "notifications/cancelled")
      }).pipe(Harness.withTools([Harness.http(wire.url)]))
      assert.strictEqual(wire.of("notifications/cancelled").length, 1)
    }).pipe(Effect.scoped)
  )
})

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe("the process of a server", () => {
  it.live("M2 ends with its last user, even if it ignores the end of its input", () =>
    Effect.gen(function* () {
      const { get, pids } = yield* McpServers.McpServers
      const config = Harness.stdio("stays")
      const [one, two] = [yield* Scope.make(), yield* Scope.make()]
      const server = yield* Scope.provide(get(config), one)
      assert.strictEqual(yield* Scope.provide(get({ ...config }), two), server)
      yield* server.started
      const [pid] = pids()
      yield* Scope.close(one, Exit.void)
      assert.isTrue(isAlive(pid!))
      yield* Scope.close(two, Exit.void)
      assert.deepStrictEqual(pids(), [])
      assert.isFalse(isAlive(pid!))
    }).pipe(Effect.provide(Harness.servers))
  )

  it.live("M2 ends while it is still starting", () =>
    Effect.gen(function* () {
      const { get, pids } = yield* McpServers.McpServers
      const scope = yield* Scope.make()
      yield* Scope.provide(get(Harness.stdio("silent")), scope)
      while (pids().length === 0) yield* Effect.yieldNow
      const [pid] = pids()
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(isAlive(pid!))
    }).pipe(Effect.provide(Harness.servers))
  )
})
