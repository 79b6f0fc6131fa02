/** An MCP server over HTTP that is a function: it keeps every message, and needs no socket. */
import type { Message } from "../fixtures/httpServer.ts"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"

/** A message as it arrived, and its headers `x-turn` and `x-session`. */
export interface Received {
  readonly method: string | undefined
  readonly turn: string | undefined
  readonly session: string | undefined
  readonly message: Message
  /** For a call: whether it was answered. */
  isAnswered: boolean
}

/** A server whose calls take one second, or as long as `millisOf` says of their arguments. */
export const make = (millisOf: (args: any) => number = () => 1_000) => {
  const received: Array<Received> = []
  const client = HttpClient.make((request) =>
    Effect.gen(function* () {
      const { headers, method } = request
      const message = messageOf(request.body)
      const { id, method: name, params } = message
      const { "x-session": session, "x-turn": turn } = headers
      const one: Received = { method: name ?? method, turn, session, message, isAnswered: false }
      received.push(one)
      // the request takes its time to arrive, and the response to come back
      yield* Effect.sleep(10)
      if (name === undefined || id === undefined) return response(name === undefined ? 405 : 202)
      if (name === "tools/call") yield* Effect.sleep(millisOf(params?.["arguments"]))
      one.isAnswered = true
      const result = resultOf(name, params ?? {})
      return response(200, `${JSON.stringify({ jsonrpc: "2.0", id, result })}`)
    })
  )
  return { client, received: received as ReadonlyArray<Received> }
}

const messageOf = (body: { readonly _tag: string }): Message => {
  if (!("body" in body)) return {}
  const { body: bytes } = body
  return JSON.parse(typeof bytes === "string" ? bytes : new TextDecoder().decode(bytes as Uint8Array)) as Message
}

const resultOf = (name: string, params: { readonly [name: string]: unknown }): object => {
  switch (name) {
    case "initialize": {
      const serverInfo = { name: "memory", version: "1" }
      return { protocolVersion: params["protocolVersion"], capabilities: { tools: {} }, serverInfo }
    }
    case "tools/list":
      return { tools: [{ name: "echo", inputSchema: { type: "object" } }] }
    default:
      return { content: [{ type: "text", text: "done" }] }
  }
}

/** The parts of a response that are read. Its stream needs no promise, so that time can be virtual. */
const response = (status: number, body = ""): HttpClientResponse =>
  ({
    status,
    headers: { "content-type": "application/json" },
    stream: Stream.succeed(new TextEncoder().encode(body))
  }) as unknown as HttpClientResponse
