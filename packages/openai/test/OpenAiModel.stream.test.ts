import { createServer } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import type { ModelPart } from "@spindle/core/Model"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Deferred, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { listen } from "../../core/test/fixtures/httpServers.ts"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import {
  assertFailure,
  bodyOf,
  bytesOf,
  callId,
  clients,
  failureOf,
  over,
  overBytes,
  partsAndFailure,
  request
} from "./fixture.ts"

const usage = { input: 100, cachedInput: 0, output: 10, reasoning: 0, total: 110 }

describe("a search that the provider runs", () => {
  const search = (action: object, id = "ws_1") => ({
    raw: {
      type: "response.output_item.done",
      output_index: 7,
      item: { type: "web_search_call", id, status: "completed", action }
    }
  })
  const executed = (query: string) => ({
    output: "The provider has run this search.",
    display: { _tag: "Search", query }
  })

  it.live("is a call that was executed, and leaves the reason of the response", () =>
    Effect.gen(function* () {
      const opened = { type: "open_page", url: "https://example.com" }
      const found = { type: "search", query: "spindle" }
      const { model } = yield* over({ turns: [{ events: [search(found), search(opened, "ws_2"), { text: "a" }] }] })
      const parts = yield* Stream.runCollect(model.stream(request()))
      assert.deepStrictEqual(parts.slice(0, 2) as ReadonlyArray<unknown>, [
        { _tag: "ToolCall", callId: "ws_1", name: "web_search", params: found, executed: executed("spindle") },
        { _tag: "ToolCall", callId: "ws_2", name: "web_search", params: opened, executed: executed(opened.url) }
      ])
      assert.deepInclude(parts.at(-1), { _tag: "Finish", reason: "stop" })
    })
  )

  it.live("is asked for with the tools of a request, and goes back as it came", () =>
    Effect.gen(function* () {
      const tools = [{ name: "shell", description: undefined, parameters: {}, source: undefined }]
      const call = { id: ItemId.make("1.1"), callId: callId("ws_1"), name: "web_search" }
      const action = { type: "search", query: "spindle" }
      const items: ReadonlyArray<Item> = [
        ...request().items,
        { _tag: "ToolCall", ...call, params: action, byProvider: true },
        { _tag: "ToolResult", ...call, id: ItemId.make("1.2"), status: "completed", output: "done" },
        { _tag: "AssistantMessage", id: ItemId.make("1.3"), text: "found" }
      ]
      for (const webSearch of ["cached", "live"] as const) {
        const { model, server } = yield* over({}, { webSearch })
        yield* Stream.runDrain(model.stream(request({ tools, items })))
        yield* Stream.runDrain(model.stream(request({ items })))
        const [body, without] = server.requests.map((one) => one.body)
        assert.deepStrictEqual(body?.["tools"].at(-1), {
          type: "web_search",
          external_web_access: webSearch === "live"
        })
        assert.isUndefined(without?.["tools"])
        assert.deepStrictEqual(
          body?.["input"].map((item: any) => item.action ?? item.role),
          ["user", action, "assistant"]
        )
      }
    })
  )
})

