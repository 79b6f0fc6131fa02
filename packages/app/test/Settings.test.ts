import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Accounts from "../src/Accounts.ts"
import * as Settings from "../src/Settings.ts"
import { networkIn, policiesOf } from "../src/settings/sandbox.ts"
import { temporaryDirectory } from "../../core/test/fixtures/directories.ts"
import { loadSettings } from "./fixtures/settings.ts"

const server = (provider: Settings.Provider): Settings.ServerProvider => {
  if (provider._tag === "Scripted") throw new Error("scripted")
  return provider
}

const mock = `
model = "mock-model"
model_provider = "mock"
approval_policy = "never"
sandbox_mode = "danger-full-access"
web_search = "disabled"
[analytics]
enabled = false
[model_providers.mock]
name = "Mock"
base_url = "http://127.0.0.1:1/v1"
wire_api = "responses"
requires_openai_auth = false
env_key = "MOCK_KEY"
http_headers = { X-One = "1" }
env_http_headers = { X-Two = "TWO", X-Three = "THREE" }
query_params = { version = "2" }
request_max_retries = 2
stream_max_retries = 0
stream_idle_timeout_ms = 1000
[projects."/w"]
trust_level = "trusted"
`

describe("load", () => {
  it.effect("reads the reference's keys and ignores those it does not know", () =>
    Effect.gen(function* () {
      const settings = yield* loadSettings({ toml: mock, env: { MOCK_KEY: "secret", TWO: "2" } })
      const provider = server(settings.provider)
      assert.deepStrictEqual(
        [settings.model, settings.approvalPolicy, settings.sandboxMode],
        ["mock-model", "never", "danger-full-access"]
      )
      assert.strictEqual(Redacted.value(provider.key!), "secret")
      assert.notInclude(JSON.stringify(settings), "secret")
      assert.deepStrictEqual(
        provider.headers.map(([name, value]) => [name, Redacted.value(value)]),
        [
          ["X-One", "1"],
          ["X-Two", "2"]
        ]
      )
      assert.deepStrictEqual(provider.query, [["version", "2"]])
      assert.deepStrictEqual([provider.id, provider.name, provider.baseUrl], ["mock", "Mock", "http://127.0.0.1:1/v1"])
      assert.deepStrictEqual(
        [provider.requestRetries, provider.streamRetries, provider.idleTimeoutMillis],
        [2, 0, 1000]
      )
    })
  )

  it.effect("prefers flags to --config, and --config to the file", () =>
    Effect.gen(function* () {
      const settings = yield* loadSettings({
        toml: mock,
        env: { MOCK_KEY: "k" },
        config: [
          ["model", "from-config"],
          ["sandbox_mode", '"read-only"'],
          ["model_providers.mock.request_max_retries", "7"],
          ["model_providers.mock.http_headers.X-One", "uno"],
          ["model_reasoning_effort", "low"],
          ["sandbox_workspace_write.network_access", "true"]
        ],
        flags: { model: "from-flag" }
      })
      const provider = server(settings.provider)
      assert.deepStrictEqual(
        [settings.model, settings.sandboxMode, settings.reasoningEffort],
        ["from-flag", "read-only", "low"]
      )
      assert.strictEqual(provider.requestRetries, 7)
      assert.strictEqual(Redacted.value(provider.headers[0]![1]), "uno")
      assert.strictEqual(provider.streamRetries, 0)
    })
  )

  it.effect("takes the home from SPINDLE_HOME, else ~/.spindle, and never from CODEX_HOME", () =>
    Effect.sync(() => {
      const at = (env: { [name: string]: string }) => Settings.home({ env, homeDirectory: "/h" })
      assert.strictEqual(at({ SPINDLE_HOME: "/s", CODEX_HOME: "/c" }), "/s")
      assert.strictEqual(at({ SPINDLE_HOME: "", CODEX_HOME: "/c" }), "/h/.spindle")
      assert.strictEqual(at({}), "/h/.spindle")
    })
  )

  it.effect("uses OpenAI with a key, with CODEX_API_KEY first, and any base URL without one", () =>
    Effect.gen(function* () {
      const keyed = server((yield* loadSettings({ env: { OPENAI_API_KEY: "a", CODEX_API_KEY: "b" } })).provider)
      assert.strictEqual(keyed.baseUrl, "https://api.openai.com/v1")
      assert.strictEqual(Redacted.value(keyed.key!), "b")
      const local = server((yield* loadSettings({ config: [["openai_base_url", '"http://127.0.0.1:9/v1"']] })).provider)
      assert.strictEqual(local.baseUrl, "http://127.0.0.1:9/v1")
      assert.strictEqual(local.key, undefined)
    })
  )

  it.effect("falls back to the script for demo, and says what to set for exec", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* loadSettings({ command: "demo" })).provider, { _tag: "Scripted" })
      const keyed = yield* loadSettings({ command: "demo", env: { OPENAI_API_KEY: "a" } })
      assert.strictEqual(keyed.provider._tag, "Responses")
      assert.deepStrictEqual((yield* loadSettings({ config: [["model_provider", "scripted"]] })).provider, {
        _tag: "Scripted"
      })
      assert.strictEqual(
        yield* Effect.flip(loadSettings({})),
        "No model is configured. Set OPENAI_API_KEY, run spindle login, or set model_provider in HOME/config.toml. To try it without one: spindle demo"
      )
    })
  )

  it.effect("says file, line and column of a file that is not TOML", () =>
    Effect.gen(function* () {
      const message = yield* Effect.flip(loadSettings({ toml: 'model = "a"\nbroken = = 1\n' }))
      assert.match(message, /^cannot read the configuration HOME\/config\.toml:2:\d+: .+$/)
      const unclosed = (toml: string) => Effect.flip(loadSettings({ toml }))
      const place = "cannot read the configuration HOME/config.toml"
      assert.strictEqual(yield* unclosed('model = "x\n'), `${place}:1:9: the string is not closed`)
      assert.strictEqual(yield* unclosed('a = "b" # "c\nmodel = \'x'), `${place}:2:9: the string is not closed`)
      assert.notInclude(yield* unclosed('a = "\\q"'), "not closed")
      assert.notInclude(message, "\n")
    })
  )

  it.effect("says why a file cannot be read", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      mkdirSync(join(home, "config.toml"))
      const message = yield* Effect.flip(loadSettings({ env: { SPINDLE_HOME: home } }))
      assert.strictEqual(message, `cannot read the configuration ${home}/config.toml: it is a directory`)
    })
  )

  it.effect("says file, line, column, key and what was expected of a value of a wrong type", () =>
    Effect.gen(function* () {
      const wrong = (toml: string) => Effect.flip(loadSettings({ toml, env: { OPENAI_API_KEY: "k" } }))
      assert.strictEqual(yield* wrong("model = 3"), "HOME/config.toml:1:1: model must be a text")
      assert.strictEqual(
        yield* wrong('sandbox_mode = "none"'),
        "HOME/config.toml:1:1: sandbox_mode must be one of read-only, workspace-write, danger-full-access"
      )
      assert.strictEqual(
        yield* wrong('model_provider = "a"\nmodel_providers = 1'),
        "HOME/config.toml:2:1: model_providers must be a table"
      )
      assert.strictEqual(
        yield* wrong('model_provider = "a"\n[model_providers.a]\nbase_url = "http://x"\n  request_max_retries = -1'),
        "HOME/config.toml:4:3: model_providers.a.request_max_retries must be a whole number, at least 0"
      )
      assert.strictEqual(
        yield* wrong('model_provider = "a"\n[model_providers.a]\nbase_url = "http://x"\nhttp_headers = { X = 1 }'),
        "HOME/config.toml:4:1: model_providers.a.http_headers.X must be one line of characters that an HTTP header can carry"
      )
      for (const url of ["localhost:8080/v1", "not a url", "file:///x", ""]) {
        assert.strictEqual(
          yield* wrong(`model_provider = "a"\n[model_providers.a]\nbase_url = "${url}"`),
          "HOME/config.toml:3:1: model_providers.a.base_url must be a URL that begins with http:// or https://"
        )
      }
      assert.strictEqual(
        yield* wrong('openai_base_url = "api.example.com"'),
        "HOME/config.toml:1:1: openai_base_url must be a URL that begins with http:// or https://"
      )
      assert.strictEqual(
        yield* Effect.flip(loadSettings({ config: [["approval_policy", "maybe"]], env: { OPENAI_API_KEY: "k" } })),
        "--config: approval_policy must be one of untrusted, on-failure, on-request, never"
      )
    })
  )

  it.effect("refuses an unknown provider, a missing key, a missing base URL and another wire api", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* Effect.flip(loadSettings({ toml: mock, config: [["model_provider", "mok"]] })),
        'unknown model provider "mok"; known providers: openai, anthropic, scripted, mock'
      )
      assert.strictEqual(
        yield* Effect.flip(loadSettings({ toml: mock })),
        'no key for model provider "mock": set MOCK_KEY, or run spindle login'
      )
      assert.strictEqual(
        yield* Effect.flip(loadSettings({ config: [["model_provider", "openai"]] })),
        'no key for model provider "openai": set CODEX_API_KEY or OPENAI_API_KEY, or run spindle login'
      )
      assert.include(
        yield* Effect.flip(loadSettings({ toml: 'model_provider = "a"\n[model_providers.a]\nname = "A"' })),
        'model provider "a" has no base_url'
      )
      assert.include(
        yield* Effect.flip(loadSettings({ toml: mock, config: [["model_providers.mock.wire_api", "grpc"]] })),
        'wire_api "grpc" is not supported, only "responses", "chat" and "anthropic" are'
      )
    })
  )

  it.effect("takes a server by its wire api, without a key", () =>
    Effect.gen(function* () {
      const tagWith = (line: string) =>
        Effect.map(
          loadSettings({
            toml: `model_provider = "a"\n[model_providers.a]\nbase_url = "http://x"\n${line}`,
            isStrict: true
          }),
          ({ provider }) => [provider._tag, server(provider).key]
        )
      assert.deepStrictEqual(yield* tagWith('wire_api = "chat"'), ["ChatCompletions", undefined])
      assert.deepStrictEqual(yield* tagWith('wire_api = "responses"'), ["Responses", undefined])
      assert.deepStrictEqual(yield* tagWith(""), ["Responses", undefined])
    })
  )

  it.effect("sets the limits of the built-in provider", () =>
    Effect.gen(function* () {
      const toml = "[model_providers.openai]\nrequest_max_retries = 1"
      const tuned = server((yield* loadSettings({ toml, env: { OPENAI_API_KEY: "k" } })).provider)
      assert.deepStrictEqual([tuned.baseUrl, tuned.requestRetries], ["https://api.openai.com/v1", 1])
      const own = server(
        (yield* loadSettings({ toml: `${toml}\nbase_url = "http://x"`, env: { OPENAI_API_KEY: "k" } })).provider
      )
      assert.deepStrictEqual([own.baseUrl, own.requestRetries], ["http://x", 1])
    })
  )

  it.effect("finds a provider whose name has dots", () =>
    Effect.gen(function* () {
      const provider = server(
        (yield* loadSettings({ toml: 'model_provider = "a.b"\n[model_providers."a.b"]\nbase_url = "http://x"' }))
          .provider
      )
      assert.strictEqual(provider.baseUrl, "http://x")
    })
  )

  it.effect("says which files of a project are instructions", () =>
    Effect.gen(function* () {
      const projectDoc = (toml: string) =>
        Effect.map(
          loadSettings({ toml, env: { OPENAI_API_KEY: "key" }, isStrict: true }),
          (settings) => settings.projectDoc
        )
      assert.deepStrictEqual(yield* projectDoc(""), { maxBytes: 32_768, fallbackNames: [], rootMarkers: [".git"] })
      assert.deepStrictEqual(
        yield* projectDoc(
          'project_doc_max_bytes = 0\nproject_doc_fallback_filenames = ["TEAM.md"]\nproject_root_markers = [".hg"]\n'
        ),
        { maxBytes: 0, fallbackNames: ["TEAM.md"], rootMarkers: [".hg"] }
      )
    })
  )

  it.effect("reads the instructions file, relative to the home", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      writeFileSync(join(home, "me.md"), "be brief")
      const env = { SPINDLE_HOME: home, OPENAI_API_KEY: "k" }
      const settings = yield* loadSettings({ env, config: [["model_instructions_file", "me.md"]] })
      assert.strictEqual(settings.instructions, "be brief")
      const message = yield* Effect.flip(loadSettings({ env, config: [["model_instructions_file", "you.md"]] }))
      assert.include(message, "you.md: model_instructions_file does not exist")
    })
  )
})

