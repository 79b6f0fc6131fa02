import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { Model, type ModelPart, type ModelRequest } from "@spindle/core/Model"
import { Config, ConfigProvider, Deferred, Effect, Fiber, Layer, Redacted, Schema, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as ChatCompletionsModel from "../src/ChatCompletionsModel.ts"
import {
  assertFailure,
  bodyOf,
  bytesOf,
  callId,
  failureOf,
  id,
  partsAndFailure,
  request,
  serve,
  tools
} from "./fixture.ts"

const model = (baseUrl: string, options: Partial<ChatCompletionsModel.Options> = {}) =>
  Effect.flatMap(Layer.build(NodeHttpClient.layerUndici), (client) =>
    Effect.provideContext(ChatCompletionsModel.make({ model: "m", baseUrl, ...options }), client)
  )

const frame = (value: object) => `data: ${JSON.stringify(value)}\n\n`
const delta = (delta: object, finish_reason: string | null = null) =>
  frame({ choices: [{ index: 0, delta, finish_reason }] })
const hello = delta({ content: "hello" }) + delta({}, "stop")
const done = "data: [DONE]\n\n"

/** The body of the request that a model sends. */
const sentFor = (part: Partial<ModelRequest>, options: Partial<ChatCompletionsModel.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* serve((_, response) => response.end(hello + done))
    const one = yield* model(`${server.baseUrl}?v=1`, options)
    yield* Stream.runDrain(one.stream(request(part)))
    const { body, headers, url } = server.requests[0]!
    return { body: JSON.parse(body) as object, headers, url }
  })

/** A model whose server sends these bytes, as they are. */
const overBody = (body: ReadableStream<Uint8Array>, options: Partial<ChatCompletionsModel.Options> = {}) =>
  ChatCompletionsModel.make({ model: "m", ...options }).pipe(
    Effect.provideService(
      HttpClient.HttpClient,
      HttpClient.make((sent) => Effect.succeed(HttpClientResponse.fromWeb(sent, new Response(body))))
    )
  )

/** What a model reads from the bytes of a response. */
const partsFrom = (chunks: ReadonlyArray<Uint8Array>) =>
  Effect.flatMap(overBody(bodyOf(chunks)), (one) => Stream.runCollect(one.stream(request())))

describe("layerConfig", () => {
  it.live("reads the options of the model from the configuration", () =>
    Effect.gen(function* () {
      const { baseUrl, requests } = yield* serve((_, response) => response.end(hello + done))
      const layer = ChatCompletionsModel.layerConfig({
        model: Config.String("MODEL"),
        apiKey: Config.Redacted("API_KEY"),
        baseUrl: Config.String("BASE_URL")
      }).pipe(Layer.provide(NodeHttpClient.layerUndici))
      const streaming = Effect.flatMap(Model, (model) => Stream.runDrain(model.stream(request())))
      const env = { MODEL: "chat-of-env", API_KEY: "sk-chat", BASE_URL: baseUrl }
      yield* streaming.pipe(
        Effect.provide(layer),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      )
      assert.include(requests[0]!.body, `"model":"chat-of-env"`)
      assert.strictEqual(requests[0]!.headers["authorization"], "Bearer sk-chat")
    })
  )
})

