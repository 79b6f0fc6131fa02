import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Journal from "@spindle/core/Journal"
import * as EffectAiModel from "@spindle/core/EffectAiModel"
import { Model, type ModelPart, type ModelRequest } from "@spindle/core/Model"
import type { CallId, ItemId, TurnId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import type { ModelFailureKind } from "@spindle/core/SessionError"
import * as Session from "@spindle/core/Session"
import { Context, Deferred, Duration, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Model as AiModel, type Prompt, type Response, Tool, Toolkit } from "effect/ai"
import * as Records from "../fixtures/records.ts"

type Part = Response.StreamPartEncoded
const { call, developer, result, said, user } = Records

const add = Tool.make("add", {
  description: "Adds two numbers",
  parameters: Schema.Struct({ a: Schema.Finite, b: Schema.Finite }),
  success: Schema.Finite
})
const toolkit = Toolkit.make(add)
const agent = Agent.make({
  instructions: "be brief",
  toolkit,
  approvals: { add: { approval: "allow", concurrency: "parallel" } }
})
const { specs } = agent.tools()

const finish = (
  reason: Response.FinishReason = "stop",
  usage: {
    readonly input?: number
    readonly output?: number
    readonly cached?: number
    readonly reasoning?: number
  } = {
    input: 10,
    output: 4,
    cached: 3,
    reasoning: 1
  }
): Part => ({
  type: "finish",
  reason,
  usage: {
    inputTokens: { total: usage.input, cacheRead: usage.cached, uncached: undefined, cacheWrite: undefined },
    outputTokens: { total: usage.output, reasoning: usage.reasoning, text: undefined }
  },
  response: undefined
})
const textOf = (...deltas: ReadonlyArray<string>): ReadonlyArray<Part> => [
  { type: "text-start", id: "t" },
  ...deltas.map((delta): Part => ({ type: "text-delta", id: "t", delta })),
  { type: "text-end", id: "t" }
]

/** A language model with one response for each request, and the options that it was called with. */
const scripted = (...answers: ReadonlyArray<Stream.Stream<Part, AiError.AiError>>) => {
  const seen: Array<LanguageModel.ProviderOptions> = []
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die("sessions stream"),
      streamText: (options) => {
        seen.push(options)
        return answers[seen.length - 1]!
      }
    })
  )
  return { seen, layer: Layer.provide(EffectAiModel.layer({ provider: "acme", model: "one" }), layer) }
}

const requestOf = (items: ReadonlyArray<Item>, tools: ModelRequest["tools"] = []): ModelRequest => ({
  sessionId: Records.sessionId,
  turnId: "t" as TurnId,
  instructions: undefined,
  items,
  tools,
  output: undefined
})

/** The parts of the response of a model. */
const partsOf = Effect.fnUntraced(function* (parts: ReadonlyArray<Part>, tools: ModelRequest["tools"] = []) {
  const { layer } = scripted(Stream.fromIterable(parts))
  const model = Context.get(yield* Layer.build(layer), Model)
  return yield* Stream.runCollect(model.stream(requestOf([user("hi")], tools)))
})

/** The prompt that a language model gets. */
const promptOf = Effect.fnUntraced(function* (items: ReadonlyArray<Item>, instructions?: string) {
  const { layer, seen } = scripted(Stream.succeed(finish()))
  const model = Context.get(yield* Layer.build(layer), Model)
  yield* Stream.runDrain(model.stream({ ...requestOf(items, specs), instructions }))
  return seen[0]!.prompt.content
})

const shape = (message: Prompt.Message | undefined) =>
  message === undefined || typeof message.content === "string"
    ? [message?.role, message?.content]
    : [message.role, ...message.content.map((part) => part.type)]

