/**
 * The model provider of a configuration, and the source of its key: a variable of the environment, a token in the
 * configuration, a command, or the store of `spindle login`, in this order.
 */
import * as Path from "node:path"
import { defaults, type SessionConfig } from "@spindle/core/SessionConfig"
import * as Redacted from "effect/Redacted"
import * as Accounts from "../Accounts.ts"
import * as Headers from "./headers.ts"
import { refuse } from "./reason.ts"
import type * as Table from "./table.ts"

/**
 * A server that speaks the Responses API, the chat completions API or the Messages API. `requestRetries` and
 * `streamRetries` are the most repetitions of a request.
 */
export interface ServerProvider {
  readonly _tag: "Responses" | "ChatCompletions" | "Messages"
  readonly id: string
  /** True if it is the one that this program knows by this id, and not another server with its name. */
  readonly isBuiltIn: boolean
  readonly name: string
  readonly baseUrl: string
  /** Without a key, requests carry no authorization. */
  readonly key: Redacted.Redacted | undefined
  /** The command that prints the key, in place of `key`. */
  readonly keyCommand: Accounts.KeyCommand | undefined
  /** The store in which `spindle login` has put the key, in place of both. */
  readonly keyStore: Accounts.StoreKind | undefined
  readonly headers: ReadonlyArray<readonly [name: string, value: Redacted.Redacted]>
  readonly query: ReadonlyArray<readonly [name: string, value: string]>
  readonly requestRetries: number
  readonly streamRetries: number
  readonly idleTimeoutMillis: number
}

/** The receiver of model requests: a server, or a script. */
export type Provider = ServerProvider | { readonly _tag: "Scripted" }

/** Returns how often a session repeats the requests to a provider. */
export const retriesOf = (provider: Provider): Pick<SessionConfig, "requestRetries" | "streamRetries"> => {
  const { requestRetries, streamRetries } = provider._tag === "Scripted" ? defaults : provider
  return { requestRetries, streamRetries }
}

/** The sources of a provider. */
export interface Sources {
  readonly env: Accounts.Environment
  /** True if a script replaces a model that is not configured. */
  readonly isDemo: boolean
  readonly table: Table.Settings
  /** The configuration file. */
  readonly file: string
  /** The directory of the keys of `spindle login`. */
  readonly home: string
}

/** A provider that needs no table in the configuration. */
interface BuiltIn {
  readonly _tag: ServerProvider["_tag"]
  readonly name: string
  readonly baseUrl: string
  readonly variables: ReadonlyArray<string>
}

const builtIns: ReadonlyMap<string, BuiltIn> = new Map([
  [
    "openai",
    {
      _tag: "Responses",
      name: "OpenAI",
      baseUrl: "https://api.openai.com/v1",
      variables: Accounts.openAiVariables
    }
  ],
  [
    "anthropic",
    {
      _tag: "Messages",
      name: "Anthropic",
      baseUrl: "https://api.anthropic.com/v1",
      variables: ["ANTHROPIC_API_KEY"]
    }
  ]
])

/** Reads the provider. Throws `SettingsInvalid`. */
export const read = (sources: Sources): Provider => {
  const { table } = sources
  const ownNames = table.keys("model_providers")
  const id = table.text("model_provider") ?? "openai"
  const builtIn = builtIns.get(id)
  // a table without a base URL only sets the limits of a built-in provider
  const isOwn = ownNames.includes(id) && (builtIn === undefined || table.url([`model_providers.${id}`, "base_url"]))
  if (isOwn) return ownProvider(sources, id)
  if (builtIn !== undefined) return builtInProvider(sources, id, builtIn)
  if (id === "scripted") return { _tag: "Scripted" }
  return refuse({ _tag: "UnknownProvider", name: id, known: [...builtIns.keys(), "scripted", ...ownNames] })
}

const builtInProvider = (sources: Sources, id: string, builtIn: BuiltIn): Provider => {
  const { env, file, isDemo, table } = sources
  const { variables, ...rest } = builtIn
  const baseUrl = id === "openai" ? table.url("openai_base_url") : undefined
  const key = keyIn(env, variables)
  const keyStore = key === undefined ? storeOf(sources, id, true) : undefined
  if (key === undefined && keyStore === undefined && baseUrl === undefined) {
    if (table.text("model_provider") !== undefined) return refuse({ _tag: "MissingKey", provider: id, variables })
    return isDemo ? { _tag: "Scripted" } : refuse({ _tag: "NothingConfigured", configFile: file })
  }
  return {
    ...rest,
    id,
    isBuiltIn: baseUrl === undefined,
    baseUrl: baseUrl ?? builtIn.baseUrl,
    key,
    keyCommand: undefined,
    keyStore,
    headers: [],
    query: [],
    ...limits(table, `model_providers.${id}`)
  }
}

/** A provider to sign in to. */
export interface Account {
  readonly provider: string
  readonly store: Accounts.Store
  /** The source of its key, for people. Undefined if it is the store. */
  readonly source: string | undefined
}

