/**
 * The settings of commands: their environment (`shell_environment_policy`), login shells, which read the profile of the
 * user (`allow_login_shell`), and the longest wait of a call for a command (`background_terminal_max_timeout`).
 */
import { type ServerConfig, variablesOf } from "@spindle/mcp/ServerConfig"
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import * as Redacted from "effect/Redacted"
import type { Provider } from "./providers.ts"
import type * as Table from "./table.ts"

/** The settings of commands. */
export interface CommandSettings {
  readonly environment: CommandEnvironment.Policy
  readonly allowsLoginShell: boolean
  /** The longest that a call waits for a command in the background, in milliseconds; undefined for the default. */
  readonly maxPollMillis: number | undefined
}

/** Reads the settings. Names of secrets are excluded unless `ignore_default_excludes` is true. */
export const read = (table: Table.Settings): CommandSettings => {
  const at = "shell_environment_policy"
  const keepsSecrets = table.flag(`${at}.ignore_default_excludes`) ?? false
  const only = table.list(`${at}.include_only`)
  return {
    environment: {
      inherit: table.choice(`${at}.inherit`, ["all", "core", "none"]) ?? "all",
      exclude: [...(keepsSecrets ? [] : CommandEnvironment.secretNames), ...(table.list(`${at}.exclude`) ?? [])],
      set: Object.fromEntries(table.texts(`${at}.set`)),
      ...(only === undefined || only.length === 0 ? {} : { only })
    },
    allowsLoginShell: table.flag("allow_login_shell") ?? true,
    maxPollMillis: table.count("background_terminal_max_timeout")
  }
}

/** The settings of commands, and those with the secrets that no command gets. */
interface EnvironmentSettings {
  readonly commands: CommandSettings
  readonly mcpServers: ReadonlyArray<ServerConfig>
  readonly provider: Provider
}

/**
 * Returns the environment of the commands of a session, without any variable that holds the key or a header of the provider
 * or of an MCP server, whatever its name.
 */
export const environmentOf = (
  { commands, mcpServers, provider }: EnvironmentSettings,
  env: CommandEnvironment.Variables
): CommandEnvironment.Policy => {
  const secrets = provider._tag === "Scripted" ? [] : [provider.key, ...provider.headers.map(([, value]) => value)]
  const values = secrets.flatMap((secret) => (secret === undefined ? [] : [Redacted.value(secret)]))
  const names = [
    ...Object.entries(env).flatMap(([name, value]) => (values.includes(value ?? "") ? [name] : [])),
    ...mcpServers.flatMap(variablesOf)
  ]
  const { environment } = commands
  return { ...environment, exclude: [...(environment.exclude ?? []), ...names] }
}
