import { assert, describe, it } from "@effect/vitest"
import { NodeHttpClient } from "@effect/platform-node"
import * as Agent from "@spindle/core/Agent"
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import { Effect, Layer, Stream } from "effect"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { serve } from "./fixture.ts"
import { refusalOf } from "./strictServer.ts"

const event = (type: string, fields: object) => `data: ${JSON.stringify({ type, ...fields })}\n\n`
const item = (output_index: number, item: object) => event("response.output_item.done", { output_index, item })
const completed = event("response.completed", { response: {} })

/** Everything that servers do wrong in one response: the session must be able to continue. */
const broken = [
  "event: ping\ndata: {}\n\n",
  item(0, { type: "reasoning", id: "r/1", encrypted_content: "A sealed", summary: [] }),
  item(1, { type: "message", id: "m", content: [{ type: "output_text", text: "half \ud83d" }] }),
  item(2, { type: "function_call", call_id: "c", name: "no.such tool", arguments: '{"cmd": "ca' }),
  item(3, { type: "function_call", call_id: "c", name: "no.such tool", arguments: [1] }),
  item(4, { type: "function_call", name: "no.such tool", arguments: { a: 1 } }),
  completed
].join("")

describe("a session", () => {
  it.live("continues after a response in which everything was wrong, and says what was left out", () =>
    Effect.gen(function* () {
      const replies = [broken, item(0, { type: "reasoning", encrypted_content: "A", summary: [] }) + completed]
      const refusals: Array<string> = []
      const server = yield* serve((seen, response, count) => {
        const refusal = refusalOf(seen.body, "A")
        if (refusal !== undefined) refusals.push(refusal)
        const at = JSON.parse(seen.body).input.findIndex(({ role }: { role?: string }) => role === "assistant")
        if (count > 2 && at >= 0) {
          response.writeHead(400).end(JSON.stringify({ error: { message: "no", param: `input[${at}]` } }))
        } else response.end(replies.shift() ?? completed)
      })
      const client = yield* Layer.build(NodeHttpClient.layerUndici)
      const model = yield* Effect.provideContext(OpenAiModel.make({ model: "m", baseUrl: server.baseUrl }), client)
      const session = yield* Session.make(Agent.make({ instructions: "x" })).pipe(
        Effect.provide(Layer.merge(Layer.succeed(Model, model), Journal.layerMemory()))
      )
      yield* session.submit(Op.userInput("first"))
      yield* session.awaitIdle
      yield* session.submit(Op.userInput("second"))
      yield* session.awaitIdle
      const events = yield* session.events().pipe(
        Stream.takeUntil(({ _tag }) => _tag === "Warning"),
        Stream.runCollect
      )
      assert.deepStrictEqual(refusals, [])
      assert.deepInclude(
        events.flatMap((one) => (one._tag === "ItemRecorded" && one.item._tag === "Reasoning" ? [one.item] : []))[0],
        { encrypted: "A sealed", sealedBy: "openai m" }
      )
      assert.include(events.at(-1), {
        _tag: "Warning",
        message: "openai refused a message of the model of this session, which the model no longer sees: no"
      })
    })
  )
})