describe("EffectAiModel.layer: responses", () => {
  it.effect("has the names that it was given", () =>
    Effect.gen(function* () {
      const { layer } = scripted()
      const model = Context.get(yield* Layer.build(layer), Model)
      assert.deepStrictEqual([model.provider, model.model, model.contextWindow], ["acme", "one", undefined])
    })
  )

  it.effect("takes names that are not given from the model of effect/ai", () =>
    Effect.gen(function* () {
      const languageModel = Layer.effect(
        LanguageModel.LanguageModel,
        LanguageModel.make({ generateText: () => Effect.die("sessions stream"), streamText: () => Stream.empty })
      )
      const named = AiModel.make("acme", "two", languageModel)
      const model = Context.get(yield* Layer.build(Layer.provide(EffectAiModel.layer(), named)), Model)
      assert.deepStrictEqual([model.provider, model.model], ["acme", "two"])
      const renamed = EffectAiModel.layer({ model: "two-mini", contextWindow: 8 })
      const other = Context.get(yield* Layer.build(Layer.provide(renamed, named)), Model)
      assert.deepStrictEqual([other.provider, other.model, other.contextWindow], ["acme", "two-mini", 8])
      // @ts-expect-error a language model alone has no names
      // @effect-diagnostics-next-line missingLayerContext:off
      const missing = (): Layer.Layer<Model> => Layer.provide(EffectAiModel.layer(), languageModel)
      assert.isFunction(missing)
    })
  )

  it.effect("passes text and reasoning through as they come, and usage at the end", () =>
    Effect.gen(function* () {
      const parts = yield* partsOf([
        { type: "response-metadata", id: "r", modelId: "one", timestamp: undefined },
        { type: "reasoning-start", id: "r" },
        { type: "reasoning-delta", id: "r", delta: "hm" },
        { type: "reasoning-end", id: "r" },
        ...textOf("so ", "be it"),
        finish()
      ])
      assert.deepStrictEqual(parts, [
        { _tag: "ReasoningStart", id: "r" },
        { _tag: "ReasoningDelta", id: "r", delta: "hm" },
        { _tag: "ReasoningEnd", id: "r" },
        { _tag: "TextStart", id: "t" },
        { _tag: "TextDelta", id: "t", delta: "so " },
        { _tag: "TextDelta", id: "t", delta: "be it" },
        { _tag: "TextEnd", id: "t" },
        {
          _tag: "Finish",
          reason: "stop",
          usage: { input: 10, cachedInput: 3, output: 4, reasoning: 1, total: 14 }
        }
      ] satisfies ReadonlyArray<ModelPart>)
    })
  )

  it.effect("S5 keeps arguments that JSON cannot represent as an invalid call", () =>
    Effect.gen(function* () {
      const call = (params: unknown): Part => ({
        type: "tool-call",
        id: "a",
        name: "add",
        params,
        providerExecuted: false
      })
      const deep = JSON.parse("[".repeat(600) + "]".repeat(600)) as unknown
      for (const [params, invalid] of [
        [deep, "TypeError: the value is nested too deep"],
        [{ a: 1n }, "TypeError: Do not know how to serialize a BigInt"]
      ]) {
        const [part] = yield* partsOf([call(params), finish("tool-calls")], specs)
        assert.deepStrictEqual(part as unknown, {
          _tag: "ToolCall",
          callId: "a",
          name: "add",
          params: undefined,
          invalid
        })
      }
    })
  )

  it.effect("passes calls through undecoded: with bad arguments, and of tools that do not exist", () =>
    Effect.gen(function* () {
      const calls: ReadonlyArray<Part> = [
        { type: "tool-call", id: "a", name: "add", params: { a: 1, b: 2 }, providerExecuted: false },
        { type: "tool-call", id: "b", name: "add", params: { a: "one" }, providerExecuted: false },
        { type: "tool-call", id: "c", name: "invented", params: { x: [1] }, providerExecuted: false }
      ]
      const parts = yield* partsOf([...calls, finish("tool-calls")], specs)
      assert.deepStrictEqual(parts.slice(0, 3), [
        { _tag: "ToolCall", callId: "a" as CallId, name: "add", params: { a: 1, b: 2 } },
        { _tag: "ToolCall", callId: "b" as CallId, name: "add", params: { a: "one" } },
        { _tag: "ToolCall", callId: "c" as CallId, name: "invented", params: { x: [1] } }
      ])
      assert.strictEqual(parts[3]?._tag === "Finish" && parts[3].reason, "tool-calls")
    })
  )

  for (const [reason, mapped] of [
    ["stop", "stop"],
    ["length", "length"],
    ["content-filter", "content-filter"],
    ["tool-calls", "tool-calls"],
    ["pause", "stop"],
    ["other", "stop"],
    ["unknown", "stop"]
  ] as const) {
    it.effect(`a finish by ${reason} is a finish by ${mapped}`, () =>
      Effect.gen(function* () {
        const [part] = yield* partsOf([finish(reason)])
        assert.strictEqual(part?._tag === "Finish" && part.reason, mapped)
      })
    )
  }

  it.effect("usage that was not reported is unknown", () =>
    Effect.gen(function* () {
      const [part] = yield* partsOf([finish("stop", {})])
      assert.deepStrictEqual(part, { _tag: "Finish", reason: "stop", usage: undefined })
      const [half] = yield* partsOf([finish("stop", { output: 5 })])
      assert.deepStrictEqual(half?._tag === "Finish" && half.usage, {
        input: 0,
        cachedInput: 0,
        output: 5,
        reasoning: 0,
        total: 5
      })
    })
  )

  it.effect("interrupting the stream closes that of the language model", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const hasStarted = yield* Deferred.make<void>()
      const endless = Stream.concat(
        Stream.fromIterable<Part>([{ type: "text-start", id: "t" }]),
        Stream.fromEffectDrain(Effect.andThen(Deferred.succeed(hasStarted, undefined), Effect.never))
      ).pipe(Stream.ensuring(Deferred.succeed(closed, undefined)))
      const { layer } = scripted(endless)
      const model = Context.get(yield* Layer.build(layer), Model)
      const running = yield* Effect.forkChild(Stream.runDrain(model.stream(requestOf([user("hi")]))))
      yield* Deferred.await(hasStarted)
      yield* Fiber.interrupt(running)
      yield* Deferred.await(closed)
    })
  )
})

