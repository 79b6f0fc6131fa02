import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import { Model } from "@spindle/core/Model"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Config, ConfigProvider, Context, Effect, Layer, Stream, Tracer } from "effect"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { callId, failureOf, id, key, over, request, tools } from "./fixture.ts"

const bodyFor = (part: Parameters<typeof request>[0], options: Partial<OpenAiModel.Options> = {}) =>
  Effect.gen(function* () {
    const { model, server } = yield* over({}, options)
    yield* Stream.runDrain(model.stream(request(part)))
    return server.requests[0]!.body
  })

describe("layerConfig", () => {
  const layer = OpenAiModel.layerConfig({
    model: Config.String("MODEL"),
    apiKey: Config.Redacted("API_KEY"),
    baseUrl: Config.String("BASE_URL"),
    idleTimeout: Config.Duration("IDLE").pipe(Config.withDefault(undefined))
  }).pipe(Layer.provide(NodeHttpClient.layerUndici))
  const from = (values: { readonly [name: string]: string }) =>
    Effect.map(
      Effect.provideService(
        Layer.build(layer),
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnv({ env: { ...values } })
      ),
      (context) => Context.get(context, Model)
    )

  it.live("reads the options of the model from the configuration", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({})
      const model = yield* from({ MODEL: "gpt-of-env", API_KEY: key, BASE_URL: server.baseUrl })
      yield* Stream.runDrain(model.stream(request({})))
      assert.strictEqual(model.model, "gpt-of-env")
      assert.strictEqual(server.requests[0]!.headers["authorization"], `Bearer ${key}`)
    })
  )

  it.effect("fails with the name of a variable that is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(from({ MODEL: "gpt-of-env", BASE_URL: "http://127.0.0.1" }))
      assert.strictEqual(error._tag, "ConfigError")
      assert.include(error.message, "API_KEY")
    })
  )
})

describe("a request", () => {
  it.live("is one streaming POST that stores nothing and carries the session's cache key", () =>
    Effect.gen(function* () {
      const { model, server } = yield* over({})
      yield* Stream.runDrain(model.stream(request({ instructions: "Be brief." })))
      const [sent] = server.requests
      assert.strictEqual(sent!.method, "POST")
      assert.strictEqual(sent!.path, "/v1/responses")
      assert.strictEqual(sent!.headers["authorization"], `Bearer ${key}`)
      assert.strictEqual(sent!.headers["accept"], "text/event-stream")
      assert.strictEqual(sent!.headers["content-type"], "application/json")
      assert.deepStrictEqual(sent!.body, {
        model: "gpt-test",
        stream: true,
        store: false,
        instructions: "Be brief.",
        input: [{ type: "message", role: "user", content: [{ type: "input_text", text: "hi" }] }],
        include: ["reasoning.encrypted_content"],
        prompt_cache_key: "session-1"
      })
    })
  )

  it.live("carries every kind of item, in order", () =>
    Effect.gen(function* () {
      const body = yield* bodyFor({
        items: [
          { _tag: "DeveloperMessage", id, text: "context" },
          {
            _tag: "UserMessage",
            id,
            content: [
              { _tag: "Text", text: "look" },
              { _tag: "Image", url: "data:image/png;base64,AA==" }
            ]
          },
          { _tag: "UserMessage", id, content: [{ _tag: "Text", text: "more" }] },
          { _tag: "Reasoning", id, text: "hm", encrypted: "abc", providerId: "rs_1" },
          { _tag: "Reasoning", id, text: "", encrypted: "def" },
          { _tag: "AssistantMessage", id, text: "I will", providerId: "msg_1" },
          { _tag: "AssistantMessage", id, text: "cut sho", partial: "aborted" },
          { _tag: "ToolCall", id, callId: callId("c1"), name: "shell", params: { cmd: "ls" }, providerId: "fc_1" },
          { _tag: "ToolCall", id, callId: callId("c2"), name: "shell", params: undefined, invalid: "{cmd" },
          { _tag: "ToolCall", id, callId: callId("c3"), name: "apply_patch", params: { input: "+x" }, freeform: true },
          { _tag: "ToolResult", id, callId: callId("c1"), name: "shell", status: "completed", output: { code: 0 } },
          { _tag: "ToolResult", id, callId: callId("c2"), name: "shell", status: "failed", output: "not JSON" },
          { _tag: "ToolResult", id, callId: callId("c3"), name: "apply_patch", status: "completed", output: "done" }
        ]
      })
      assert.deepStrictEqual(body.input, [
        { type: "message", role: "developer", content: [{ type: "input_text", text: "context" }] },
        {
          type: "message",
          role: "user",
          content: [
            { type: "input_text", text: "look" },
            { type: "input_image", image_url: "data:image/png;base64,AA==" }
          ]
        },
        { type: "message", role: "user", content: [{ type: "input_text", text: "more" }] },
        { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: "hm" }], encrypted_content: "abc" },
        { type: "reasoning", summary: [], encrypted_content: "def" },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "I will" }] },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "cut sho" }] },
        {
          type: "function_call",
          status: "completed",
          call_id: "c1",
          name: "shell",
          arguments: '{"cmd":"ls"}'
        },
        { type: "function_call", status: "completed", call_id: "c2", name: "shell", arguments: "{}" },
        { type: "custom_tool_call", status: "completed", call_id: "c3", name: "apply_patch", input: "+x" },
        { type: "function_call_output", call_id: "c1", output: '{"code":0}' },
        {
          type: "function_call_output",
          call_id: "c2",
          output: "not JSON\n\nThe arguments of this call were not a JSON object. They were:\n{cmd"
        },
        { type: "custom_tool_call_output", call_id: "c3", output: "done" }
      ])
    })
  )

  it.live("leaves out superseded items, and reasoning that the provider cannot read", () =>
    Effect.gen(function* () {
      const body = yield* bodyFor({
        items: [
          { _tag: "AssistantMessage", id, text: "first try", partial: "superseded" },
          { _tag: "Reasoning", id, text: "first try", encrypted: "abc", partial: "superseded" },
          { _tag: "Reasoning", id, text: "cut sho", partial: "aborted" }
        ]
      })
      assert.deepStrictEqual(body.input, [])
    })
  )

  it.live("declares functions with their schema and freeform tools with their grammar", () =>
    Effect.gen(function* () {
      const body = yield* bodyFor({ tools })
      assert.strictEqual(body.tool_choice, "auto")
      assert.isTrue(body.parallel_tool_calls)
      assert.deepStrictEqual(body.tools, [
        { type: "function", name: "shell", description: "Runs it", parameters: { type: "object" }, strict: false },
        {
          type: "custom",
          name: "apply_patch",
          format: { type: "grammar", syntax: "lark", definition: "start: /.+/" }
        }
      ])
    })
  )

  it.live("carries the options of reasoning, tools and output", () =>
    Effect.gen(function* () {
      const schema = { type: "object", properties: {}, additionalProperties: false }
      const body = yield* bodyFor(
        { tools, output: { name: "findings", schema } },
        {
          reasoningEffort: "high",
          reasoningSummary: "auto",
          verbosity: "low",
          serviceTier: "flex",
          maxOutputTokens: 900,
          parallelToolCalls: false,
          encryptedReasoning: false
        }
      )
      assert.deepStrictEqual(body.reasoning, { effort: "high", summary: "auto" })
      assert.isFalse(body.parallel_tool_calls)
      assert.notProperty(body, "include")
      assert.deepStrictEqual(body.text, {
        verbosity: "low",
        format: { type: "json_schema", name: "findings", schema, strict: true }
      })
      assert.strictEqual(body.service_tier, "flex")
      assert.strictEqual(body.max_output_tokens, 900)
      assert.deepStrictEqual((yield* bodyFor({}, { verbosity: "high" })).text, { verbosity: "high" })
    })
  )

  it.live("carries headers, parameters, organization and project, and no key when there is none", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({})
      const model = yield* OpenAiModel.make({
        model: "m",
        baseUrl: `${server.baseUrl}/`,
        organization: "org",
        project: "proj",
        headers: { "X-Team": "blue" },
        queryParams: { "api-version": "2026-01-01" }
      })
      yield* Stream.runDrain(model.stream(request()))
      const { headers, path } = server.requests[0]!
      assert.strictEqual(path, "/v1/responses?api-version=2026-01-01")
      assert.strictEqual(headers["openai-organization"], "org")
      assert.strictEqual(headers["openai-project"], "proj")
      assert.strictEqual(headers["x-team"], "blue")
      assert.notProperty(headers, "authorization")
    }).pipe(Effect.provide(NodeHttpClient.layerUndici))
  )

  it.live("that cannot be written as JSON is an InvalidRequest, and is not sent", () =>
    Effect.gen(function* () {
      const { model, server } = yield* over({})
      const output = { size: 1n }
      const call = { id, callId: callId("c"), name: "t" } as const
      const items = [
        { _tag: "ToolCall", ...call, params: {} },
        { _tag: "ToolResult", ...call, status: "completed", output }
      ] as const
      const failure = yield* failureOf(model.stream(request({ items })))
      assert.strictEqual(failure.kind, "InvalidRequest")
      assert.deepStrictEqual(server.requests, [])
    })
  )
})

