import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { loadSettings } from "./fixtures/settings.ts"

/** Loads a configuration with agents on; `files` are in the same directory. */
const load = (toml: string, files: { readonly [name: string]: string } = {}) =>
  Effect.map(
    loadSettings({
      toml: `model = "main"\n[features]\nmulti_agent = true\n${toml}`,
      files,
      env: { OPENAI_API_KEY: "k" }
    }),
    ({ agents }) => agents!
  )

const usual = ["minimal", "low", "medium", "high", "xhigh"]
const plain = {
  instructions: undefined,
  addition: undefined,
  model: undefined,
  reasoningEffort: undefined,
  nicknames: undefined,
  sandboxMode: undefined
}

describe("the settings of agents", () => {
  it.effect("have the limits of the reference by default, and no role", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* load(""), {
        threads: 6,
        depth: 1,
        runtimeSeconds: 1_800,
        roles: [],
        models: [{ name: "main", efforts: usual }]
      })
    })
  )

  it.effect("take limits and roles from the table agents; a setting that is not known is no role", () =>
    Effect.gen(function* () {
      const agents = yield* load(
        `[agents]
max_threads = 2
max_depth = 0
job_max_runtime_seconds = 60
interrupt_message = true
[agents.reviewer]
description = "Reviews."
model = "small"
model_reasoning_effort = "low"
instructions_file = "review.md"
nickname_candidates = ["Rex", "Roy"]
sandbox_mode = "read-only"
[agents."a.b"]
`,
        { "review.md": "You review." }
      )
      assert.deepStrictEqual(agents, {
        threads: 2,
        depth: 0,
        runtimeSeconds: 60,
        roles: [
          {
            name: "reviewer",
            description: "Reviews.",
            instructions: "You review.",
            addition: undefined,
            model: "small",
            reasoningEffort: "low",
            nicknames: ["Rex", "Roy"],
            sandboxMode: "read-only"
          },
          { ...plain, name: "a.b", description: "a.b" }
        ],
        models: [
          { name: "main", efforts: usual },
          { name: "small", efforts: usual }
        ]
      })
    })
  )

  it.effect("look a key of a role up in its own table, then in its config_file", () =>
    Effect.gen(function* () {
      const agents = yield* load(
        '[agents.scout]\ndescription = "Looks."\nmodel = "small"\nconfig_file = "scout.toml"\n',
        {
          "scout.toml":
            'model = "large"\nmodel_reasoning_effort = "high"\ndeveloper_instructions = "Only look."\nsandbox_mode = "workspace-write"\nmodel_instructions_file = "scout.md"\n',
          "scout.md": "You scout."
        }
      )
      assert.deepStrictEqual(agents.roles, [
        {
          ...plain,
          name: "scout",
          description: "Looks.",
          instructions: "You scout.",
          addition: "Only look.",
          model: "small",
          reasoningEffort: "high",
          sandboxMode: "workspace-write"
        }
      ])
      const odd = yield* load('[agents.scout]\nconfig_file = "scout.toml"\n', {
        "scout.toml": 'name = "scout"\ninstructions = "Be odd."\n'
      })
      assert.strictEqual(odd.roles[0]?.instructions, "Be odd.")
      const wrong = yield* Effect.flip(load('[agents.scout]\nsandbox_mode = "none"\n'))
      assert.include(wrong, "agents.scout.sandbox_mode must be one of read-only")
    })
  )

  it.effect("stop the program at a key of a role that would need another request than the session makes", () =>
    Effect.gen(function* () {
      const inFile = { "scout.toml": "model_verbosity = 'low'\n[features]\nmulti_agent = true\n" }
      const named = "[agents.scout]\nconfig_file = 'scout.toml'\n"
      const advice = "which this program does not support: remove it; agents share it with their session"
      assert.strictEqual(
        yield* Effect.flip(load(named, inFile)),
        `the configuration has agents.scout: model_verbosity, ${advice}`
      )
      for (const [key, value] of [
        ["model_provider", "'other'"],
        ["web_search", "'live'"],
        ["mcp_servers", "{ files = { command = 'x' } }"],
        ["compact_prompt", "'x'"],
        ["include_environment_context", "false"]
      ]) {
        const inTable = yield* Effect.flip(load(`[agents.scout]\n${key} = ${value}\n`))
        assert.strictEqual(inTable, `the configuration has agents.scout: ${key}, ${advice}`)
        const message = yield* Effect.flip(load(named, { "scout.toml": `${key} = ${value}\n` }))
        assert.strictEqual(message, inTable)
      }
      const same = yield* load(named, { "scout.toml": "[features]\nmulti_agent = true\n" })
      assert.lengthOf(same.roles, 1)
    })
  )

  it.effect("take models and their efforts from the catalog", () =>
    Effect.gen(function* () {
      const catalog = {
        models: [
          { slug: "main", supported_reasoning_levels: [{ effort: "low", description: "quick" }] },
          { slug: "other", display_name: "Other" }
        ]
      }
      const config = 'model = "main"\nmodel_catalog_json = "catalog.json"\n[features]\nmulti_agent = true\n'
      const { models } = yield* load("", { "config.toml": config, "catalog.json": JSON.stringify(catalog) })
      assert.deepStrictEqual(models, [
        { name: "main", efforts: ["low"] },
        { name: "other", efforts: usual }
      ])
    })
  )

  const wrong: ReadonlyArray<readonly [toml: string, files: { readonly [name: string]: string }, message: RegExp]> = [
    ["[agents]\na.description = 3", {}, /^HOME\/config\.toml:5:1: agents\.a\.description must be a text$/],
    [
      "[agents]\nmax_threads = -1",
      {},
      /^HOME\/config\.toml:5:1: agents\.max_threads must be a whole number, at least 0$/
    ],
    [
      "[agents]\n\n  max_depth = 'x'",
      {},
      /^HOME\/config\.toml:6:3: agents\.max_depth must be a whole number, at least 0$/
    ],
    ["[agents.a]\ndescription = [\n1,\n2]", {}, /^HOME\/config\.toml:5:1: agents\.a\.description must be a text$/],
    [
      "[agents.a]\nnickname_candidates = [1]",
      {},
      /^HOME\/config\.toml:5:1: agents\.a\.nickname_candidates must be a list of texts$/
    ],
    [
      "[agents.a]\ninstructions_file = 'no.md'",
      {},
      /^cannot read the configuration HOME\/no\.md: agents\.a\.instructions_file does not exist$/
    ],
    ["[agents.a]\nconfig_file = 'a.toml'", { "a.toml": "\nmodel = 1" }, /^HOME\/a\.toml:2:1: model must be a text$/],
    [
      "[agents.a]\nconfig_file = 'a.toml'",
      { "a.toml": "model = = 1" },
      /^cannot read the configuration HOME\/a\.toml:1:\d+: .+$/
    ]
  ]
  for (const [toml, files, message] of wrong) {
    it.effect(`say what is wrong, and where: ${toml.replaceAll("\n", " ")}`, () =>
      Effect.gen(function* () {
        assert.match(yield* Effect.flip(load(toml, files)), message)
      })
    )
  }

  it.effect("say what is wrong in a catalog", () =>
    Effect.gen(function* () {
      const config = 'model_catalog_json = "catalog.json"\n[features]\nmulti_agent = true\n'
      for (const text of ["{", '{ "models": [{ "slug": 1 }] }']) {
        const message = yield* Effect.flip(load("", { "config.toml": config, "catalog.json": text }))
        assert.match(message, /^cannot read the configuration HOME\/catalog\.json: .+/)
        assert.notInclude(message, "\n")
      }
    })
  )
})
