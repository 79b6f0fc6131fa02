import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import type { Script } from "@spindle/testing/ResponsesScript"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Config, ConfigProvider, Deferred, Effect, Fiber, Layer, Ref, Schema, Stream } from "effect"
import { AiError, Chat, LanguageModel, Tool, Toolkit } from "effect/ai"
import * as OpenAiLanguageModel from "../src/OpenAiLanguageModel.ts"
import { keepSpans } from "../../core/test/fixtures/spans.ts"

const Weather = Toolkit.make(
  Tool.make("weather", {
    description: "Looks out of the window",
    parameters: Schema.Struct({ city: Schema.String }),
    success: Schema.String
  })
)
const weather = Weather.toLayer({ weather: ({ city }) => Effect.succeed(`sun in ${city}`) })

/** Runs a program with a language model that talks to a scripted server. */
const using = <A, E>(
  script: Script,
  program: (
    server: ResponsesServer.ResponsesServer
  ) => Effect.Effect<A, E, LanguageModel.LanguageModel | Tool.HandlersFor<typeof Weather.tools>>
) =>
  Effect.gen(function* () {
    const server = yield* ResponsesServer.make(script)
    const model = OpenAiLanguageModel.layer({ model: "gpt-test", baseUrl: server.baseUrl })
    return yield* program(server).pipe(Effect.provide([Layer.provide(model, NodeHttpClient.layerUndici), weather]))
  })

const call = { call: "weather", args: { city: "Rome" }, callId: "c1" }

describe("layerConfig", () => {
  it.live("reads the options of the model from the configuration", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({})
      const layer = OpenAiLanguageModel.layerConfig({
        model: Config.String("MODEL"),
        apiKey: Config.Redacted("API_KEY"),
        baseUrl: Config.String("BASE_URL")
      }).pipe(Layer.provide(NodeHttpClient.layerUndici))
      const env = { MODEL: "gpt-of-env", API_KEY: "sk-env", BASE_URL: server.baseUrl }
      yield* LanguageModel.generateText({ prompt: "hi" }).pipe(
        Effect.provide(layer),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
      )
      assert.strictEqual(server.requests[0]!.body.model, "gpt-of-env")
      assert.strictEqual(server.requests[0]!.headers["authorization"], "Bearer sk-env")
    })
  )
})

describe("generateText", () => {
  it.live("returns text, reasoning and usage", () =>
    using({ turns: [{ events: [{ reasoning: "hm" }, { text: "sunny" }] }] }, (server) =>
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateText({
          prompt: [
            { role: "system", content: "Be brief." },
            { role: "user", content: "weather?" }
          ]
        })
        assert.strictEqual(response.text, "sunny")
        assert.strictEqual(response.reasoningText, "hm")
        assert.strictEqual(response.finishReason, "stop")
        assert.strictEqual(response.usage.inputTokens.total, 100)
        assert.strictEqual(response.usage.outputTokens.total, 10)
        const { body } = server.requests[0]!
        assert.strictEqual(body.instructions, "Be brief.")
        assert.notProperty(body, "prompt_cache_key")
        assert.notProperty(body, "tools")
      })
    )
  )

  it.live("declares tools, and resolves their calls", () =>
    using({ turns: [{ events: [call] }] }, (server) =>
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateText({ prompt: "weather?", toolkit: Weather })
        assert.deepStrictEqual(
          response.toolResults.map((result) => [result.id, result.name, result.result]),
          [["c1", "weather", "sun in Rome"]]
        )
        assert.strictEqual(response.finishReason, "tool-calls")
        const { body } = server.requests[0]!
        assert.strictEqual(body.tool_choice, "auto")
        assert.strictEqual(body.tools[0].name, "weather")
        assert.strictEqual(body.tools[0].description, "Looks out of the window")
        assert.deepStrictEqual(body.tools[0].parameters.required, ["city"])
      })
    )
  )

  for (const [choice, expected] of [
    ["required", "required"],
    [{ tool: "weather" }, { type: "function", name: "weather" }],
    [
      { oneOf: ["weather"], mode: "required" },
      { type: "allowed_tools", mode: "required", tools: [{ type: "function", name: "weather" }] }
    ]
  ] as const) {
    it.live(`sends the choice of tools ${JSON.stringify(choice)}`, () =>
      using({}, (server) =>
        Effect.gen(function* () {
          yield* LanguageModel.generateText({ prompt: "weather?", toolkit: Weather, toolChoice: choice })
          assert.deepStrictEqual(server.requests[0]!.body.tool_choice, expected)
        })
      )
    )
  }

  it.live("refuses the call of a tool that was not declared", () =>
    using({ turns: [{ events: [{ call: "invented" }] }] }, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(LanguageModel.generateText({ prompt: "weather?", toolkit: Weather }))
        assert.strictEqual(error.reason._tag, "ToolNotFoundError")
      })
    )
  )

  it.live("passes undeclared calls and broken arguments on when validation is deferred", () =>
    using({ turns: [{ events: [{ call: "invented" }, { call: "weather", args: "{city" }] }] }, () =>
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateText({
          prompt: "weather?",
          toolkit: Weather,
          disableToolCallResolution: true,
          toolCallValidation: "deferred"
        })
        assert.deepStrictEqual(
          response.toolCalls.map((one) => [one.name, one.params]),
          [
            ["invented", {}],
            ["weather", "{city"]
          ]
        )
      })
    )
  )

  it.live("gives sealed reasoning back to the provider in a chat", () =>
    using({ turns: [{ events: [{ reasoning: "hm" }, call] }] }, (server) =>
      Effect.gen(function* () {
        const chat = yield* Chat.empty
        yield* chat.generateText({ prompt: "weather?", toolkit: Weather })
        yield* chat.generateText({ prompt: [], toolkit: Weather })
        assert.deepStrictEqual(server.requests[1]!.body.input.slice(1), [
          {
            type: "reasoning",
            id: "rs_mock_1",
            summary: [{ type: "summary_text", text: "hm" }],
            encrypted_content: "bW9jaw=="
          },
          {
            type: "function_call",
            status: "completed",
            call_id: "c1",
            name: "weather",
            arguments: '{"city":"Rome"}'
          },
          { type: "function_call_output", call_id: "c1", output: "sun in Rome" }
        ])
      })
    )
  )

  it.live("fails with the words of the provider", () =>
    using(
      {
        turns: [
          { status: 429, headers: { "retry-after": "2" } },
          { status: 400, body: { error: "bad" } }
        ]
      },
      (server) =>
        Effect.gen(function* () {
          const limited = yield* Effect.flip(LanguageModel.generateText({ prompt: "hi" }))
          assert.isTrue(AiError.isAiError(limited))
          assert.strictEqual(limited.reason._tag, "RateLimitError")
          assert.isTrue(limited.isRetryable)
          const refused = yield* Effect.flip(LanguageModel.generateText({ prompt: "hi" }))
          assert.strictEqual(
            refused.message,
            "OpenAiLanguageModel.generateText: Invalid request. bad (HTTP status 400)"
          )
          assert.lengthOf(server.requests, 2)
        })
    )
  )

  it.live("refuses files that the model cannot be shown", () =>
    using({}, (server) =>
      Effect.gen(function* () {
        const file = { type: "file", mediaType: "application/pdf", data: "AA==" } as const
        const error = yield* Effect.flip(LanguageModel.generateText({ prompt: [{ role: "user", content: [file] }] }))
        assert.strictEqual(error.reason._tag, "InvalidUserInputError")
        assert.deepStrictEqual(server.requests, [])
      })
    )
  )

  it.live("names provider, model and tokens on its span", () =>
    Effect.gen(function* () {
      const { spans, tracer } = keepSpans()
      yield* using({}, () => LanguageModel.generateText({ prompt: "hi" })).pipe(Effect.withTracer(tracer))
      const attributes = Object.fromEntries(
        spans.find((span) => span.name === "LanguageModel.generateText")!.attributes
      )
      assert.deepInclude(attributes, {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-test",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 10
      })
    })
  )
})

