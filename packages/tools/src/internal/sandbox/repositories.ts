/** Finds the repositories in a directory, so that no command can give them a hook or a setting that runs a program. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"

/** How many directories are read: a workspace may be a home. */
const maxDirectories = 2_000
/** How many directories are read concurrently. */
const width = 16

/** Directories of installed packages, which are large and have no repositories. */
const skipped: ReadonlySet<string> = new Set(["node_modules"])

/**
 * Returns the real paths of `.git` in a directory and below it, and of the directories that such files point to. A bare
 * repository counts as a `.git`. It looks at the nearest directories first, and stops after {@link maxDirectories}.
 */
export const find = Effect.fnUntraced(function* (root: string, maxDepth: number) {
  const found: Array<string> = []
  let level: ReadonlyArray<string> = [root]
  for (let depth = 0, count = 0; depth <= maxDepth && level.length > 0 && count < maxDirectories; depth++) {
    const read = level.slice(0, maxDirectories - count)
    count += read.length
    const lists = yield* Effect.forEach(read, lookInto, { concurrency: width })
    found.push(...lists.flatMap(({ repositories }) => repositories))
    level = lists.flatMap(({ directories }) => directories)
  }
  return found
})

const lookInto = Effect.fnUntraced(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // a directory that cannot be read cannot be searched by the command either
  const entries = yield* Effect.orElseSucceed(fileSystem.readDirectoryEntries(directory), () => [])
  const names = new Set(entries.map(({ name }) => name))
  if (["HEAD", "objects", "refs"].every((name) => names.has(name))) {
    return { repositories: [directory], directories: [] }
  }
  const inner = entries.filter(({ name, type }) => type === "Directory" && name !== ".git" && !skipped.has(name))
  return {
    repositories: names.has(".git") ? yield* placesOf(path.join(directory, ".git")) : [],
    directories: inner.map(({ name }) => path.join(directory, name))
  }
})

/** Returns a `.git` and the directories that it names: that of a worktree or submodule is a file with a path. */
const placesOf = Effect.fnUntraced(function* (git: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const info = yield* Effect.option(fileSystem.stat(git))
  if (info._tag === "None" || info.value.type !== "File") return [git]
  const text = yield* Effect.orElseSucceed(fileSystem.readFileString(git), () => "")
  const named = /^gitdir: (.+)/.exec(text)?.[1]
  if (named === undefined) return [git]
  const own = path.resolve(path.dirname(git), named.trimEnd())
  const shared = yield* Effect.orElseSucceed(fileSystem.readFileString(path.join(own, "commondir")), () => ".")
  return [git, own, path.resolve(own, shared.trimEnd())]
})
