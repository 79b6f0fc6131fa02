/** MCP over streamable HTTP, revision 2025-11-25 and the ones before. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import type * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as McpClientError from "effect/ai/McpClientError"
import type * as McpSchema from "effect/ai/McpSchema"
import * as HttpClient from "effect/http/HttpClient"
import type { HttpClientResponse } from "effect/http/HttpClientResponse"
import * as TurnHeaders from "../TurnHeaders.ts"
import { CurrentCall } from "./currentCall.ts"
import * as HttpBody from "./httpBody.ts"
import { type Address, HttpLink } from "./httpLink.ts"
import { Pauses } from "./pauses.ts"
import * as Wire from "./wire.ts"

/** The options of the transport. */
export interface Options extends Wire.TransportOptions, Address {
  /** The schedule by which a stream of the server is opened again after it has ended. */
  readonly reconnects: Schedule.Schedule<unknown>
}

/** The time that the end of a connection waits for the messages that it still has to send. */
const closeMillis = 1_000
/** The longest pause that a server may set. */
const longestRetryMillis = 30_000

/** Connects to the server with its first request. Closing the scope ends the session at the server. */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { incoming, protocol, reconnects } = options
  const scope = yield* Scope.Scope
  const client = HttpClient.withScope(yield* HttpClient.HttpClient)
  const link = new HttpLink(options, client, protocol.protocolVersion)
  // messages that no fiber waits for; the end of the connection does
  const sending = yield* FiberSet.make<void>()
  const sendLater = (message: McpSchema.JsonRpcMessage) =>
    Effect.asVoid(FiberSet.run(sending, Effect.interruptible(Effect.ignore(link.notify(message)))))

  const receive = (
    message: McpSchema.JsonRpcMessage,
    call: CurrentCall | undefined
  ): Effect.Effect<void, never, Scope.Scope> => {
    if (Wire.isResponse(message)) return Effect.void
    if (!Wire.isRequest(message)) return incoming.onNotification(message, call)
    return Effect.asVoid(Effect.forkScoped(Effect.flatMap(incoming.onRequest(message, call), sendLater)))
  }

  const calls = new Map<McpSchema.RequestId, { readonly call: CurrentCall; readonly scope: Scope.Scope }>()
  /** Receives a request outside of any response. It names no call, so it gets the last open one, as over stdio. */
  const receiveAlone = (message: McpSchema.JsonRpcMessage) => {
    const last = Wire.isRequest(message) ? Array.from(calls.values()).at(-1) : undefined
    return last === undefined
      ? receive(message, undefined)
      : Effect.provideService(receive(message, last.call), Scope.Scope, last.scope)
  }

  const exchange = Effect.fnUntraced(function* (message: McpSchema.JsonRpcRequest) {
    const call = message.method === "tools/call" ? yield* CurrentCall : undefined
    if (call !== undefined) calls.set(message.id, { call, scope: yield* Scope.Scope })
    // the method decides, not the fiber: a cancellation is sent from the same one (contract M1)
    // mutant headers-of-the-call (M1: turns that share a client have no cell in common):
    //   replace: `yield* TurnHeaders.read(call.turn)` => `((link as any).cell ??= yield* TurnHeaders.read(call.turn))`
    const headers = call?.sendsHeaders === true ? yield* TurnHeaders.read(call.turn) : {}
    const lifetime = Scope.makeUnsafe()
    return yield* link.post(Wire.complete(message), headers).pipe(
      Scope.provide(lifetime),
      Effect.flatMap((response) =>
        readResponse(link, response, { id: message.id, receive: (one) => receive(one, call), reconnects })
      ),
      Effect.raceFirst(Effect.flatMap(Deferred.await(link.ended), Effect.fail)),
      Effect.onExit((exit) => closeUnread(lifetime, exit)),
      Effect.map(({ message }) => message),
      // in its own fiber: a server that does not respond must not block an abort (contract M2)
      Effect.onInterrupt(() =>
        message.method === "initialize" ? Effect.void : sendLater(Wire.cancelNotification(message.id))
      )
    )
  })

  const forget = ({ id }: McpSchema.JsonRpcRequest) => Effect.sync(() => void calls.delete(id))

  yield* Effect.addFinalizer(() =>
    Deferred.succeed(link.ended, Wire.failure(new McpClientError.ClosedError({}))).pipe(
      Effect.andThen(FiberSet.awaitEmpty(sending)),
      Effect.andThen(link.delete),
      Effect.timeoutOption(closeMillis),
      Effect.ignore
    )
  )

  const listening = listen(link, { receive: receiveAlone, reconnects })
  const transport: Wire.ServerTransport = {
    "~effect/ai/McpClient/Transport": "~effect/ai/McpClient/Transport",
    protocol,
    isCallable: () => true,
    notify: (message) =>
      message.method === "notifications/initialized"
        ? Effect.tap(link.notify(message), () => Effect.forkIn(listening, scope))
        : link.notify(message),
    request: (message) =>
      Effect.map(Effect.ensuring(Effect.scoped(exchange(message)), forget(message)), (response) => {
        if (message.method !== "initialize") return response
        const chosen = Wire.negotiate(response, protocol)
        link.version = chosen.version
        return chosen.response
      }),
    ended: Deferred.await(link.ended),
    isEnded: () => Deferred.isDoneUnsafe(link.ended),
    stderr: () => ""
  }
  return transport
})

