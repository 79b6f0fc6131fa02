import type { IncomingHttpHeaders, ServerResponse } from "node:http"
import { NodeHttpClient } from "@effect/platform-node"
import { assert } from "@effect/vitest"
import type { ModelFailed } from "@spindle/core/SessionError"
import type { ModelPart, ToolSpec } from "@spindle/core/Model"
import type { Script } from "@spindle/testing/ResponsesScript"
import * as ResponsesServer from "@spindle/testing/ResponsesServer"
import { Effect, Layer, Redacted, Stream } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import * as OpenAiModel from "../src/OpenAiModel.ts"
import { serveHttp, withBody } from "../../core/test/fixtures/httpServers.ts"

export { callId, id, request } from "../../core/test/fixtures/modelRequests.ts"

export const key = "sk-very-secret"

/** A function and a freeform tool. */
export const tools: ReadonlyArray<ToolSpec> = [
  { name: "shell", description: "Runs it", parameters: { type: "object" }, source: undefined },
  {
    name: "apply_patch",
    description: undefined,
    parameters: {},
    freeform: { syntax: "lark", definition: "start: /.+/" },
    source: undefined
  }
]

/** The HTTP clients of the platform. */
export const clients = [
  ["undici", NodeHttpClient.layerUndici],
  ["fetch", NodeHttpClient.layerFetch],
  ["node:http", NodeHttpClient.layerNodeHttp]
] as const

/** A server with a script and a model that talks to it, over undici. */
export const over = (script: Script, options: Partial<OpenAiModel.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* ResponsesServer.make(script)
    // built into the test's scope: a client provided to `make` alone would be closed when `make` returns
    const client = yield* Layer.build(NodeHttpClient.layerUndici)
    const model = yield* OpenAiModel.make({
      model: "gpt-test",
      baseUrl: server.baseUrl,
      apiKey: Redacted.make(key),
      ...options
    }).pipe(Effect.provideContext(client))
    return { server, model }
  })

/** A model whose server sends these bytes, as they are. */
export const overBytes = (
  body: ReadableStream<Uint8Array>,
  options: Partial<OpenAiModel.Options> = {},
  contentType = "text/event-stream"
) =>
  OpenAiModel.make({ model: "gpt-test", ...options }).pipe(
    Effect.provideService(
      HttpClient.HttpClient,
      HttpClient.make((sent) =>
        Effect.succeed(
          HttpClientResponse.fromWeb(sent, new Response(body, { headers: { "content-type": contentType } }))
        )
      )
    )
  )

export const bytesOf = (text: string) => new TextEncoder().encode(text)

export const bodyOf = (chunks: ReadonlyArray<Uint8Array>) =>
  new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    }
  })

/** All parts that come before the stream ends, and the failure it ends with. */
export const partsAndFailure = (stream: Stream.Stream<ModelPart, ModelFailed>) =>
  Effect.gen(function* () {
    const parts: Array<ModelPart> = []
    const failure = yield* stream.pipe(
      Stream.runForEach((part) => Effect.sync(() => parts.push(part))),
      Effect.flip
    )
    return { parts, failure }
  })

export const failureOf = (stream: Stream.Stream<ModelPart, ModelFailed>) =>
  Effect.map(partsAndFailure(stream), ({ failure }) => failure)

/** Asserts the fields of a failure that a caller acts on. */
export const assertFailure = (
  failure: ModelFailed,
  expected: {
    readonly [Name in "kind" | "detail" | "status" | "retryAfterMillis"]?: ModelFailed[Name] | undefined
  }
) => {
  const seen = Object.fromEntries(Object.keys(expected).map((name) => [name, failure[name as keyof typeof expected]]))
  assert.deepStrictEqual(seen, expected as Record<string, unknown>)
}

/** A request as {@link serve} saw it. */
export interface SeenRequest {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** A server whose responses a test writes byte by byte. `baseUrl` has no slash at its end. */
export const serve = (respond: (seen: SeenRequest, response: ServerResponse, count: number) => void) => {
  const requests: Array<SeenRequest> = []
  const listener = withBody((incoming, response, body) => {
    const seen = { url: incoming.url ?? "", headers: incoming.headers, body }
    respond(seen, response, requests.push(seen))
  })
  return Effect.map(serveHttp(listener), (url) => ({ requests, baseUrl: `${url}/v1` }))
}

/** The events of a response that says this text. */
export const eventsOf = (text: string) =>
  [
    { type: "response.output_text.delta", output_index: 0, delta: text },
    { type: "response.completed", response: {} }
  ]
    .map((event) => `data: ${JSON.stringify(event)}\n\n`)
    .join("")

/** All text of a response. */
export const textOf = (stream: Stream.Stream<ModelPart, ModelFailed>) =>
  Effect.map(Stream.runCollect(stream), (parts) =>
    parts.flatMap((part) => (part._tag === "TextDelta" ? [part.delta] : [])).join("")
  )