describe("permissionsOf", () => {
  type Row = readonly [
    approvalPolicy: Settings.Settings["approvalPolicy"],
    sandboxMode: Settings.Settings["sandboxMode"],
    isSandboxed: boolean,
    commands: string,
    patches: string
  ]
  const rows: ReadonlyArray<Row> = [
    ["on-request", "read-only", true, "allow", "ask"],
    ["on-request", "workspace-write", true, "allow", "allow"],
    ["on-failure", "read-only", true, "allow", "ask"],
    ["never", "read-only", true, "allow", "deny"],
    ["never", "workspace-write", true, "allow", "allow"],
    ["untrusted", "workspace-write", true, "ask", "ask"],
    ["on-request", "workspace-write", false, "ask", "ask"],
    ["on-failure", "read-only", false, "ask", "ask"],
    ["never", "workspace-write", false, "deny", "deny"],
    ["never", "danger-full-access", false, "allow", "allow"],
    ["on-request", "danger-full-access", false, "allow", "allow"],
    ["untrusted", "danger-full-access", false, "ask", "ask"]
  ]
  for (const [approvalPolicy, sandboxMode, isSandboxed, commands, patches] of rows) {
    it(`${approvalPolicy} and ${sandboxMode} ${isSandboxed ? "in" : "without"} a sandbox: commands ${commands}, patches ${patches}`, () =>
      assert.deepStrictEqual(Settings.permissionsOf({ approvalPolicy, sandboxMode }, isSandboxed), {
        commands,
        patches
      }))
  }
})

