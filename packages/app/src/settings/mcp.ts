/** The settings of MCP servers: the tables `[mcp_servers.NAME]`. */
import type { ServerConfig } from "@spindle/mcp/ServerConfig"
import type * as Table from "./table.ts"

/** A server of the configuration. */
export interface Configured {
  readonly server: ServerConfig
  readonly isEnabled: boolean
}

/** Reads the servers. `reject` is called with a table that describes no server, and must throw. */
export const read = (
  table: Table.Settings,
  reject: (key: string, expected: string) => never
): ReadonlyArray<Configured> =>
  table.keys("mcp_servers").map((name) => ({
    server: serverOf(table, name, reject),
    isEnabled: table.flag([`mcp_servers.${name}`, "enabled"]) !== false
  }))

const protocols = ["2025-11-25", "2026-07-28"] as const

const serverOf = (
  table: Table.Settings,
  name: string,
  reject: (key: string, expected: string) => never
): ServerConfig => {
  const at = `mcp_servers.${name}`
  const common = {
    name,
    ...definedFields({
      startupSeconds: table.seconds([at, "startup_timeout_sec"]),
      callSeconds: table.seconds([at, "tool_timeout_sec"]),
      required: table.flag([at, "required"]),
      enabledTools: table.list([at, "enabled_tools"]),
      disabledTools: table.list([at, "disabled_tools"]),
      parallel: table.flag([at, "supports_parallel_tool_calls"]),
      turnHeaders: table.flag([at, "turn_headers"]),
      apps: table.flag([at, "apps"]),
      protocol: table.choice([at, "protocol_version"], protocols)
    })
  }
  const command = table.text([at, "command"])
  const url = table.url([at, "url"])
  if (command !== undefined && url === undefined) {
    const args = table.list([at, "args"])
    const cwd = table.text([at, "cwd"])
    const inherit = table.list([at, "env_vars"])
    return {
      _tag: "Stdio",
      ...common,
      command,
      ...definedFields({ args, cwd, inherit }),
      ...fieldOf("env", table.texts([at, "env"]))
    }
  }
  if (url === undefined || command !== undefined) return reject(at, "a table with either command or url")
  const bearerTokenVariable = table.text([at, "bearer_token_env_var"])
  const clientId = table.text([at, "oauth_client_id"])
  const clientSecretVariable = table.text([at, "oauth_client_secret_env_var"])
  const scopes = table.list([at, "scopes"])
  return {
    _tag: "Http",
    ...common,
    url,
    ...definedFields({ bearerTokenVariable, clientId, clientSecretVariable, scopes }),
    ...fieldOf("headers", table.headers([at, "http_headers"])),
    ...fieldOf("headerVariables", table.headers([at, "env_http_headers"]))
  }
}

type Defined<A> = { readonly [K in keyof A]?: Exclude<A[K], undefined> }

/** Returns the fields that have a value. */
const definedFields = <A extends object>(fields: A): Defined<A> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<A>

const fieldOf = <const Name extends string>(
  name: Name,
  texts: ReadonlyArray<readonly [name: string, value: string]>
): { readonly [name in Name]?: { readonly [name: string]: string } } =>
  texts.length === 0 ? {} : ({ [name]: Object.fromEntries(texts) } as { readonly [name in Name]: object } as never)
