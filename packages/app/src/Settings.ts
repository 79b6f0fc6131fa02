/**
 * The configuration: `config.toml`, the overrides of the command line, and the environment.
 *
 * Keys have the names of the reference's `config.toml`, so that its users can keep theirs. Keys and values that this
 * program does not know or use are named in `warnings`, or refused with `isStrict`. A key is looked up in the flags,
 * then in `--config`, then in the file. Any fault is one `SettingsInvalid` with a message of one line.
 */
import * as Path from "node:path"
import type { Permission } from "@spindle/core/Authority"
import type { ServerConfig } from "@spindle/mcp/ServerConfig"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import type * as Accounts from "./Accounts.ts"
import * as Features from "./Features.ts"
import type { Places } from "./Instructions.ts"
import * as AgentSettings from "./settings/agents.ts"
import * as Catalog from "./settings/catalog.ts"
import * as CommandSettings from "./settings/commands.ts"
import * as Providers from "./settings/providers.ts"
import type { Account, Provider, ServerProvider } from "./settings/providers.ts"
import * as RegularFile from "./storage/RegularFile.ts"
import { refuse, SettingsInvalid } from "./settings/reason.ts"
import * as SandboxSettings from "./settings/sandbox.ts"
import type { Files } from "./settings/files.ts"
import * as McpSettings from "./settings/mcp.ts"
import * as Table from "./settings/table.ts"
import * as SkillSettings from "./settings/skills.ts"
import * as TelemetrySettings from "./settings/telemetry.ts"
import * as Unsupported from "./settings/unsupported.ts"
import * as UnusedKeys from "./settings/unused.ts"
import type * as ApprovalPolicies from "@spindle/tools/ApprovalPolicy"

/** The policies by which a person has to agree before something runs. */
export const approvalPolicies = ["untrusted", "on-failure", "on-request", "never"] as const
/** @see {@link approvalPolicies} */
export type ApprovalPolicy = (typeof approvalPolicies)[number]

/** The kinds of questions that a person may be asked, each with true. A question of any other kind is refused. */
export interface Granular extends ApprovalPolicies.Granular {
  /** Questions to fill in a form of a tool server. */
  readonly elicitations: boolean
  /** Questions to grant permissions that the model requests. */
  readonly permissions: boolean
}

export type { Account, Provider, ServerProvider } from "./settings/providers.ts"
export { Reason, SettingsInvalid } from "./settings/reason.ts"
export type { AgentModel, AgentRole, AgentSettings } from "./settings/agents.ts"
export type { Catalog, ModelInfo } from "./settings/catalog.ts"
export type { CommandSettings } from "./settings/commands.ts"
export type { Configured } from "./settings/mcp.ts"
export { type SandboxMode, sandboxModes, type SandboxSettings } from "./settings/sandbox.ts"
export type { SkillSelection } from "./settings/skills.ts"
export type { Key, Layer, Settings as Table, Tree } from "./settings/table.ts"

/** The configuration in force. */
export interface Settings {
  /** The directory of the journals; absolute. */
  readonly home: string
  readonly model: string
  readonly provider: Provider
  readonly approvalPolicy: ApprovalPolicy | Granular
  readonly sandboxMode: SandboxSettings.SandboxMode
  readonly sandbox: SandboxSettings.SandboxSettings
  readonly reasoningEffort: string | undefined
  readonly reasoningSummary: string | undefined
  readonly verbosity: string | undefined
  /** The scheduling of requests at the provider, such as `flex` or `priority`. Undefined: the provider's default. */
  readonly serviceTier: string | undefined
  /** The most tokens of a response. Undefined: the provider's limit. */
  readonly maxOutputTokens: number | undefined
  /** The kind of web search that the provider runs; undefined if it runs none. */
  readonly webSearch: "cached" | "live" | undefined
  /** The directory of `config.toml` and of the person's own instructions, prompts and skills; absolute. */
  readonly configDirectory: string
  readonly disabledSkills: SkillSettings.SkillSelection
  /** The files of a project that are instructions; see `Instructions.Places`. */
  readonly projectDoc: Pick<Places, "fallbackNames" | "maxBytes" | "rootMarkers">
  /** The known facts about models. */
  readonly catalog: Catalog.Catalog
  /** The table `[hooks]` and the file that has it; see `HookSettings`. */
  readonly hooks: { readonly source: string; readonly table: unknown } | undefined
  /** The replacement of the default instructions: the content of `model_instructions_file`, or else `instructions`. */
  readonly instructions: string | undefined
  /** The tone in which the model talks to the person. */
  readonly personality: Personality | undefined
  /** The `developer_instructions`, which follow the instructions. */
  readonly addition: string | undefined
  /** Undefined if the model may not start agents. */
  readonly agents: AgentSettings.AgentSettings | undefined
  readonly commands: CommandSettings.CommandSettings
  /** The MCP servers that are enabled. */
  readonly mcpServers: ReadonlyArray<ServerConfig>
  readonly features: Features.Features
  /** The parts of the configuration that have no effect, in words. */
  readonly warnings: ReadonlyArray<string>
  /** The destinations of traces and metrics; undefined if nothing is sent. */
  readonly telemetry: TelemetrySettings.TelemetrySettings | undefined
}

