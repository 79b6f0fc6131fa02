/**
 * Decides the mounts of a command: the directories that its policy lets it write, and the paths inside that stay
 * read-only.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { isWithin, protectedPathsIn, type WorkspaceWrite } from "../../SandboxPolicy.ts"
import type { Mount } from "./bubblewrap.ts"
import type { Placeholders } from "./placeholders.ts"
import * as Repositories from "./repositories.ts"

/** A symbolic link with a protected name, which a command could replace: no mount covers a link. */
export class LinkUnprotected extends Data.TaggedError("LinkUnprotected")<{ readonly path: string }> {}

/** The mounts of a command, and the directories that were made for them. */
export interface Mounts {
  readonly mounts: ReadonlyArray<Mount>
  readonly made: ReadonlyArray<string>
}

/** The source of placeholders, and the name that they are held by. */
export interface Holder {
  readonly placeholders: Placeholders
  readonly name: string
}

/**
 * The number of levels below a root in which repositories are searched. Directories of temporary files hold few
 * repositories, and many other files.
 */
const depthOfRoot = 6
const depthOfScratch = 2

/** Makes the mounts of a policy. Directories that do not exist are left out, so that nothing can be written there. */
export const make = (policy: typeof WorkspaceWrite.Type, holder: Holder) =>
  Effect.suspend(() => {
    const made: Array<string> = []
    return Effect.onError(makeInto(made, policy, holder), () => holder.placeholders.release(made))
  })

const makeInto = Effect.fnUntraced(function* (made: Array<string>, policy: typeof WorkspaceWrite.Type, holder: Holder) {
  const fileSystem = yield* FileSystem.FileSystem
  const realPaths = (paths: ReadonlyArray<string>) =>
    Effect.map(
      Effect.forEach(paths, (path) => Effect.option(fileSystem.realPath(path)), { concurrency: "unbounded" }),
      (found) => found.flatMap((path) => (path._tag === "Some" ? [path.value] : []))
    )
  const roots = yield* realPaths(policy.roots)
  const scratch = yield* realPaths(policy.scratch)
  const writable = [...roots, ...scratch]
  const search = Effect.all(
    [
      ...roots.map((root) => Repositories.find(root, depthOfRoot)),
      ...scratch.map((path) => Repositories.find(path, depthOfScratch))
    ],
    { concurrency: "unbounded" }
  )
  const cover = Effect.forEach(roots.flatMap(protectedPathsIn), (path) => protect(path, holder, made), {
    concurrency: "unbounded"
  })
  const [found, covers] = yield* Effect.all([search, cover], { concurrency: "unbounded" })
  const repositories = yield* realPaths(found.flat())
  const configured = yield* realPaths(policy.protectedPaths)
  const mounts: Array<Mount> = writable.map((path) => ({ path, kind: "writable" }))
  for (const mount of covers) if (mount !== undefined) mounts.push(mount)
  for (const path of yield* findMissing(policy.protectedPaths)) {
    const isOpen = writable.some((one) => isWithin(path, one))
    if (!isOpen || [...repositories, ...configured].some((one) => isWithin(path, one))) continue
    const mount = yield* protect(path, holder, made)
    if (mount !== undefined) mounts.push(mount)
  }
  const readOnly = [
    ...repositories.map((path) => ({ path, mayVanish: true })),
    ...configured.map((path) => ({ path, mayVanish: false }))
  ]
  for (const { mayVanish, path } of readOnly) {
    const root = writable.find((one) => isWithin(path, one))
    if (root === undefined) continue
    const between = yield* mountsBetween(path, root)
    mounts.push(...[{ path, kind: "readOnly" as const }, ...between].map((mount) => ({ ...mount, mayVanish })))
  }
  const result: Mounts = { mounts, made }
  return result
})

/** Returns for each protected path that does not exist the first part of it that does not, with its real directory. */
const findMissing = Effect.fnUntraced(function* (paths: ReadonlyArray<string>) {
  const fileSystem = yield* FileSystem.FileSystem
  const { basename, dirname, join } = yield* Path.Path
  const missing = new Set<string>()
  for (let path of paths) {
    if (yield* Effect.isSuccess(fileSystem.lstat(path))) continue
    while (dirname(path) !== path && !(yield* Effect.isSuccess(fileSystem.stat(dirname(path))))) path = dirname(path)
    const directory = yield* Effect.option(fileSystem.realPath(dirname(path)))
    if (directory._tag === "Some") missing.add(join(directory.value, basename(path)))
  }
  return missing
})

/** Covers a folder that stays read-only; undefined where it can neither exist nor be made. */
const protect = Effect.fnUntraced(function* (path: string, { name, placeholders }: Holder, made: Array<string>) {
  const fileSystem = yield* FileSystem.FileSystem
  const info = yield* Effect.option(fileSystem.lstat(path))
  const type = info._tag === "None" ? undefined : info.value.type
  if (type === "SymbolicLink") return yield* new LinkUnprotected({ path })
  const mount = (kind: Mount["kind"]): Mount => ({ path, kind })
  if (type !== undefined && type !== "Directory") return mount("readOnly")
  const held = yield* Effect.uninterruptible(
    Effect.tap(placeholders.acquire(path, name), (paths) => Effect.sync(() => made.push(...(paths ?? []))))
  )
  if (held !== undefined) return mount("placeholder")
  return type === undefined ? undefined : mount("readOnly")
})

/** Mounts the directories between a root and a protected path: a mounted directory cannot be moved away with it. */
const mountsBetween = Effect.fnUntraced(function* (path: string, root: string) {
  const { dirname } = yield* Path.Path
  const between: Array<Mount> = []
  for (let one = dirname(path); one !== root && isWithin(one, root); one = dirname(one)) {
    between.push({ path: one, kind: "writable" })
  }
  return between
})
