import { assert, describe, it } from "@effect/vitest"
import { parse } from "smol-toml"
import * as McpFile from "../src/mcp/McpFile.ts"

const before = `# my settings
model = "gpt-5" # the usual one

[mcp_servers.old]
command = "old"
args = [
  "[mcp_servers.not_a_table]",
  "x",
]
# of old
[mcp_servers.old.env]
A = "1"

[mcp_servers.other] # stays
url = "https://example.org"
[features]
multi_agent = true
`

describe("the servers in a configuration file", () => {
  it("are added at its end, and everything else stays", () => {
    const text = McpFile.add(before, {
      _tag: "Stdio",
      name: "new",
      command: "npx",
      args: ["-y", 'a "quoted" word'],
      env: { "A B": "1" }
    })
    assert.isTrue(text.startsWith(before))
    const { mcp_servers: servers } = parse(text) as { readonly mcp_servers: { readonly new: object } }
    assert.deepEqual(servers.new, { command: "npx", args: ["-y", 'a "quoted" word'], env: { "A B": "1" } })
  })

  it("are added to an empty one", () => {
    assert.strictEqual(
      McpFile.add("", { _tag: "Http", name: "docs", url: "https://example.org", bearerTokenVariable: "TOKEN" }),
      '[mcp_servers.docs]\nurl = "https://example.org"\nbearer_token_env_var = "TOKEN"\n'
    )
    assert.strictEqual(
      McpFile.add("", { _tag: "Stdio", name: "plain", command: "a", args: [], env: {} }),
      '[mcp_servers.plain]\ncommand = "a"\n'
    )
  })

  it("are removed with their tables, and everything else stays", () => {
    const without = McpFile.remove(before, "old")!
    assert.deepEqual(parse(without), {
      model: "gpt-5",
      mcp_servers: { other: { url: "https://example.org" } },
      features: { multi_agent: true }
    })
    assert.include(without, '# my settings\nmodel = "gpt-5" # the usual one\n')
    assert.include(without, "[mcp_servers.other] # stays")
  })

  it("are not removed if they cannot be cut out alone", () => {
    assert.isUndefined(McpFile.remove('[mcp_servers]\nold = { command = "a" }\n', "old"))
    assert.isUndefined(McpFile.remove('mcp_servers.old.command = "a"\n', "old"))
  })

  it("are what they were after adding and removing", () => {
    const server = { _tag: "Stdio", name: "new", command: "a", args: [], env: { A: "1" } } as const
    assert.deepEqual(parse(McpFile.remove(McpFile.add(before, server), "new")!), parse(before))
  })
})
