/** `spindle mcp`: lists, adds and removes the MCP servers of the configuration file, and logs in to them. */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as McpFile from "@spindle/app/McpFile"
import * as McpLogins from "@spindle/app/McpLogins"
import * as Settings from "@spindle/app/Settings"
import * as Effect from "effect/Effect"
import * as Help from "../args/Help.ts"
import * as Ansi from "../output/Ansi.ts"
import { reasonOf } from "../output/failures.ts"
import * as Log from "../output/Log.ts"
import * as Browser from "./browser.ts"
import { CliError } from "./CliError.ts"
import * as EnvHttpClient from "./envHttpClient.ts"
import * as Directories from "@spindle/app/Directories"

/** The places of the configuration. */
export type Places = Parameters<typeof Settings.mcpServers>[0]

/** Lists the servers of the configuration. */
export const list = Effect.fnUntraced(function* (places: Places, { json }: { readonly json: boolean }) {
  const { servers } = yield* Settings.mcpServers(places)
  for (const { isEnabled, server } of servers) {
    const { name, _tag, ...rest } = server
    const transport = _tag === "Stdio" ? "stdio" : "http"
    const target = server._tag === "Stdio" ? [server.command, ...(server.args ?? [])].join(" ") : server.url
    const line = json
      ? JSON.stringify({ name, enabled: isEnabled, transport, ...rest })
      : `${Ansi.toVisible(name)}  ${transport}  ${Ansi.toVisible(target)}${isEnabled ? "" : "  (disabled)"}`
    process.stdout.write(`${line}\n`)
  }
  if (servers.length === 0 && !json) process.stdout.write("no MCP servers\n")
  return Help.exitCodes.ok
})

/** Adds a server to the configuration file. */
export const add = Effect.fnUntraced(function* (places: Places, server: McpFile.NewServer) {
  const { file, servers, text } = yield* ownServers(places)
  if (servers.some((one) => one.server.name === server.name)) {
    return yield* refuse(`there is an MCP server named ${server.name} already; to replace it, remove it first`)
  }
  yield* write(file, McpFile.add(text, server))
  process.stdout.write(`added the MCP server ${server.name} to ${file}\n`)
  return Help.exitCodes.ok
})

/** Removes a server from the configuration file. */
export const remove = Effect.fnUntraced(function* (places: Places, name: string) {
  const found = yield* ownServers(places)
  const { file, text } = found
  const { server } = yield* findServer(found, name)
  const without = McpFile.remove(text, name)
  if (without === undefined) return yield* refuse(`cannot remove ${name} from ${file}: edit the file by hand`)
  yield* write(file, without)
  if (server._tag === "Http") yield* forget(places, server)
  process.stdout.write(`removed the MCP server ${name} from ${file}\n`)
  return Help.exitCodes.ok
})

/** The options of a login. */
export interface Login {
  readonly name: string
  readonly opensBrowser: boolean
  /** The permissions to ask for; undefined for those that the server names. */
  readonly scopes: ReadonlyArray<string> | undefined
}

/** Logs in to a server with the browser of the person, and stores the login in the home. */
export const login = Effect.fnUntraced(function* (places: Places, { name, opensBrowser, scopes }: Login) {
  const server = yield* findHttpServer(places, name)
  if (McpLogins.isConfigured(server))
    return yield* refuse(`${name} has its token from the configuration, so it takes no login`)
  const show = (address: string) =>
    Effect.map(opensBrowser ? Browser.open(address) : Effect.succeed(false), (isOpen) =>
      Log.say(`${isOpen ? "log in with the browser that opens, or at" : "log in at"} ${address}`)
    )
  yield* McpLogins.login({ home: Settings.home(places), server, variables: process.env, open: show, scopes }).pipe(
    Effect.provide(EnvHttpClient.layer(process.env))
  )
  process.stdout.write(`logged in to the MCP server ${name}\n`)
  return Help.exitCodes.ok
})

/** Removes the login to a server, and reports tokens that stay valid. */
const forget = Effect.fnUntraced(function* (places: Places, server: McpLogins.Options["server"]) {
  const result = yield* McpLogins.logout({ home: Settings.home(places), server }).pipe(
    Effect.provide(EnvHttpClient.layer(process.env))
  )
  if (result._tag === "Forgotten") Log.say(`the tokens stay valid until they expire: ${result.detail}`)
  return result
})

/** Logs out of a server. */
export const logout = Effect.fnUntraced(function* (places: Places, name: string) {
  const server = yield* findHttpServer(places, name)
  const { _tag } = yield* forget(places, server)
  if (_tag === "NotLoggedIn") return yield* refuse(`there is no login to the MCP server ${name}`)
  process.stdout.write(`logged out of the MCP server ${name}\n`)
  return Help.exitCodes.ok
})

/** Returns the server over HTTP with this name. */
const findHttpServer = Effect.fnUntraced(function* (places: Places, name: string) {
  const { server } = yield* Effect.flatMap(Settings.mcpServers(places), (found) => findServer(found, name))
  return server._tag === "Http" ? server : yield* refuse(`${name} is a command, so it takes no login`)
})

const findServer = ({ file, servers }: Settings.McpServers, name: string) => {
  const found = servers.find(({ server }) => server.name === name)
  return found === undefined
    ? Effect.fail(refuse(`there is no MCP server named ${name} in ${file}`))
    : Effect.succeed(found)
}

const refuse = (detail: string) => new CliError({ detail, exitCode: Help.exitCodes.failed })

/** Returns the servers of a file that this program may change. */
const ownServers = (places: Places) =>
  Effect.flatMap(Settings.mcpServers(places), (found) =>
    found.isForeign
      ? Effect.fail(refuse(`${found.file} belongs to another program and is only read; set SPINDLE_HOME`))
      : Effect.succeed(found)
  )

/** Replaces the file, or leaves it as it was. */
const write = (file: string, text: string): Effect.Effect<void, CliError> =>
  Effect.try({
    try: () => {
      Directories.makeUnsafe(Path.dirname(file))
      const target = Fs.existsSync(file) ? Fs.realpathSync(file) : file
      const mode = Fs.existsSync(target) ? Fs.statSync(target).mode : 0o600
      Fs.writeFileSync(`${target}.new`, text, { mode })
      Fs.renameSync(`${target}.new`, target)
    },
    catch: (error) => refuse(`cannot write ${file}: ${reasonOf(error)}`)
  })
