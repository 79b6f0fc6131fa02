// The server: `npx node examples/hosting/main.ts [directory] [port]` starts it.
import { createServer } from "node:http"
import { NodeHttpServer } from "@effect/platform-node"
import { JournalFile, Sessions } from "@spindle/core"
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { agent, CurrentUser, requirements } from "./agent.ts"
import { Api } from "./Api.ts"
import { authorization, handlers } from "./handlers.ts"

const routes = HttpApiBuilder.layer(Api, { openapiPath: "/openapi.json" }).pipe(
  Layer.provide(handlers),
  Layer.provide(authorization)
)

/**
 * Serves sessions until it is interrupted. Then it closes the sessions, which ends the streams of their events, and after
 * that the server, which has no open response left to wait for.
 */
export const serve = Effect.fnUntraced(function* (directory: string, port: number) {
  const scope = yield* Scope.make()
  const hosted = Sessions.layer(agent, { context: [CurrentUser], idleTimeToLive: "10 minutes" }).pipe(
    Layer.provide(Layer.merge(requirements, JournalFile.layer({ directory })))
  )
  const sessions = yield* Layer.build(hosted).pipe(Scope.provide(scope))
  const http = NodeHttpServer.layer(createServer, { port, gracefulShutdownTimeout: "5 seconds" })
  yield* Layer.build(HttpRouter.serve(routes).pipe(Layer.provideMerge(http))).pipe(Effect.provideContext(sessions))
  // the last finalizer runs first
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  return yield* Effect.never
})
