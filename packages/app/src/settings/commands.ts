/**
 * The settings of commands: their environment (`shell_environment_policy`), login shells, which read the profile of the
 * user (`allow_login_shell`), and the longest wait of a call for a command (`background_terminal_max_timeout`).
 */
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
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
