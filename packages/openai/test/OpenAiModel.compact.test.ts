/** The endpoint that compacts a conversation, over real HTTP. */
import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as CompactTask from "@spindle/core/CompactTask"
import * as Compaction from "@spindle/core/Compaction"
import { CallId, ItemId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import * as Journal from "@spindle/core/Journal"
import { Model, type ModelRequest } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import type { Script } from "@spindle/testing/ResponsesScript"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import * as ChatCompletionsModel from "../src/ChatCompletionsModel.ts"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { assertFailure, failureOf, key, over, request, serve } from "./fixture.ts"

const user = (text: string, n: number): Item => ({
  _tag: "UserMessage",
  id: ItemId.make(`u${n}`),
  content: [{ _tag: "Text", text }]
})
const conversation: ReadonlyArray<Item> = [
  user("find the bug", 1),
  { _tag: "ToolCall", id: ItemId.make("c1"), callId: CallId.make("call_1"), name: "read", params: { path: "a" } },
  {
    _tag: "ToolResult",
    id: ItemId.make("r1"),
    callId: CallId.make("call_1"),
    name: "read",
    status: "completed",
    output: "text"
  }
]
const sealedItem = { type: "compaction", id: "cmp_1", encrypted_content: "gAAA" }
const userItem = (text: string) => ({ type: "message", role: "user", content: [{ type: "input_text", text }] })

/** The parts of a compaction by a server with this response. */
const compactWith = (compact: unknown, items: ReadonlyArray<Item> = conversation) =>
  Effect.gen(function* () {
    const { model, server } = yield* over({ turns: [], compact }, { compactEndpoint: true })
    const parts = yield* Stream.runCollect(model.compact!(request({ items })))
    return { parts, server }
  })

describe("the compaction endpoint", () => {
  it.live("is not offered unless the options say that the provider has it", () =>
    Effect.gen(function* () {
      const { model } = yield* over({ turns: [] })
      assert.isUndefined(model.compact)
      const client = yield* Layer.build(NodeHttpClient.layerUndici)
      const chat = yield* Effect.provideContext(ChatCompletionsModel.make({ model: "m" }), client)
      assert.isUndefined(chat.compact)
    })
  )

  it.live("gets the conversation in one POST with the key, and nothing that it does not need", () =>
    Effect.gen(function* () {
      const { parts, server } = yield* compactWith({
        output: [userItem("find the bug"), sealedItem],
        usage: { input_tokens: 100, output_tokens: 10, total_tokens: 110 }
      })
      assert.deepStrictEqual(parts, [
        { _tag: "SealedSummary", summary: { encrypted: "gAAA", sealedBy: "openai" } },
        {
          _tag: "Finish",
          reason: "stop",
          usage: { input: 100, cachedInput: 0, output: 10, reasoning: 0, total: 110 }
        }
      ])
      assert.strictEqual(server.requests.length, 0)
      const [sent] = server.others
      assert.strictEqual(`${sent!.method} ${sent!.path}`, "POST /v1/responses/compact")
      assert.strictEqual(sent!.headers["authorization"], `Bearer ${key}`)
      assert.strictEqual(sent!.headers["accept"], "application/json")
      assert.deepStrictEqual(sent!.body, {
        model: "gpt-test",
        input: [
          userItem("find the bug"),
          { type: "function_call", status: "completed", call_id: "call_1", name: "read", arguments: '{"path":"a"}' },
          { type: "function_call_output", call_id: "call_1", output: "text" }
        ],
        prompt_cache_key: "session-1"
      })
    })
  )

  it.live("returns messages that the request did not have as the text of the summary", () =>
    Effect.gen(function* () {
      const { parts } = yield* compactWith({
        output: [
          userItem("find the bug"),
          { type: "message", role: "developer", content: [{ type: "input_text", text: "rules" }] },
          userItem("It is in a.ts."),
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "I read it." }] },
          { type: "reasoning", summary: [] },
          null
        ]
      })
      assert.deepStrictEqual(parts, [
        { _tag: "TextDelta", id: "summary", delta: "It is in a.ts.\n\nI read it." },
        { _tag: "Finish", reason: "stop", usage: undefined }
      ])
    })
  )

  it.live("gets its own sealed summary back, also from another of its models; other providers get the text", () =>
    Effect.gen(function* () {
      const sealed = { encrypted: "gAAA", sealedBy: "openai" }
      const items: ReadonlyArray<Item> = [
        user("find the bug", 1),
        { ...user("a summary", 2), fragment: Compaction.summaryFragment, sealed } as Item
      ]
      const sentBy = (options: Partial<OpenAiModel.Options>) =>
        Effect.gen(function* () {
          const { model, server } = yield* over({ turns: [{ events: [{ text: "ok" }] }] }, options)
          yield* Stream.runDrain(model.stream(request({ items })))
          return (server.requests[0]!.body as { readonly input: ReadonlyArray<unknown> }).input
        })
      const own = [userItem("find the bug"), { type: "compaction", encrypted_content: "gAAA" }]
      assert.deepStrictEqual(yield* sentBy({}), own)
      assert.deepStrictEqual(yield* sentBy({ model: "another" }), own)
      assert.deepStrictEqual(yield* sentBy({ provider: "azure" }), [userItem("find the bug"), userItem("a summary")])
    })
  )

  it.live("leaves out a sealed summary that the provider cannot read, with a warning", () =>
    Effect.gen(function* () {
      const sealed = { encrypted: "old", sealedBy: "openai" }
      const items: ReadonlyArray<Item> = [
        { ...user("a summary", 1), fragment: Compaction.summaryFragment, sealed } as Item,
        user("go on", 2)
      ]
      const server = yield* serve((seen, response) => {
        if (seen.body.includes('"compaction"')) {
          response
            .writeHead(400)
            .end(JSON.stringify({ error: { code: "invalid_encrypted_content", message: "cannot be verified" } }))
        } else response.end('data: {"type":"response.completed","response":{}}\n\n')
      })
      const client = yield* Layer.build(NodeHttpClient.layerUndici)
      const model = yield* Effect.provideContext(OpenAiModel.make({ model: "m", baseUrl: server.baseUrl }), client)
      const parts = yield* Stream.runCollect(model.stream(request({ items })))
      assert.include(parts[0], {
        _tag: "Warning",
        message: "openai refused its own summary of this session, which the model no longer sees: cannot be verified"
      })
    })
  )

  for (const [name, status, body, kind] of [
    ["a path that does not exist", 404, "not found", "InvalidRequest"],
    ["a context that is too long", 400, { error: { code: "context_length_exceeded" } }, "ContextWindowExceeded"],
    ["a server that is down", 500, "", "ServerError"],
    ["a body without output", 200, { id: "x" }, "InvalidResponse"],
    ["a body that breaks off", 200, '{"output": [', "InvalidResponse"],
    ["an empty body", 200, "", "Disconnected"]
  ] as const) {
    it.live(`fails as ${kind} for ${name}`, () =>
      Effect.gen(function* () {
        const server = yield* serve((_, response) => {
          response.writeHead(status).end(typeof body === "string" ? body : JSON.stringify(body))
        })
        const client = yield* Layer.build(NodeHttpClient.layerUndici)
        const options = { model: "m", baseUrl: server.baseUrl, compactEndpoint: true }
        const model = yield* Effect.provideContext(OpenAiModel.make(options), client)
        assertFailure(yield* failureOf(model.compact!(request())), { kind })
      })
    )
  }

  it.live("is closed by an interruption", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<void>()
      const closed = yield* Deferred.make<void>()
      const server = yield* serve((_, response) => {
        response.on("close", () => Effect.runSync(Deferred.succeed(closed, undefined)))
        Effect.runSync(Deferred.succeed(arrived, undefined))
      })
      const client = yield* Layer.build(NodeHttpClient.layerUndici)
      const options = { model: "m", baseUrl: server.baseUrl, compactEndpoint: true }
      const model = yield* Effect.provideContext(OpenAiModel.make(options), client)
      const fiber = yield* Effect.forkChild(Stream.runDrain(model.compact!(request())))
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(closed)
    })
  )
})

