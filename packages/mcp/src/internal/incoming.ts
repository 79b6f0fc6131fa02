/** Handles the messages that a server sends by itself: questions to a person, progress, news about its tools. */
import type { Answer, Turn } from "@spindle/core/Turn"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as McpSchema from "effect/ai/McpSchema"
import type { CurrentCall } from "./currentCall.ts"
import * as Wire from "./wire.ts"

/** Handles the messages of the server of this name. `onToolsChanged` runs when it says that its tools have changed. */
export const make = (server: string, onToolsChanged: Effect.Effect<void>): Wire.Incoming => ({
  onRequest: (request, call) => {
    switch (request.method) {
      case "ping":
        return Effect.succeed({ jsonrpc: "2.0", id: request.id, result: {} })
      case "elicitation/create":
        return elicit(server, request, call)
      case "sampling/createMessage":
        return refuse(request, "this client does not let servers use its model")
      default:
        return refuse(request, `this client does not support ${request.method}`)
    }
  },
  onNotification: (notification, call) => {
    if (notification.method === "notifications/tools/list_changed") return onToolsChanged
    if (call === undefined || notification.method !== "notifications/progress") return Effect.void
    return call.turn.output(call.callId, progressText(notification.params ?? {}))
  }
})

const refuse = (request: McpSchema.JsonRpcRequest, message: string) =>
  Effect.succeed(Wire.refusal(request, McpSchema.METHOD_NOT_FOUND_ERROR_CODE, message))

/** Returns a line of output: `3/10 indexing`. */
const progressText = ({ message, progress, total }: { readonly [name: string]: unknown }): string => {
  const share = typeof progress !== "number" ? [] : [typeof total === "number" ? `${progress}/${total}` : `${progress}`]
  return `${[...share, ...(typeof message === "string" ? [message] : [])].join(" ")}\n`
}

/**
 * Asks the person a question of the server, in the turn of the call to which it belongs. Without such a turn the
 * question is cancelled.
 */
const elicit = Effect.fnUntraced(function* (
  server: string,
  request: McpSchema.JsonRpcRequest,
  call: CurrentCall | undefined
): Effect.fn.Return<McpSchema.JsonRpcResponse> {
  const { message, mode, requestedSchema, url } = request.params ?? {}
  if (typeof message !== "string") {
    return Wire.refusal(request, McpSchema.INVALID_PARAMS_ERROR_CODE, "an elicitation needs a message")
  }
  const respond = (result: object): McpSchema.JsonRpcResponse => ({ jsonrpc: "2.0", id: request.id, result })
  if (call === undefined) return respond({ action: "cancel" })
  const payload = {
    serverName: server,
    message,
    ...(mode === "url" ? { url } : { requestedSchema })
  }
  const answer = yield* ask(call, payload)
  return respond(resultOf(answer, mode === "url"))
})

/** Asks a question in the turn of the call. The deadline of the call is suspended until the answer. */
const ask = ({ callId, questions, tool, turn }: CurrentCall, payload: unknown): Effect.Effect<Answer> =>
  Effect.suspend(() => {
    questions.count++
    return Effect.ensuring(
      turn.ask({ kind: "elicitation", callId, tool, payload } satisfies Parameters<Turn["ask"]>[0]),
      Effect.map(Clock.currentTimeMillis, (now) => {
        questions.count--
        questions.settledAt = now
      })
    )
  })

/** Converts an answer to the form of MCP. An answer that neither accepts nor declines becomes a cancellation. */
const resultOf = (answer: Answer, isUrl: boolean): object => {
  switch (answer._tag) {
    case "Answered":
      return isUrl ? { action: "accept" } : { action: "accept", content: answer.answers }
    case "Approved":
      return isUrl ? { action: "accept" } : { action: "accept", content: {} }
    case "Denied":
      return { action: "decline" }
    case "Abort":
    case "Cancelled":
      return { action: "cancel" }
  }
}
