/** MCP over streamable HTTP, revision 2025-11-25 and the ones before. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as Sse from "effect/encoding/Sse"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as TurnHeaders from "../TurnHeaders.ts"
import { CurrentCall } from "./currentCall.ts"
import * as Wire from "./wire.ts"

/** What the transport is made from. `headers` are in every request. */
export interface Options extends Wire.TransportOptions {
  readonly url: string
  readonly headers: TurnHeaders.Headers
}

/** How long the end of a connection waits for what it still has to send. */
const closeMillis = 1_000
const firstRetryMillis = 1_000
const longestRetryMillis = 30_000

/** Where a stream of events can be continued, and when. */
interface Position {
  lastEventId: string | undefined
  retryMillis: number | undefined
}

/** Connects to the server with its first request. Closing the scope ends the session at the server. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { incoming, protocol, url } = options
  const scope = yield* Scope.Scope
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const ended = yield* Deferred.make<McpClientError.McpClientError>()
  let version: string = protocol.protocolVersion
  let session: string | undefined

  const baseHeaders = () => ({
    ...options.headers,
    "mcp-protocol-version": version,
    ...(session === undefined ? {} : { "mcp-session-id": session })
  })

  const execute = Effect.fnUntraced(function* (request: HttpClientRequest.HttpClientRequest) {
    const sentIn = session
    const response = yield* Effect.catch(client.execute(request), (cause) =>
      // a client may take a status for a failure
      cause.response === undefined ? Effect.fail(lost("the request failed", cause)) : Effect.succeed(cause.response)
    )
    if (response.status === 404 && sentIn !== undefined) {
      const error = Wire.failure(new McpClientError.ClosedError({ sessionExpired: true }))
      // the session of a request that was sent before the last one is not the session that ended
      if (session === sentIn) yield* Deferred.succeed(ended, error)
      return yield* error
    }
    return response
  })

  const post = Effect.fnUntraced(function* (message: McpSchema.JsonRpcMessage, headers: TurnHeaders.Headers = {}) {
    const body = yield* Wire.encode(message)
    const response = yield* execute(
      HttpClientRequest.post(url).pipe(
        HttpClientRequest.setHeaders({ ...baseHeaders(), accept: "application/json, text/event-stream", ...headers }),
        HttpClientRequest.bodyText(body, "application/json")
      )
    )
    if (response.status < 200 || response.status > 299) return yield* statusError(response)
    session = response.headers["mcp-session-id"] ?? session
    return response
  })

  const notify = (message: McpSchema.JsonRpcMessage) => Effect.scoped(Effect.asVoid(post(message)))

  // what is still to be sent when nobody waits for it; the end of the connection waits for it
  const sending = yield* FiberSet.make<void>()
  const sendLater = (message: McpSchema.JsonRpcMessage) =>
    Effect.asVoid(FiberSet.run(sending, Effect.interruptible(Effect.ignore(notify(message)))))

  const receive = (
    message: McpSchema.JsonRpcMessage,
    call: CurrentCall | undefined
  ): Effect.Effect<void, never, Scope.Scope> =>
    Wire.isRequest(message)
      ? incoming.onRequest(message, call).pipe(Effect.flatMap(sendLater), Effect.forkScoped, Effect.asVoid)
      : Wire.isResponse(message)
        ? Effect.void
        : incoming.onNotification(message, call)

  const resume = Effect.fnUntraced(function* (position: Position) {
    const { lastEventId } = position
    return yield* execute(
      HttpClientRequest.get(url).pipe(
        HttpClientRequest.setHeaders({
          ...baseHeaders(),
          accept: "text/event-stream",
          ...(lastEventId === undefined ? {} : { "last-event-id": lastEventId })
        })
      )
    )
  })

  const readResponse = Effect.fnUntraced(function* (
    first: HttpClientResponse.HttpClientResponse,
    request: McpSchema.JsonRpcRequest,
    call: CurrentCall | undefined
  ) {
    if (mediaType(first) === "application/json") {
      const message = yield* Wire.decode(yield* readBody(first))
      if (Wire.isResponse(message)) return message
      return yield* unreadable("the response to a request is not a JSON-RPC response")
    }
    const position: Position = { lastEventId: undefined, retryMillis: undefined }
    let found: McpSchema.JsonRpcResponse | undefined
    for (let response = first; ;) {
      if (mediaType(response) !== "text/event-stream") return yield* unreadable("the type of the response is not known")
      yield* readEvents(response, position, (message) => {
        if (Wire.isResponse(message) && (message.id === request.id || message.id == null)) found = message
        return Effect.as(receive(message, call), found === undefined)
      })
      if (found !== undefined) return found
      // the server closed the stream before its response: it can be continued after the last event
      if (position.lastEventId === undefined) return yield* lost("it closed the response before its end")
      yield* Effect.sleep(position.retryMillis ?? firstRetryMillis)
      response = yield* resume(position)
      if (response.status < 200 || response.status > 299) return yield* statusError(response)
    }
  })

  const exchange = Effect.fnUntraced(function* (message: McpSchema.JsonRpcRequest) {
    const call = message.method === "tools/call" ? yield* CurrentCall : undefined
    // the method decides, not the fiber: a cancellation is sent from the same one (contract M1)
    const headers = call?.sendsHeaders === true ? yield* TurnHeaders.read(call.turn) : {}
    return yield* Effect.flatMap(post(Wire.complete(message), headers), (response) =>
      readResponse(response, message, call)
    ).pipe(
      Effect.raceFirst(Effect.flatMap(Deferred.await(ended), Effect.fail)),
      Effect.onInterrupt(() => (message.method === "initialize" ? Effect.void : sendLater(Wire.cancelled(message.id))))
    )
  })

  /** Listens to what the server sends outside requests, for as long as it allows that. */
  const listen = Effect.fnUntraced(function* () {
    const position: Position = { lastEventId: undefined, retryMillis: undefined }
    for (let wait = firstRetryMillis; ; wait = Math.min(wait * 2, longestRetryMillis)) {
      const isOpen = yield* Effect.scoped(
        Effect.flatMap(resume(position), (response) => {
          if (response.status !== 200 || mediaType(response) !== "text/event-stream") return Effect.succeed(false)
          wait = firstRetryMillis
          return Effect.as(
            readEvents(response, position, (message) => Effect.as(receive(message, undefined), true)),
            true
          )
        })
      ).pipe(Effect.catch(({ reason }) => Effect.succeed(reason._tag === "TransportError")))
      if (!isOpen) return
      yield* Effect.sleep(Math.min(position.retryMillis ?? wait, longestRetryMillis))
    }
  })

  yield* Effect.addFinalizer(() =>
    Deferred.succeed(
      ended,
      Wire.failure(new McpClientError.ClosedError({ description: "the connection was closed" }))
    ).pipe(
      Effect.andThen(FiberSet.awaitEmpty(sending)),
      Effect.andThen(
        Effect.suspend(() =>
          session === undefined
            ? Effect.void
            : Effect.scoped(
                client.execute(HttpClientRequest.delete(url).pipe(HttpClientRequest.setHeaders(baseHeaders())))
              )
        )
      ),
      Effect.timeoutOption(closeMillis),
      Effect.ignore
    )
  )

  const transport: Wire.ServerTransport = {
    "~effect/ai/McpClient/Transport": "~effect/ai/McpClient/Transport",
    protocol,
    isCallable: () => true,
    notify: (message) =>
      message.method === "notifications/initialized"
        ? Effect.tap(notify(message), () => Effect.forkIn(listen(), scope))
        : notify(message),
    request: (message) =>
      Effect.scoped(exchange(message)).pipe(
        Effect.map((response) => {
          if (message.method !== "initialize") return response
          const chosen = Wire.negotiate(response, protocol)
          version = chosen.version
          return chosen.response
        })
      ),
    ended: Deferred.await(ended),
    stderr: () => ""
  }
  return transport
})

