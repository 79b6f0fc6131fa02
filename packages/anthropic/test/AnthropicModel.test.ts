import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { Model, type ToolSpec } from "@spindle/core/Model"
import { Config, ConfigProvider, Context, Deferred, Effect, Fiber, Layer, Redacted, Stream } from "effect"
import * as AnthropicModel from "../src/AnthropicModel.ts"
import { callId, ended, hello, id, key, modelAt, partsAndFailure, request, said, serve, sse, start } from "./fixture.ts"
import { refusalOf } from "./strictServer.ts"

const shell: ToolSpec = { name: "shell", description: "Runs it", parameters: { type: "object" }, source: undefined }
const cache_control = { type: "ephemeral" }

/** The request that a model sends. */
const sentFor = (part: Parameters<typeof request>[0], options: Parameters<typeof modelAt>[1] = {}) =>
  Effect.gen(function* () {
    const { baseUrl, requests } = yield* serve((_, response) => response.end(hello))
    yield* Stream.runDrain((yield* modelAt(baseUrl, options)).stream(request(part)))
    assert.isUndefined(refusalOf(JSON.stringify(requests[0]!.body)))
    return requests[0]!
  })

describe("layerConfig", () => {
  it.live("reads the options of the model from the configuration", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response) => response.end(hello))
      const env = { MODEL: "claude-of-env", API_KEY: key, BASE_URL: baseUrl }
      const layer = AnthropicModel.layerConfig({
        model: Config.String("MODEL"),
        apiKey: Config.Redacted("API_KEY"),
        baseUrl: Config.String("BASE_URL")
      }).pipe(Layer.provide(NodeHttpClient.layerUndici))
      const context = yield* Effect.provideService(
        Layer.build(layer),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env })
      )
      yield* Stream.runDrain(Context.get(context, Model).stream(request({})))
      assert.strictEqual(requests[0]!.body.model, "claude-of-env")
      assert.strictEqual(requests[0]!.headers["x-api-key"], key)
    })
  )
})

describe("a request", () => {
  it.live("is one streaming POST with the key and the version of the API", () =>
    Effect.gen(function* () {
      const { body, headers, url } = yield* sentFor({ instructions: "Be brief.", tools: [shell] })
      assert.strictEqual(url, "/v1/messages")
      assert.include(headers, { "x-api-key": key, "anthropic-version": "2023-06-01" })
      assert.notProperty(headers, "authorization")
      assert.deepStrictEqual(body, {
        model: "claude-test",
        max_tokens: 32_000,
        stream: true,
        system: [{ type: "text", text: "Be brief.", cache_control }],
        messages: [{ role: "user", content: [{ type: "text", text: "hi", cache_control }] }],
        tools: [{ name: "shell", description: "Runs it", input_schema: { type: "object" } }]
      })
    })
  )

  it.live("says how much to think, and which form the output has", () =>
    Effect.gen(function* () {
      const thinking = (reasoningEffort: string, maxOutputTokens?: number) =>
        Effect.map(
          sentFor({}, { reasoningEffort, ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }) }),
          ({ body }) => [body.thinking, body.output_config]
        )
      assert.deepStrictEqual(yield* thinking("low"), [{ type: "enabled", budget_tokens: 4_096 }, undefined])
      assert.deepStrictEqual(yield* thinking("high", 10_000), [{ type: "enabled", budget_tokens: 8_976 }, undefined])
      assert.deepStrictEqual(yield* thinking("high", 2_000), [undefined, undefined])
      assert.deepStrictEqual(yield* thinking("none"), [undefined, undefined])
      assert.deepStrictEqual(yield* thinking("max"), [{ type: "adaptive" }, { effort: "max" }])
      const schema = { type: "object", properties: {} }
      const { body } = yield* sentFor(
        { output: { name: "answer", schema }, tools: [shell] },
        { parallelToolCalls: false }
      )
      assert.deepStrictEqual(body.output_config, { format: { type: "json_schema", schema } })
      assert.deepStrictEqual(body.tool_choice, { type: "auto", disable_parallel_tool_use: true })
    })
  )

  it.live("does not ask for thinking in the middle of the calls of another model", () =>
    Effect.gen(function* () {
      const call = { id, callId: callId("c"), name: "shell" } as const
      const items = [
        ...request().items,
        { _tag: "ToolCall", ...call, params: {} },
        { _tag: "ToolResult", ...call, status: "completed", output: "ok" }
      ] as const
      const { body } = yield* sentFor({ items }, { reasoningEffort: "low" })
      assert.notProperty(body, "thinking")
      const own = {
        _tag: "Reasoning",
        id,
        text: "why",
        encrypted: "sig",
        sealedBy: "anthropic claude-test messages"
      } as const
      const mine = yield* sentFor({ items: [items[0]!, own, items[1]!, items[2]!] }, { reasoningEffort: "low" })
      assert.deepStrictEqual(mine.body.messages[1].content[0], { type: "thinking", thinking: "why", signature: "sig" })
      assert.deepStrictEqual(mine.body.thinking, { type: "enabled", budget_tokens: 4_096 })
    })
  )

  it.live("asks for the form of the output in words where the server does not know it", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve(({ body }, response) => {
        if (body.output_config === undefined) return void response.end(hello)
        const error = { type: "invalid_request_error", message: "output_config: Extra inputs are not permitted" }
        response.writeHead(400).end(JSON.stringify({ type: "error", error }))
      })
      const model = yield* modelAt(baseUrl)
      const schema = { type: "object" }
      yield* Stream.runDrain(model.stream(request({ output: { name: "answer", schema } })))
      assert.lengthOf(requests, 2)
      assert.include(requests[1]!.body.system[0].text, JSON.stringify(schema))
    })
  )
})