describe("EffectAiModel.layer: failures", () => {
  const reasons: ReadonlyArray<readonly [AiError.AiErrorReason, ModelFailureKind, boolean]> = [
    [new AiError.NetworkError({ reason: "TransportError", method: "POST", url: "https://x" }), "Connection", true],
    [new AiError.RateLimitError({ retryAfter: Duration.seconds(7) }), "RateLimited", true],
    [new AiError.QuotaExhaustedError({}), "QuotaExceeded", false],
    [new AiError.AuthenticationError({ kind: "InvalidKey" }), "Unauthorized", false],
    [new AiError.ContentPolicyError({ description: "no" }), "InvalidRequest", false],
    [new AiError.InvalidRequestError({ description: "no" }), "InvalidRequest", false],
    [new AiError.InternalProviderError({ description: "oops" }), "ServerError", true],
    [new AiError.InvalidOutputError({ description: "odd" }), "InvalidResponse", false],
    [new AiError.UnknownError({ description: "odd" }), "InvalidResponse", false],
    [new AiError.ToolkitRequiredError({ pendingApprovals: [] }), "InvalidRequest", false]
  ]
  for (const [reason, kind, isRetryable] of reasons) {
    it.effect(`${reason._tag} is ${kind}`, () =>
      Effect.gen(function* () {
        const error = AiError.make({ module: "Test", method: "streamText", reason })
        const { layer } = scripted(Stream.concat(Stream.fromIterable(textOf("so far")), Stream.fail(error)))
        const model = Context.get(yield* Layer.build(layer), Model)
        const parts: Array<ModelPart> = []
        const failed = yield* model.stream(requestOf([user("hi")])).pipe(
          Stream.runForEach((part) => Effect.sync(() => parts.push(part))),
          Effect.flip
        )
        assert.strictEqual(parts.length, 3)
        assert.deepStrictEqual(
          [failed.kind, failed.provider, failed.model, failed.isRetryable, failed.detail],
          [kind, "acme", "one", isRetryable, error.message]
        )
        assert.strictEqual(failed.retryAfterMillis, reason._tag === "RateLimitError" ? 7_000 : undefined)
        assert.strictEqual(failed.cause, error)
      })
    )
  }
})