/** The sources of the settings. `flags` win over `config`, and `config` wins over the file. */
export interface Sources {
  readonly command: "exec" | "demo" | "sandbox"
  readonly env: Accounts.Environment
  readonly homeDirectory: string
  /** True if keys without an effect are refused. */
  readonly isStrict?: boolean | undefined
  readonly config: ReadonlyArray<readonly [key: string, value: string]>
  readonly flags: {
    readonly model?: string | undefined
    readonly approvalPolicy?: ApprovalPolicy | undefined
    readonly sandboxMode?: SandboxSettings.SandboxMode | undefined
    /** Absolute directories that commands may write, too. */
    readonly addedDirectories?: ReadonlyArray<string> | undefined
    readonly telemetry?: boolean | undefined
    /** Features to switch on or off, by name. */
    readonly features?: { readonly [name: string]: boolean } | undefined
  }
}

/** The personalities that a configuration can give the model. */
export const personalities = ["friendly", "pragmatic"] as const
/** @see {@link personalities} */
export type Personality = (typeof personalities)[number]

/** Returns the model to use if none is configured. */
const defaultModelOf = ({ _tag }: ServerProvider): string => (_tag === "Messages" ? "claude-sonnet-4-5" : "gpt-5")

/**
 * Returns the directory of the journals: `$SPINDLE_HOME`, else `~/.spindle`. It may not exist yet. It is never
 * `$CODEX_HOME`, whose sessions belong to another program.
 */
export const home = (sources: Pick<Sources, "env" | "homeDirectory">): string =>
  Path.resolve(sources.env["SPINDLE_HOME"] || Path.join(sources.homeDirectory, ".spindle"))

/** Returns the directory of `config.toml`, which is only read: `$SPINDLE_HOME`, `$CODEX_HOME`, or `~/.spindle`. */
const configDirectory = (sources: Pick<Sources, "env" | "homeDirectory">): string =>
  Path.resolve(sources.env["SPINDLE_HOME"] || sources.env["CODEX_HOME"] || home(sources))

/** The checks before commands and patches run. */
export interface Permissions {
  readonly commands: Permission
  readonly patches: Permission
}

/**
 * Returns the checks before a patch, and before a command that no rule covers and that does more than read. The policy
 * `untrusted` always asks. Otherwise a sandbox decides about commands, and patches need approval only in read-only
 * mode. Without a sandbox both need approval, unless full access was chosen. The policy `never` denies instead of
 * asking.
 */
export const permissionsOf = (
  { approvalPolicy, sandboxMode }: Pick<Settings, "approvalPolicy" | "sandboxMode">,
  isSandboxed: boolean
): Permissions => {
  const of = (isSafe: boolean): Permission =>
    approvalPolicy === "untrusted" ? "ask" : isSafe ? "allow" : approvalPolicy === "never" ? "deny" : "ask"
  const hasFullAccess = sandboxMode === "danger-full-access"
  return {
    commands: of(hasFullAccess || isSandboxed),
    patches: of(hasFullAccess || (isSandboxed && sandboxMode === "workspace-write"))
  }
}

