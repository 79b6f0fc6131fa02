import { assert, describe, it } from "@effect/vitest"
import * as McpTools from "@spindle/mcp/McpTools"
import * as TurnHeaders from "@spindle/mcp/TurnHeaders"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Turn } from "@spindle/core/Turn"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Struct from "effect/Struct"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

/** The headers of a turn: its id, and what is not legal in HTTP. */
const ofTurn = (turn: Turn) =>
  Effect.succeed({
    "x-turn": turn.turnId,
    "x-session": turn.sessionId,
    "x-bad": "a\nb",
    "bad name": "x",
    "x-empty": ""
  })

const withHeaders = Effect.provideService(TurnHeaders.TurnHeaders, ofTurn)

const started = (harness: SessionHarness.SessionHarness) =>
  harness.records().flatMap((one) => (one._tag === "TurnStarted" ? [one.turnId] : []))

/** Checks that only the calls of tools have headers of a turn. */
const assertOnlyCalls = (server: HttpServer.WireServer) => {
  const others = server.received.filter(({ message }) => message.method !== "tools/call")
  assert.isAtLeast(others.length, 3)
  for (const { headers } of others) assert.isUndefined(headers["x-turn"])
}

/** A server whose calls wait until `count` of them have arrived. */
const overlapping = (count: number) => {
  const calls: Array<HttpServer.Call> = []
  return HttpServer.start({
    onCall: (call) => {
      calls.push(call)
      if (calls.length === count) for (const one of calls) one.reply(HttpServer.text(String(one.headers["x-turn"])))
    }
  })
}