const lost = (description: string, cause?: unknown) =>
  Wire.failure(new McpClientError.TransportError({ description, cause }))

const unreadable = (description: string) => Wire.failure(new McpClientError.ProtocolError({ description }))

/** The error of a response whose status is none of success. */
const statusError = (
  response: HttpClientResponse.HttpClientResponse
): Effect.Effect<never, McpClientError.McpClientError> =>
  Effect.flatMap(Effect.option(Effect.flatMap(readBody(response), Wire.decode)), (body) => {
    const remote = body._tag === "Some" && "error" in body.value ? body.value.error : undefined
    return Effect.fail(
      Wire.failure(
        new McpClientError.HttpError({ status: response.status, code: remote?.code, description: remote?.message })
      )
    )
  })

const mediaType = ({ headers }: HttpClientResponse.HttpClientResponse): string | undefined =>
  headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase()

const bytesOf = (response: HttpClientResponse.HttpClientResponse) =>
  Stream.mapError(response.stream, (cause) => lost("the response broke off", cause))

const readBody = (response: HttpClientResponse.HttpClientResponse) =>
  bytesOf(response).pipe(
    Stream.limitBytes(Wire.limitBytes, () => Stream.fail(Wire.tooLarge())),
    Stream.decodeText(),
    Stream.mkString
  )

/** Calls `receive` with the message of each event, until it returns false or the stream ends. */
const readEvents = <R>(
  response: HttpClientResponse.HttpClientResponse,
  position: Position,
  receive: (message: McpSchema.JsonRpcMessage) => Effect.Effect<boolean, never, R>
): Effect.Effect<void, McpClientError.McpClientError, R> =>
  Effect.suspend(() => {
    let events: Array<string> = []
    const parser = Sse.makeParser(
      (event) => {
        if (event._tag === "Retry") position.retryMillis = Duration.toMillis(event.duration)
        else {
          position.lastEventId = event.id ?? position.lastEventId
          if (event.data !== "") events.push(event.data)
        }
      },
      { maxEventSize: Wire.limitBytes }
    )
    return bytesOf(response).pipe(
      Stream.decodeText(),
      Stream.mapEffect((text) => {
        const error = parser.feed(text)
        const batch = events
        events = []
        return Effect.gen(function* () {
          for (const data of batch) if (!(yield* receive(yield* Wire.decode(data)))) return false
          return error === undefined ? true : yield* Wire.tooLarge()
        })
      }),
      Stream.takeWhile((goesOn) => goesOn),
      Stream.runDrain
    )
  })