/** Reads the configuration. **Interruption** leaves nothing open. **Errors**: `SettingsInvalid`. */
export const load = (sources: Sources): Effect.Effect<Settings, SettingsInvalid> => attempt(() => read(sources))

const attempt = <A>(evaluate: () => A): Effect.Effect<A, SettingsInvalid> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(evaluate())
    } catch (error) {
      return error instanceof SettingsInvalid ? Effect.fail(error) : Effect.die(error)
    }
  })

/** The MCP servers of the configuration, for a program that shows and changes them. */
export interface McpServers {
  /** The configuration file, which may not exist. */
  readonly file: string
  /** The text of the file. */
  readonly text: string
  /** True if the file belongs to another program and is only read. */
  readonly isForeign: boolean
  readonly servers: ReadonlyArray<McpSettings.Configured>
}

/** Reads the MCP servers of the configuration file. No model has to be configured. **Errors**: `SettingsInvalid`. */
export const mcpServers = (
  sources: Pick<Sources, "env" | "homeDirectory">
): Effect.Effect<McpServers, SettingsInvalid> =>
  attempt(() => {
    const directory = configDirectory(sources)
    const file = Path.join(directory, "config.toml")
    const layer = fileLayer(file)
    const isForeign = !sources.env["SPINDLE_HOME"] && directory !== home(sources)
    return { file, text: layer.text ?? "", isForeign, servers: readMcp(Table.make([layer], wrongType), file) }
  })

/**
 * Reads the account of `provider`, by default that of the configuration. No model has to be configured. **Errors**:
 * `SettingsInvalid`.
 */
export const account = (
  sources: Pick<Sources, "config" | "env" | "homeDirectory"> & { readonly provider: string | undefined }
): Effect.Effect<Account, SettingsInvalid> =>
  attempt(() => {
    const { file, table } = tablesOf({ ...sources, flags: {} })
    return Providers.accountOf({ env: sources.env, table, file, home: home(sources) }, sources.provider)
  })

/** Reads the features. No model has to be configured. **Errors**: `SettingsInvalid`. */
export const features = (
  sources: Pick<Sources, "config" | "env" | "flags" | "homeDirectory">
): Effect.Effect<Features.Features, SettingsInvalid> => attempt(() => Features.read(tablesOf(sources).table))

const wrongType = (source: string, key: string, expected: string) =>
  refuse({ _tag: "WrongType", source, key, expected })

const refuseUnsupported = (found: Unsupported.Unsupported | undefined) =>
  found === undefined ? undefined : refuse({ _tag: "NotSupported", ...found })

/** Reads the tables of the command line and of the file, one by one and as one. */
const tablesOf = (sources: Pick<Sources, "config" | "env" | "flags" | "homeDirectory">) => {
  const directory = configDirectory(sources)
  const file = Path.join(directory, "config.toml")
  const written = [{ source: "--config", table: Table.overrides(sources.config) }, fileLayer(file)]
  const layers = [written[0]!, ...profileLayer(written, file), written[1]!]
  return { directory, file, written, table: Table.make([flagLayer(sources.flags), ...layers], wrongType) }
}