describe("a request", () => {
  it.live("is one streaming POST with the fields that every server takes, and no key unless there is one", () =>
    Effect.gen(function* () {
      const { body, headers, url } = yield* sentFor({ instructions: "Be brief." })
      assert.strictEqual(url, "/v1/chat/completions?v=1")
      assert.notProperty(headers, "authorization")
      assert.deepStrictEqual(body, {
        model: "m",
        stream: true,
        stream_options: { include_usage: true },
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "hi" }
        ]
      })
      const keyed = yield* sentFor({}, { apiKey: Redacted.make("k"), headers: { "x-title": "t" } })
      assert.include(keyed.headers, { authorization: "Bearer k", "x-title": "t" })
    })
  )

  it.live("offers a freeform tool as a function of one text, and asks for a form of the output", () =>
    Effect.gen(function* () {
      const schema = { type: "object" }
      const { body } = yield* sentFor(
        { tools, output: { name: "answer", schema } },
        { reasoningEffort: "low", maxOutputTokens: 900, parallelToolCalls: false }
      )
      assert.deepInclude(body, {
        max_tokens: 900,
        reasoning_effort: "low",
        parallel_tool_calls: false,
        response_format: { type: "json_schema", json_schema: { name: "answer", schema, strict: true } },
        tools: [
          { type: "function", function: { name: "shell", description: "Runs it", parameters: { type: "object" } } },
          {
            type: "function",
            function: {
              name: "apply_patch",
              parameters: {
                type: "object",
                properties: {
                  input: { type: "string", description: "A text in this grammar (lark):\nstart: /.+/" }
                },
                required: ["input"],
                additionalProperties: false
              }
            }
          }
        ]
      })
    })
  )

  it.live("is sent again without a message that the server refuses by its place", () =>
    Effect.gen(function* () {
      const server = yield* serve((seen, response) => {
        if (!seen.body.includes("image_url")) response.end(hello + done)
        else response.writeHead(400).end(JSON.stringify({ error: { message: "messages[0]: no images" } }))
      })
      const one = yield* model(server.baseUrl)
      const parts = yield* Stream.runCollect(
        one.stream(
          request({
            items: [
              { _tag: "UserMessage", id, content: [{ _tag: "Image", url: "data:image/png;base64,AA==" }] },
              { _tag: "AssistantMessage", id, text: "I see" },
              { _tag: "UserMessage", id, content: [{ _tag: "Text", text: "next" }] }
            ]
          })
        )
      )
      assert.deepStrictEqual(parts[0], {
        _tag: "Warning",
        message:
          "openai refused an earlier message of the user of this session, which the model no longer sees: messages[0]: no images"
      })
      assert.lengthOf(server.requests, 2)
    })
  )

  it.live("does not ask for the usage where the server refuses that, from then on without another refusal", () =>
    Effect.gen(function* () {
      const server = yield* serve((seen, response) => {
        if (!seen.body.includes("stream_options")) response.end(hello + done)
        else
          response.writeHead(422).end(JSON.stringify({ detail: [{ loc: ["body", "stream_options"], msg: "extra" }] }))
      })
      const one = yield* model(server.baseUrl)
      yield* Stream.runDrain(one.stream(request()))
      yield* Stream.runDrain(one.stream(request()))
      assert.lengthOf(server.requests, 3)
    })
  )

  it.live("fails when the server refuses the field that was left out", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.writeHead(400).end("stream_options"))
      assertFailure(yield* failureOf((yield* model(server.baseUrl)).stream(request())), { kind: "InvalidRequest" })
      assert.lengthOf(server.requests, 2)
    })
  )

  it.live("is not sent again without the last input of the user", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) =>
        response.writeHead(400).end(JSON.stringify({ error: { message: "messages[0]: no" } }))
      )
      const failure = yield* failureOf((yield* model(server.baseUrl)).stream(request()))
      assertFailure(failure, { kind: "InvalidRequest", detail: "messages[0]: no" })
      assert.lengthOf(server.requests, 1)
    })
  )
})

const call = (index: number, id: string | undefined, name: string | undefined, args: string) =>
  delta({ tool_calls: [{ index, ...(id === undefined ? {} : { id }), function: { name, arguments: args } }] })

const everything = [
  ": comment\n\n",
  delta({ role: "assistant", content: "" }),
  delta({ reasoning: "größer" }),
  delta({ content: "é😀" }),
  call(0, "a", "shell", '{"cmd":'),
  call(1, "b", "shell", ""),
  call(0, undefined, undefined, '"ö"}'),
  delta({}, "tool_calls"),
  frame({ choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } }),
  done
].join("")

const expected: ReadonlyArray<object> = [
  { _tag: "ReasoningStart", id: "0" },
  { _tag: "ReasoningDelta", id: "0", delta: "größer" },
  { _tag: "ReasoningEnd", id: "0", encrypted: "reasoning", sealedBy: "openai m chat" },
  { _tag: "TextStart", id: "1" },
  { _tag: "TextDelta", id: "1", delta: "é😀" },
  { _tag: "TextEnd", id: "1" },
  { _tag: "ToolCall", callId: "a", name: "shell", params: { cmd: "ö" } },
  { _tag: "ToolCall", callId: "b", name: "shell", params: {} },
  { _tag: "Finish", reason: "tool-calls", usage: { input: 1, cachedInput: 0, output: 2, reasoning: 0, total: 3 } }
]

/** The same stream in the ways in which servers write it. */
const forms: ReadonlyArray<readonly [string, string]> = [
  ["as it should be", everything],
  ["with CRLF", everything.replaceAll("\n", "\r\n")],
  ["without a space after the colon", everything.replaceAll("data: ", "data:")],
  ["with more empty lines", everything.replaceAll("\n\n", "\n\n\n\n")],
  ["without its mark", everything.replace(done, "")],
  ["without its last empty line", everything.trimEnd()],
  ["without its mark and its last empty line", everything.replace(done, "").trimEnd()],
  ["with a blank around its mark", everything.replace("[DONE]", " [DONE] ")]
]

const Cuts = Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 2000 }))))

