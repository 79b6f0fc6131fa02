/** Listens at an address of this machine, to which the browser returns after a login. */
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import type { Arrival, Redirect } from "@spindle/mcp/Login"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/** This machine has no free address for the browser. */
export class LoopbackFailed extends Schema.TaggedError<LoopbackFailed>()("LoopbackFailed", { detail: Schema.String }) {
  override get message() {
    return `cannot listen for the browser on 127.0.0.1: ${this.detail}`
  }
}

/** The number of browsers that may wait at the same time. */
const limit = 16

/** Listens on a free port until the scope closes. */
export const listen: Effect.Effect<Redirect, LoopbackFailed, Scope.Scope> = Effect.gen(function* () {
  const arrivals = yield* Queue.dropping<Arrival>(limit)
  const server = Http.createServer((request, response) => {
    const reply = (status: number, sentence: string) =>
      // an open connection would keep the port open
      response
        .writeHead(status, { "content-type": "text/plain; charset=utf-8", connection: "close" })
        .end(`${sentence}\n`)
    const { pathname } = new URL(request.url ?? "/", "http://127.0.0.1")
    if (request.method !== "GET" || pathname !== "/callback") return void reply(404, "There is nothing here.")
    const respond = (sentence: string) =>
      Effect.callback<void>((resume) => {
        // the program may exit right after
        response.once("close", () => resume(Effect.void))
        reply(200, sentence)
      })
    const arrival = { url: `http://127.0.0.1${request.url}`, respond }
    if (!Queue.offerUnsafe(arrivals, arrival)) reply(503, "Too many browsers are waiting.")
  })
  const port = yield* Effect.acquireRelease(open(server), () => close(server))
  return { uri: `http://127.0.0.1:${port}/callback`, next: Queue.take(arrivals) }
})

const open = (server: Http.Server): Effect.Effect<number, LoopbackFailed> =>
  Effect.callback((resume) => {
    server.once("error", ({ message }) => resume(Effect.fail(new LoopbackFailed({ detail: message }))))
    server.listen({ host: "127.0.0.1", port: 0 }, () => resume(Effect.succeed((server.address() as AddressInfo).port)))
  })

const close = (server: Http.Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
