import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { temporaryDirectory } from "../../../core/test/fixtures/directories.ts"
import { loadSettings } from "../fixtures/settings.ts"

describe("keys that would change model requests", () => {
  const base = "openai_base_url = 'http://x'\n"

  it.effect("stop the program by name, in the file, a profile and --config", () =>
    Effect.gen(function* () {
      const stopped = {
        "compact_prompt = 'x'": "compact_prompt",
        "experimental_compact_prompt_file = 'x'": "experimental_compact_prompt_file",
        "review_model = 'x'": "review_model",
        "tool_output_token_limit = 5": "tool_output_token_limit",
        "include_environment_context = false": "include_environment_context = false",
        "[tools]\nview_image = false": "tools.view_image = false",
        "[tools.web_search]\ncontext_size = 'low'": "tools.web_search as a table",
        "[skills]\ninclude_instructions = false": "skills.include_instructions = false",
        "[features]\ncode_mode = true": "features.code_mode = true",
        "[features]\nshell_tool = false": "features.shell_tool = false",
        "[features]\nview_image = false": "features.view_image = false",
        "forced_login_method = 'chatgpt'": 'forced_login_method = "chatgpt"',
        "model_provider = 'p'\n[model_providers.p]\nbase_url = 'http://x'\naws = { region = 'x' }":
          "model_providers.p.aws"
      }
      for (const [toml, key] of Object.entries(stopped)) {
        const message = yield* Effect.flip(loadSettings({ toml: base + toml }))
        assert.isTrue(
          message.startsWith(`the configuration has ${key}, which this program does not support: `),
          message
        )
      }
      const toml = `${base}profile = 'p'\n[profiles.p]\nreview_model = 'x'`
      assert.include(yield* Effect.flip(loadSettings({ toml })), "review_model")
      assert.include(yield* Effect.flip(loadSettings({ toml: base, config: [["review_model", "x"]] })), "review_model")
    })
  )

  it.effect("stop nothing if they are not in force, or ask for what is done anyway", () =>
    Effect.gen(function* () {
      const toml = [
        base,
        "include_environment_context = true",
        "forced_login_method = 'api'",
        "[tools]",
        "view_image = true",
        "[features]",
        "shell_tool = true",
        "code_mode = false",
        "goals = true",
        "[profiles.p]",
        "review_model = 'x'",
        "[model_providers.q]",
        "base_url = 'http://x'",
        "aws = { region = 'x' }"
      ]
      const { warnings } = yield* loadSettings({ toml: toml.join("\n") })
      assert.deepStrictEqual(warnings, [
        "these keys of the configuration have no effect: profiles.p.review_model, model_providers.q.aws",
        "unknown features: shell_tool, code_mode, goals (see spindle features list)"
      ])
    })
  )

  it.effect("stop the program if the API of the provider has no words for them", () =>
    Effect.gen(function* () {
      const at = (api: string) =>
        `model_provider = 'p'\nmodel_providers.p = { base_url = 'http://x', wire_api = '${api}' }\n`
      const refused = (api: string, key: string) =>
        Effect.map(Effect.result(loadSettings({ toml: `${at(api)}${key}` })), (result) => result._tag === "Failure")
      for (const [key, chat, anthropic] of [
        ["model_reasoning_summary = 'detailed'", true, true],
        ["web_search = 'live'", true, true],
        ["model_verbosity = 'low'", false, true],
        ["service_tier = 'flex'", false, true],
        ["model_reasoning_summary = 'auto'", false, false],
        ["web_search = 'disabled'", false, false],
        ["tools.web_search = true", true, true],
        ["features.web_search_cached = true", true, true],
        ["model_max_output_tokens = 5", false, false]
      ] as const) {
        assert.deepStrictEqual(
          [yield* refused("responses", key), yield* refused("chat", key), yield* refused("anthropic", key)],
          [false, chat, anthropic],
          key
        )
      }
      assert.strictEqual(
        yield* Effect.flip(loadSettings({ toml: `${at("anthropic")}service_tier = 'flex'` })),
        "the configuration has service_tier, which this program does not support: remove it; the API of the provider p has no such setting"
      )
    })
  )

  it.effect("are named in a warning if they are in the file of a role and nothing reads them", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      const file = join(home, "scout.toml")
      writeFileSync(file, "name = 'scout'\napproval_policy = 'never'\n[tui]\ntheme = 'x'\n")
      const role = `[agents.scout]\nconfig_file = '${file}'\n`
      const { warnings } = yield* loadSettings({ toml: `${base}[features]\nmulti_agent = true\n${role}` })
      assert.deepStrictEqual(warnings, [
        "these keys of the configuration have no effect: agents.scout.config_file: approval_policy, agents.scout.config_file: tui"
      ])
      assert.deepStrictEqual((yield* loadSettings({ toml: base + role })).warnings, [], "no agent can have the role")
    })
  )

  it.effect("are honoured: instructions, personality and the older form of web search", () =>
    Effect.gen(function* () {
      const { instructions, personality, warnings, webSearch } = yield* loadSettings({
        toml: `${base}instructions = 'Be odd.'\npersonality = 'friendly'\n[tools]\nweb_search = true`
      })
      assert.deepStrictEqual([instructions, personality, webSearch, warnings], ["Be odd.", "friendly", "live", []])
      const byFeature = (features: string) =>
        Effect.map(loadSettings({ toml: `${base}[features]\n${features}` }), ({ warnings, webSearch }) => [
          webSearch,
          warnings.length
        ])
      assert.deepStrictEqual(yield* byFeature("web_search_request = true"), ["live", 1])
      assert.deepStrictEqual(yield* byFeature("web_search_cached = true\nweb_search_request = true"), ["cached", 2])
      assert.deepStrictEqual(yield* byFeature("web_search_request = false"), [undefined, 1])
      const plain = yield* loadSettings({
        toml: `${base}personality = 'none'\nweb_search = 'cached'\n[tools]\nweb_search = true`
      })
      assert.deepStrictEqual([plain.personality, plain.webSearch], [undefined, "cached"])
      const wrong = yield* Effect.flip(loadSettings({ toml: `${base}personality = 'rude'` }))
      assert.include(wrong, "personality must be one of none, friendly, pragmatic")
    })
  )

  it.effect("are honoured: the files of instructions, before the text", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const file = (name: string) => {
        writeFileSync(join(directory, name), `content of ${name}`)
        return join(directory, name)
      }
      const older = `${base}instructions = 'text'\nexperimental_instructions_file = '${file("older")}'\n`
      assert.strictEqual((yield* loadSettings({ toml: older })).instructions, "content of older")
      const both = `${older}model_instructions_file = '${file("newer")}'\n`
      assert.deepStrictEqual(
        [(yield* loadSettings({ toml: both })).instructions, (yield* loadSettings({ toml: both })).warnings],
        ["content of newer", []]
      )
    })
  )
})
