import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import type { Script } from "../../../src/ResponsesScript.ts"
import { handle, type ServerState } from "../../../src/internal/responses/responsesHandler.ts"
import { ResponsesLog } from "../../../src/internal/responses/responsesLog.ts"
import * as Turns from "../../../src/internal/responses/responsesTurns.ts"

const stateOf = (script: Script): ServerState => ({
  script,
  turns: Turns.make(script),
  ids: 0,
  log: new ResponsesLog(),
  gates: new Map()
})

describe("handle", () => {
  for (const event of [{ hang: true }, { endless: "x", every: 1 }, { gate: "never" }, { delay: "1 minute" }] as const) {
    it.live(`ends when the client goes away in ${JSON.stringify(event)}`, () =>
      Effect.gen(function* () {
        const state = stateOf({ turns: [{ events: [event] }] })
        const handled = yield* Deferred.make<void>()
        const server = yield* Effect.acquireRelease(
          Effect.callback<Server>((resume) => {
            const http = createServer((request, response) => {
              void handle(state, request, response).then(() => Deferred.doneUnsafe(handled, Effect.void))
            })
            http.listen(0, "127.0.0.1", () => resume(Effect.succeed(http)))
          }),
          (http) => Effect.sync(() => http.close())
        )
        const abort = new AbortController()
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/responses`
        yield* Effect.promise(() => fetch(url, { method: "POST", signal: abort.signal }))
        abort.abort()
        yield* Deferred.await(handled)
        assert.strictEqual(state.log.requests[0]!.end, "closed early")
      })
    )
  }
})
