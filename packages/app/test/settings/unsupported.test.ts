import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Settings from "../../src/Settings.ts"

const scratch = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "spindle-unsupported-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true }))
)

interface Options {
  readonly toml: string
  readonly config?: ReadonlyArray<readonly [string, string]>
}

const load = Effect.fnUntraced(function* ({ config = [], toml }: Options) {
  const home = yield* scratch
  writeFileSync(join(home, "config.toml"), toml)
  const sources = { env: { SPINDLE_HOME: home }, homeDirectory: "/nowhere", config, flags: {} }
  return yield* Effect.mapError(Settings.load({ ...sources, command: "exec" }), ({ message }) => message)
})

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
        "forced_login_method = 'chatgpt'": 'forced_login_method = "chatgpt"',
        "model_provider = 'p'\n[model_providers.p]\nbase_url = 'http://x'\naws = { region = 'x' }":
          "model_providers.p.aws"
      }
      for (const [toml, key] of Object.entries(stopped)) {
        const message = yield* Effect.flip(load({ toml: base + toml }))
        assert.isTrue(
          message.startsWith(`the configuration has ${key}, which this program does not support: `),
          message
        )
      }
      const toml = `${base}profile = 'p'\n[profiles.p]\nreview_model = 'x'`
      assert.include(yield* Effect.flip(load({ toml })), "review_model")
      assert.include(yield* Effect.flip(load({ toml: base, config: [["review_model", "x"]] })), "review_model")
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
        "[profiles.p]",
        "review_model = 'x'",
        "[model_providers.q]",
        "base_url = 'http://x'",
        "aws = { region = 'x' }"
      ]
      const { warnings } = yield* load({ toml: toml.join("\n") })
      assert.deepStrictEqual(warnings, [
        "these keys of the configuration have no effect: profiles.p.review_model, model_providers.q.aws"
      ])
    })
  )

  it.effect("are honoured: instructions, personality and the older form of web search", () =>
    Effect.gen(function* () {
      const { instructions, personality, warnings, webSearch } = yield* load({
        toml: `${base}instructions = 'Be odd.'\npersonality = 'friendly'\n[tools]\nweb_search = true`
      })
      assert.deepStrictEqual([instructions, personality, webSearch, warnings], ["Be odd.", "friendly", "live", []])
      const plain = yield* load({
        toml: `${base}personality = 'none'\nweb_search = 'cached'\n[tools]\nweb_search = true`
      })
      assert.deepStrictEqual([plain.personality, plain.webSearch], [undefined, "cached"])
      const wrong = yield* Effect.flip(load({ toml: `${base}personality = 'rude'` }))
      assert.include(wrong, "personality must be one of none, friendly, pragmatic")
    })
  )

  it.effect("are honoured: the files of instructions, before the text", () =>
    Effect.gen(function* () {
      const directory = yield* scratch
      const file = (name: string) => {
        writeFileSync(join(directory, name), `content of ${name}`)
        return join(directory, name)
      }
      const older = `${base}instructions = 'text'\nexperimental_instructions_file = '${file("older")}'\n`
      assert.strictEqual((yield* load({ toml: older })).instructions, "content of older")
      const both = `${older}model_instructions_file = '${file("newer")}'\n`
      assert.deepStrictEqual(
        [(yield* load({ toml: both })).instructions, (yield* load({ toml: both })).warnings],
        ["content of newer", []]
      )
    })
  )
})
