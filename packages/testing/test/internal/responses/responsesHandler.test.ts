import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { serveHttp } from "../../../../core/test/fixtures/httpServers.ts"
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
        const address = yield* serveHttp((request, response) => {
          void handle(state, request, response).then(() => Deferred.doneUnsafe(handled, Effect.void))
        })
        const abort = new AbortController()
        const url = `${address}/v1/responses`
        yield* Effect.promise(() => fetch(url, { method: "POST", signal: abort.signal }))
        abort.abort()
        yield* Deferred.await(handled)
        assert.strictEqual(state.log.requests[0]!.end, "closed early")
      })
    )
  }
})
