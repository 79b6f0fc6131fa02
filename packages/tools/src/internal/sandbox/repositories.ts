/** Finds the repositories in a directory, so that no command can give them a hook or a setting that runs a program. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"

/** The most directories that are read: a workspace may be a home directory. */
const maxDirectories = 2_000
/** The number of directories that are read concurrently. */
const width = 64

/** Directories of installed packages, which are large and have no repositories. */
const skipped: ReadonlySet<string> = new Set(["node_modules"])

/**
 * Returns the real paths of `.git` in a directory and below it, and of the directories that such files point to. A bare
 * repository counts as a `.git`. It looks at the nearest directories first, and stops after {@link maxDirectories}.
 *
 * Each command that writes waits for it, and another program may make a repository at any time. So nothing is
 * remembered, and there is little work for each directory.
 */
export const find = Effect.fnUntraced(function* (root: string, maxDepth: number) {
  const fileSystem = yield* FileSystem.FileSystem
  // a directory that cannot be read cannot be searched by the command either
  const entriesOf = (directory: string) =>
    Effect.orElseSucceed(fileSystem.readDirectoryEntries(directory), (): ReadonlyArray<FileSystem.DirectoryEntry> => [])
  const found: Array<string> = []
  const linked: Array<string> = []
  let level: ReadonlyArray<string> = [root]
  for (let depth = 0, count = 0; depth <= maxDepth && level.length > 0 && count < maxDirectories; depth++) {
    const read = level.slice(0, maxDirectories - count)
    count += read.length
    const lists = yield* Effect.forEach(read, entriesOf, { concurrency: width })
    const next: Array<string> = []
    for (const [index, entries] of lists.entries()) {
      const directory = read[index]!
      if (isBare(entries)) {
        found.push(directory)
        continue
      }
      for (const { name, type } of entries) {
        const path = `${directory}/${name}`
        if (name === ".git") (type === "Directory" ? found : linked).push(path)
        else if (type === "Directory" && !skipped.has(name)) next.push(path)
      }
    }
    level = next
  }
  const places = yield* Effect.forEach(linked, placesOf, { concurrency: width })
  return [...found, ...places.flat()]
})

const isBare = (entries: ReadonlyArray<FileSystem.DirectoryEntry>): boolean => {
  const has = (wanted: string) => entries.some(({ name }) => name === wanted)
  return has("HEAD") && has("objects") && has("refs")
}

/** Returns a `.git` that is a file, as that of a worktree or submodule is, and the directories that it names. */
const placesOf = Effect.fnUntraced(function* (git: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = yield* Effect.orElseSucceed(fileSystem.readFileString(git), () => "")
  const named = /^gitdir: (.+)/.exec(text)?.[1]
  if (named === undefined) return [git]
  const own = path.resolve(path.dirname(git), named.trimEnd())
  const shared = yield* Effect.orElseSucceed(fileSystem.readFileString(path.join(own, "commondir")), () => ".")
  return [git, own, path.resolve(own, shared.trimEnd())]
})
