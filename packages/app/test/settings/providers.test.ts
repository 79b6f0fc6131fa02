import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Settings from "../../src/Settings.ts"

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "spindle-providers-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

const load = Effect.fnUntraced(function* (toml: string, env: { readonly [name: string]: string } = {}) {
  const home = yield* scratch
  writeFileSync(join(home, "config.toml"), toml)
  const sources = { env: { SPINDLE_HOME: home, ...env }, homeDirectory: "/nowhere", config: [], flags: {} }
  return yield* Effect.mapError(Settings.load({ ...sources, command: "exec" }), ({ message }) => message)
})

describe("the key of a provider", () => {
  const toml = 'model_provider = "p"\n[model_providers.p]\nbase_url = "http://x"\n'

  it.effect("is that of OpenAI if the provider requires it", () =>
    Effect.gen(function* () {
      const required = `${toml}requires_openai_auth = true\n`
      const { provider, warnings } = yield* load(required, { OPENAI_API_KEY: "k" })
      assert.strictEqual(provider._tag === "Scripted" ? undefined : Redacted.value(provider.key!), "k")
      assert.deepStrictEqual(warnings, [])
      assert.match(yield* Effect.flip(load(required)), /set CODEX_API_KEY or OPENAI_API_KEY/)
    })
  )

  it.effect("can be had as env_key_instructions say", () =>
    Effect.gen(function* () {
      const message = yield* Effect.flip(load(`${toml}env_key = "P"\nenv_key_instructions = "see https://x/keys"\n`))
      assert.strictEqual(message, 'no key for model provider "p": set P, or run spindle login (see https://x/keys)')
    })
  )
})