describe("EffectAiModel.layer: failures inside a response", () => {
  const failing = (part: Part) => Effect.flip(partsOf([...textOf("half"), part], specs))
  const shown = (part: Part) =>
    Effect.map(failing(part), ({ detail, isRetryable, kind }) => [kind, detail, isRetryable])
  const aiError = AiError.make({
    module: "Test",
    method: "streamText",
    reason: new AiError.InvalidRequestError({ description: "the context is too long" })
  })

  it.effect("an error part is the failure that it carries, with what the provider said", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* shown({ type: "error", error: aiError }), [
        "InvalidRequest",
        aiError.message,
        false
      ])
      assert.deepStrictEqual(yield* shown({ type: "error", error: new Error("oops") }), ["ServerError", "oops", true])
      assert.deepStrictEqual(yield* shown({ type: "error", error: "overloaded" }), ["ServerError", "overloaded", true])
      const odd = yield* failing({ type: "error", error: { code: 7 } })
      assert.include(odd.detail, "7")
      assert.deepStrictEqual(odd.cause, { code: 7 })
    })
  )

  it.effect("a finish by error is one", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* shown(finish("error")), [
        "ServerError",
        "the provider ended its answer with an error",
        true
      ])
    })
  )

  it.effect("so is a call that the provider ran itself", () =>
    Effect.gen(function* () {
      const part: Part = { type: "tool-call", id: "c", name: "add", params: { a: 1, b: 2 }, providerExecuted: true }
      const [kind, detail] = yield* shown(part)
      assert.strictEqual(kind, "InvalidResponse")
      assert.include(detail, "the tool add itself")
    })
  )
})