describe("sandbox_workspace_write", () => {
  it.effect("names what commands may write in addition to the working directory", () =>
    Effect.gen(function* () {
      const { sandbox } = yield* loadSettings({
        toml: '[sandbox_workspace_write]\nwritable_roots = ["/x", "y"]\nnetwork_access = true\nexclude_slash_tmp = true',
        env: { OPENAI_API_KEY: "k", TMPDIR: "/var/scratch" },
        flags: { addedDirectories: ["/added"] }
      })
      assert.deepStrictEqual([sandbox.network, sandbox.scratch], [true, ["/var/scratch"]])
      assert.deepStrictEqual(
        sandbox.writableRoots.map((path) => basename(path)),
        ["x", "y", "added"]
      )
      const policies = policiesOf("workspace-write", sandbox, "/nowhere/w")
      assert.deepStrictEqual(policies.commands, policies.patches)
      assert.deepStrictEqual(policiesOf("danger-full-access", sandbox, "/nowhere/w").commands, { _tag: "FullAccess" })
      assert.deepStrictEqual(policiesOf("read-only", sandbox, "/nowhere/w").commands, {
        _tag: "ReadOnly",
        network: false,
        processes: 4_096
      })
      if (policies.commands._tag !== "WorkspaceWrite") throw new Error(policies.commands._tag)
      assert.deepStrictEqual(policies.commands.roots.slice(0, 2), ["/nowhere/w", "/x"])
      assert.lengthOf(policies.commands.protectedPaths, 2)
    })
  )

  it.effect("limits the number of processes in both modes, unless it is 0", () =>
    Effect.gen(function* () {
      for (const [count, processes] of [
        ["7", 7],
        ["0", undefined]
      ] as const) {
        const config = [["sandbox_max_processes", count]] as const
        const { sandbox, warnings } = yield* loadSettings({ toml: "", env: { OPENAI_API_KEY: "k" }, config })
        assert.deepStrictEqual(warnings, [])
        for (const mode of ["read-only", "workspace-write"] as const) {
          const { commands } = policiesOf(mode, sandbox, "/w")
          assert.strictEqual(commands._tag === "FullAccess" ? -1 : commands.processes, processes)
        }
      }
    })
  )

  it.effect("has no network and writes temporary files unless the configuration says otherwise", () =>
    Effect.gen(function* () {
      const { sandbox, sandboxMode } = yield* loadSettings({ toml: "", env: { OPENAI_API_KEY: "k" } })
      assert.deepStrictEqual(
        [sandboxMode, sandbox.network, sandbox.scratch, sandbox.writableRoots],
        ["read-only", false, ["/tmp"], []]
      )
    })
  )
})