const read = (sources: Sources): Settings => {
  const { directory, file, table, written } = tablesOf(sources)
  const provider: Provider =
    // the command sends no model request
    sources.command === "sandbox"
      ? { _tag: "Scripted" }
      : Providers.read({ env: sources.env, isDemo: sources.command === "demo", table, file, home: home(sources) })
  const used = provider._tag === "Scripted" ? undefined : provider
  refuseUnsupported(Unsupported.find(table, used?.id))
  const features = Features.read(table)
  const webSearch = webSearchOf(table, features)
  if (used !== undefined) refuseUnsupported(Unsupported.findForApi(table, { provider: used, webSearch }))
  const model = provider._tag === "Scripted" ? "scripted" : (table.text("model") ?? defaultModelOf(provider))
  const telemetry = TelemetrySettings.read({ table, env: sources.env, isAsked: sources.flags.telemetry === true })
  const standard = standardOf(sources.command, provider)
  const catalog = Catalog.make({
    table,
    files: filesOf(directory),
    model,
    provider: provider._tag === "Scripted" || !provider.isBuiltIn ? undefined : provider.id
  })
  const effort = Catalog.effortWarning(catalog, model, table.text("model_reasoning_effort"))
  const reject = (key: string, expected: string) => wrongType(file, key, expected)
  const agents = features.isEnabled("multi_agent")
    ? { table, files: filesOf(directory), model: provider._tag === "Scripted" ? undefined : model }
    : undefined
  const unused = [...UnusedKeys.of(written), ...(agents === undefined ? [] : AgentSettings.unusedOf(agents))]
  const unknown = [...unused, ...features.unknown.map((name) => `features.${name}`)]
  if (sources.isStrict === true && unknown.length > 0) refuse({ _tag: "UnusedKeys", keys: unknown })
  const warnings = [
    ...(unused.length === 0 ? [] : [`these keys of the configuration have no effect: ${unused.join(", ")}`]),
    ...(features.unknown.length === 0
      ? []
      : [`unknown features: ${features.unknown.join(", ")} (see spindle features list)`]),
    ...features.warnings,
    ...(effort === undefined ? [] : [effort])
  ]
  return {
    home: home(sources),
    provider,
    model,
    approvalPolicy: approvalPolicyOf(table) ?? standard.approval,
    sandboxMode: table.choice("sandbox_mode", SandboxSettings.sandboxModes) ?? standard.sandbox,
    sandbox: SandboxSettings.read({
      table,
      env: sources.env,
      directory,
      protectedPaths: [home(sources), directory],
      added: sources.flags.addedDirectories ?? [],
      reject
    }),
    reasoningEffort: table.text("model_reasoning_effort"),
    reasoningSummary: table.text("model_reasoning_summary"),
    verbosity: table.text("model_verbosity"),
    serviceTier: serviceTierOf(table.text("service_tier")),
    maxOutputTokens: atLeastOne(table.count("model_max_output_tokens")),
    webSearch,
    configDirectory: directory,
    disabledSkills: SkillSettings.disabledOf({ table, directory, homeDirectory: sources.homeDirectory, reject }),
    projectDoc: {
      maxBytes: table.count("project_doc_max_bytes") ?? 32_768,
      fallbackNames: table.list("project_doc_fallback_filenames") ?? [],
      rootMarkers: table.list("project_root_markers") ?? [".git"]
    },
    catalog,
    hooks: table.value("hooks") === undefined ? undefined : { source: file, table: table.value("hooks") },
    instructions: AgentSettings.instructionsOf(table, filesOf(directory)),
    personality: personalityOf(table.choice("personality", ["none", ...personalities])),
    addition: table.text("developer_instructions"),
    agents: agents === undefined ? undefined : AgentSettings.read(agents),
    commands: CommandSettings.read(table),
    mcpServers: readMcp(table, file).flatMap(({ isEnabled, server }) => (isEnabled ? [server] : [])),
    features,
    warnings,
    telemetry
  }
}

const atLeastOne = (count: number | undefined) => (count === undefined ? undefined : Math.max(1, count))

const personalityOf = (name: "none" | Personality | undefined) => (name === "none" ? undefined : name)

/** Reads the kind of web search. The features and `tools.web_search` are older forms of the key. */
const webSearchOf = (table: Table.Settings, features: Features.Features): Settings["webSearch"] => {
  const mode = table.choice("web_search", ["disabled", "cached", "live"])
  if (mode !== undefined) return mode === "disabled" ? undefined : mode
  if (features.isEnabled("web_search_cached")) return "cached"
  return (table.flag("tools.web_search") ?? features.isEnabled("web_search_request")) ? "live" : undefined
}

/** Converts a tier to the word of the API, which has another one for the tier that the reference calls fast. */
const serviceTierOf = (tier: string | undefined) => (tier === "fast" ? "priority" : tier)

