import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { NodeHttpClient } from "@effect/platform-node"
import { CallId, ItemId, SessionId, TurnId } from "@spindle/core/Ids"
import type { ModelPart, ModelRequest } from "@spindle/core/Model"
import type { ModelFailed } from "@spindle/core/SessionError"
import { Effect, Layer, Redacted, Stream } from "effect"
import * as AnthropicModel from "../src/AnthropicModel.ts"

export const id = ItemId.make("1.0")
export const callId = (value: string) => CallId.make(value)
export const key = "sk-ant-very-secret"

/** A request of one user message. */
export const request = (part: Partial<ModelRequest> = {}): ModelRequest => ({
  sessionId: SessionId.make("session-1"),
  turnId: TurnId.make("turn-1"),
  instructions: undefined,
  items: [{ _tag: "UserMessage", id, content: [{ _tag: "Text", text: "hi" }] }],
  tools: [],
  output: undefined,
  ...part
})

/** A request as {@link serve} saw it. */
export interface SeenRequest {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: any
}

/** A server whose responses a test writes. `baseUrl` has no slash at its end. */
export const serve = (respond: (seen: SeenRequest, response: ServerResponse, count: number) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Server; readonly requests: Array<SeenRequest> }>((resume) => {
        const requests: Array<SeenRequest> = []
        const server = createServer((incoming, response) => {
          let body = ""
          incoming.setEncoding("utf8").on("data", (text: string) => (body += text))
          incoming.on("end", () => {
            const seen = { url: incoming.url ?? "", headers: incoming.headers, body: JSON.parse(body) as unknown }
            respond(seen, response, requests.push(seen))
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, requests })))
      }),
      ({ server }) =>
        Effect.sync(() => {
          server.closeAllConnections()
          server.close()
        })
    ),
    ({ requests, server }) => ({ requests, baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` })
  )

/** A model that talks to a server. */
export const modelAt = (baseUrl: string, options: Partial<AnthropicModel.Options> = {}) =>
  Effect.flatMap(Layer.build(NodeHttpClient.layerUndici), (client) =>
    Effect.provideContext(
      AnthropicModel.make({ model: "claude-test", baseUrl, apiKey: Redacted.make(key), ...options }),
      client
    )
  )

/** The events of a response, as the API sends them. */
export const sse = (...events: ReadonlyArray<{ readonly type: string; readonly [key: string]: unknown }>): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

export const start = {
  type: "message_start",
  message: {
    id: "msg_01",
    type: "message",
    role: "assistant",
    model: "claude-test",
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: {
      input_tokens: 20,
      cache_creation_input_tokens: 5,
      cache_read_input_tokens: 100,
      output_tokens: 1,
      service_tier: "standard"
    }
  }
}
export const ping = { type: "ping" }
export const begin = (index: number, content_block: object) => ({ type: "content_block_start", index, content_block })
export const delta = (index: number, delta: object) => ({ type: "content_block_delta", index, delta })
export const stop = (index: number) => ({ type: "content_block_stop", index })
export const ended = (stop_reason: string, output_tokens = 12) => [
  { type: "message_delta", delta: { stop_reason, stop_sequence: null }, usage: { output_tokens } },
  { type: "message_stop" }
]
/** The events of a text, in two deltas. */
export const said = (index: number, text: string) => [
  begin(index, { type: "text", text: "" }),
  ping,
  delta(index, { type: "text_delta", text: text.slice(0, 2) }),
  delta(index, { type: "text_delta", text: text.slice(2) }),
  stop(index)
]
/** The events of a call, whose arguments come in pieces. */
export const called = (index: number, call: { readonly id: string; readonly name: string; readonly json: string }) => [
  begin(index, { type: "tool_use", id: call.id, name: call.name, input: {} }),
  delta(index, { type: "input_json_delta", partial_json: "" }),
  ...(call.json.match(/[^]{1,3}/g) ?? []).map((partial_json) =>
    delta(index, { type: "input_json_delta", partial_json })
  ),
  stop(index)
]

/** A complete response that says this text. */
export const hello = sse(start, ...said(0, "hello"), ...ended("end_turn"))

/** Returns all parts that come before the stream ends, and the failure that it ends with, if any. */
export const partsAndFailure = (stream: Stream.Stream<ModelPart, ModelFailed>) =>
  Effect.gen(function* () {
    const parts: Array<ModelPart> = []
    const failure = yield* stream.pipe(
      Stream.runForEach((part) => Effect.sync(() => parts.push(part))),
      Effect.match({ onFailure: (error) => error, onSuccess: () => undefined })
    )
    return { parts, failure }
  })