describe("the network of a permission profile", () => {
  const of = (network: string) =>
    Effect.map(
      loadSettings({
        toml: `default_permissions = "dev"\n[permissions.dev.network]\n${network}\n`,
        env: { OPENAI_API_KEY: "k" },
        config: [["sandbox_workspace_write.network_access", "true"]]
      }),
      ({ sandbox, warnings }) => {
        assert.deepStrictEqual(warnings, [])
        assert.deepStrictEqual(networkIn("workspace-write", sandbox), networkIn("read-only", sandbox))
        return networkIn("read-only", sandbox)
      }
    )

  it.effect("is off, on, or a list of hosts, and wins over network_access", () =>
    Effect.gen(function* () {
      assert.isFalse(yield* of("enabled = false"))
      assert.isFalse(yield* of('domains = { "a.example" = "allow" }'))
      assert.isTrue(yield* of("enabled = true"))
      assert.deepStrictEqual(
        yield* of(
          'enabled = true\ndomains = { "a.example" = "allow", "**.b.example" = "allow", "*.c.example" = "deny" }'
        ),
        {
          _tag: "Hosts",
          allowed: ["a.example", "b.example", "*.b.example"],
          denied: ["*.c.example"]
        }
      )
    })
  )

  it.effect("is refused if it has no meaning, so that nothing is allowed by mistake", () =>
    Effect.gen(function* () {
      const messageOf = (network: string) => Effect.flip(of(network))
      assert.include(yield* messageOf('enabled = true\ndomains = { "a.*" = "deny" }'), 'which "a.*" is not')
      assert.include(yield* messageOf('enabled = true\ndomains = { a = "no" }'), "one of allow, deny")
      const unknown = loadSettings({ toml: 'default_permissions = "dev"', env: { OPENAI_API_KEY: "k" } })
      assert.include(yield* Effect.flip(unknown), "default_permissions must be the name of a table")
    })
  )

  it.effect("says nothing without a chosen profile, or with one of the reference", () =>
    Effect.gen(function* () {
      const toml = "[permissions.dev.network]\nenabled = true\n"
      for (const chosen of ["", 'default_permissions = ":workspace"\n']) {
        const { sandbox } = yield* loadSettings({ toml: `${chosen}${toml}`, env: { OPENAI_API_KEY: "k" } })
        assert.isFalse(networkIn("workspace-write", sandbox))
      }
      const { sandbox } = yield* loadSettings({ toml, env: { OPENAI_API_KEY: "k" } })
      assert.isTrue(networkIn("danger-full-access", sandbox))
    })
  )
})

