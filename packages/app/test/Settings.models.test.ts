import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Catalog from "../src/settings/catalog.ts"
import type * as Settings from "../src/Settings.ts"
import { temporaryDirectory } from "../../core/test/fixtures/directories.ts"
import { loadSettings } from "./fixtures/settings.ts"

/** A provider that this program does not know. */
const own = 'model_provider = "own"\nmodel_providers.own = { base_url = "http://127.0.0.1:1/v1" }\n'

describe("what is known about a model", () => {
  const file = JSON.stringify({
    models: [
      {
        slug: "main",
        context_window: 200_000,
        auto_compact_token_limit: 150_000,
        supported_reasoning_levels: [{ effort: "low" }],
        supports_parallel_tool_calls: false,
        apply_patch_tool_type: "function",
        display_name: "Main"
      },
      { slug: "small", context_window: 8_000, auto_compact_token_limit: null }
    ]
  })
  const catalogOf = Effect.fnUntraced(function* (toml: string) {
    const home = yield* temporaryDirectory
    writeFileSync(join(home, "catalog.json"), file)
    return yield* loadSettings({
      toml: `model = "main"\nmodel_catalog_json = "${home}/catalog.json"\n${toml}${own}`
    })
  })
  const sizeOf = (catalog: Settings.Settings["catalog"], name: string) => {
    const { compactFromTokens, contextWindow } = catalog.models.get(name) ?? {}
    return { contextWindow, compactFromTokens }
  }

  it.effect("is that of the catalog", () =>
    Effect.gen(function* () {
      const { catalog } = yield* catalogOf("")
      assert.isTrue(catalog.isComplete)
      assert.deepStrictEqual(catalog.models.get("main"), {
        name: "main",
        contextWindow: 200_000,
        compactFromTokens: 150_000,
        efforts: ["low"],
        parallelToolCalls: false,
        toolFlavour: "function"
      })
      assert.deepStrictEqual(sizeOf(catalog, "small"), { contextWindow: 8_000, compactFromTokens: undefined })
    })
  )

  it.effect("is the configured size for the configured model", () =>
    Effect.gen(function* () {
      const { catalog } = yield* catalogOf("model_context_window = 100000\nmodel_auto_compact_token_limit = 60000\n")
      assert.deepStrictEqual(sizeOf(catalog, "main"), { contextWindow: 100_000, compactFromTokens: 60_000 })
      assert.deepStrictEqual(sizeOf(catalog, "small"), { contextWindow: 8_000, compactFromTokens: undefined })
    })
  )

  it.effect("is nothing without either, for a provider that this program does not know", () =>
    Effect.gen(function* () {
      const { catalog } = yield* loadSettings({ toml: `model = "m"\n${own}` })
      assert.deepStrictEqual([catalog.isComplete, catalog.models.size], [false, 0])
    })
  )

  it.effect("is what this program knows about the models of OpenAI, and only of OpenAI itself", () =>
    Effect.gen(function* () {
      const env = { OPENAI_API_KEY: "k" }
      const { catalog } = yield* loadSettings({ env, toml: "" })
      assert.strictEqual(sizeOf(catalog, "gpt-5").contextWindow, 272_000)
      assert.isTrue(catalog.isComplete)
      const elsewhere = yield* loadSettings({ env, toml: "openai_base_url = 'http://x'" })
      assert.deepStrictEqual([elsewhere.catalog.isComplete, elsewhere.catalog.models.size], [false, 0])
    })
  )

  it.effect("is that of its family for a snapshot", () =>
    Effect.gen(function* () {
      const { catalog, model, provider } = yield* loadSettings({
        toml: "model_provider = 'anthropic'",
        env: { ANTHROPIC_API_KEY: "k" }
      })
      assert.deepInclude(provider, { _tag: "Messages", id: "anthropic", baseUrl: "https://api.anthropic.com/v1" })
      assert.strictEqual(Catalog.find(catalog, model)?.contextWindow, 200_000)
      assert.strictEqual(Catalog.find(catalog, "claude-sonnet-4-5-20250929")?.contextWindow, 200_000)
      assert.isUndefined(Catalog.find(catalog, "claude-sonnet-9"))
    })
  )

  it.effect("says which reasoning efforts the model has", () =>
    Effect.gen(function* () {
      const effort = (name: string) =>
        Effect.map(catalogOf(`model_reasoning_effort = "${name}"\n`), (one) => one.warnings)
      assert.notInclude((yield* effort("low")).join(), "effort")
      assert.include(
        yield* effort("high"),
        'model_reasoning_effort is "high", but the model main has the reasoning efforts low'
      )
      const none = yield* loadSettings({
        toml: "model = 'gpt-4o'\nmodel_reasoning_effort = 'low'",
        env: { OPENAI_API_KEY: "k" }
      })
      assert.include(none.warnings, 'model_reasoning_effort is "low", but the model gpt-4o has no reasoning efforts')
    })
  )
})
