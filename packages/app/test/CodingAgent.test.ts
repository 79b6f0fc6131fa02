import { assert, describe, it } from "@effect/vitest"
import { Sandbox, SandboxUnavailable } from "@spindle/tools/Sandbox"
import * as Effect from "effect/Effect"
import * as CodingAgent from "../src/CodingAgent.ts"
import type { Settings } from "../src/Settings.ts"

describe("limitsIn", () => {
  const within = Effect.provideService(Sandbox, { available: Effect.void, takeDenials: () => [] })
  const settings = {
    home: "/h",
    approvalPolicy: "on-request",
    sandboxMode: "workspace-write",
    sandbox: {
      writableRoots: [],
      scratch: [],
      network: false,
      readOnlyNetwork: false,
      processes: undefined,
      protectedPaths: []
    }
  } as unknown as Settings
  const containedIn = (isBound: boolean, sandbox: string) =>
    Effect.map(within(CodingAgent.limitsIn({ cwd: "/w", settings, isBound })), (limits) => {
      const {
        approval,
        sandbox: { commands }
      } = limits({ sandbox })
      return [approval.containment, commands._tag]
    })

  it.effect("A4 follow the sandbox of the turn, and are never wider than those of an agent that is bound", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* containedIn(false, "read-only"), ["sandbox", "ReadOnly"])
      assert.deepStrictEqual(yield* containedIn(false, "danger-full-access"), ["full-access", "FullAccess"])
      assert.deepStrictEqual(yield* containedIn(true, "read-only"), ["sandbox", "ReadOnly"])
      assert.deepStrictEqual(yield* containedIn(true, "danger-full-access"), ["sandbox", "WorkspaceWrite"])
    })
  )
})

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
