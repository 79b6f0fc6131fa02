import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { events, run, type World, world } from "../fixtures/program.ts"

/** A server with one tool that returns its arguments. */
const script = `
const write = (message) => process.stdout.write(JSON.stringify({ jsonrpc: "2.0", ...message }) + "\\n")
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line)
  if (method === "initialize") {
    const { protocolVersion } = params
    write({ id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: "t", version: "1" } } })
  } else if (method === "tools/list") {
    const annotations = { readOnlyHint: true }
    write({ id, result: { tools: [{ name: "echo", inputSchema: { type: "object" }, annotations }] } })
  } else if (method === "tools/call") {
    write({ id, result: { content: [], structuredContent: params.arguments } })
  }
}).on("close", () => process.exit(0))
`

/** Adds a server to the configuration. */
const withServer = (at: World, table: string) => {
  Fs.writeFileSync(Path.join(at.home, "server.cjs"), script)
  Fs.appendFileSync(Path.join(at.home, "config.toml"), `\n${table.replaceAll("HOME", at.home)}\n`)
}
const echo = `[mcp_servers.test]\ncommand = ${JSON.stringify(process.execPath)}\nargs = ["HOME/server.cjs"]`

describe("exec with MCP servers", () => {
  it.live("calls their tools", () =>
    Effect.gen(function* () {
      const call = { call: "mcp__test__echo", args: { text: "hi" }, callId: "c1" }
      const at = yield* world({ turns: [{ events: [call] }, { events: [{ text: "done" }] }] })
      withServer(at, echo)
      const ended = yield* run(at, ["exec", "--json", "go"])
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const item = events(ended).find((line: any) => line.type === "item.completed")!.item
      assert.deepStrictEqual(item, {
        id: "item_0",
        type: "mcp_tool_call",
        server: "test",
        tool: "echo",
        arguments: { text: "hi" },
        result: { content: [{ type: "text", text: '{"text":"hi"}' }], structured_content: { text: "hi" } },
        error: null,
        status: "completed"
      })
      const names = at.server.requests[0]!.body.tools.map((tool: any) => tool.name)
      assert.strictEqual(names.at(-1), "mcp__test__echo")
    })
  )

  it.live("shows a server that does not start, and works without it", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      withServer(at, '[mcp_servers.test]\ncommand = "/no/such/program"')
      const { code, stderr, stdout } = yield* run(at, ["exec", "go"])
      assert.deepStrictEqual([code, stdout], [0, "done\n"])
      assert.include(stderr, "cannot start the MCP server test")
    })
  )

  it.live("ends at once if a server is required and does not start", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [] })
      withServer(at, '[mcp_servers.test]\ncommand = "/no/such/program"\nrequired = true')
      const { code, stderr } = yield* run(at, ["exec", "go"])
      assert.strictEqual(code, 1)
      assert.match(stderr, /^spindle: cannot start the MCP server test: .*\n$/)
      assert.strictEqual(at.server.requests.length, 0)
    })
  )
})

describe("mcp", () => {
  it.live("adds, lists and removes servers", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const file = Path.join(at.home, "config.toml")
      const before = Fs.readFileSync(file, "utf8")
      const outputOf = (args: ReadonlyArray<string>) =>
        Effect.map(run(at, ["mcp", ...args]), ({ code, stderr, stdout }) => [code, stdout, stderr] as const)
      assert.deepStrictEqual(yield* outputOf(["list"]), [0, "no MCP servers\n", ""])

      const add = ["add", "files", "--env", "LEVEL=1", "--", "npx", "-y", "server"]
      assert.deepStrictEqual(yield* outputOf(add), [0, `added the MCP server files to ${file}\n`, ""])
      const again = "spindle: there is an MCP server named files already; to replace it, remove it first\n"
      assert.deepStrictEqual(yield* outputOf(add), [1, "", again])
      yield* outputOf(["add", "docs", "--url", "https://example.org/mcp"])
      assert.deepStrictEqual(yield* outputOf(["list"]), [
        0,
        "files  stdio  npx -y server\ndocs  http  https://example.org/mcp\n",
        ""
      ])
      const [, lines] = yield* outputOf(["list", "--json"])
      assert.deepStrictEqual(JSON.parse(lines.split("\n")[0]!), {
        name: "files",
        enabled: true,
        transport: "stdio",
        command: "npx",
        args: ["-y", "server"],
        env: { LEVEL: "1" }
      })

      yield* outputOf(["remove", "docs"])
      assert.deepStrictEqual(yield* outputOf(["remove", "files"]), [
        0,
        `removed the MCP server files from ${file}\n`,
        ""
      ])
      assert.strictEqual(Fs.readFileSync(file, "utf8").trim(), before.trim())
      const missing = `spindle: there is no MCP server named files in ${file}\n`
      assert.deepStrictEqual(yield* outputOf(["remove", "files"]), [1, "", missing])
    })
  )

  it.live("does not change the configuration of another program", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const env = { PATH: at.env["PATH"]!, HOME: at.env["HOME"]!, CODEX_HOME: at.home }
      const { code, stderr } = yield* run({ ...at, env }, ["mcp", "add", "a", "--", "b"])
      const file = Path.join(at.home, "config.toml")
      assert.deepStrictEqual(
        [code, stderr],
        [1, `spindle: ${file} belongs to another program and is only read; set SPINDLE_HOME\n`]
      )
    })
  )
})
