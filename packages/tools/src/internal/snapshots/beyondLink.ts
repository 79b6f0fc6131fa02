/** Paths that lead through a symbolic link: the file there is another one, which the path does not name to git. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"

/** The directories of which it is known whether they are links, or beyond one. */
export type Known = Map<string, boolean>

/** Returns true if a directory above a path in a working tree is a symbolic link. */
export const isBeyondLink = (
  top: string,
  path: string,
  known: Known = new Map()
): Effect.Effect<boolean, never, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const end = path.lastIndexOf("/")
    if (end < 0) return false
    const directory = path.slice(0, end)
    const found = known.get(directory)
    if (found !== undefined) return found
    const isBeyond = (yield* isBeyondLink(top, directory, known)) || (yield* isLink(`${top}/${directory}`))
    known.set(directory, isBeyond)
    return isBeyond
  })

const isLink = (path: string) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) =>
    Effect.match(fileSystem.lstat(path), { onSuccess: ({ type }) => type === "SymbolicLink", onFailure: () => false })
  )
