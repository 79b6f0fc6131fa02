/** MCP over streamable HTTP, revision 2026-07-28: Effect's transport, with the headers of the turn. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as McpClient from "effect/ai/McpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as TurnHeaders from "../TurnHeaders.ts"
import { CurrentCall } from "./currentCall.ts"
import type { Options } from "./http.ts"
import * as Wire from "./wire.ts"

const CallHeaders: Context.Reference<TurnHeaders.Headers> = Context.Reference<TurnHeaders.Headers>(
  "@spindle/mcp/CallHeaders",
  { defaultValue: () => ({}) }
)

/** Connects to the server. In this revision a server asks nothing, and a closed response is the cancellation. */
export const make = Effect.fnUntraced(function* ({ headers, protocol, url }: Options) {
  const client = HttpClient.mapRequestEffect(yield* HttpClient.HttpClient, (request) =>
    // by the method: what answers the server is sent from the same fiber (contract M1)
    request.headers["mcp-method"] === "tools/call"
      ? Effect.map(Effect.service(CallHeaders), (ofCall) => HttpClientRequest.setHeaders(request, ofCall))
      : Effect.succeed(request)
  )
  const inner = yield* McpClient.http({ url, headers, protocol, maxMessageBytes: Wire.limitBytes }).pipe(
    Effect.provideService(HttpClient.HttpClient, client)
  )
  const transport: Wire.ServerTransport = {
    ...inner,
    request: Effect.fnUntraced(function* (message, tool) {
      const call = message.method === "tools/call" ? yield* CurrentCall : undefined
      const ofCall = call?.sendsHeaders === true ? yield* TurnHeaders.read(call.turn) : {}
      return yield* Effect.provideService(inner.request(message, tool), CallHeaders, ofCall)
    }),
    ended: Effect.never,
    isEnded: () => false,
    stderr: () => ""
  }
  return transport
})
