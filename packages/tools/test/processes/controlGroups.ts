/** Control groups of plain files, which show what the kernel does with them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem, PlatformError } from "effect"
import { directory } from "../host.ts"

/**
 * The host: the files that it has, and the operations that it refuses. `{root}` is the directory in which the groups
 * are.
 */
export interface Options {
  readonly mounts: string
  readonly groups: string
  /** The files of a new group. */
  readonly files: ReadonlyArray<string>
  readonly isRefused?: boolean
}

const refused = (path: string) =>
  Effect.fail(
    PlatformError.systemError({
      _tag: "PermissionDenied",
      module: "FileSystem",
      method: "test",
      pathOrDescriptor: path
    })
  )

/**
 * Makes a hierarchy of groups, and a file system that makes and removes them as the kernel does: a new group has files,
 * and one with members stays.
 */
export const makeHierarchy = Effect.fnUntraced(function* (options: Options) {
  const root = yield* directory
  const fileSystem = yield* Effect.provide(FileSystem.FileSystem, NodeServices.layer)
  const texts: { readonly [path: string]: string } = {
    "/proc/self/mounts": options.mounts.replaceAll("{root}", root),
    "/proc/self/cgroup": options.groups
  }
  const doubled: FileSystem.FileSystem = {
    ...fileSystem,
    readFileString: (path, encoding) =>
      texts[path] === undefined ? fileSystem.readFileString(path, encoding) : Effect.succeed(texts[path]),
    makeDirectory: (path, rest) =>
      options.isRefused === true
        ? refused(path)
        : Effect.tap(fileSystem.makeDirectory(path, rest), () =>
            Effect.sync(() => options.files.forEach((name) => writeFileSync(join(path, name), "")))
          ),
    remove: (path, rest) =>
      Effect.suspend(() => (membersOf(path).length > 0 ? refused(path) : fileSystem.remove(path, rest)))
  }
  return { root, fileSystem: doubled }
})

const membersOf = (group: string): string => {
  const path = join(group, "cgroup.procs")
  return existsSync(path) ? readFileSync(path, "utf8") : ""
}

/** Makes a group that another program has left. */
export const leave = (group: string, members: string): void => {
  mkdirSync(group)
  writeFileSync(join(group, "cgroup.procs"), members)
}