describe("generateObject", () => {
  const Answer = Schema.Struct({ city: Schema.String, warm: Schema.optionalKey(Schema.Boolean) })

  it.live("asks for the schema and decodes the response", () =>
    using({ turns: [{ events: [{ text: '{"city":"Rome","warm":true}' }] }] }, (server) =>
      Effect.gen(function* () {
        const response = yield* LanguageModel.generateObject({ prompt: "where?", schema: Answer, objectName: "answer" })
        assert.deepStrictEqual(response.value, { city: "Rome", warm: true })
        const { format } = server.requests[0]!.body.text
        assert.strictEqual(format.type, "json_schema")
        assert.strictEqual(format.name, "answer")
        assert.isTrue(format.strict)
        assert.deepStrictEqual(format.schema.required, ["city", "warm"])
        assert.isFalse(format.schema.additionalProperties)
      })
    )
  )

  it.live("refuses a response that does not fit", () =>
    using({ turns: [{ events: [{ text: '{"city":1}' }] }] }, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(LanguageModel.generateObject({ prompt: "where?", schema: Answer }))
        assert.strictEqual(error.reason._tag, "StructuredOutputError")
      })
    )
  )

  it.live("refuses a schema that cannot be asked for, before it asks", () =>
    using({}, (server) =>
      Effect.gen(function* () {
        const schema = Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])
        const error = yield* Effect.flip(LanguageModel.generateObject({ prompt: "where?", schema }))
        assert.strictEqual(error.reason._tag, "UnsupportedSchemaError")
        assert.deepStrictEqual(server.requests, [])
      })
    )
  )
})

describe("streamText", () => {
  it.live("streams parts, and the results of tools before the end", () =>
    using({ turns: [{ events: [{ text: "let me see", chunks: 2 }, call] }] }, () =>
      Effect.gen(function* () {
        const parts = yield* LanguageModel.streamText({ prompt: "weather?", toolkit: Weather }).pipe(Stream.runCollect)
        assert.deepStrictEqual(
          parts.map((part) => part.type),
          ["text-start", "text-delta", "text-delta", "text-end", "tool-call", "tool-result", "finish"]
        )
      })
    )
  )

  it.live("fails when its connection drops", () =>
    using({ turns: [{ events: [{ text: "so far" }, { drop: true }] }] }, () =>
      Effect.gen(function* () {
        const seen = yield* Ref.make("")
        const error = yield* LanguageModel.streamText({ prompt: "hi" }).pipe(
          Stream.runForEach((part) =>
            Ref.update(seen, (text) => text + (part.type === "text-delta" ? part.delta : ""))
          ),
          Effect.flip
        )
        assert.strictEqual(error.reason._tag, "NetworkError")
        assert.strictEqual(yield* Ref.get(seen), "so far")
      })
    )
  )

  it.live("closes its connection when interrupted", () =>
    using({ turns: [{ events: [{ text: "a" }, { hang: true }] }] }, (server) =>
      Effect.gen(function* () {
        const started = yield* Deferred.make<void>()
        const running = yield* LanguageModel.streamText({ prompt: "hi" }).pipe(
          Stream.runForEach(() => Deferred.succeed(started, undefined)),
          Effect.forkChild
        )
        yield* Deferred.await(started)
        yield* Fiber.interrupt(running)
        assert.strictEqual(yield* server.awaitStreamEnd(1), "closed early")
      })
    )
  )
})