describe("a stream", () => {
  for (const [name, layer] of clients) {
    it.live(`carries reasoning, text and calls as they come, over ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* ResponsesServer.make({
          turns: [
            {
              events: [
                { reasoning: "hm", chunks: 2 },
                { text: "größe", chunks: 2 },
                { call: "shell", args: { cmd: "ls" }, callId: "c1" },
                { call: "shell", args: "{cmd", callId: "c2" },
                { custom: "apply_patch", input: "+x", callId: "c3" }
              ],
              usage: { input: 9, cached: 4, output: 7, reasoning: 3 }
            }
          ]
        })
        const model = yield* OpenAiModel.make({ model: "m", baseUrl: server.baseUrl })
        const parts = yield* Stream.runCollect(model.stream(request()))
        assert.deepStrictEqual(parts as ReadonlyArray<unknown>, [
          { _tag: "ReasoningStart", id: "0" },
          { _tag: "ReasoningDelta", id: "0", delta: "h" },
          { _tag: "ReasoningDelta", id: "0", delta: "m" },
          { _tag: "ReasoningEnd", id: "0", encrypted: "bW9jaw==", sealedBy: "openai m", providerId: "rs_mock_1" },
          { _tag: "TextStart", id: "1" },
          { _tag: "TextDelta", id: "1", delta: "grö" },
          { _tag: "TextDelta", id: "1", delta: "ße" },
          { _tag: "TextEnd", id: "1", providerId: "msg_mock_2" },
          { _tag: "ToolCall", callId: "c1", name: "shell", params: { cmd: "ls" }, providerId: "fc_mock_3" },
          {
            _tag: "ToolCall",
            callId: "c2",
            name: "shell",
            params: undefined,
            invalid: "{cmd",
            providerId: "fc_mock_4"
          },
          {
            _tag: "ToolCall",
            callId: "c3",
            name: "apply_patch",
            params: { input: "+x" },
            freeform: true,
            providerId: "ctc_mock_5"
          },
          {
            _tag: "Finish",
            reason: "tool-calls",
            usage: { input: 9, cachedInput: 4, output: 7, reasoning: 3, total: 16 }
          }
        ])
      }).pipe(Effect.provide(layer))
    )

    it.live(`emits a part before the next one is sent, and closes its connection when interrupted, over ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* ResponsesServer.make({ turns: [{ events: [{ text: "a" }, { gate: "never" }] }] })
        const model = yield* OpenAiModel.make({ model: "m", baseUrl: server.baseUrl })
        const seen = yield* Deferred.make<ModelPart>()
        const running = yield* model.stream(request()).pipe(
          Stream.filter((part) => part._tag === "TextDelta"),
          Stream.runForEach((part) => Deferred.succeed(seen, part)),
          Effect.forkChild
        )
        assert.deepStrictEqual(yield* Deferred.await(seen), { _tag: "TextDelta", id: "0", delta: "a" })
        yield* Fiber.interrupt(running)
        assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
      }).pipe(Effect.provide(layer))
    )

    it.live(`closes its connection when interrupted before the response begins, over ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* ResponsesServer.make({ turns: [{ before: 60_000 }] })
        const model = yield* OpenAiModel.make({ model: "m", baseUrl: server.baseUrl })
        const running = yield* Effect.forkChild(Stream.runDrain(model.stream(request())))
        yield* server.awaitRequests(1)
        yield* Fiber.interrupt(running)
        assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
      }).pipe(Effect.provide(layer))
    )
  }

  it.live("closes its connection when its reader has enough", () =>
    Effect.gen(function* () {
      const { model, server } = yield* over({ turns: [{ events: [{ endless: "x", every: 1 }] }] })
      const parts = yield* model.stream(request()).pipe(Stream.take(5), Stream.runCollect)
      assert.lengthOf(parts, 5)
      assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
    })
  )

  it.live("sends one request each time it is run", () =>
    Effect.gen(function* () {
      const { model, server } = yield* over({})
      const stream = model.stream(request())
      yield* Stream.runDrain(stream)
      yield* Stream.runDrain(stream)
      assert.lengthOf(server.requests, 2)
    })
  )

  it.live("leaves its connection to later requests, although the response ends after its last event", () =>
    Effect.gen(function* () {
      let connections = 0
      let end = () => {}
      const done = `data: ${JSON.stringify({ type: "response.completed", response: {} })}\n\n`
      const server = createServer((incoming, response) => {
        end = () => response.end()
        incoming.resume().on("end", () => response.write(done))
      })
      server.on("connection", () => connections++)
      const baseUrl = yield* listen(server)
      const model = yield* OpenAiModel.make({ model: "m", baseUrl })
      for (let n = 0; n < 10; n++) {
        yield* Stream.runForEach(model.stream(request()), (part) => {
          assert.deepStrictEqual(part, { _tag: "Finish", reason: "stop", usage: undefined })
          return Effect.sync(end)
        })
      }
      // undici gives a connection back a moment after its response has ended, so it may open a second one
      assert.isAtMost(connections, 2)
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("is the same however its bytes are cut", () =>
    Effect.gen(function* () {
      const { model } = yield* over({ turns: [{ events: [{ text: "größe ✓" }] }] })
      const complete = yield* Stream.runCollect(model.stream(request()))
      const text = [
        ": comment\n\nretry: 3000\n\n",
        'data: {"type":"response.output_item.added","output_index":0,"item":{"type":"message","id":"msg_mock_1"}}\r\n\r\n',
        'data: {"type":"response.output_text.delta","output_index":0,\ndata: "delta":"größe ✓"}\n\n',
        'data: {"type":"response.output_item.done","output_index":0,"item":{"type":"message","id":"msg_mock_1"}}\n\n',
        'data: {"type":"response.completed","response":{"usage":{"input_tokens":100,"output_tokens":10}}}\n\n',
        "data: [DONE]\n\n"
      ].join("")
      const bytes = Array.from(bytesOf(text), (byte) => Uint8Array.of(byte))
      const cut = yield* overBytes(bodyOf(bytes))
      assert.deepStrictEqual(yield* Stream.runCollect(cut.stream(request())), complete)
      assert.deepStrictEqual(complete.at(-1), { _tag: "Finish", reason: "stop", usage })
    })
  )

  it.effect("fails with IdleTimeout when the response does not begin", () =>
    Effect.gen(function* () {
      const { model, server } = yield* over({ turns: [{ before: 60_000 }] })
      const failing = yield* Effect.forkChild(failureOf(model.stream(request())))
      yield* server.awaitRequests(1)
      yield* TestClock.adjust("300 seconds")
      const failure = yield* Fiber.join(failing)
      assertFailure(failure, { kind: "IdleTimeout", detail: "the model sent nothing for 300000 ms" })
      assert.isTrue(failure.isRetryable)
      assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
    })
  )

  it.effect("fails with IdleTimeout when no event comes for too long, and closes its connection", () =>
    Effect.gen(function* () {
      const delta = { type: "response.output_text.delta", output_index: 0, delta: "a" }
      const { model, server } = yield* over(
        { turns: [{ events: [{ raw: delta }, { hang: true }] }] },
        { idleTimeout: "10 seconds" }
      )
      const started = yield* Deferred.make<void>()
      const failing = yield* model.stream(request()).pipe(
        Stream.tap((part) => (part._tag === "TextDelta" ? Deferred.succeed(started, undefined) : Effect.void)),
        partsAndFailure,
        Effect.forkChild
      )
      yield* Deferred.await(started)
      yield* TestClock.adjust("10 seconds")
      const { failure, parts } = yield* Fiber.join(failing)
      assert.strictEqual(failure.kind, "IdleTimeout")
      assert.deepStrictEqual(parts.at(-1), { _tag: "TextDelta", id: "0", delta: "a" })
      assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
    })
  )

  it.effect("does not count comments as events", () =>
    Effect.gen(function* () {
      let send: (text: string) => void = () => {}
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          send = (text) => controller.enqueue(bytesOf(text))
        }
      })
      const model = yield* overBytes(body, { idleTimeout: "10 seconds" })
      const failing = yield* Effect.forkChild(failureOf(model.stream(request())))
      send(": keep alive\n\n")
      yield* TestClock.adjust("9 seconds")
      send(": keep alive\n\n")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(failing)).kind, "IdleTimeout")
    })
  )
})
