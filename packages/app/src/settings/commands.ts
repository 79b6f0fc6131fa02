/**
 * How commands run: the environment that they get (`shell_environment_policy`), and whether their shells read the profile
 * of the user (`allow_login_shell`).
 */
import * as CommandEnvironment from "@spindle/tools/CommandEnvironment"
import type * as Table from "./table.ts"

/** How commands run. */
export interface CommandSettings {
  readonly environment: CommandEnvironment.Policy
  readonly allowsLoginShell: boolean
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
    allowsLoginShell: table.flag("allow_login_shell") ?? true
  }
}
