/** Results of revision 2026-07-28 that ask for more input. They replace the requests that a server sends by itself. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import type { CurrentCall } from "./currentCall.ts"
import * as Wire from "./wire.ts"

/** The number of times in a row that a server may ask in one call. */
const limit = 16

const InputRequired = Schema.Struct({
  resultType: Schema.Literal("input_required"),
  inputRequests: Schema.optionalKey(
    Schema.Record(
      Schema.String,
      Schema.Struct({
        method: Schema.String,
        params: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
      })
    )
  ),
  requestState: Schema.optionalKey(Schema.String)
})
type InputRequired = typeof InputRequired.Type
const decode = Schema.decodeUnknownOption(InputRequired)

/** Sends a request, and returns its response. */
type Send<R> = (
  message: McpSchema.JsonRpcRequest
) => Effect.Effect<McpSchema.JsonRpcResponse, McpClientError.McpClientError, R>

/**
 * Sends a request again for as long as its result asks for more input, each time with another id, the responses and the
 * state of the server. **Errors**: those of `send`, and one if the server asks for something that this client does not
 * offer, or too often.
 */
export const answer = Effect.fnUntraced(function* <R>(
  message: McpSchema.JsonRpcRequest,
  { onRequest }: Pick<Wire.Incoming, "onRequest">,
  call: CurrentCall | undefined,
  send: Send<R>
) {
  let response = yield* send(message)
  for (let round = 1; ; round++) {
    const required = "result" in response ? decode(response.result) : Option.none<InputRequired>()
    if (Option.isNone(required)) return response
    if (round > limit) return yield* refuse(`it asked for input more than ${limit} times in one call`)
    const { inputRequests, requestState } = required.value
    const inputResponses: { [key: string]: unknown } = {}
    for (const [key, { method, params = {} }] of Object.entries(inputRequests ?? {})) {
      const one = yield* onRequest({ jsonrpc: "2.0", id: key, method, params }, call)
      if ("error" in one) return yield* refuse(one.error.message, one.error.code)
      inputResponses[key] = one.result
    }
    response = yield* send({
      ...message,
      id: `${message.id}.${round}`,
      params: {
        ...message.params,
        ...(inputRequests !== undefined && { inputResponses }),
        ...(requestState !== undefined && { requestState })
      }
    })
  }
})

const refuse = (description: string, code?: number) =>
  Effect.fail(Wire.failure(new McpClientError.ProtocolError({ description, ...(code !== undefined && { code }) })))