/** Reads a policy: a name, or `{ granular = { ... } }`, in which a missing kind of question may be asked. */
const approvalPolicyOf = (table: Table.Settings): Settings["approvalPolicy"] | undefined => {
  const isGranular = table.isTable("approval_policy") && table.variant("approval_policy", ["granular"]) !== undefined
  if (!isGranular) return table.choice("approval_policy", approvalPolicies)
  const isAllowed = (name: string) => table.flag(["approval_policy", "granular", name]) ?? true
  return {
    sandboxApproval: isAllowed("sandbox_approval"),
    rules: isAllowed("rules"),
    elicitations: isAllowed("mcp_elicitations"),
    permissions: isAllowed("request_permissions")
  }
}

/**
 * Returns the default policy and sandbox. The demo shows its questions to a person even if there is a sandbox; its
 * script runs three known commands.
 */
const standardOf = (
  command: Sources["command"],
  provider: Provider
): { readonly approval: ApprovalPolicy; readonly sandbox: SandboxSettings.SandboxMode } => ({
  approval: command === "demo" ? "untrusted" : "on-request",
  sandbox: command === "demo" && provider._tag === "Scripted" ? "danger-full-access" : "read-only"
})

const readMcp = (table: Table.Settings, file: string) =>
  McpSettings.read(table, (key, expected) => wrongType(file, key, expected))

const flagLayer = (flags: Sources["flags"]): Table.Layer => ({
  source: "the command line",
  table: Object.fromEntries(
    Object.entries({
      model: flags.model,
      approval_policy: flags.approvalPolicy,
      sandbox_mode: flags.sandboxMode,
      features: flags.features
    }).filter(([, value]) => value !== undefined)
  )
})

const fileLayer = (file: string): Table.Layer => {
  const text = readText(file)
  return text === undefined ? { source: file, table: {} } : layerOf(file, text)
}

/** Returns the table that `profile` names, which is stronger than the rest of the file. */
const profileLayer = (written: ReadonlyArray<Table.Layer>, file: string): ReadonlyArray<Table.Layer> => {
  const table = Table.make(written, wrongType)
  const name = table.text("profile")
  if (name === undefined) return []
  if (!table.keys("profiles").includes(name)) wrongType(file, "profile", "the name of a table in profiles")
  const values = table.keys([`profiles.${name}`]).map((key) => [key, table.value([`profiles.${name}`, key])])
  return [{ source: `${file}, profile ${name}`, table: Object.fromEntries(values) as Table.Tree }]
}

const layerOf = (file: string, text: string): Table.Layer => {
  const parsed = Table.parse(text)
  return "table" in parsed
    ? { source: file, table: parsed.table, text }
    : refuse({ _tag: "Unreadable", source: file, ...parsed })
}

const readText = (file: string): string | undefined => {
  try {
    return RegularFile.readTextUnsafe(file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === "ENOENT") return undefined
    return refuse({
      _tag: "Unreadable",
      source: file,
      detail: code === undefined ? message : (systemErrors[code] ?? code)
    })
  }
}

const systemErrors: { readonly [code: string]: string } = {
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is not a directory"
}

/** Reads the files that keys name, relative to the directory of the configuration. */
const filesOf = (directory: string): Files => {
  const fileOf = (table: Table.Settings, key: Table.Key) => {
    const name = table.text(key)
    if (name === undefined) return undefined
    const file = Path.resolve(directory, name)
    const keyName = typeof key === "string" ? key : key.join(".")
    return [
      file,
      readText(file) ?? refuse({ _tag: "Unreadable", source: file, detail: `${keyName} does not exist` })
    ] as const
  }
  return {
    text: (table, key) => fileOf(table, key)?.[1],
    table: (table, key) => {
      const found = fileOf(table, key)
      return Table.make(found === undefined ? [] : [layerOf(...found)], wrongType)
    },
    json: (table, key, schema) => {
      const found = fileOf(table, key)
      if (found === undefined) return undefined
      const decoded = Schema.decodeUnknownExit(Schema.fromJsonString(schema))(found[1])
      if (Exit.isSuccess(decoded)) return decoded.value
      const detail = String(Cause.squash(decoded.cause)).replaceAll(/\s*\n\s*/g, " ")
      return refuse({ _tag: "Unreadable", source: found[0], detail })
    }
  }
}