describe("a stream", () => {
  for (const [name, text] of forms) {
    it.effect(`is read ${name}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* partsFrom([bytesOf(text)])) as ReadonlyArray<object>, expected)
      })
    )

    it.effect.prop(`is read the same however its bytes are split, ${name}`, [Cuts], ([cuts]) =>
      Effect.gen(function* () {
        const bytes = bytesOf(text)
        const places = [0, ...cuts.map((cut) => cut % bytes.length).toSorted((a, b) => a - b), bytes.length]
        const chunks = places.slice(1).map((end, index) => bytes.slice(places[index], end))
        assert.deepStrictEqual((yield* partsFrom(chunks)) as ReadonlyArray<object>, expected)
      })
    )
  }

  it.live("fails as Disconnected when it ends without a reason and a mark", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.end(delta({ content: "hel" })))
      const { failure, parts } = yield* partsAndFailure((yield* model(server.baseUrl)).stream(request()))
      assertFailure(failure, { kind: "Disconnected" })
      assert.lengthOf(parts, 2)
    })
  )

  it.live("is complete when its connection breaks after a reason", () =>
    Effect.gen(function* () {
      const server = yield* serve((_, response) => response.write(hello, () => response.destroy()))
      const parts = yield* Stream.runCollect((yield* model(server.baseUrl)).stream(request()))
      assert.deepStrictEqual(parts.at(-1), { _tag: "Finish", reason: "stop", usage: undefined })
    })
  )

  it.effect("is complete when its server is silent after a reason", () =>
    Effect.gen(function* () {
      const body = new ReadableStream<Uint8Array>({ start: (controller) => controller.enqueue(bytesOf(hello)) })
      const one = yield* overBody(body, { idleTimeout: "10 seconds" })
      const seen = yield* Deferred.make<ModelPart>()
      const running = yield* one.stream(request()).pipe(
        Stream.tap((part) => (part._tag === "TextDelta" ? Deferred.succeed(seen, part) : Effect.void)),
        Stream.runCollect,
        Effect.forkChild
      )
      yield* Deferred.await(seen)
      yield* TestClock.adjust("11 seconds")
      assert.deepStrictEqual((yield* Fiber.join(running)).at(-1), { _tag: "Finish", reason: "stop", usage: undefined })
    })
  )

  it.live("closes its connection when it is interrupted", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const server = yield* serve((_, response) => {
        response.on("close", () => Effect.runFork(Deferred.succeed(closed, undefined)))
        response.write(delta({ content: "a" }))
      })
      const seen = yield* Deferred.make<ModelPart>()
      const one = yield* model(server.baseUrl)
      const running = yield* one.stream(request()).pipe(
        Stream.filter((part) => part._tag === "TextDelta"),
        Stream.runForEach((part) => Deferred.succeed(seen, part)),
        Effect.forkChild
      )
      assert.deepStrictEqual(yield* Deferred.await(seen), { _tag: "TextDelta", id: "0", delta: "a" })
      yield* Fiber.interrupt(running)
      yield* Deferred.await(closed)
    })
  )

  it.live("translates a call of a freeform tool back", () =>
    Effect.gen(function* () {
      const patch = JSON.stringify({ input: "+x" })
      const server = yield* serve((_, response) => response.end(call(0, "a", "apply_patch", patch) + done))
      const parts = yield* Stream.runCollect((yield* model(server.baseUrl)).stream(request({ tools })))
      assert.deepStrictEqual(parts[0], {
        _tag: "ToolCall",
        callId: callId("a"),
        name: "apply_patch",
        params: { input: "+x" },
        freeform: true
      })
    })
  )
})

describe("a failure", () => {
  const refusals: ReadonlyArray<readonly [number, string, Parameters<typeof assertFailure>[1]]> = [
    [401, '{"error":{"message":"bad key"}}', { kind: "Unauthorized", detail: "bad key", status: 401 }],
    [404, '{"error":"model \'m\' not found"}', { kind: "InvalidRequest", detail: "model 'm' not found" }],
    [429, "try again in 2s", { kind: "RateLimited", retryAfterMillis: 2000 }],
    [
      400,
      '{"object":"error","message":"too long","code":"context_length_exceeded"}',
      { kind: "ContextWindowExceeded", detail: "too long" }
    ],
    [500, "", { kind: "ServerError", detail: "HTTP status 500" }],
    [200, '{"error":{"message":"no","type":"server_error"}}', { kind: "ServerError", detail: "no" }],
    [200, "<html><body>Log in</body></html>", { kind: "InvalidResponse", detail: "Log in" }],
    [200, frame({ error: { message: "no memory", code: 500 } }), { kind: "ServerError", detail: "no memory" }],
    [
      200,
      'data: {"type":"response.created"}\n\n',
      {
        kind: "InvalidResponse",
        detail:
          'no frame of the stream is an event of the chat completions API; the first of 1 is {"type":"response.created"}'
      }
    ]
  ]
  for (const [status, body, failed] of refusals) {
    it.live(`is ${failed.kind} for ${status} with ${body === "" ? "nothing" : body}`, () =>
      Effect.gen(function* () {
        const server = yield* serve((_, response) => response.writeHead(status).end(body))
        assertFailure(yield* failureOf((yield* model(server.baseUrl)).stream(request())), failed)
      })
    )
  }
})