describe("a response", () => {
  it.live("is the same however its bytes are cut", () =>
    Effect.gen(function* () {
      const bytes = new TextEncoder().encode(sse(start, ...said(0, "né😀e"), ...ended("end_turn")))
      const read = (size: number) =>
        Effect.gen(function* () {
          const { baseUrl } = yield* serve((_, response) => {
            for (let at = 0; at < bytes.length; at += size) response.write(bytes.subarray(at, at + size))
            response.end()
          })
          return (yield* partsAndFailure((yield* modelAt(baseUrl)).stream(request()))).parts
        })
      const whole = yield* read(bytes.length)
      assert.lengthOf(whole, 5)
      for (const size of [1, 2, 7]) assert.deepStrictEqual(yield* read(size), whole)
    })
  )

  it.live("of another model is named once", () =>
    Effect.gen(function* () {
      const other = { ...start, message: { ...start.message, model: "claude-small-20260101" } }
      const { baseUrl } = yield* serve((_, response) =>
        response.end(sse(other, ...said(0, "hi"), ...ended("end_turn")))
      )
      const model = yield* modelAt(baseUrl)
      const { parts } = yield* partsAndFailure(model.stream(request()))
      const message = "anthropic uses the model claude-small-20260101 in place of claude-test"
      assert.deepStrictEqual(parts[0], { _tag: "Warning", message })
      const again = yield* partsAndFailure(model.stream(request()))
      assert.strictEqual(again.parts[0]!._tag, "TextStart")
    })
  )

  it.live("that breaks off is Disconnected, after what was read", () =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) => response.end(sse(start, ...said(0, "hi"))))
      const { failure, parts } = yield* partsAndFailure((yield* modelAt(baseUrl)).stream(request()))
      assert.strictEqual(failure?.kind, "Disconnected")
      assert.isNotEmpty(parts)
    })
  )
})

describe("a failure", () => {
  const cases = [
    [400, "invalid_request_error", "messages: at least one message is required", "InvalidRequest"],
    [400, "invalid_request_error", "prompt is too long: 201000 tokens > 200000 maximum", "ContextWindowExceeded"],
    [401, "authentication_error", "invalid x-api-key", "Unauthorized"],
    [402, "billing_error", "Your credit balance is too low", "QuotaExceeded"],
    [403, "permission_error", "not allowed", "Unauthorized"],
    [404, "not_found_error", "model: claude-9", "InvalidRequest"],
    [429, "rate_limit_error", "slow down", "RateLimited"],
    [500, "api_error", "Internal server error", "ServerError"],
    [529, "overloaded_error", "Overloaded", "Overloaded"]
  ] as const
  it.live.each(cases)("with status %d and type %s has the words of the provider: %s", ([status, type, message, kind]) =>
    Effect.gen(function* () {
      const { baseUrl } = yield* serve((_, response) =>
        response.writeHead(status).end(JSON.stringify({ type: "error", error: { type, message: `${message} ${key}` } }))
      )
      const { failure } = yield* partsAndFailure((yield* modelAt(baseUrl)).stream(request()))
      assert.deepInclude(failure, { kind, status, detail: `${message} <redacted>` })
    })
  )

  it.live("leaves out an item that the provider refuses, and says so", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response, count) => {
        if (count > 1) return void response.end(hello)
        const error = { type: "invalid_request_error", message: "messages.1.content.0: Invalid `signature`" }
        response.writeHead(400).end(JSON.stringify({ type: "error", error }))
      })
      const items = [
        ...request().items,
        { _tag: "AssistantMessage", id, text: "bad" },
        { _tag: "UserMessage", id, content: [{ _tag: "Text", text: "on" }] }
      ] as const
      const { failure, parts } = yield* partsAndFailure((yield* modelAt(baseUrl)).stream(request({ items })))
      assert.isUndefined(failure)
      assert.strictEqual(parts[0]!._tag, "Warning")
      assert.notInclude(JSON.stringify(requests[1]!.body), "bad")
    })
  )
})

describe("a key that has expired", () => {
  it.live("is asked for again", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve(({ headers }, response) =>
        headers["x-api-key"] === "key-1" ? response.writeHead(401).end() : response.end(hello)
      )
      let asked = 0
      const model = yield* modelAt(baseUrl, { apiKey: Effect.sync(() => Redacted.make(`key-${++asked}`)) })
      yield* Stream.runDrain(model.stream(request()))
      assert.deepStrictEqual(
        requests.map(({ headers }) => headers["x-api-key"]),
        ["key-1", "key-2"]
      )
    })
  )
})

describe("an interruption", () => {
  it.live("closes the connection", () =>
    Effect.gen(function* () {
      const [begun, closed] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const { baseUrl } = yield* serve((_, response) => {
        response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
        response.write(sse(start), () => Deferred.doneUnsafe(begun, Effect.void))
      })
      const running = yield* Effect.forkChild(Stream.runDrain((yield* modelAt(baseUrl)).stream(request())))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(running)
      yield* Deferred.await(closed)
    })
  )
})