describe("keys without an effect", () => {
  it.effect("are named once, and refused if the configuration is strict", () =>
    Effect.gen(function* () {
      const toml = `${mock}`.replace('env_key = "MOCK_KEY"', "")
      const { warnings } = yield* loadSettings({ toml })
      assert.deepStrictEqual(warnings, ["these keys of the configuration have no effect: " + "analytics, projects"])
      const strict = yield* Effect.flip(loadSettings({ toml, isStrict: true }))
      assert.match(strict, /^these keys of the configuration have no effect: analytics, /)
      assert.deepStrictEqual((yield* loadSettings({ env: { OPENAI_API_KEY: "k" }, isStrict: true })).warnings, [])
    })
  )
})

describe("approval_policy", () => {
  const of = (policy: string) => loadSettings({ toml: `openai_base_url = 'http://x'\napproval_policy = ${policy}` })

  it.effect("may be granular, and allows every question that is not excluded", () =>
    Effect.gen(function* () {
      const { approvalPolicy, warnings } = yield* of("{ granular = { rules = false, mcp_elicitations = false } }")
      assert.deepStrictEqual(approvalPolicy, {
        sandboxApproval: true,
        rules: false,
        elicitations: false,
        permissions: true
      })
      assert.deepStrictEqual(warnings, [])
    })
  )

  it.effect("names the key and the file of a value that it does not know", () =>
    Effect.gen(function* () {
      const wrong = {
        "'sometimes'": "config.toml:2:1: approval_policy must be one of untrusted, on-failure, on-request, never",
        "'granular'": "config.toml:2:1: approval_policy must be one of untrusted, on-failure, on-request, never",
        "{ other = 1 }": "config.toml:2:1: approval_policy must be granular, or a table of that name",
        "{ granular = { rules = 'no' } }": "config.toml:2:1: approval_policy.granular.rules must be true or false"
      }
      for (const [policy, message] of Object.entries(wrong)) {
        assert.include(yield* Effect.flip(of(policy)), message)
      }
      assert.deepStrictEqual((yield* of("{ granular = { rule = true } }")).warnings, [
        "these keys of the configuration have no effect: approval_policy.granular.rule"
      ])
    })
  )
})

