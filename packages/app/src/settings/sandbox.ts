/**
 * The settings of the sandbox: the mode, the table `sandbox_workspace_write`, and the network of the permission profile
 * that `default_permissions` names. The keys are the reference's, except `sandbox_max_processes`.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as NetworkPolicy from "@spindle/tools/NetworkPolicy"
import { fullAccess, type SandboxPolicy } from "@spindle/tools/SandboxPolicy"
import type * as Table from "./table.ts"

/** The sandbox modes, the narrowest first. */
export const sandboxModes = ["read-only", "workspace-write", "danger-full-access"] as const
/** @see {@link sandboxModes} */
export type SandboxMode = (typeof sandboxModes)[number]

/** The additions of `workspace-write` to the working directory. All paths are absolute. */
export interface SandboxSettings {
  readonly writableRoots: ReadonlyArray<string>
  /** The directories of temporary files that commands may write. */
  readonly scratch: ReadonlyArray<string>
  /** The part of the network that commands can reach. */
  readonly network: NetworkPolicy.NetworkPolicy
  /** The same in read-only mode, to which `sandbox_workspace_write` does not apply. */
  readonly readOnlyNetwork: NetworkPolicy.NetworkPolicy
  /** The number of processes and threads that a command may have at the same time; undefined for any number. */
  readonly processes: number | undefined
  /** The directories of this program, which commands and patches never write. */
  readonly protectedPaths: ReadonlyArray<string>
}

/** The sources of the settings. `added` are directories of the command line. */
export interface Sources {
  readonly table: Table.Settings
  readonly env: { readonly [name: string]: string | undefined }
  readonly directory: string
  readonly protectedPaths: ReadonlyArray<string>
  readonly added: ReadonlyArray<string>
  /** Called for a value of the right type that makes no sense. Must throw. */
  readonly reject: (key: string, expected: string) => never
}

/** The default limit. It is enough for the largest builds, and stops a fork bomb. */
const maxProcesses = 4_096

/** Reads the settings. Roots are relative to the directory of the configuration. */
export const read = ({ added, directory, env, protectedPaths, table, reject }: Sources): SandboxSettings => {
  const key = (name: string): Table.Key => `sandbox_workspace_write.${name}`
  const temporary = env["TMPDIR"]
  const hasTemporary = temporary !== undefined && Path.isAbsolute(temporary)
  const network = networkOf(table, reject)
  const processes = table.count("sandbox_max_processes") ?? maxProcesses
  return {
    writableRoots: [
      ...(table.list(key("writable_roots")) ?? []).map((root) => Path.resolve(directory, root)),
      ...added
    ],
    scratch: [
      ...(table.flag(key("exclude_slash_tmp")) === true ? [] : ["/tmp"]),
      ...(table.flag(key("exclude_tmpdir_env_var")) === true || !hasTemporary ? [] : [temporary])
    ],
    network: network ?? table.flag(key("network_access")) ?? false,
    readOnlyNetwork: network ?? false,
    processes: processes === 0 ? undefined : processes,
    protectedPaths
  }
}

/**
 * Reads the network of the chosen profile; undefined if it has none. A profile of the reference itself, whose name
 * begins with a colon, has no table.
 */
const networkOf = (table: Table.Settings, reject: Sources["reject"]): NetworkPolicy.NetworkPolicy | undefined => {
  const name = table.text("default_permissions")
  if (name === undefined || name.startsWith(":")) return undefined
  if (!table.keys("permissions").includes(name)) reject("default_permissions", "the name of a table in permissions")
  const at = `permissions.${name}`
  if (!table.isTable([at, "network"])) return undefined
  if (table.flag([at, "network", "enabled"]) !== true) return false
  const domains = table.keys([at, "network", "domains"]).map((pattern) => {
    const patterns = pattern.startsWith("**.") ? [pattern.slice(3), pattern.slice(1)] : [pattern]
    if (!patterns.every(NetworkPolicy.isPattern)) {
      reject(
        `${at}.network.domains`,
        `a table of hosts, *.DOMAIN, **.DOMAIN or *, which ${JSON.stringify(pattern)} is not`
      )
    }
    return { patterns, rule: table.choice([at, "network", "domains", pattern], ["allow", "deny"]) }
  })
  if (domains.length === 0) return true
  const of = (wanted: "allow" | "deny") => domains.flatMap(({ patterns, rule }) => (rule === wanted ? patterns : []))
  return { _tag: "Hosts", allowed: of("allow"), denied: of("deny") }
}

/** The policies of commands and of patches. */
export interface Policies {
  readonly commands: SandboxPolicy
  /** Patches stay in the working directory. In read-only mode a person agrees to each. */
  readonly patches: SandboxPolicy
}

/** Returns the policies of a working directory. */
export const policiesOf = (mode: SandboxMode, settings: SandboxSettings, cwd: string): Policies => {
  if (mode === "danger-full-access") return { commands: fullAccess, patches: fullAccess }
  const { network, processes, protectedPaths, readOnlyNetwork, scratch, writableRoots } = settings
  const limit = processes === undefined ? {} : { processes }
  const patches: SandboxPolicy = {
    _tag: "WorkspaceWrite",
    roots: [cwd, ...writableRoots].map(realPath),
    scratch: scratch.map(realPath),
    protectedPaths: protectedPaths.map(realPath),
    network,
    ...limit
  }
  return {
    patches,
    commands: mode === "read-only" ? { _tag: "ReadOnly", network: readOnlyNetwork, ...limit } : patches
  }
}

/** Returns the network that commands reach in a mode. */
export const networkIn = (mode: SandboxMode, settings: SandboxSettings): NetworkPolicy.NetworkPolicy =>
  mode === "danger-full-access" || (mode === "read-only" ? settings.readOnlyNetwork : settings.network)

/** Returns the narrower of two modes. */
export const narrowerMode = (one: SandboxMode, other: SandboxMode): SandboxMode =>
  sandboxModes.indexOf(one) <= sandboxModes.indexOf(other) ? one : other

/** Returns the real path of a directory; the path itself if there is no such directory. */
const realPath = (path: string): string => {
  try {
    return Fs.realpathSync(path)
  } catch {
    return path
  }
}
