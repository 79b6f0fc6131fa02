import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Harness from "./fixtures/harness.ts"
import * as HttpServer from "./fixtures/httpServer.ts"

describe("the tools of a server", () => {
  it.live("are called over HTTP, and the model reads the text", () =>
    Effect.gen(function* () {
      const server = yield* HttpServer.start()
      yield* Effect.gen(function* () {
        const harness = yield* Harness.session([["mcp__http__echo", { a: 1 }]])
        const end = yield* harness.run("go")
        assert.strictEqual(end._tag, "TurnCompleted")
        assert.deepStrictEqual(Harness.results(harness), [["completed", '{"a":1}']])
        assert.deepStrictEqual(Harness.offered(harness)[0], ["mcp__http__echo"])
      }).pipe(Harness.withTools([Harness.http(server.url)]))
    }).pipe(Effect.scoped)
  )

  it.live("are called over standard streams", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.session([["mcp__stdio__echo", { a: 1 }]])
      yield* harness.run("go")
      assert.deepStrictEqual(Harness.results(harness), [["completed", '{"a":1}']])
    }).pipe(Harness.withTools([Harness.stdio()]), Effect.scoped)
  )
})
