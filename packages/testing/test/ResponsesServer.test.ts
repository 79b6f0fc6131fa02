import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as ResponsesServer from "../src/ResponsesServer.ts"

interface Event {
  readonly type: string
  readonly [key: string]: any
}

const post = (server: ResponsesServer.ResponsesServer, body: unknown, init: RequestInit = {}) =>
  Effect.promise(() => fetch(`${server.baseUrl}/responses`, { method: "POST", body: JSON.stringify(body), ...init }))

const parse = (text: string): ReadonlyArray<Event> =>
  text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => JSON.parse(block.slice(block.indexOf("data: ") + 6)))

const ask = (server: ResponsesServer.ResponsesServer, body: unknown = { model: "m", input: "hi" }) =>
  post(server, body).pipe(
    Effect.flatMap((response) => Effect.promise(() => response.text())),
    Effect.map(parse)
  )

const deltas = (events: ReadonlyArray<Event>) =>
  events.filter((event) => event.type === "response.output_text.delta").map((event) => event["delta"])

const user = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] })

describe("ResponsesServer", () => {
  it.live("computes its turns from the bodies of requests, and notes where that throws", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.fromFunction((body) => {
        const { input } = body as { readonly input: string }
        if (input === "throw") throw new Error("no turn")
        return { events: [{ text: input.toUpperCase() }] }
      })
      assert.deepStrictEqual(deltas(yield* ask(server)), ["HI"])
      const thrown = yield* Effect.promise(() =>
        fetch(`${server.baseUrl}/responses`, { method: "POST", body: JSON.stringify({ input: "throw" }) }).catch(
          () => "gone"
        )
      )
      assert.strictEqual(thrown, "gone")
      assert.strictEqual(yield* server.awaitStreamEnd(2), "script error: Error: no turn")
    })
  )

  it.live("streams a text between created and completed, with sequence numbers and usage", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({
        turns: [{ events: [{ text: "abcdef", chunks: 3, phase: "final" }], usage: { input: 7, output: 5, cached: 2 } }]
      })
      const events = yield* ask(server)
      assert.deepStrictEqual(
        events.map((event) => event.type),
        [
          "response.created",
          "response.output_item.added",
          "response.content_part.added",
          "response.output_text.delta",
          "response.output_text.delta",
          "response.output_text.delta",
          "response.output_text.done",
          "response.content_part.done",
          "response.output_item.done",
          "response.completed"
        ]
      )
      assert.deepStrictEqual(
        events.map((event) => event["sequence_number"]),
        events.map((_, at) => at)
      )
      assert.deepStrictEqual(deltas(events), ["ab", "cd", "ef"])
      assert.strictEqual(events[8]!["item"].phase, "final")
      assert.deepStrictEqual(events[9]!["response"].usage, {
        input_tokens: 7,
        input_tokens_details: { cached_tokens: 2 },
        output_tokens: 5,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 12
      })
      assert.strictEqual(events[9]!["response"].model, "m")
    })
  )

  it.live("streams reasoning, calls and custom calls, and fills arguments from tool outputs", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({
        turns: [
          {
            events: [
              { reasoning: "think" },
              { call: "wait", args: { ids: ["${output:id=(\\w+)}"] }, callId: "c1", namespace: "n" },
              { call: "broken", args: "{" },
              { custom: "patch", input: "+x" },
              { raw: { type: "response.unheard_of", x: 1 } },
              { text: "at ${NOW_US}", times: 2 }
            ]
          }
        ]
      })
      const events = yield* ask(server, {
        input: [{ type: "function_call_output", call_id: "c0", output: "id=a id=b" }]
      })
      const done = events.filter((event) => event.type === "response.output_item.done").map((event) => event["item"])
      assert.deepStrictEqual(
        done.map((item) => [
          item.type,
          item.name,
          item.call_id,
          item.arguments ?? item.input ?? item.encrypted_content
        ]),
        [
          ["reasoning", undefined, undefined, "bW9jaw=="],
          ["function_call", "wait", "c1", '{"ids":["b"]}'],
          ["function_call", "broken", "call_fc_mock_3", "{"],
          ["custom_tool_call", "patch", "call_ctc_mock_4", "+x"],
          ["message", undefined, undefined, undefined]
        ]
      )
      assert.strictEqual(done[1].namespace, "n")
      assert.strictEqual(events.find((event) => event.type === "response.unheard_of")?.["x"], 1)
      assert.match(deltas(events)[1], /^at \d{16}$/)
    })
  )

  it.live("gives each turn to the first request that fits it, as often as it says", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({
        turns: [
          { match: { lastUser: "^two$" }, events: [{ text: "second" }] },
          { match: { header: { "x-role": "child" } }, repeat: true, events: [{ text: "child" }] },
          { match: { body: "tools", notBody: "secret" }, events: [{ text: "tools" }] },
          { match: { lastUser: "^one$" }, repeat: 2, events: [{ text: "first" }] }
        ],
        fallback: { events: [{ text: "fallback" }] }
      })
      const say = (body: unknown) => Effect.map(ask(server, body), (events) => deltas(events).join(""))
      const scaffold = user("<environment_context></environment_context>")
      assert.strictEqual(yield* say({ input: [user("one"), scaffold] }), "first")
      assert.strictEqual(yield* say({ input: [user("one"), user("two")] }), "second")
      assert.strictEqual(yield* say({ input: "one", tools: [] }), "tools")
      assert.strictEqual(yield* say({ input: "one", tools: ["secret"] }), "first")
      assert.strictEqual(yield* say({ input: "one" }), "fallback")
      const child = yield* post(server, {}, { headers: { "x-role": "child" } })
      assert.deepStrictEqual(deltas(parse(yield* Effect.promise(() => child.text()))), ["child"])
      yield* server.load({})
      assert.strictEqual(yield* say({ input: "one" }), "ok")
    })
  )

  it.live("answers with an HTTP error, its headers and its body, and logs the request", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({
        turns: [{ status: 429, headers: { "retry-after": "3" }, body: { error: { code: "slow" } } }, { status: 500 }]
      })
      const limited = yield* post(server, { input: "x" }, { headers: { authorization: "Bearer k" } })
      assert.strictEqual(limited.status, 429)
      assert.strictEqual(limited.headers.get("retry-after"), "3")
      assert.deepStrictEqual(yield* Effect.promise(() => limited.json()), { error: { code: "slow" } })
      const broken = yield* post(server, { input: "y" })
      assert.deepStrictEqual(yield* Effect.promise(() => broken.json()), {
        error: { message: "mock 500", type: "mock_error", code: "mock" }
      })
      assert.deepStrictEqual(
        server.requests.map((request) => [request.method, request.path, request.body.input, request.end]),
        [
          ["POST", "/v1/responses", "x", "http 429"],
          ["POST", "/v1/responses", "y", "http 500"]
        ]
      )
      assert.strictEqual(server.requests[0]!.headers["authorization"], "Bearer k")
    })
  )

  it.live("ends streams as failed, incomplete or dropped", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({
        turns: [
          { events: [{ fail: { code: "server_error", message: "no" } }] },
          { events: [{ incomplete: "max_output_tokens" }] },
          { events: [{ delay: "1 milli" }, { drop: true, after: "1 milli" }] }
        ]
      })
      assert.deepStrictEqual((yield* ask(server)).at(-1)!["response"].error, { code: "server_error", message: "no" })
      assert.deepStrictEqual((yield* ask(server)).at(-1)!["response"].incomplete_details, {
        reason: "max_output_tokens"
      })
      const dropped = yield* Effect.exit(
        Effect.tryPromise(async () =>
          (await fetch(`${server.baseUrl}/responses`, { method: "POST", body: "{}" })).text()
        )
      )
      assert.isTrue(Exit.isFailure(dropped))
      assert.deepStrictEqual(yield* Effect.forEach([1, 2, 3], server.awaitStreamEnd), [
        "failed by script",
        "incomplete by script",
        "dropped by script"
      ])
    })
  )

  it.live("holds streams at a gate until it is opened", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({ turns: [{ events: [{ gate: "g" }, { text: "through" }] }] })
      const asking = yield* Effect.forkChild(ask(server))
      yield* server.awaitRequests(1)
      assert.isUndefined(server.requests[0]!.end)
      yield* server.openGate("g")
      assert.deepStrictEqual(deltas(yield* Fiber.join(asking)), ["through"])
      assert.strictEqual(yield* server.awaitStreamEnd(1), "completed")
    })
  )

  for (const event of [{ hang: true }, { endless: "x", every: 1 }, { gate: "never" }, { delay: 60_000 }] as const) {
    it.live(`sees that the client closes in ${JSON.stringify(event)}`, () =>
      Effect.gen(function* () {
        const server = yield* ResponsesServer.make({ turns: [{ events: [event] }] })
        const abort = new AbortController()
        yield* post(server, {}, { signal: abort.signal })
        abort.abort()
        assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
      })
    )
  }

  it.live("writes only as fast as the client reads", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({ turns: [{ events: [{ text: "x".repeat(100_000), times: 500 }] }] })
      const response = yield* post(server, {})
      const first = yield* Effect.promise(() => response.body!.getReader().read())
      assert.isDefined(first.value)
      assert.isUndefined(server.requests[0]!.end)
    })
  )

  it.live("names a mistake of the script in the log and destroys the connection", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({ turns: [{ events: [{ typo: 1 } as any] }] })
      const exit = yield* Effect.exit(
        Effect.tryPromise(async () => (await fetch(`${server.baseUrl}/responses`, { method: "POST" })).text())
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(yield* server.awaitStreamEnd(1), 'script error: Error: unknown event {"typo":1}')
    })
  )

  it.live("answers models, compaction and unknown paths apart from the requests", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({ models: { data: [] }, compact: { output: [] } })
      const json = (path: string, method: string) =>
        Effect.promise(async () => (await fetch(`${server.baseUrl}${path}`, { method })).json())
      assert.deepStrictEqual(yield* json("/models", "GET"), { data: [] })
      assert.deepStrictEqual(yield* json("/responses/compact", "POST"), { output: [] })
      assert.deepStrictEqual(yield* json("/nothing", "GET"), {
        error: { message: "mock model: no such path GET /v1/nothing" }
      })
      assert.deepStrictEqual(
        server.others.map((request) => [request.path, request.end]),
        [
          ["/v1/models", "completed"],
          ["/v1/responses/compact", "completed"],
          ["/v1/nothing", "http 404"]
        ]
      )
      assert.deepStrictEqual(server.requests, [])
    })
  )

  it.live("closes its connections and its port with its scope", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* ResponsesServer.make({ turns: [{ events: [{ hang: true }] }] }).pipe(Scope.provide(scope))
      const response = yield* post(server, {})
      const reading = yield* Effect.forkChild(Effect.exit(Effect.tryPromise(() => response.text())))
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(reading)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.tryPromise(() => fetch(`${server.baseUrl}/models`)))))
    })
  )

  it.live("waiting for a request can be interrupted", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({})
      const waiting = yield* Effect.forkChild(server.awaitRequests(1), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      yield* ask(server)
      assert.lengthOf(yield* server.awaitRequests(1), 1)
    })
  )
})