describe("a session with the compaction endpoint", () => {
  const long = "x".repeat(8_000)
  const sessionOver = (script: Partial<Script>) =>
    Effect.gen(function* () {
      const turn = { events: [{ text: long }], repeat: true } as const
      const { model, server } = yield* over({ turns: [turn], ...script }, { compactEndpoint: true })
      const session = yield* Session.make(Agent.make({ tasks: [CompactTask.kind] })).pipe(
        Effect.provide(Layer.merge(Layer.succeed(Model, model), Journal.layerMemory()))
      )
      for (const op of [Op.userInput("find the bug"), Op.startTask("compact"), Op.userInput("fix it")]) {
        yield* session.submit(op)
        yield* session.awaitIdle
      }
      return { server, last: server.requests.at(-1)!.body as ModelRequest & { readonly input: ReadonlyArray<unknown> } }
    })

  it.live("S11 compacts there, and sends the sealed summary with the next request", () =>
    Effect.gen(function* () {
      const { last, server } = yield* sessionOver({ compact: { output: [userItem("find the bug"), sealedItem] } })
      assert.strictEqual(server.others.length, 1)
      assert.strictEqual(server.requests.length, 2)
      assert.deepStrictEqual(last.input, [
        userItem("find the bug"),
        { type: "compaction", encrypted_content: "gAAA" },
        userItem("fix it")
      ])
    })
  )

  it.live("S11 asks the model for a summary when the endpoint returns nothing of use", () =>
    Effect.gen(function* () {
      const { server } = yield* sessionOver({
        turns: [{ events: [{ text: long }] }, { events: [{ text: "found it in a.ts" }] }, { events: [{ text: "ok" }] }],
        compact: { error: "unknown" }
      })
      assert.deepStrictEqual([server.others.length, server.requests.length], [1, 3])
      assert.include(JSON.stringify(server.requests.at(-1)!.body), "found it in a.ts")
    })
  )
})
