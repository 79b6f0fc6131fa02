import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OAuthServer from "../fixtures/oauthServer.ts"
import { events, journals, run, start, type World, world } from "../fixtures/program.ts"

/** A world whose configuration has a server that needs a login. */
const withServer = Effect.fnUntraced(function* (script: Parameters<typeof world>[0] = {}) {
  const at = yield* world(script)
  const server = yield* OAuthServer.start
  Fs.appendFileSync(Path.join(at.home, "config.toml"), `\n[mcp_servers.docs]\nurl = "${server.url}"\n`)
  return { at, server }
})

/** The files of logins. */
const logins = ({ home }: World): ReadonlyArray<string> => Fs.globSync("mcp/*", { cwd: home })

/** Logs in, as a person does who opens the address that is printed. */
const logIn = Effect.fnUntraced(function* (at: World) {
  const program = yield* start(at, ["mcp", "login", "docs", "--no-browser"])
  yield* program.says("\n")
  const [address] = /http\S+/.exec(program.stderr())!
  const page = yield* Effect.promise(() => fetch(address).then((response) => response.text()))
  return { address, page, ended: yield* program.ended }
})

describe("mcp login", () => {
  it.live("prints the address, and stores what the browser brings back", () =>
    Effect.gen(function* () {
      const { at, server } = yield* withServer()
      const { address, ended, page } = yield* logIn(at)
      assert.deepStrictEqual(
        [ended.code, ended.stdout, ended.stderr],
        [0, "logged in to the MCP server docs\n", `spindle: log in at ${address}\n`]
      )
      assert.strictEqual(page, "Logged in to docs. You can close this window.\n")
      const [file] = logins(at)
      assert.strictEqual(Fs.statSync(Path.join(at.home, file!)).mode & 0o777, 0o600)
      assert.isTrue(server.valid.has(JSON.parse(Fs.readFileSync(Path.join(at.home, file!), "utf8")).accessToken))
    })
  )

  it.live("opens the browser", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer()
      const bin = Path.join(at.cwd, "bin")
      Fs.mkdirSync(bin)
      const browser = `#!${process.execPath}\nfetch(process.argv[2])\n`
      Fs.writeFileSync(Path.join(bin, "xdg-open"), browser, { mode: 0o755 })
      const ended = yield* run(at, ["mcp", "login", "docs", "--scopes", "read,write"], {
        env: { PATH: `${bin}:${at.env["PATH"]}` }
      })
      assert.deepStrictEqual([ended.code, ended.stdout], [0, "logged in to the MCP server docs\n"])
      assert.match(ended.stderr, /^spindle: log in with the browser that opens, or at http\S+scope=read\+write\S*\n$/)
      assert.strictEqual(logins(at).length, 1)
    })
  )

  it.live("prints the address if there is no browser", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer()
      const program = yield* start(at, ["mcp", "login", "docs"], { env: { PATH: "/nonexistent" } })
      yield* program.says("spindle: log in at http")
    })
  )

  it.live("leaves nothing after Ctrl-C", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer()
      const before = Fs.readdirSync(at.home)
      const program = yield* start(at, ["mcp", "login", "docs", "--no-browser"])
      yield* program.says("log in at ")
      yield* program.kill("SIGINT")
      const { code, stdout } = yield* program.ended
      assert.deepStrictEqual([code, stdout], [130, ""])
      assert.deepStrictEqual(Fs.readdirSync(at.home), before)
    })
  )

  it.live("says which servers take no login", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer()
      const file = Path.join(at.home, "config.toml")
      Fs.appendFileSync(
        file,
        '[mcp_servers.local]\ncommand = "x"\n[mcp_servers.fixed]\nurl = "https://x"\nbearer_token_env_var = "T"\n'
      )
      const errorOf = (name: string) =>
        Effect.map(run(at, ["mcp", "login", name]), ({ code, stderr }) => [code, stderr] as const)
      assert.deepStrictEqual(yield* errorOf("none"), [1, `spindle: there is no MCP server named none in ${file}\n`])
      assert.deepStrictEqual(yield* errorOf("local"), [1, "spindle: local is a command, so it takes no login\n"])
      assert.deepStrictEqual(yield* errorOf("fixed"), [
        1,
        "spindle: fixed has its token from the configuration, so it takes no login\n"
      ])
    })
  )
})

describe("a login", () => {
  it.live("lets exec call the tools, is renewed there, and its secrets are nowhere else", () =>
    Effect.gen(function* () {
      const call = { call: "mcp__docs__echo", args: {}, callId: "c1" }
      const { at, server } = yield* withServer({ turns: [{ events: [call] }, { events: [{ text: "done" }] }] })
      yield* logIn(at)
      // the token is refused, and another one is granted
      server.valid.clear()
      const ended = yield* run(at, ["exec", "--json", "go"])
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const item = events(ended).find(
        (line: any) => line.item?.type === "mcp_tool_call" && line.type === "item.completed"
      )
      assert.deepStrictEqual(item!.item.result.content, [{ type: "text", text: "called" }])
      const [file] = logins(at)
      assert.isTrue(server.valid.has(JSON.parse(Fs.readFileSync(Path.join(at.home, file!), "utf8")).accessToken))
      const journal = journals(at.home).map((path) => Fs.readFileSync(path, "utf8"))
      assert.strictEqual(journal.length, 1)
      assert.notInclude(journal.join() + ended.stdout + ended.stderr, "secret-")
    })
  )

  it.live("is missing: exec says how to log in, and works without the server", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer({ turns: [{ events: [{ text: "done" }] }] })
      const { code, stderr, stdout } = yield* run(at, ["exec", "go"])
      assert.deepStrictEqual([code, stdout], [0, "done\n"])
      assert.include(stderr, "cannot use the MCP server docs: it needs a login; run: spindle mcp login docs")
    })
  )

  it.live("is not used if others can read it: exec says so, and works without the server", () =>
    Effect.gen(function* () {
      const { at } = yield* withServer({ turns: [{ events: [{ text: "done" }] }] })
      yield* logIn(at)
      const file = Path.join(at.home, logins(at)[0]!)
      Fs.chmodSync(file, 0o644)
      const { code, stderr } = yield* run(at, ["exec", "go"])
      assert.strictEqual(code, 0)
      assert.include(stderr, `${file} can be read by others; run: chmod 600 ${file}`)
    })
  )

  it.live("is removed and revoked by logout, and with the server", () =>
    Effect.gen(function* () {
      const { at, server } = yield* withServer()
      yield* logIn(at)
      const logout = Effect.map(run(at, ["mcp", "logout", "docs"]), ({ code, stderr, stdout }) => [
        code,
        stdout,
        stderr
      ])
      assert.deepStrictEqual(yield* logout, [0, "logged out of the MCP server docs\n", ""])
      assert.deepStrictEqual(logins(at), [])
      assert.strictEqual(server.valid.size, 0)
      assert.deepStrictEqual(yield* logout, [1, "", "spindle: there is no login to the MCP server docs\n"])
      yield* logIn(at)
      yield* run(at, ["mcp", "remove", "docs"])
      assert.deepStrictEqual(logins(at), [])
      assert.strictEqual(server.valid.size, 0)
    })
  )
})
