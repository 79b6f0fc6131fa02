/** Reads the words and flags of `mcp`. */
import type { NewServer } from "@spindle/app/McpFile"

/** A command about the MCP servers. */
export type McpCommand =
  | { readonly _tag: "McpList"; readonly json: boolean }
  | { readonly _tag: "McpAdd"; readonly server: NewServer }
  | { readonly _tag: "McpRemove" | "McpLogout"; readonly name: string }
  | {
      readonly _tag: "McpLogin"
      readonly name: string
      readonly opensBrowser: boolean
      /** The permissions to ask for; undefined for those that the server names. */
      readonly scopes: ReadonlyArray<string> | undefined
    }

/** The words and the flags of a command. `refuse` throws an error for a wrong command line. */
export interface Given {
  readonly rest: ReadonlyArray<string>
  readonly values: ReadonlyMap<string, ReadonlyArray<string>>
  readonly refuse: (detail: string) => never
}

/** Reads a command. */
export const commandOf = (name: "list" | "add" | "remove" | "login" | "logout", given: Given): McpCommand => {
  const { refuse, rest, values } = given
  switch (name) {
    case "list":
      return rest.length === 0 ? { _tag: "McpList", json: values.has("json") } : refuse("mcp list takes flags only")
    case "add":
      return { _tag: "McpAdd", server: newServer(given) }
    case "remove":
      return { _tag: "McpRemove", name: serverName(given) }
    case "login": {
      const scopes = values.get("scopes")?.[0]?.match(/[^\s,]+/g)
      if (scopes === null) return refuse("--scopes needs the name of a permission")
      return { _tag: "McpLogin", name: serverName(given), opensBrowser: !values.has("no-browser"), scopes }
    }
    case "logout":
      return { _tag: "McpLogout", name: serverName(given) }
  }
}

const serverName = ({ refuse, rest }: Given): string => {
  if (rest.length > 1) return refuse(`unexpected "${rest[1]}"; give one name`)
  return rest[0] || refuse("give the name of a server")
}

const newServer = ({ refuse, rest: [name, command, ...args], values }: Given): NewServer => {
  if (name === undefined || !/^[\w-]+$/.test(name)) return refuse("give a name of letters, digits, - and _")
  const url = values.get("url")?.[0]
  const bearerTokenVariable = values.get("bearer-token-env-var")?.[0]
  const env = pairsOf("env", { values, refuse })
  if (url !== undefined) {
    if (command !== undefined || env.length > 0) return refuse("give either --url or a command")
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
      return refuse(`--url needs a URL that begins with http:// or https://, not "${url}"`)
    }
    return { _tag: "Http", name, url, ...(bearerTokenVariable === undefined ? {} : { bearerTokenVariable }) }
  }
  if (command === undefined) return refuse("give --url, or -- and a command")
  if (bearerTokenVariable !== undefined) return refuse("--bearer-token-env-var needs --url")
  return { _tag: "Stdio", name, command, args, env: Object.fromEntries(env) }
}

/** Reads the values `KEY=VALUE` of a flag. */
export const pairsOf = (
  flag: string,
  { refuse, values }: Pick<Given, "refuse" | "values">
): ReadonlyArray<readonly [key: string, value: string]> =>
  (values.get(flag) ?? []).map((pair) => {
    const at = pair.indexOf("=")
    return at > 0 ? [pair.slice(0, at).trim(), pair.slice(at + 1)] : refuse(`--${flag} needs KEY=VALUE, not "${pair}"`)
  })
