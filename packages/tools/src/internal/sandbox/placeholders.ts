/**
 * Folders that exist on the host only while a command runs. A sandbox can protect a path only by a mount, and a mount
 * needs something to cover: without it a command could make the `.git` that its root does not have.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as ChildProcess from "effect/process/ChildProcess"
import { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import { quote } from "./shellQuote.ts"

/**
 * The prefix of a folder in a placeholder whose name shows which program holds it. It is a folder, so that git does not
 * list it.
 */
const holderPrefix = "spindle-"
/** The mode of placeholders. Its sticky bit distinguishes one from an empty folder of a person. */
const placeholderMode = 0o1755
const stickyBit = 0o1000
/** The program that removes empty directories. One that is found in the path could be a command's. */
const removers = ["/bin/rmdir", "/usr/bin/rmdir", "/run/current-system/sw/bin/rmdir"]

/** Makes folders, and counts their holders. */
export interface Placeholders {
  /**
   * Makes a folder unless one exists that is not a placeholder. Returns the directories to remove after the command, in
   * order; undefined if there is such a folder, or if none can be made.
   */
  readonly acquire: (path: string, holder: string) => Effect.Effect<ReadonlyArray<string> | undefined>
  /** Removes directories in order, unless another command holds them or a person has filled them. */
  readonly release: (paths: ReadonlyArray<string>) => Effect.Effect<void>
  /** A line for the shell that does the same. */
  readonly releaseLine: (paths: ReadonlyArray<string>) => string
}

/** Makes the placeholders of this program. */
export const make = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const spawner = yield* ChildProcessSpawner
  const pid = yield* Effect.orElseSucceed(fileSystem.readLink("/proc/self"), () => "0")
  const exists = (path: string) => Effect.isSuccess(fileSystem.access(path))
  const found = yield* Effect.findFirst(removers, exists)
  const remover = found._tag === "Some" ? found.value : removers[0]!

  /** Removes empty directories. A recursive removal would also remove a new repository. */
  const removeEmpty = (paths: ReadonlyArray<string>) =>
    spawner
      .exitCode(ChildProcess.make(remover, ["--", ...paths], { stdin: "ignore", stdout: "ignore", stderr: "ignore" }))
      .pipe(
        Effect.catch((error) => Effect.logWarning(`cannot remove ${paths.join(", ")}: ${error.message}`)),
        Effect.asVoid
      )

  /** Removes the holders of programs that were killed. */
  const removeStale = Effect.fnUntraced(function* (path: string, names: ReadonlyArray<string>) {
    const ownerOf = (name: string) => name.slice(holderPrefix.length).split("-")[0]!
    const stale = yield* Effect.filter(names, (name) => Effect.map(exists(`/proc/${ownerOf(name)}`), (alive) => !alive))
    if (stale.length > 0) yield* removeEmpty(stale.map((name) => `${path}/${name}`))
  })

  const placeholders: Placeholders = {
    acquire: Effect.fnUntraced(function* (path, holder) {
      const info = yield* Effect.option(fileSystem.stat(path))
      if (info._tag === "Some") {
        const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(path), (): Array<string> => [])
        const isFilled = names.some((name) => !name.startsWith(holderPrefix))
        if ((info.value.mode & stickyBit) === 0 || isFilled) return undefined
        yield* removeStale(path, names)
      }
      const held = `${path}/${holderPrefix}${pid}-${holder}`
      // with its parent in one step: another command may end at any time and remove the placeholder
      const made = fileSystem.makeDirectory(held, { recursive: true, mode: placeholderMode })
      return (yield* Effect.isSuccess(made)) ? [held, path] : undefined
    }),
    release: (paths) =>
      Effect.flatMap(Effect.filter(paths, exists), (left) => (left.length === 0 ? Effect.void : removeEmpty(left))),
    releaseLine: (paths) => (paths.length === 0 ? ":" : `${remover} -- ${paths.map(quote).join(" ")} 2>/dev/null`)
  }
  return placeholders
})
