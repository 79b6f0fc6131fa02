/**
 * The settings of the sandbox: the mode, and the table `sandbox_workspace_write`. The keys are the reference's.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { fullAccess, type SandboxPolicy } from "@spindle/tools/SandboxPolicy"
import type * as Table from "./table.ts"

/** What a command may touch. */
export const sandboxModes = ["read-only", "workspace-write", "danger-full-access"] as const
/** @see {@link sandboxModes} */
export type SandboxMode = (typeof sandboxModes)[number]

/** What `workspace-write` allows in addition to the working directory. All paths are absolute. */
export interface SandboxSettings {
  readonly writableRoots: ReadonlyArray<string>
  /** The directories of temporary files that commands may write. */
  readonly scratch: ReadonlyArray<string>
  /** Whether commands reach the network. */
  readonly network: boolean
  /** The directories of this program, which commands and patches never write. */
  readonly protectedPaths: ReadonlyArray<string>
}

/** Where the settings come from. `added` are directories of the command line. */
export interface Sources {
  readonly table: Table.Settings
  readonly env: { readonly [name: string]: string | undefined }
  readonly directory: string
  readonly protectedPaths: ReadonlyArray<string>
  readonly added: ReadonlyArray<string>
}

/** Reads the settings. Roots are relative to the directory of the configuration. */
export const read = ({ added, directory, env, protectedPaths, table }: Sources): SandboxSettings => {
  const key = (name: string): Table.Key => `sandbox_workspace_write.${name}`
  const temporary = env["TMPDIR"]
  const hasTemporary = temporary !== undefined && Path.isAbsolute(temporary)
  return {
    writableRoots: [
      ...(table.list(key("writable_roots")) ?? []).map((root) => Path.resolve(directory, root)),
      ...added
    ],
    scratch: [
      ...(table.flag(key("exclude_slash_tmp")) === true ? [] : ["/tmp"]),
      ...(table.flag(key("exclude_tmpdir_env_var")) === true || !hasTemporary ? [] : [temporary])
    ],
    network: table.flag(key("network_access")) ?? false,
    protectedPaths
  }
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
  const { network, protectedPaths, scratch, writableRoots } = settings
  const patches: SandboxPolicy = {
    _tag: "WorkspaceWrite",
    roots: [cwd, ...writableRoots].map(realPath),
    scratch: scratch.map(realPath),
    protectedPaths: protectedPaths.map(realPath),
    network
  }
  return { patches, commands: mode === "read-only" ? { _tag: "ReadOnly", network: false } : patches }
}

/** The real path of a directory; the path itself if there is none. */
const realPath = (path: string): string => {
  try {
    return Fs.realpathSync(path)
  } catch {
    return path
  }
}