describe("a profile", () => {
  const toml = "model = 'a'\nopenai_base_url = 'http://x'\nprofile = 'p'\n[profiles.p]\nmodel = 'b'"
  it.effect("is stronger than the file, and weaker than --config", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* loadSettings({ toml })).model, "b")
      assert.strictEqual((yield* loadSettings({ toml, config: [["model", "c"]] })).model, "c")
      const missing = yield* Effect.flip(loadSettings({ toml, config: [["profile", "q"]] }))
      assert.match(missing, /: profile must be the name of a table in profiles$/)
    })
  )
})

describe("the configuration of the reference", () => {
  it.effect("is read from CODEX_HOME, and nothing is stored there", () =>
    Effect.gen(function* () {
      const codex = yield* temporaryDirectory
      writeFileSync(join(codex, "config.toml"), "model = 'm'\nopenai_base_url = 'http://x'")
      const sources = { command: "exec", homeDirectory: "/nowhere", config: [], flags: {} } as const
      const { home, model } = yield* Settings.load({ ...sources, env: { CODEX_HOME: codex } })
      assert.deepStrictEqual([home, model], ["/nowhere/.spindle", "m"])
    })
  )
})

describe("the credentials of a provider", () => {
  const provider = "model_provider = 'p'\n[model_providers.p]\nbase_url = 'http://x'\n"
  const keyed = (toml: string, env = {}) =>
    Effect.map(loadSettings({ toml: provider + toml, env }), (settings) => server(settings.provider))

  it.effect("are a token in the table, if no variable has one", () =>
    Effect.gen(function* () {
      const token = "experimental_bearer_token = 'tok'\nenv_key = 'KEY'\n"
      assert.strictEqual(Redacted.value((yield* keyed(token)).key!), "tok")
      assert.strictEqual(Redacted.value((yield* keyed(token, { KEY: "k" })).key!), "k")
    })
  )

  it.effect("are what a command prints", () =>
    Effect.gen(function* () {
      const auth = "[model_providers.p.auth]\ncommand = 'printf'\nargs = ['tok\\n']\ncwd = '/'\n"
      const { key, keyCommand } = yield* keyed(auth.replaceAll("'", '"'))
      assert.isUndefined(key)
      assert.strictEqual(Redacted.value(yield* Accounts.keyFrom(keyCommand!)), "tok")
    })
  )

  it.effect("are stored keys, if there is no other", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      yield* Accounts.fileStore(home).set("p", Redacted.make("stored"))
      const env = { SPINDLE_HOME: home }
      const of = (lines: string, variables = {}) =>
        Effect.gen(function* () {
          writeFileSync(join(home, "config.toml"), provider + lines)
          const sources = { command: "exec", homeDirectory: "/nowhere", config: [], flags: {} } as const
          const settings = yield* Settings.load({ ...sources, env: { ...env, ...variables } })
          const { key, keyStore } = server(settings.provider)
          return [key === undefined ? undefined : Redacted.value(key), keyStore]
        })
      assert.deepStrictEqual(yield* of("env_key = 'KEY'"), [undefined, "file"])
      assert.deepStrictEqual(yield* of("env_key = 'KEY'", { KEY: "k" }), ["k", undefined])
      assert.deepStrictEqual(yield* of("", { OPENAI_API_KEY: "k" }), [undefined, "file"])
      assert.deepStrictEqual(yield* of("experimental_bearer_token = 'tok'"), ["tok", undefined])
      yield* Accounts.fileStore(home).remove("p")
      assert.deepStrictEqual(yield* of(""), [undefined, undefined])
      const missing = yield* Effect.flip(of("env_key = 'KEY'"))
      assert.strictEqual(missing.message, 'no key for model provider "p": set KEY, or run spindle login')
    })
  )

  it.effect("may be in a keyring, which is not opened yet, if the provider needs a key", () =>
    Effect.gen(function* () {
      const keyring = "cli_auth_credentials_store = 'keyring'\n"
      const keyStoreOf = (toml: string) =>
        Effect.map(loadSettings({ toml: keyring + toml }), (one) => server(one.provider).keyStore)
      assert.strictEqual(yield* keyStoreOf(""), "keyring")
      assert.strictEqual(yield* keyStoreOf(`${provider}env_key = 'KEY'`), "keyring")
      assert.isUndefined(yield* keyStoreOf(provider))
      const wrong = yield* Effect.flip(loadSettings({ toml: "cli_auth_credentials_store = 'cloud'" }))
      assert.match(wrong, /cli_auth_credentials_store must be one of file, keyring, auto$/)
    })
  )

  it.effect("are refused if others may read the file, and if they are needed only", () =>
    Effect.gen(function* () {
      const home = yield* temporaryDirectory
      yield* Accounts.fileStore(home).set("openai", Redacted.make("stored"))
      const file = Accounts.fileOf(home)
      chmodSync(file, 0o644)
      const sources = { command: "exec", homeDirectory: "/nowhere", config: [], flags: {} } as const
      const of = (env: { readonly [name: string]: string }) =>
        Settings.load({ ...sources, env: { SPINDLE_HOME: home, ...env } })
      assert.strictEqual(
        (yield* Effect.flip(of({}))).message,
        `cannot read the keys in ${file}: other users may read it (mode 644); run: chmod 600 ${file}`
      )
      yield* of({ OPENAI_API_KEY: "k" })
    })
  )
})

