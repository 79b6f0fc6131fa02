/** MCP over streamable HTTP, revision 2026-07-28: Effect's transport, with the headers of the turn. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as McpClient from "effect/ai/McpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as TurnHeaders from "../TurnHeaders.ts"
import { CurrentCall } from "./currentCall.ts"
import type { Options } from "./http.ts"
import * as InputRequests from "./inputRequests.ts"
import * as Wire from "./wire.ts"

/** The headers that the transport does not know: those of the call, and those that authorize the request. */
const RequestHeaders: Context.Reference<{
  readonly ofCall: TurnHeaders.Headers
  readonly authorization: TurnHeaders.Headers
}> = Context.Reference("@spindle/mcp/RequestHeaders", { defaultValue: () => ({ ofCall: {}, authorization: {} }) })

/**
 * Connects to the server. In this revision a server asks in the result of a call, and closing the response cancels the
 * call.
 */
export const make = Effect.fnUntraced(function* ({
  authorization,
  headers,
  incoming,
  protocol,
  url
}: Omit<Options, "reconnects">) {
  const client = HttpClient.mapRequestEffect(yield* HttpClient.HttpClient, (request) =>
    Effect.map(Effect.service(RequestHeaders), ({ authorization, ofCall }) =>
      HttpClientRequest.setHeaders(request, {
        ...authorization,
        // by the method: the response to a request of the server is sent from the same fiber (contract M1)
        ...(request.headers["mcp-method"] === "tools/call" ? ofCall : {})
      })
    )
  )
  const inner = yield* McpClient.http({ url, headers, protocol, maxMessageBytes: Wire.limitBytes }).pipe(
    Effect.provideService(HttpClient.HttpClient, client)
  )
  const transport: Wire.ServerTransport = {
    ...inner,
    request: Effect.fnUntraced(function* (message, tool) {
      const call = message.method === "tools/call" ? yield* CurrentCall : undefined
      const ofCall = call?.sendsHeaders === true ? yield* TurnHeaders.read(call.turn) : {}
      const send = (one: typeof message) =>
        authorization.use((authorization) =>
          Effect.provideService(inner.request(one, tool), RequestHeaders, { ofCall, authorization })
        )
      return yield* InputRequests.answer(Wire.withCapabilities(message), incoming, call, send)
    }),
    ended: Effect.never,
    isEnded: () => false,
    stderr: () => ""
  }
  return transport
})
