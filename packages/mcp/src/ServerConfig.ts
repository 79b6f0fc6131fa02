/** The configuration of MCP servers. */
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** The fields that both kinds of servers have. A missing field has the default that its comment names. */
const common = {
  /** Names the server for people, and in the names of its tools. */
  name: Schema.String,
  /** The limit of the start, with the list of tools, in seconds. Default: 10. */
  startupSeconds: Schema.optionalKey(Schema.Finite),
  /** The limit of a call, in seconds. The time in which a person answers a question does not count. Default: 60. */
  callSeconds: Schema.optionalKey(Schema.Finite),
  /** True if nothing runs without this server. Default: false. */
  required: Schema.optionalKey(Schema.Boolean),
  /** The tools to offer, by the server's names. Default: all. */
  enabledTools: Schema.optionalKey(Schema.Array(Schema.String)),
  /** The tools not to offer. */
  disabledTools: Schema.optionalKey(Schema.Array(Schema.String)),
  /** True if calls of one turn run concurrently, even if their tools change something. Default: false. */
  parallel: Schema.optionalKey(Schema.Boolean),
  /** True if the server receives the headers of the turn (contract M1), which describe the project. Default: false. */
  turnHeaders: Schema.optionalKey(Schema.Boolean),
  /**
   * True if its tools are those of apps, which a program may offer by turn. The metadata of a tool names its app; a
   * tool without it belongs to an app with the name of the server. Default: false.
   */
  apps: Schema.optionalKey(Schema.Boolean),
  /** The revision of the protocol. Default: `2025-11-25`, which includes the earlier ones. */
  protocol: Schema.optionalKey(Schema.Literals(["2025-11-25", "2026-07-28"]))
}

/**
 * A server that is a process and speaks over its standard streams. It inherits a few harmless variables, those that
 * `inherit` names, and has those of `env`.
 */
export class StdioServer extends Schema.Opaque<StdioServer>()(
  Schema.TaggedStruct("Stdio", {
    ...common,
    command: Schema.String,
    args: Schema.optionalKey(Schema.Array(Schema.String)),
    cwd: Schema.optionalKey(Schema.String),
    env: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    inherit: Schema.optionalKey(Schema.Array(Schema.String))
  }).annotate({ identifier: "StdioServer" })
) {}

/**
 * A server that speaks streamable HTTP. `bearerTokenVariable` names the variable that holds a token, `headerVariables`
 * the variables that hold the values of headers. Without either, a person can log in (`Login`): `clientId` names the
 * client at an authorization server, `clientSecretVariable` the variable that holds its secret, and `scopes` the
 * permissions to ask for in place of those that the server names. A `clientId` that starts with `https://` is the
 * address of a published document that describes the client. Authorization servers that read no such documents register
 * a client instead.
 */
export class HttpServer extends Schema.Opaque<HttpServer>()(
  Schema.TaggedStruct("Http", {
    ...common,
    url: Schema.String,
    bearerTokenVariable: Schema.optionalKey(Schema.String),
    headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    headerVariables: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    clientId: Schema.optionalKey(Schema.String),
    clientSecretVariable: Schema.optionalKey(Schema.String),
    scopes: Schema.optionalKey(Schema.Array(Schema.String))
  }).annotate({ identifier: "HttpServer" })
) {}

const servers = Schema.Union([StdioServer, HttpServer]).annotate({ identifier: "ServerConfig" })
/** An MCP server. Two equal ones are one connection. */
export type ServerConfig = StdioServer | HttpServer
/** The schema of {@link ServerConfig}. */
export interface ServerConfigSchema extends Schema.Union<typeof servers.members> {
  readonly Type: ServerConfig
}
/** @see {@link ServerConfig} */
export const ServerConfig: ServerConfigSchema = servers

/** Variables of the environment, by name. One that holds a secret can be `Redacted`. */
export interface Variables {
  readonly [name: string]: string | Redacted.Redacted | undefined
}

/** Returns the text of a variable; undefined for one that is not set. */
export const valueOf = (variables: Variables, name: string): string | undefined => {
  const value = variables[name]
  return Redacted.isRedacted(value) ? Redacted.value(value) : value
}

/** The variables that every server inherits. None of them is a secret. */
const inherited: ReadonlyArray<string> = [
  "HOME",
  "LANG",
  "LC_ALL",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER"
]

/** Returns the environment of the process of a server. */
export const environmentOf = (server: StdioServer, variables: Variables): { readonly [name: string]: string } => ({
  ...Object.fromEntries(
    [...inherited, ...(server.inherit ?? [])].flatMap((name) => {
      const value = valueOf(variables, name)
      return value === undefined ? [] : [[name, value]]
    })
  ),
  ...server.env
})

/**
 * Returns the headers of all requests to a server, or the name of a variable that it needs: one that is `missing`, or
 * one whose value is `unusable`, because no header can carry it.
 */
export const headersOf = (
  server: HttpServer,
  variables: Variables
):
  | { readonly headers: { readonly [name: string]: string } }
  | { readonly missing: string }
  | { readonly unusable: string } => {
  const headers: { [name: string]: string } = { ...server.headers }
  for (const [name, variable] of Object.entries(server.headerVariables ?? {})) {
    const value = valueOf(variables, variable)?.trim()
    if (value && !isHeaderValue(value)) return { unusable: variable }
    if (value) headers[name] = value
  }
  const { bearerTokenVariable } = server
  if (bearerTokenVariable === undefined) return { headers }
  const token = valueOf(variables, bearerTokenVariable)?.trim()
  if (!token) return { missing: bearerTokenVariable }
  if (!isHeaderValue(token)) return { unusable: bearerTokenVariable }
  return { headers: { ...headers, authorization: `Bearer ${token}` } }
}

const isHeaderValue = (text: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(text)

/** Returns true if the configuration of a server authorizes its requests, so that no login is used. */
export const isAuthorized = ({ bearerTokenVariable, headers, headerVariables }: HttpServer): boolean =>
  bearerTokenVariable !== undefined ||
  Object.keys({ ...headers, ...headerVariables }).some((name) => name.toLowerCase() === "authorization")

/** Returns the names of the variables that hold secrets of a server. */
export const variablesOf = (server: ServerConfig): ReadonlyArray<string> =>
  server._tag === "Stdio"
    ? (server.inherit ?? [])
    : [
        ...[server.bearerTokenVariable, server.clientSecretVariable].flatMap((name) => name ?? []),
        ...Object.values(server.headerVariables ?? {})
      ]

/** Returns true if a server's tool is offered. */
export const isOffered = ({ disabledTools, enabledTools }: ServerConfig, tool: string): boolean =>
  (enabledTools === undefined || enabledTools.includes(tool)) && disabledTools?.includes(tool) !== true
