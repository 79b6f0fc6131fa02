/**
 * A server that speaks the OpenAI Responses API over loopback and responds by a script: for tests of a model client, or
 * of a complete program, over real HTTP.
 *
 * It keeps a log of every request with its headers and body, and of how each stream ended, so that a test can wait for
 * a request to arrive, hold a stream open at a gate, and see that a connection was closed. Delays of a script are real
 * time, whatever the `Clock`. It needs Node, because it uses `node:http`. {@link ResponsesScript} describes the script.
 *
 * @see {@link ResponsesScript}
 */
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Script, ScriptTurn } from "./ResponsesScript.ts"
import { gateOf, handle, type ServerState } from "./internal/responses/responsesHandler.ts"
import { type LoggedRequest, ResponsesLog } from "./internal/responses/responsesLog.ts"
import * as Turns from "./internal/responses/responsesTurns.ts"

export type { LoggedRequest } from "./internal/responses/responsesLog.ts"

/** The server could not listen on the loopback address. */
export class ListenFailed extends Schema.TaggedError<ListenFailed>()("ListenFailed", { cause: Schema.Defect() }) {
  override get message() {
    return "the scripted server cannot listen on 127.0.0.1"
  }
}

/** A running server. */
export interface ResponsesServer {
  /** The address for clients, without a slash at the end: `http://127.0.0.1:PORT/v1`. */
  readonly baseUrl: string
  /** The requests to `/responses` so far, in order of arrival. The array is live; so is `end` of its members. */
  readonly requests: ReadonlyArray<LoggedRequest>
  /** All other requests so far: `/models`, `/responses/compact`, and paths that do not exist. */
  readonly others: ReadonlyArray<LoggedRequest>
  /** Replaces the script and starts with its first turn. Open streams, gates and the log stay as they are. */
  readonly load: (script: Script) => Effect.Effect<void>
  /** Opens a gate for the streams that wait at it and for those that reach it later. Opening it twice does nothing. */
  readonly openGate: (name: string) => Effect.Effect<void>
  /**
   * Waits until this many requests to `/responses` have arrived since the start. **Interruption** stops only the wait.
   */
  readonly awaitRequests: (count: number) => Effect.Effect<ReadonlyArray<LoggedRequest>>
  /**
   * Waits until the response to the n-th request to `/responses`, counted from 1, has ended, and returns its end; see
   * `LoggedRequest.end`. **Interruption** stops only the wait.
   */
  readonly awaitStreamEnd: (n: number) => Effect.Effect<string>
}

/**
 * Starts a server on a free port of 127.0.0.1. Closing the scope closes its connections and waits until the port is
 * free. **Interruption** while it starts closes it too. **Errors**: `ListenFailed` if it cannot listen.
 *
 * @example
 * ```ts
 * import * as ResponsesServer from "@spindle/testing/ResponsesServer"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const server = yield* ResponsesServer.make({ turns: [{ events: [{ text: "hello", chunks: 2 }] }] })
 *   const request = { method: "POST", body: JSON.stringify({ model: "m", input: "hi" }) }
 *   const response = yield* Effect.promise(() => fetch(`${server.baseUrl}/responses`, request))
 *   yield* Effect.promise(() => response.text())
 *   return [server.requests[0]?.body.input, yield* server.awaitStreamEnd(1)]
 * })
 * console.log(await Effect.runPromise(Effect.scoped(program)))
 * // prints: [ 'hi', 'completed' ]
 * ```
 */
export const make = (script: Script): Effect.Effect<ResponsesServer, ListenFailed, Scope.Scope> =>
  serve(script, Turns.make(script))

/**
 * Starts a server whose turns are computed: `answer` receives the parsed body of each request to `/responses`. If it
 * throws, the request is logged as a `script error` and its connection is destroyed. Otherwise the same as
 * {@link make}.
 */
export const fromFunction = (
  answer: (body: unknown) => ScriptTurn
): Effect.Effect<ResponsesServer, ListenFailed, Scope.Scope> => serve({}, { take: ({ body }) => answer(body) })

const serve = (script: Script, turns: Turns.Turns): Effect.Effect<ResponsesServer, ListenFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const log = new ResponsesLog()
    const state: ServerState = { script, turns, ids: 0, log, gates: new Map() }
    const server = createServer((request, response) => void handle(state, request, response))
    yield* Effect.acquireRelease(listen(server), () => close(server), { interruptible: true })
    return {
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
      requests: log.requests,
      others: log.others,
      load: (next) =>
        Effect.sync(() => {
          state.script = next
          state.turns = Turns.make(next)
        }),
      openGate: (name) => Effect.sync(() => gateOf(state, name).resolve()),
      awaitRequests: (count) => log.when(() => (log.requests.length >= count ? log.requests : undefined)),
      awaitStreamEnd: (n) => log.when(() => log.requests[n - 1]?.end)
    }
  })

const listen = (server: Server): Effect.Effect<void, ListenFailed> =>
  Effect.callback((resume) => {
    server.once("error", (cause) => resume(Effect.fail(new ListenFailed({ cause }))))
    server.listen(0, "127.0.0.1", () => resume(Effect.void))
    return close(server)
  })

const close = (server: Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
