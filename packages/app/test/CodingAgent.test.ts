import { assert, describe, it } from "@effect/vitest"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import { Sandbox, SandboxUnavailable } from "@spindle/tools/Sandbox"
import * as Effect from "effect/Effect"
import * as CodingAgent from "../src/CodingAgent.ts"
import type { Settings } from "../src/Settings.ts"

const settingsWith = (sandboxMode: string): Settings =>
  ({
    home: "/h",
    approvalPolicy: "on-request",
    sandboxMode,
    sandbox: {
      writableRoots: [],
      scratch: [],
      network: false,
      readOnlyNetwork: false,
      processes: undefined,
      protectedPaths: []
    }
  }) as unknown as Settings

describe("limitsIn", () => {
  const within = Effect.provideService(Sandbox, {
    available: Effect.void,
    isAvailable: () => true,
    takeDenials: () => []
  })
  const settings = settingsWith("workspace-write")
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

describe("the instructions of the agent", () => {
  it.effect("are those of the settings, then the personality, then what is added", () =>
    Effect.gen(function* () {
      const instructionsOf = (settings: object) =>
        CodingAgent.make({
          cwd: "/w",
          settings: {
            sandboxMode: "danger-full-access",
            mcpServers: [],
            agents: undefined,
            features: { isEnabled: () => false },
            ...settings
          } as unknown as Settings
        }).pipe(
          Effect.provideService(Sandbox, { available: Effect.void, isAvailable: () => true, takeDenials: () => [] }),
          Effect.map(({ instructions }) => instructions ?? "")
        )
      const own = { instructions: "Be odd.", addition: "And even." }
      assert.strictEqual(yield* instructionsOf(own), "Be odd.\n\nAnd even.")
      const [friendly, pragmatic] = [
        yield* instructionsOf({ ...own, personality: "friendly" }),
        yield* instructionsOf({ ...own, personality: "pragmatic" })
      ]
      assert.match(friendly, /^Be odd\.\n\nBe warm .+\n\nAnd even\.$/)
      assert.match(pragmatic, /^Be odd\.\n\nBe brief .+\n\nAnd even\.$/)
    })
  )
})

describe("prepareTurn", () => {
  it.effect("looks for a sandbox only for a turn that needs one; before that nothing is contained", () =>
    Effect.gen(function* () {
      let looked = 0
      const sandbox = {
        available: Effect.sync(() => void looked++),
        isAvailable: () => looked > 0,
        takeDenials: () => []
      }
      const settings = settingsWith("danger-full-access")
      yield* Effect.gen(function* () {
        const limits = yield* CodingAgent.limitsIn({ cwd: "/w", settings })
        const narrow = { sandbox: "read-only" }
        yield* CodingAgent.prepareTurn(settings)
        assert.strictEqual(looked, 0)
        assert.strictEqual(limits(narrow).approval.containment, "missing")
        yield* Effect.provideService(CodingAgent.prepareTurn(settings), CurrentTurnContext, () => narrow)
        assert.strictEqual(looked, 1)
        assert.strictEqual(limits(narrow).approval.containment, "sandbox")
        assert.strictEqual(limits({}).approval.containment, "full-access")
      }).pipe(Effect.provideService(Sandbox, sandbox))
    })
  )
})

describe("isSandboxed", () => {
  const missing = new SandboxUnavailable({ reason: "NoProgram", detail: "it is missing", repair: "install it" })
  const without = Effect.provideService(Sandbox, {
    available: Effect.fail(missing),
    isAvailable: () => false,
    takeDenials: () => []
  })

  it.effect("fails with what is missing, unless full access was chosen", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(without(CodingAgent.isSandboxed({ sandboxMode: "workspace-write" })))
      assert.strictEqual(error.message, "commands cannot be sandboxed: it is missing; to repair it: install it")
      assert.isFalse(yield* without(CodingAgent.isSandboxed({ sandboxMode: "danger-full-access" })))
    })
  )

  it.effect("is true where a sandbox is available", () =>
    Effect.gen(function* () {
      const within = Effect.provideService(Sandbox, {
        available: Effect.void,
        isAvailable: () => true,
        takeDenials: () => []
      })
      assert.isTrue(yield* within(CodingAgent.isSandboxed({ sandboxMode: "read-only" })))
    })
  )
})
