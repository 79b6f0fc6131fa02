import { NodeHttpClient } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Model } from "@spindle/core/Model"
import * as Op from "@spindle/core/Op"
import * as OpenAiModel from "@spindle/openai/OpenAiModel"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Context, Effect, Layer } from "effect"
import { assertDescends, caller, submission, traceId, traced } from "./traced.ts"

describe("requests to a model", () => {
  it.live("O1 carry the trace below the span of the sampling request, with the caller's trace state", () =>
    Effect.gen(function* () {
      const server = yield* ResponsesServer.make({ turns: [{ events: [{ text: "Hello." }] }] })
      const model = yield* Effect.map(
        Layer.build(
          OpenAiModel.layer({ model: "gpt-test", baseUrl: server.baseUrl }).pipe(
            Layer.provide(NodeHttpClient.layerUndici)
          )
        ),
        Context.get(Model)
      )
      const h = yield* traced({
        model: {
          model,
          layer: Layer.succeed(Model, model),
          requests: [],
          compactions: [],
          openCount: () => 0,
          open: () => Effect.void,
          awaitGate: () => Effect.void
        }
      })
      yield* h.session.submit(submission(Op.userInput("hi")))
      yield* h.session.awaitIdle
      const headers = server.requests[0]!.headers
      const spans = yield* h.spans.finished
      const chat = spans.find((span) => span.name === "chat gpt-test")!
      const [sent] = spans.filter((span) => span.parentSpanId === chat.spanId && span.kind === "client")
      assert.strictEqual(headers["traceparent"], `00-${traceId}-${sent?.spanId}-01`)
      assert.strictEqual(headers["tracestate"], caller.tracestate)
      assert.isBelow(spans.length, 15)
      assertDescends(spans)
    })
  )
})