describe("the account of a provider", () => {
  const of = Effect.fnUntraced(function* (toml: string, env = {}, provider?: string) {
    const home = yield* temporaryDirectory
    writeFileSync(join(home, "config.toml"), toml)
    const sources = { env: { SPINDLE_HOME: home, ...env }, homeDirectory: "/nowhere", config: [], provider }
    const { provider: id, source, store } = yield* Settings.account(sources)
    return [id, source, store.name.replace(home, "HOME")]
  })

  it.effect("names where its key comes from", () =>
    Effect.gen(function* () {
      const file = "the file HOME/auth.json"
      assert.deepStrictEqual(yield* of(""), ["openai", undefined, file])
      const codex = { CODEX_API_KEY: "k" }
      assert.deepStrictEqual(yield* of("", codex), ["openai", "the variable CODEX_API_KEY", file])
      const p = "model_provider = 'p'\n[model_providers.p]\nbase_url = 'http://x'\n"
      assert.deepStrictEqual(yield* of(`${p}env_key = 'K'`, { K: "k" }), ["p", "the variable K", file])
      assert.deepStrictEqual(yield* of(`${p}auth = { command = 'c' }`, codex), ["p", "the command c", file])
      const keyring = `cli_auth_credentials_store = 'keyring'\n${p}`
      assert.deepStrictEqual(yield* of(keyring), ["p", undefined, "the keyring of this system"])
      assert.deepStrictEqual(yield* of(p, codex, "openai"), ["openai", "the variable CODEX_API_KEY", file])
    })
  )

  it.effect("is refused for a provider that is not known", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(of("", {}, "q"))
      assert.strictEqual(failure.message, 'unknown model provider "q"; known providers: openai, anthropic')
    })
  )
})

describe("a wrong type in a large file", () => {
  it.effect("is found at once, with its line and column", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 4_000 }, (_, index) => `[projects."/w${index}"]\ntrust_level = """\n["\n"""`)
      const toml = `${many.join("\n")}\n[model_providers.p]\n  base_url = [\n  1 ]\n`
      // trying every line takes longer than a test may
      const error = yield* Effect.flip(loadSettings({ toml, config: [["model_provider", "p"]] }))
      assert.match(error, /^HOME\/config\.toml:16002:3: model_providers\.p\.base_url must be a URL/)
    })
  )
})
