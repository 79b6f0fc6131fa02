/**
 * Changes the MCP servers in the text of a configuration file. Everything else in the text stays as it is, with its
 * comments.
 */
import type { StdioServer, HttpServer } from "@spindle/mcp/ServerConfig"
import { parse, stringify } from "smol-toml"

/** A server to add. */
export type NewServer =
  | Pick<StdioServer, "_tag" | "name" | "command" | "args" | "env">
  | Pick<HttpServer, "_tag" | "name" | "url" | "bearerTokenVariable">

/** Returns the text with a server added. */
export const add = (text: string, server: NewServer): string => {
  const table =
    server._tag === "Stdio"
      ? { command: server.command, ...listOf("args", server.args), ...tableOf("env", server.env) }
      : { url: server.url, ...(server.bearerTokenVariable && { bearer_token_env_var: server.bearerTokenVariable }) }
  const before = text === "" || text.endsWith("\n\n") ? text : text.endsWith("\n") ? `${text}\n` : `${text}\n\n`
  return `${before}${stringify({ mcp_servers: { [server.name]: table } }).trim()}\n`
}

const listOf = (name: string, list: ReadonlyArray<string> | undefined) =>
  list === undefined || list.length === 0 ? {} : { [name]: [...list] }

const tableOf = (name: string, table: { readonly [name: string]: string } | undefined) =>
  table === undefined || Object.keys(table).length === 0 ? {} : { [name]: { ...table } }

/**
 * Returns the text without the tables of a server; undefined if they cannot be cut out alone, for example if they are
 * inside another table.
 */
export const remove = (text: string, name: string): string | undefined => {
  let isOfServer = false
  const kept = text.split("\n").filter((line) => {
    const path = headerOf(line)
    if (path !== undefined) isOfServer = path[0] === "mcp_servers" && path[1] === name
    return !isOfServer
  })
  const without = kept.join("\n")
  return isWithout(text, without, name) ? without : undefined
}

/** Returns the path of the table that a line begins; undefined for any other line. */
const headerOf = (line: string): ReadonlyArray<string> | undefined => {
  if (!/^\s*\[[^[]/.test(line)) return undefined
  try {
    const names: Array<string> = []
    for (let table: object = parse(line); Object.keys(table).length > 0; table = Object.values(table)[0]) {
      names.push(Object.keys(table)[0]!)
    }
    return names
  } catch {
    // the line is a part of a value
    return undefined
  }
}

/** Returns true if a text has the same content as another one, except for the server. */
const isWithout = (text: string, without: string, name: string): boolean => {
  try {
    const { mcp_servers: servers, ...others } = parse(text) as {
      readonly mcp_servers?: { readonly [name: string]: object }
    }
    const { [name]: _, ...rest } = servers ?? {}
    const { mcp_servers: left = {}, ...same } = parse(without) as { readonly mcp_servers?: object }
    return JSON.stringify([others, rest]) === JSON.stringify([same, left])
  } catch {
    return false
  }
}