describe("EffectAiModel.layer: prompts", () => {
  it.effect("the instructions ask for the form of the output", () =>
    Effect.gen(function* () {
      const { layer, seen } = scripted(Stream.succeed(finish()))
      const model = Context.get(yield* Layer.build(layer), Model)
      const output = { name: "findings", schema: { type: "object" } }
      yield* Stream.runDrain(model.stream({ ...requestOf([user("hi")]), instructions: "be brief", output }))
      const [system] = seen[0]!.prompt.content
      assert.strictEqual(system?.role, "system")
      assert.match(String(system?.content), /^be brief\n\n.*findings.*\n\{"type":"object"\}$/s)
    })
  )

  it.effect("what the model said in a row is one assistant message, and its results are one tool message", () =>
    Effect.gen(function* () {
      const prompt = yield* promptOf(
        [
          user("hi"),
          { _tag: "Reasoning", id: "r" as ItemId, text: "hm", encrypted: "sealed" },
          said("I will"),
          call("a", "add"),
          call("b", "add"),
          result("a"),
          result("b", "failed"),
          said("done"),
          developer("a hint"),
          user("more"),
          user("and more")
        ],
        "be brief"
      )
      assert.deepStrictEqual(prompt.map(shape), [
        ["system", "be brief"],
        ["user", "text"],
        ["assistant", "reasoning", "text", "tool-call", "tool-call"],
        ["tool", "tool-result", "tool-result"],
        ["assistant", "text"],
        ["system", "a hint"],
        ["user", "text"],
        ["user", "text"]
      ])
      const [first, second] = prompt[3]?.role === "tool" ? prompt[3].content : []
      assert.deepStrictEqual(
        [first, second].map((part) => part?.type === "tool-result" && [part.id, part.isFailure, part.result]),
        [
          ["a", false, "done"],
          ["b", true, "done"]
        ]
      )
      const made = prompt[2]?.role === "assistant" ? prompt[2].content[2] : undefined
      assert.deepStrictEqual(made?.type === "tool-call" && [made.id, made.name, made.params], ["a", "add", { n: 1 }])
    })
  )

  it.effect(
    "without instructions there is no system message, and arguments that are not JSON are sent back unchanged",
    () =>
      Effect.gen(function* () {
        const invalid: Item = { ...call("a", "add"), params: undefined, invalid: '{"a":' }
        const prompt = yield* promptOf([user("hi"), invalid, result("a", "failed")])
        assert.strictEqual(prompt[0]?.role, "user")
        const part = prompt[1]?.role === "assistant" ? prompt[1].content[0] : undefined
        assert.strictEqual(part?.type === "tool-call" && part.params, '{"a":')
      })
  )

  it.effect("images are files, by address or by what they hold", () =>
    Effect.gen(function* () {
      const data = "data:image/png;base64,iVBORw0KGgo="
      const prompt = yield* promptOf([
        {
          _tag: "UserMessage",
          id: "u" as ItemId,
          content: [
            { _tag: "Text", text: "look" },
            { _tag: "Image", url: "https://example.org/a.png" },
            { _tag: "Image", url: data }
          ]
        }
      ])
      const [, address, held] = prompt[0]?.role === "user" ? prompt[0].content : []
      assert.deepStrictEqual(
        [address, held].map((part) => part?.type === "file" && [part.mediaType, String(part.data)]),
        [
          ["image/*", "https://example.org/a.png"],
          ["image/png", data]
        ]
      )
    })
  )

  it.effect("tools are described to the model, once for the same tools, and never run by it", () =>
    Effect.gen(function* () {
      const { layer, seen } = scripted(Stream.succeed(finish()), Stream.succeed(finish()), Stream.succeed(finish()))
      const model = Context.get(yield* Layer.build(layer), Model)
      for (const tools of [specs, specs, []]) {
        yield* Stream.runDrain(model.stream(requestOf([user("hi")], tools)))
      }
      assert.deepStrictEqual(
        seen.map((options) => options.tools.map((tool) => tool.name)),
        [["add"], ["add"], []]
      )
      assert.strictEqual(seen[0]?.tools[0], add)
    })
  )
})

describe("a session over a language model", () => {
  it.effect("runs tools, reports bad calls to the model, and sends the results back", () =>
    Effect.gen(function* () {
      const { layer, seen } = scripted(
        Stream.fromIterable<Part>([
          { type: "tool-call", id: "a", name: "add", params: { a: 1, b: 2 }, providerExecuted: false },
          { type: "tool-call", id: "b", name: "add", params: { a: "one" }, providerExecuted: false },
          { type: "tool-call", id: "c", name: "invented", params: {}, providerExecuted: false },
          finish("tool-calls")
        ]),
        Stream.fromIterable([...textOf("3"), finish()])
      )
      const handlers = toolkit.toLayer({ add: ({ a, b }) => Effect.succeed(a + b) })
      const context = yield* Layer.build(Layer.mergeAll(layer, handlers, Journal.layerMemory()))
      const session = yield* Effect.provideContext(Session.make(agent), context)
      yield* session.submit(Op.userInput("1 + 2?"))
      yield* session.awaitIdle
      const { items, usage } = yield* session.snapshot
      assert.deepStrictEqual(
        items.flatMap((item) => (item._tag === "ToolResult" ? [item.status] : [])),
        ["completed", "failed", "failed"]
      )
      const last = items.at(-1)
      assert.strictEqual(last?._tag === "AssistantMessage" && last.text, "3")
      assert.strictEqual(usage.total, 28)
      assert.deepStrictEqual(seen[1]?.prompt.content.map(shape), [
        ["system", "be brief"],
        ["user", "text"],
        ["assistant", "tool-call", "tool-call", "tool-call"],
        ["tool", "tool-result", "tool-result", "tool-result"]
      ])
    })
  )
})
