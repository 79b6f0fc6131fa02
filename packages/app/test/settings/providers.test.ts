import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { loadSettings } from "../fixtures/settings.ts"

const load = (toml: string, env: { readonly [name: string]: string } = {}) => loadSettings({ toml, env })

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

describe("what becomes a header", () => {
  const toml = 'model_provider = "p"\n[model_providers.p]\nbase_url = "http://x"\n'
  const lineBreak = "it has a line break"
  const foreign = "it has a character that no HTTP header can carry"

  it.effect("names the variable whose value no header can carry, and not the value", () =>
    Effect.gen(function* () {
      for (const [value, problem] of [
        ["sk-a\nb", lineBreak],
        ["sk-a\rb", lineBreak],
        ["sk-\u0000", foreign],
        ["\u201csk-a\u201d", foreign]
      ] as const) {
        const unusable = (name: string) => `the variable ${name} cannot be sent in a request: ${problem}`
        assert.strictEqual(yield* Effect.flip(load("", { OPENAI_API_KEY: value })), unusable("OPENAI_API_KEY"))
        assert.strictEqual(yield* Effect.flip(load(`${toml}env_key = "P"`, { P: value })), unusable("P"))
        const organization = `${toml}env_http_headers = { "OpenAI-Organization" = "ORG", "OpenAI-Project" = "PROJECT" }`
        assert.strictEqual(yield* Effect.flip(load(organization, { PROJECT: value })), unusable("PROJECT"))
      }
    })
  )

  it.effect("takes a key with white space around it", () =>
    Effect.gen(function* () {
      const { provider } = yield* load("", { OPENAI_API_KEY: " sk-a\n" })
      assert.strictEqual(provider._tag === "Scripted" ? undefined : Redacted.value(provider.key!), "sk-a")
    })
  )

  it.effect("names the place of a text in the file that no header can carry", () =>
    Effect.gen(function* () {
      const server = '[mcp_servers.m]\nurl = "http://x"\n'
      const at = "model_providers.p"
      const text = "must be one line of characters that an HTTP header can carry"
      const name = "must be the name of an HTTP header"
      for (const [config, message] of [
        [`${toml}experimental_bearer_token = "a\\nb"`, `:4:1: ${at}.experimental_bearer_token ${text}`],
        [`${toml}http_headers = { x = "a\\nb" }`, `:4:1: ${at}.http_headers.x ${text}`],
        [`${toml}http_headers = { "a b" = "c" }`, `:4:1: ${at}.http_headers.a b ${name}`],
        [`${toml}env_http_headers = { "a:b" = "C" }`, `:4:1: ${at}.env_http_headers.a:b ${name}`],
        [`${toml}${server}http_headers = { x = "\u2026" }`, `:6:1: mcp_servers.m.http_headers.x ${text}`],
        [`${toml}${server}env_http_headers = { "" = "C" }`, `:6:1: mcp_servers.m.env_http_headers. ${name}`],
        [
          `${toml}[otel]\ntrace_exporter = { otlp-http = { headers = { x = "a\\nb" } } }`,
          `:5:1: otel.trace_exporter.otlp-http.headers.x ${text}`
        ]
      ] as const) {
        const problem = yield* Effect.flip(load(config))
        assert.isTrue(problem.endsWith(`config.toml${message}`), problem)
      }
    })
  )
})