/** A reader of the streams of the server. `receive` gets the messages that no request waits for. */
interface Reader extends Pick<Options, "reconnects"> {
  readonly receive: (message: McpSchema.JsonRpcMessage) => Effect.Effect<void, never, Scope.Scope>
}

/** A request that waits for its response. */
interface Waiting extends Reader {
  readonly id: McpSchema.RequestId
}

/**
 * Waits before a stream is opened again: for the pause that the server has set, else for the next one of the schedule.
 * Returns false once the schedule has ended.
 */
const pauseFor = Effect.fnUntraced(function* (pauses: Pauses<void>, { retryMillis }: HttpBody.Position) {
  const pause = yield* pauses.next()
  if (pause === undefined) return false
  yield* Effect.sleep(retryMillis === undefined ? pause : Math.min(retryMillis, longestRetryMillis))
  return true
})

/** The response to a request. */
interface Received {
  readonly message: McpSchema.JsonRpcResponse
  /** True if the body was read to its end. */
  readonly isWhole: boolean
}

/** Closes the scope of a response, which aborts its request, unless the body was read to its end. */
const closeUnread = (lifetime: Scope.Closeable, exit: Exit.Exit<Received, unknown>) =>
  Exit.isSuccess(exit) && exit.value.isWhole ? Effect.void : Scope.close(lifetime, exit)

/** Reads the response to a request. A stream that ends before it is continued after its last event. */
const readResponse = Effect.fnUntraced(function* (link: HttpLink, first: HttpClientResponse, waiting: Waiting) {
  const { id, receive, reconnects } = waiting
  if (HttpBody.isJson(first)) {
    const message = yield* HttpBody.readMessage(first)
    if (!Wire.isResponse(message)) return yield* unreadableError("the response to a request is not a JSON-RPC response")
    return { message, isWhole: true } satisfies Received as Received
  }
  const position: HttpBody.Position = { lastEventId: undefined, retryMillis: undefined }
  let found: McpSchema.JsonRpcResponse | undefined
  for (let response = first; ;) {
    if (!HttpBody.isEvents(response))
      return yield* unreadableError("the response to a request has another content type")
    yield* HttpBody.readEvents(response, position, (message) => {
      if (Wire.isResponse(message) && (message.id === id || message.id == null)) found = message
      return Effect.as(receive(message), found === undefined)
    })
    if (found !== undefined) return { message: found, isWhole: false } satisfies Received as Received
    const canContinue = position.lastEventId !== undefined && (yield* pauseFor(new Pauses(reconnects), position))
    if (!canContinue) return yield* Wire.lostError("it closed the response before its end")
    response = yield* Effect.flatMap(link.listen(position), HttpBody.checkStatus)
  }
})

const unreadableError = (description: string) => Wire.failure(new McpClientError.ProtocolError({ description }))

/** Listens to the messages that the server sends outside requests, for as long as the server allows it. */
const listen = Effect.fnUntraced(function* (link: HttpLink, { receive, reconnects }: Reader) {
  const position: HttpBody.Position = { lastEventId: undefined, retryMillis: undefined }
  const pauses = new Pauses<void>(reconnects)
  const once = Effect.flatMap(link.listen(position), (response) => {
    if (response.status !== 200 || !HttpBody.isEvents(response)) return Effect.succeed(false)
    pauses.reset()
    return Effect.as(
      HttpBody.readEvents(response, position, (message) => Effect.as(receive(message), true)),
      true
    )
  })
  // a connection that breaks is opened again; a server that refuses, or whose session has ended, is not asked again
  const isOffered = Effect.catch(Effect.scoped(once), ({ reason }) => Effect.succeed(reason._tag === "TransportError"))
  let isOpen = true
  while (isOpen) isOpen = (yield* isOffered) && (yield* pauseFor(pauses, position))
})
