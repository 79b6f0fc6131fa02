/**
 * The environment variables of this program that its commands inherit. Without a policy they get all except those that
 * look like a secret, because a model reads what a command prints.
 */
import * as Context from "effect/Context"

/** Environment variables by name. */
export interface Variables {
  readonly [name: string]: string | undefined
}

/**
 * The variables that commands inherit. Patterns are names in any case, in which `*` is any text. A variable is
 * inherited if `inherit` covers it and no pattern of `exclude` matches, or if a pattern of `include` matches. Then
 * `set` is added. Finally, if `only` is set, only the variables that one of its patterns matches are kept.
 */
export interface Policy {
  /** All variables, those that programs need to find their way ({@link coreNames}), or none. */
  readonly inherit: "all" | "core" | "none"
  /** Default: {@link secretNames}. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /** Default: none. */
  readonly include?: ReadonlyArray<string> | undefined
  /** Variables with values, in place of those that are inherited. Default: none. */
  readonly set?: { readonly [name: string]: string } | undefined
  /** Default: all. */
  readonly only?: ReadonlyArray<string> | undefined
}

/** The names of variables that hold secrets, by custom: keys, tokens, secrets, passwords and credentials. */
export const secretNames: ReadonlyArray<string> = [
  "*_KEY",
  "*_KEY_ID",
  "*APIKEY",
  "*TOKEN",
  "*SECRET",
  "*PASSWORD",
  "*PASSWD",
  "*_CREDENTIALS"
]

/** The variables that `inherit: "core"` covers. */
export const coreNames: ReadonlyArray<string> = [
  "HOME",
  "LANG",
  "LC_*",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER"
]

/** Returns the variables of commands. */
export const select = (variables: Variables, policy: Policy): { readonly [name: string]: string } => {
  const isCovered = matcher(policy.inherit === "all" ? ["*"] : policy.inherit === "core" ? coreNames : [])
  const isExcluded = matcher(policy.exclude ?? secretNames)
  const isIncluded = matcher(policy.include ?? [])
  const selected: { [name: string]: string } = {}
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) continue
    if (isIncluded(name) || (isCovered(name) && !isExcluded(name))) selected[name] = value
  }
  Object.assign(selected, policy.set)
  if (policy.only === undefined) return selected
  const isKept = matcher(policy.only)
  return Object.fromEntries(Object.entries(selected).filter(([name]) => isKept(name)))
}

const matcher = (patterns: ReadonlyArray<string>): ((name: string) => boolean) => {
  const expressions = patterns.map((pattern) => {
    const literals = pattern.split("*").map((literal) => literal.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    return new RegExp(`^${literals.join(".*")}$`, "is")
  })
  return (name) => expressions.some((expression) => expression.test(name))
}

/** The policy of all commands. `ProcessGroups.layer` reads it. */
export class CommandEnvironment extends Context.Reference<Policy>("@spindle/tools/CommandEnvironment", {
  defaultValue: () => ({ inherit: "all" })
}) {}

/** The variables that commands inherit from: those of this program. `ProcessGroups.layer` reads them at each start. */
export class HostVariables extends Context.Reference<() => Variables>(
  "@spindle/tools/CommandEnvironment/HostVariables",
  {
    defaultValue: () => () => (globalThis as { readonly process?: { readonly env?: Variables } }).process?.env ?? {}
  }
) {}
