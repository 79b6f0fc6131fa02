import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { loadSettings } from "./fixtures/settings.ts"

/** Loads the servers of a configuration. */
const load = (toml: string, isStrict = true) =>
  Effect.map(loadSettings({ toml, env: { OPENAI_API_KEY: "k" }, isStrict }), ({ mcpServers }) => mcpServers)

describe("the settings of MCP servers", () => {
  it.effect("are those of the reference, for a command", () =>
    Effect.gen(function* () {
      const servers = yield* load(`[mcp_servers."a.b"]
command = "npx"
args = ["-y", "server"]
cwd = "/work"
env_vars = ["TOKEN"]
startup_timeout_sec = 2.5
tool_timeout_sec = 30
required = true
enabled_tools = ["one"]
disabled_tools = ["two"]
supports_parallel_tool_calls = true
[mcp_servers."a.b".env]
LEVEL = "1"
[mcp_servers.plain]
command = "plain"
[mcp_servers.off]
command = "off"
enabled = false
`)
      assert.deepStrictEqual(servers, [
        {
          _tag: "Stdio",
          name: "a.b",
          command: "npx",
          args: ["-y", "server"],
          cwd: "/work",
          inherit: ["TOKEN"],
          env: { LEVEL: "1" },
          startupSeconds: 2.5,
          callSeconds: 30,
          required: true,
          enabledTools: ["one"],
          disabledTools: ["two"],
          parallel: true
        },
        { _tag: "Stdio", name: "plain", command: "plain" }
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("are those of the reference, for an address, with the headers of the turn and the revision", () =>
    Effect.gen(function* () {
      const servers = yield* load(`[mcp_servers.docs]
url = "https://example.org/mcp"
bearer_token_env_var = "DOCS_TOKEN"
http_headers = { "x-team" = "a" }
env_http_headers = { "x-user" = "USER_ID" }
turn_headers = true
protocol_version = "2026-07-28"
oauth_client_id = "client"
oauth_client_secret_env_var = "DOCS_SECRET"
scopes = ["read"]
`)
      assert.deepStrictEqual(servers, [
        {
          _tag: "Http",
          name: "docs",
          url: "https://example.org/mcp",
          bearerTokenVariable: "DOCS_TOKEN",
          headers: { "x-team": "a" },
          headerVariables: { "x-user": "USER_ID" },
          turnHeaders: true,
          protocol: "2026-07-28",
          clientId: "client",
          clientSecretVariable: "DOCS_SECRET",
          scopes: ["read"]
        }
      ])
    }).pipe(Effect.scoped)
  )

  it.effect("that describe no server are refused, and so is a key that is not known", () =>
    Effect.gen(function* () {
      const neither = "HOME/config.toml: mcp_servers.a must be a table with either command or url"
      assert.strictEqual(yield* Effect.flip(load("[mcp_servers.a]\nargs = []\n")), neither)
      assert.strictEqual(yield* Effect.flip(load('[mcp_servers.a]\ncommand = "a"\nurl = "http://a"\n')), neither)
      assert.strictEqual(
        yield* Effect.flip(load('[mcp_servers.a]\nurl = "a"\n')),
        "HOME/config.toml:2:1: mcp_servers.a.url must be a URL that begins with http:// or https://"
      )
      for (const seconds of ["0", "-1", "inf", '"5"']) {
        assert.strictEqual(
          yield* Effect.flip(load(`[mcp_servers.a]\ncommand = "a"\ntool_timeout_sec = ${seconds}\n`)),
          "HOME/config.toml:3:1: mcp_servers.a.tool_timeout_sec must be a number of seconds, more than 0"
        )
      }
      assert.strictEqual(
        yield* Effect.flip(load('[mcp_servers.a]\ncommand = "a"\ncomand = "b"\n')),
        "these keys of the configuration have no effect: mcp_servers.a.comand"
      )
    }).pipe(Effect.scoped)
  )
})
