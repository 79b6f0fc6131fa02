/** JSON-RPC messages of MCP: written, read within a limit, and distinguished. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpClient from "effect/ai/McpClient"
import type * as McpProtocol from "effect/ai/McpProtocol"
import * as McpSchema from "effect/ai/McpSchema"
import type { CurrentCall } from "./currentCall.ts"

/** A protocol that this client speaks. */
export type Protocol = McpProtocol.ProtocolAdapter<McpClient.ProtocolVersion>

/** The largest message that is read. */
export const limitBytes = 8 * 1024 * 1024

/** Receives the messages that a server sends by itself. `call` is the call that a message belongs to, if known. */
export interface Incoming {
  readonly onRequest: (
    request: McpSchema.JsonRpcRequest,
    call: CurrentCall | undefined
  ) => Effect.Effect<McpSchema.JsonRpcResponse>
  readonly onNotification: (
    notification: McpSchema.JsonRpcNotification,
    call: CurrentCall | undefined
  ) => Effect.Effect<void>
}

/** A transport to one server. */
export interface ServerTransport extends McpClient.Transport {
  /** Waits until the server can no longer be reached, and returns the reason. */
  readonly ended: Effect.Effect<McpClientError.McpClientError>
  readonly isEnded: () => boolean
  /** The end of the text that the process has printed to its standard error. */
  readonly stderr: () => string
}

/** The options that all transports have. */
export interface TransportOptions {
  readonly protocol: Protocol
  readonly incoming: Incoming
}

/** Makes an error of the client. */
export const failure = (reason: McpClientError.McpClientErrorReason): McpClientError.McpClientError =>
  new McpClientError.McpClientError({ reason })

/** The error of a connection that broke. */
export const lostError = (description: string, cause?: unknown): McpClientError.McpClientError =>
  failure(new McpClientError.TransportError({ description, cause }))

/** The error of a message that is too large. */
export const tooLargeError = (): McpClientError.McpClientError =>
  failure(new McpClientError.LimitError({ description: `a message has more than ${limitBytes} bytes` }))

/** Writes a message as text. */
export const encode = (message: McpSchema.JsonRpcMessage): Effect.Effect<string, McpClientError.McpClientError> =>
  Effect.try({
    try: () => JSON.stringify(message),
    catch: (cause) => failure(new McpClientError.TransportError({ description: "the message is not JSON", cause }))
  })

/** Reads a message. */
export const decode = (text: string): Effect.Effect<McpSchema.JsonRpcMessage, McpClientError.McpClientError> =>
  Effect.mapError(decodeText(text), (cause) =>
    failure(new McpClientError.ProtocolError({ description: "a message is not JSON-RPC", cause }))
  )

const decodeText = Schema.decodeUnknownEffect(Schema.fromJsonString(McpSchema.JsonRpcMessage))

/** Returns true if a message expects a response. */
export const isRequest = (message: McpSchema.JsonRpcMessage): message is McpSchema.JsonRpcRequest =>
  "method" in message && "id" in message

/** Returns true if a message is the response to a request. */
export const isResponse = (message: McpSchema.JsonRpcMessage): message is McpSchema.JsonRpcResponse =>
  !("method" in message)

/** Makes the notification that a request is cancelled. */
export const cancelNotification = (requestId: McpSchema.RequestId): McpSchema.JsonRpcNotification => ({
  jsonrpc: "2.0",
  method: "notifications/cancelled",
  params: { requestId }
})

/** Makes the response that refuses a request of the server. */
export const refusal = (
  { id }: McpSchema.JsonRpcRequest,
  code: number,
  message: string
): McpSchema.JsonRpcResponse => ({
  jsonrpc: "2.0",
  id,
  error: { code, message }
})

/** The capabilities of this client: it asks a person the questions of a server. */
const capabilities = { elicitation: { form: {}, url: {} } }

/** Adds the capabilities of this client to a request of revision 2026-07-28. */
export const withCapabilities = (message: McpSchema.JsonRpcRequest): McpSchema.JsonRpcRequest => {
  const _meta = {
    ...(message.params?.["_meta"] as object | undefined),
    "io.modelcontextprotocol/clientCapabilities": capabilities
  }
  return { ...message, params: { ...message.params, _meta } }
}

/**
 * Completes a request: `initialize` announces the capabilities of this client, a call asks for its progress. `meta` is
 * added to a call.
 */
export const complete = (
  message: McpSchema.JsonRpcRequest,
  meta: { readonly [name: string]: unknown } = {}
): McpSchema.JsonRpcRequest => {
  if (message.method === "initialize") return { ...message, params: { ...message.params, capabilities } }
  if (message.method !== "tools/call") return message
  const _meta = { ...(message.params?.["_meta"] as object | undefined), ...meta, progressToken: message.id }
  return { ...message, params: { ...message.params, _meta } }
}

/** The revisions before 2025-11-25 whose messages this client can read. */
const olderVersions = ["2025-06-18", "2025-03-26", "2024-11-05"]

/**
 * Returns the revision that a server chose in its response to `initialize`, and the response as a client of `protocol`
 * expects it: it can read the older revisions, but accepts its own name only.
 */
export const negotiate = (
  response: McpSchema.JsonRpcResponse,
  { protocolVersion }: Protocol
): { readonly version: string; readonly response: McpSchema.JsonRpcResponse } => {
  const result = "result" in response ? (response.result as { readonly protocolVersion?: unknown } | null) : null
  const version = olderVersions.find((one) => one === result?.protocolVersion)
  if (version === undefined || protocolVersion !== "2025-11-25") return { version: protocolVersion, response }
  return { version, response: { ...response, result: { ...result, protocolVersion } } as McpSchema.JsonRpcResponse }
}

/** Returns the id of the request whose progress a notification reports. */
export const progressOf = ({ method, params }: McpSchema.JsonRpcNotification): unknown =>
  method === "notifications/progress" ? params?.["progressToken"] : undefined