/** Reads the account of a provider, by default the configured one. Throws `SettingsInvalid` for an unknown provider. */
export const accountOf = (sources: Omit<Sources, "isDemo">, wanted: string | undefined): Account => {
  const { env, home, table } = sources
  const provider = wanted ?? table.text("model_provider") ?? "openai"
  const ownNames = table.keys("model_providers")
  const isOwn = ownNames.includes(provider)
  const builtIn = builtIns.get(provider)
  if (builtIn === undefined && !isOwn) {
    return refuse({ _tag: "UnknownProvider", name: provider, known: [...builtIns.keys(), ...ownNames] })
  }
  const at = `model_providers.${provider}`
  const own = isOwn ? variablesOf(table, at) : []
  const variables = own.length === 0 ? (builtIn?.variables ?? []) : own
  const variable = Accounts.variableOf(env, variables)
  const command = table.text([at, "auth", "command"])
  const source =
    variable !== undefined
      ? `the variable ${variable}`
      : table.text([at, "experimental_bearer_token"]) !== undefined
        ? `experimental_bearer_token of ${at}`
        : command === undefined
          ? undefined
          : `the command ${command}`
  return { provider, store: Accounts.storeOf(storeKindOf(table), home), source }
}

/** Returns the store that `cli_auth_credentials_store` names. */
const storeKindOf = (table: Table.Settings): Accounts.StoreKind =>
  table.choice("cli_auth_credentials_store", Accounts.storeKinds) ?? "file"

/** Returns the store that may have the key of a provider. A keyring is not opened before the first request. */
const storeOf = ({ home, table }: Sources, id: string, isKeyNeeded: boolean): Accounts.StoreKind | undefined => {
  const kind = storeKindOf(table)
  if (kind !== "file") return isKeyNeeded ? kind : undefined
  try {
    return Accounts.fileKeyUnsafe(home, id) === undefined ? undefined : kind
  } catch (error) {
    const detail = `cannot read the keys in ${Accounts.fileOf(home)}: ${(error as Error).message}`
    return refuse({ _tag: "KeysUnusable", detail })
  }
}

const wireApis: ReadonlyMap<string, ServerProvider["_tag"]> = new Map([
  ["responses", "Responses"],
  ["chat", "ChatCompletions"],
  ["anthropic", "Messages"]
])

const ownProvider = (sources: Sources, id: string): ServerProvider => {
  const { env, file, table } = sources
  const at = `model_providers.${id}`
  const wireApi = table.text([at, "wire_api"]) ?? "responses"
  const api = wireApis.get(wireApi) ?? refuse({ _tag: "WireApiNotSupported", provider: id, wireApi })
  const variables = variablesOf(table, at)
  const token = table.header([at, "experimental_bearer_token"])
  const keyCommand = keyCommandOf(table, at, Path.dirname(file))
  const key = keyIn(env, variables) ?? (token === undefined ? undefined : Redacted.make(token))
  const isKeyNeeded = variables.length > 0
  const keyStore = key === undefined && keyCommand === undefined ? storeOf(sources, id, isKeyNeeded) : undefined
  if (isKeyNeeded && key === undefined && keyCommand === undefined && keyStore === undefined) {
    const instructions = table.text([at, "env_key_instructions"])
    refuse({ _tag: "MissingKey", provider: id, variables, ...(instructions === undefined ? {} : { instructions }) })
  }
  const fromEnv = table.headers([at, "env_http_headers"]).flatMap(([name, from]): typeof headers => {
    const value = keyIn(env, [from])
    return value === undefined ? [] : [[name, value]]
  })
  const headers = table.headers([at, "http_headers"]).map(([name, value]) => [name, Redacted.make(value)] as const)
  return {
    _tag: api,
    id,
    isBuiltIn: false,
    name: table.text([at, "name"]) ?? id,
    baseUrl: table.url([at, "base_url"]) ?? refuse({ _tag: "MissingBaseUrl", provider: id }),
    key,
    keyCommand: key === undefined ? keyCommand : undefined,
    keyStore,
    headers: [...headers, ...fromEnv],
    query: table.texts([at, "query_params"]),
    ...limits(table, at)
  }
}

/** Returns the value of the first of these variables that is set. It becomes a header of each request. */
const keyIn = (env: Accounts.Environment, variables: ReadonlyArray<string>): Redacted.Redacted | undefined => {
  const key = Accounts.keyOf(env, variables)
  if (key === undefined) return undefined
  const problem = Headers.problemOf(Redacted.value(key))
  if (problem === undefined) return key
  return refuse({ _tag: "VariableUnusable", variable: Accounts.variableOf(env, variables)!, problem })
}

/** Returns the variables that may have the key: the named one, or those of OpenAI if its key is required. */
const variablesOf = (table: Table.Settings, at: string): ReadonlyArray<string> => {
  const named = table.text([at, "env_key"])
  if (named !== undefined) return [named]
  return table.flag([at, "requires_openai_auth"]) === true ? Accounts.openAiVariables : []
}

const keyCommandOf = (table: Table.Settings, at: string, directory: string): Accounts.KeyCommand | undefined => {
  const command = table.text([at, "auth", "command"])
  if (command === undefined) return undefined
  return {
    command,
    args: table.list([at, "auth", "args"]) ?? [],
    cwd: Path.resolve(directory, table.text([at, "auth", "cwd"]) ?? "."),
    timeoutMillis: Math.max(1, table.count([at, "auth", "timeout_ms"]) ?? 5_000),
    refreshMillis: table.count([at, "auth", "refresh_interval_ms"]) ?? 300_000
  }
}

const limits = (table: Table.Settings, at: string) => ({
  requestRetries: table.count([at, "request_max_retries"]) ?? 4,
  streamRetries: table.count([at, "stream_max_retries"]) ?? 5,
  idleTimeoutMillis: table.count([at, "stream_idle_timeout_ms"]) ?? 300_000
})
