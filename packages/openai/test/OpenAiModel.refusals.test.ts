import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import type { Item } from "@spindle/core/Item"
import { Effect, Layer, Stream } from "effect"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { assertFailure, callId, eventsOf, failureOf, id, request, serve } from "./fixture.ts"
import { refusalOf } from "./strictServer.ts"

const user = (text: string): Item => ({ _tag: "UserMessage", id, content: [{ _tag: "Text", text }] })
const said = (text: string): Item => ({ _tag: "AssistantMessage", id, text })
const sealed = (encrypted: string): Item => ({ _tag: "Reasoning", id, text: "", encrypted })
const call = (name: string): ReadonlyArray<Item> => [
  { _tag: "ToolCall", id, callId: callId(name), name, params: {} },
  { _tag: "ToolResult", id, callId: callId(name), name, status: "completed", output: "done" }
]

/** A model whose server refuses what `refuse` finds in the input of a request. */
const refusing = (refuse: (input: ReadonlyArray<any>, text: string) => object | undefined) =>
  Effect.gen(function* () {
    const server = yield* serve((seen, response) => {
      const error = refuse(JSON.parse(seen.body).input, seen.body)
      if (error === undefined) response.end(eventsOf("hi"))
      else response.writeHead(400).end(JSON.stringify({ error }))
    })
    const client = yield* Layer.build(NodeHttpClient.layerUndici)
    const model = yield* Effect.provideContext(OpenAiModel.make({ model: "m", baseUrl: server.baseUrl }), client)
    const warningsOf = (items: ReadonlyArray<Item>) =>
      Effect.map(Stream.runCollect(model.stream(request({ items }))), (parts) =>
        parts.flatMap((part) => (part._tag === "Warning" ? [part.message] : []))
      )
    const typesOf = (n: number) => JSON.parse(server.requests[n]!.body).input.map(({ type }: { type: string }) => type)
    return { model, requests: server.requests, warningsOf, typesOf }
  })

describe("an item that a provider refuses", () => {
  it.live("is left out and named, from then on without another refusal", () =>
    Effect.gen(function* () {
      const { requests, typesOf, warningsOf } = yield* refusing((input) => {
        const at = input.findIndex(({ name }) => name === "bad")
        return at < 0 ? undefined : { message: `Invalid 'input[${at}].name'`, param: `input[${at}].name` }
      })
      const items = [user("a"), ...call("bad"), ...call("good"), user("b")]
      assert.deepStrictEqual(yield* warningsOf(items), [
        "openai refused a call of bad and a result of bad of this session, which the model no longer sees: Invalid 'input[1].name'"
      ])
      assert.deepStrictEqual(typesOf(1), ["message", "function_call", "function_call_output", "message"])
      assert.deepStrictEqual(yield* warningsOf([...items, said("c"), user("d")]), [])
      assert.lengthOf(requests, 3)
    })
  )

  it.live("is found by its id", () =>
    Effect.gen(function* () {
      const { typesOf, warningsOf } = yield* refusing((input) =>
        input.length === 4 ? { message: "No tool output found for function call call_x." } : undefined
      )
      assert.lengthOf(yield* warningsOf([user("a"), ...call("call_x"), user("b")]), 1)
      assert.deepStrictEqual(typesOf(1), ["message", "message"])
    })
  )

  it.live("is all sealed reasoning when a seal cannot be read", () =>
    Effect.gen(function* () {
      const { typesOf, warningsOf } = yield* refusing((_, text) => {
        const refused = refusalOf(text, "A")
        return refused === undefined
          ? undefined
          : { message: "could not be verified", code: "invalid_encrypted_content" }
      })
      const items = [user("a"), sealed("B"), said("b"), sealed("B"), said("c"), user("d")]
      assert.deepStrictEqual(yield* warningsOf(items), [
        "openai refused reasoning of the model of this session, which the model no longer sees: could not be verified"
      ])
      assert.deepStrictEqual(typesOf(1), ["message", "message", "message", "message"])
    })
  )

  it.live("is never the last input of the user", () =>
    Effect.gen(function* () {
      const { model, requests } = yield* refusing(() => ({ message: "Invalid 'input[0].content'" }))
      const failure = yield* failureOf(model.stream(request()))
      assertFailure(failure, { kind: "InvalidRequest", status: 400, detail: "Invalid 'input[0].content'" })
      assert.lengthOf(requests, 1)
    })
  )

  it.live("fails the request when one after the other is refused, and is sent again then", () =>
    Effect.gen(function* () {
      let isStrict = true
      const { model, requests, warningsOf } = yield* refusing(() =>
        isStrict ? { message: "Invalid value", param: "input[0]" } : undefined
      )
      const items = [said("1"), said("2"), said("3"), said("4"), said("5"), user("a")]
      assert.strictEqual((yield* failureOf(model.stream(request({ items })))).kind, "InvalidRequest")
      assert.lengthOf(requests, 4)
      isStrict = false
      assert.deepStrictEqual(yield* warningsOf(items), [])
      assert.lengthOf(JSON.parse(requests[4]!.body).input, items.length)
    })
  )
})
