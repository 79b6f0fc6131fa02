/**
 * The sandbox policy of a command: it may touch nothing but its own processes, some directories, or everything.
 * Policies form a lattice, so that a delegate never has more authority than its parent (contract A4).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import * as Schema from "effect/Schema"
import * as NetworkPolicy from "./sandbox/NetworkPolicy.ts"

/** The most processes and threads that a command may have at the same time. Without it, any number. */
const processes = Schema.optionalKey(Schema.Finite)

/** Writes nothing. `network` is the part of the host's network that it reaches. */
export class ReadOnly extends Schema.Opaque<ReadOnly>()(
  Schema.TaggedStruct("ReadOnly", { network: NetworkPolicy.NetworkPolicy, processes }).annotate({
    identifier: "ReadOnly"
  })
) {}

/**
 * Writes below `roots` and `scratch`. The `protectedPaths` stay read-only, and so do the repositories of the roots and
 * the folders of {@link protectedNames} in each root. All paths are absolute.
 */
export class WorkspaceWrite extends Schema.Opaque<WorkspaceWrite>()(
  Schema.TaggedStruct("WorkspaceWrite", {
    roots: Schema.Array(Schema.String),
    /**
     * Directories of temporary files. In contrast to those of `roots`, a folder with a protected name may be made
     * there.
     */
    scratch: Schema.Array(Schema.String),
    protectedPaths: Schema.Array(Schema.String),
    network: NetworkPolicy.NetworkPolicy,
    processes
  }).annotate({ identifier: "WorkspaceWrite" })
) {}

/** Runs without a sandbox. */
export class FullAccess extends Schema.Opaque<FullAccess>()(
  Schema.TaggedStruct("FullAccess", {}).annotate({ identifier: "FullAccess" })
) {}

const policies = Schema.Union([ReadOnly, WorkspaceWrite, FullAccess]).annotate({ identifier: "SandboxPolicy" })
/** The policy of a command. */
export type SandboxPolicy = ReadOnly | WorkspaceWrite | FullAccess
/** The schema of {@link SandboxPolicy}. */
export interface SandboxPolicySchema extends Schema.Union<typeof policies.members> {
  readonly Type: SandboxPolicy
}
/** @see {@link SandboxPolicy} */
export const SandboxPolicy: SandboxPolicySchema = policies

/** No sandbox. */
export const fullAccess: SandboxPolicy = { _tag: "FullAccess" }

/** No writing, and no network. */
export const readOnly: SandboxPolicy = { _tag: "ReadOnly", network: false }

/** The folders of a root that stay read-only: they hold programs that others run, or the settings of agents. */
export const protectedNames: ReadonlyArray<string> = [".git", ".spindle", ".codex", ".agents"]

/** Returns the paths with protected names in a root. */
export const protectedPathsIn = (root: string): ReadonlyArray<string> =>
  protectedNames.map((name) => `${root === "/" ? "" : root}/${name}`)

/** True if a path is a directory or something inside it. Both are absolute and normalised. */
export const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory.endsWith("/") ? directory : `${directory}/`)

/**
 * Returns the meet of two policies: what both allow. Commutative and associative, with {@link fullAccess} as its unit.
 * A directory in a root of either policy is a root.
 */
export const meet: {
  (that: SandboxPolicy): (self: SandboxPolicy) => SandboxPolicy
  (self: SandboxPolicy, that: SandboxPolicy): SandboxPolicy
} = dual(2, (self: SandboxPolicy, that: SandboxPolicy): SandboxPolicy => {
  if (self._tag === "FullAccess") return that
  if (that._tag === "FullAccess") return self
  const network = NetworkPolicy.meet(self.network, that.network)
  const most = Math.min(self.processes ?? Infinity, that.processes ?? Infinity)
  const rest = { network, ...(most === Infinity ? {} : { processes: most }) }
  if (self._tag === "ReadOnly" || that._tag === "ReadOnly") return { _tag: "ReadOnly", ...rest }
  const roots = [...self.roots, ...that.roots]
  const writable = [...roots, ...self.scratch, ...that.scratch].filter(
    (path) => refusalOf(self, path) === undefined && refusalOf(that, path) === undefined
  )
  const isInRoot = (path: string) => roots.some((root) => isWithin(path, root))
  return {
    _tag: "WorkspaceWrite",
    roots: toSet(writable.filter(isInRoot)),
    scratch: toSet(writable.filter((path) => !isInRoot(path))),
    protectedPaths: toSet([...self.protectedPaths, ...that.protectedPaths]),
    ...rest
  }
})

const toSet = (paths: ReadonlyArray<string>): ReadonlyArray<string> => Array.from(new Set(paths)).sort()

/**
 * Returns why a policy refuses to write a path, in words for the model; undefined if it allows it. The path is real:
 * its symbolic links are resolved.
 */
export const refusalOf = (policy: SandboxPolicy, path: string): string | undefined => {
  if (policy._tag === "FullAccess") return undefined
  if (policy._tag === "ReadOnly") return "cannot be written: the sandbox is read-only"
  const inside = [...policy.roots, ...policy.scratch].some((root) => isWithin(path, root))
  if (!inside) return "cannot be written: it is outside the directories that the sandbox allows to write"
  // some file systems do not distinguish case
  const lower = path.toLowerCase()
  const isProtected =
    [...policy.protectedPaths, ...policy.roots.flatMap(protectedPathsIn)].some((one) =>
      isWithin(lower, one.toLowerCase())
    ) || lower.split("/").includes(".git")
  return isProtected ? "cannot be written: the sandbox protects it" : undefined
}

/**
 * The most that commands and patches of the running fiber may touch. The default is {@link fullAccess}: narrow it with
 * {@link confine}.
 */
export const Current: Context.Reference<SandboxPolicy> = Context.Reference<SandboxPolicy>(
  "@spindle/tools/SandboxPolicy",
  { defaultValue: () => fullAccess }
)

/** Runs an effect under the meet of a policy and the one in force. */
export const confine: {
  (policy: SandboxPolicy): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, policy: SandboxPolicy): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, policy: SandboxPolicy) =>
  Effect.updateService(self, Current, meet(policy))
)