describe("the trace of a request", () => {
  const parent = Tracer.externalSpan({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    sampled: true,
    annotations: Context.make(OpenAiModel.TraceState, "vendor=1")
  })
  const headersUnder = <A, E, R>(wrap: (effect: Effect.Effect<void>) => Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const { model, server } = yield* over({})
      yield* wrap(Effect.orDie(Stream.runDrain(model.stream(request()))))
      return server.requests[0]!.headers
    })

  it.live("O1 is that of the caller's external parent, with its state", () =>
    Effect.gen(function* () {
      const headers = yield* headersUnder(Effect.withParentSpan(parent))
      assert.match(String(headers["traceparent"]), /^00-0af7651916cd43dd8448eb211c80319c-[\da-f]{16}-01$/)
      assert.strictEqual(headers["tracestate"], "vendor=1")
    })
  )

  it.live("O1 is that of the current span, and takes the state from above", () =>
    Effect.gen(function* () {
      const headers = yield* headersUnder((effect) =>
        effect.pipe(Effect.withSpan("turn"), Effect.withParentSpan(parent))
      )
      assert.match(String(headers["traceparent"]), /^00-0af7651916cd43dd8448eb211c80319c-/)
      assert.strictEqual(headers["tracestate"], "vendor=1")
    })
  )

  it.live("has no state when the caller gave none", () =>
    Effect.gen(function* () {
      const headers = yield* headersUnder(Effect.withSpan("turn"))
      assert.match(String(headers["traceparent"]), /^00-[\da-f]{32}-[\da-f]{16}-01$/)
      assert.notProperty(headers, "tracestate")
    })
  )
})

describe("layer", () => {
  it.live("provides the model with its names and its window", () =>
    Effect.gen(function* () {
      const model = yield* Model
      assert.strictEqual(model.provider, "azure")
      assert.strictEqual(model.model, "m")
      assert.strictEqual(model.contextWindow, 1000)
    }).pipe(
      Effect.provide(
        Layer.provide(
          OpenAiModel.layer({ model: "m", provider: "azure", contextWindow: 1000 }),
          NodeHttpClient.layerUndici
        )
      )
    )
  )
})