describe("the headers of a turn", () => {
  it.live("M1 are those of the call, for overlapping calls of two sessions on one client", () =>
    Effect.gen(function* () {
      // each call waits for the others: serialised calls would never be answered
      const server = yield* overlapping(4)
      const config = Harness.http(server.url, { turnHeaders: true, parallel: true })
      const twice = [["mcp__http__echo"], ["mcp__http__echo"]] as const
      yield* Effect.gen(function* () {
        const make = Harness.session([], {
          script: [
            twice.map(([name], index) => ScriptedModel.call(name, {}, `call-${index}`)),
            [ScriptedModel.text("done")]
          ]
        })
        const [one, two] = [yield* make, yield* make]
        yield* Effect.all([one.run("go"), two.run("go")], { concurrency: 2 })
        for (const harness of [one, two]) {
          const [turnId] = started(harness)
          const completed = ["completed", turnId] as const
          assert.deepStrictEqual(Harness.results(harness), [completed, completed])
        }
        assert.strictEqual(server.of("initialize").length, 1)
      }).pipe(withHeaders, Harness.withTools([config]))
      assertOnlyCalls(server)
      const ids = server.of("tools/call").map(({ headers }) => headers["x-session"])
      assert.strictEqual(new Set(ids).size, 2)
    }).pipe(Effect.scoped)
  )

  it.live("M1 leave initialize, list, stream and notifications unchanged", () =>
    Effect.gen(function* () {
      /** Runs a turn that is aborted in its call; returns all requests but the call, without what differs by chance. */
      const othersOf = Effect.fnUntraced(function* (turnHeaders: boolean) {
        const server = yield* HttpServer.start({ onCall: () => undefined, onListen: () => undefined })
        yield* Effect.gen(function* () {
          const harness = yield* Harness.session([["mcp__http__echo"]])
          yield* harness.submit("go")
          yield* server.awaitReceived(({ http }) => http === "GET")
          yield* server.awaitReceived(({ message }) => message.method === "tools/call")
          yield* harness.session.abort()
          yield* server.awaitReceived(({ message }) => message.method === "notifications/cancelled")
          yield* harness.session.awaitIdle
        }).pipe(withHeaders, Harness.withTools([Harness.http(server.url, { turnHeaders })]))
        const [call] = server.of("tools/call")
        assert.strictEqual("x-turn" in call!.headers, turnHeaders)
        return server.received
          .filter((one) => one !== call)
          .map(({ headers, http, message }) =>
            JSON.stringify({ http, message, headers: Struct.omit(headers, ["b3", "host", "traceparent"]) })
          )
          .toSorted()
      })
      const plain = yield* othersOf(false)
      const kinds = plain.map((one) => {
        const { http, message } = JSON.parse(one) as HttpServer.Received
        return message.method ?? http
      })
      assert.deepStrictEqual(
        kinds.toSorted(),
        ["DELETE", "GET", "initialize", "notifications/cancelled", "notifications/initialized", "tools/list"].toSorted()
      )
      assert.deepStrictEqual(yield* othersOf(true), plain)
    }).pipe(Effect.scoped)
  )

  it.live("M1 are legal text: what is not is left out", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]])
        yield* harness.run("go")
      }).pipe(withHeaders, Harness.withTools([Harness.http(server.url, { turnHeaders: true })]))
      const [call] = server.of("tools/call")
      assert.isString(call!.headers["x-turn"])
      for (const name of ["x-bad", "x-empty", "bad name"]) assert.notProperty(call!.headers, name)
    }).pipe(Effect.scoped)
  )

  it.live("M1 are not sent to a server that is not configured to get them", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"]])
        yield* harness.run("go")
      }).pipe(withHeaders, Harness.withTools([Harness.http(server.url)]))
      assert.notProperty(server.of("tools/call")[0]!.headers, "x-turn")
    }).pipe(Effect.scoped)
  )

  it.live("M1 are read anew for each call", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      let count = 0
      const counted = Effect.provideService(TurnHeaders.TurnHeaders, () =>
        Effect.sync(() => ({ "x-turn": `${++count}` }))
      )
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"], ["mcp__http__echo"]])
        yield* harness.run("go")
      }).pipe(counted, Harness.withTools([Harness.http(server.url, { turnHeaders: true })]))
      assert.deepStrictEqual(
        server.of("tools/call").map(({ headers }) => headers["x-turn"]),
        ["1", "2"]
      )
    }).pipe(Effect.scoped)
  )

  it.live("M1 a turn that replaces another has its own, and the cancellation of the first has none", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start({
        onCall: (call) => {
          if (server.of("tools/call").length > 1) call.reply(HttpServer.text("second"))
        }
      })
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo"], ["mcp__http__echo"]])
        yield* harness.submit("first")
        yield* server.awaitReceived(({ message }) => message.method === "tools/call")
        yield* harness.session.abort("Replaced")
        yield* harness.run("second")
        yield* server.awaitReceived(({ message }) => message.method === "notifications/cancelled")
        assert.deepStrictEqual(
          server.of("tools/call").map(({ headers }) => headers["x-turn"]),
          started(harness)
        )
      }).pipe(withHeaders, Harness.withTools([Harness.http(server.url, { turnHeaders: true })]))
      assertOnlyCalls(server)
    }).pipe(Effect.scoped)
  )

  it.live("M1 a straggler that calls after its turn has settled sends no headers, and no call", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      const config = Harness.http(server.url, { turnHeaders: true })
      yield* Effect.gen(function* () {
        const { servers } = yield* McpTools.McpTools
        const turnOf = yield* Deferred.make<Turn>()
        const harness = yield* SessionHarness.make({
          tools: { linger: { run: () => Effect.flatMap(Turn, (turn) => Deferred.succeed(turnOf, turn)) } },
          script: [[ScriptedModel.call("linger", {}, "call-0")], [ScriptedModel.text("done")]]
        })
        yield* harness.run("go")
        const turn = yield* Deferred.await(turnOf)
        yield* servers[0]!.started
        // the table of the turn's tools, as a task that hangs would still have it
        const { table } = yield* McpTools.McpTools
        const entry = (yield* Effect.provideService(table, Turn, { ...turn, warn: () => Effect.void })).byName.get(
          "mcp__http__echo"
        )!
        const straggling = yield* Effect.forkChild(Effect.provideService(entry.run({}, "late"), Turn, turn))
        const exit = yield* Fiber.await(straggling)
        assert.strictEqual(exit._tag, "Failure")
        // a call after it shows that nothing was on its way
        yield* servers[0]!.callTool({ name: "echo", inputSchema: { type: "object" } } as never, { last: true })
        const calls = server.of("tools/call")
        assert.deepStrictEqual(
          calls.map(({ message }) => message.params?.["arguments"]),
          [{ last: true }]
        )
        assert.notProperty(calls[0]!.headers, "x-turn")
      }).pipe(withHeaders, Harness.withTools([config]))
    }).pipe(Effect.scoped)
  )

  it.live("M1 are in the `_meta` of a call over standard streams, and nowhere else", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__echo"], ["mcp__stdio__received"]])
      yield* harness.run("go")
      const received = JSON.parse(String(Harness.results(harness)[1]![1])) as ReadonlyArray<HttpServer.Message>
      const [turnId] = started(harness)
      for (const { method, params } of received) {
        assert.strictEqual(params?.["_meta"]?.["x-turn"], method === "tools/call" ? turnId : undefined)
      }
    }).pipe(withHeaders, Harness.withTools([Harness.stdio("", { turnHeaders: true })]), Effect.scoped)
  )

  it.live("M1 are the same in revision 2026-07-28", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo", { a: 1 }]])
        yield* harness.run("go")
        assert.deepStrictEqual(Harness.results(harness), [["completed", '{"a":1}']])
        assert.deepStrictEqual(
          server.received.map(({ headers, message }) => [message.method, headers["x-turn"]]),
          [
            ["server/discover", undefined],
            ["tools/list", undefined],
            ["tools/call", started(harness)[0]]
          ]
        )
      }).pipe(withHeaders, Harness.withTools([Harness.http(server.url, { turnHeaders: true, protocol: "2026-07-28" })]))
    }).pipe(Effect.scoped)
  )
})
