import { assert, describe, it } from "@effect/vitest"
import { Sandbox, SandboxUnavailable } from "@spindle/tools/Sandbox"
import * as Effect from "effect/Effect"
import * as CodingAgent from "../src/CodingAgent.ts"

describe("isSandboxed", () => {
  const missing = new SandboxUnavailable({ reason: "NoProgram", detail: "it is missing", repair: "install it" })
  const without = Effect.provideService(Sandbox, { available: Effect.fail(missing), takeDenials: () => [] })

  it.effect("fails with what is missing, unless full access was chosen", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(without(CodingAgent.isSandboxed({ sandboxMode: "workspace-write" })))
      assert.strictEqual(error.message, "commands cannot be sandboxed: it is missing; to repair it: install it")
      assert.isFalse(yield* without(CodingAgent.isSandboxed({ sandboxMode: "danger-full-access" })))
    })
  )

  it.effect("is true where a sandbox is available", () =>
    Effect.gen(function* () {
      const within = Effect.provideService(Sandbox, { available: Effect.void, takeDenials: () => [] })
      assert.isTrue(yield* within(CodingAgent.isSandboxed({ sandboxMode: "read-only" })))
    })
  )
})
