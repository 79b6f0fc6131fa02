/**
 * File operations that a change of the tree between check and use cannot redirect.
 *
 * Each opens the directory of the file first and makes sure that it is the one that was checked, and then names the
 * file relative to the open directory (`/proc/self/fd` where the host has it). The file itself is opened without
 * truncating it, and used only if it is the very file that was looked at: a symbolic link, a FIFO or another file that
 * took its place is refused. Nothing here opens a file that is not a regular one, so nothing waits for another process.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Utf8 from "../Utf8.ts"

/** A file that cannot be used; `detail` says why, after its path. */
export class FileRefused extends Schema.TaggedError<FileRefused>()("FileRefused", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** A file or symbolic link as it was when it was read. `content` is the target of a link. */
export interface Seen {
  readonly info: FileSystem.File.Info
  readonly content: Uint8Array
}

type Services = FileSystem.FileSystem | Path.Path
type Failure = FileRefused | PlatformError

/** The largest file that is read. */
const maxBytes = 67_108_864

const refuse = (detail: string) => new FileRefused({ detail })

/** Runs an operation in a directory; it gets the file system and a function from a name to a path in the directory. */
export const useDirectory = <A, E, R>(
  directory: string,
  use: (fileSystem: FileSystem.FileSystem, at: (name: string) => string) => Effect.Effect<A, E, R>
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const fileSystem = yield* FileSystem.FileSystem
      // the dot makes sure that nothing but a directory is opened
      const handle = yield* fileSystem.open(`${directory}/.`)
      const base = yield* baseOf(directory, handle)
      const real = yield* fileSystem.realPath(base)
      if (real !== directory) return yield* refuse(`is no longer in ${directory}`)
      return yield* use(fileSystem, (name) => `${base}/${name}`)
    })
  )

/** Returns a path that stays with the open directory, or on a host without such paths that of the directory. */
const baseOf = Effect.fnUntraced(function* (directory: string, handle: FileSystem.File) {
  const fileSystem = yield* FileSystem.FileSystem
  // the descriptor is not in the interface; the implementation of Node has it
  const { fd } = handle as { readonly fd?: unknown }
  const base = `/proc/self/fd/${String(fd)}`
  return typeof fd === "number" && (yield* Effect.isSuccess(fileSystem.stat(base))) ? base : directory
})

const kinds: { readonly [type: string]: string } = {
  Directory: "is a directory",
  SymbolicLink: "is a symbolic link",
  FIFO: "is a named pipe, not a regular file",
  Socket: "is a socket, not a regular file",
  CharacterDevice: "is a device, not a regular file",
  BlockDevice: "is a device, not a regular file"
}

/** Refuses everything but a regular file with a write permission. */
const checkFile = (info: FileSystem.File.Info): Effect.Effect<void, FileRefused> => {
  if (info.type !== "File") return refuse(kinds[info.type] ?? "is not a regular file")
  // the superuser could write it as well, and its owner wanted it to stay as it is
  if ((info.mode & 0o222) === 0) return refuse("is read-only")
  return Effect.void
}

const isSame = (one: FileSystem.File.Info, two: FileSystem.File.Info): boolean =>
  one.dev === two.dev && Option.getOrUndefined(one.ino) === Option.getOrUndefined(two.ino)

/** Opens the regular file of this name for reading and writing. */
const openFile = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, path: string) {
  const info = yield* fileSystem.lstat(path)
  yield* checkFile(info)
  const handle = yield* Effect.catchReason(
    fileSystem.open(path, { flag: "r+" }),
    "PlatformError",
    "PermissionDenied",
    () => Effect.fail(refuse("is read-only"))
  )
  if (!isSame(info, yield* handle.stat)) return yield* refuse("was replaced while it was opened")
  return { handle, info }
})

/**
 * Reads a regular file that may be written, or the target of a symbolic link. Undefined if there is no such file.
 * **Interruption** stops at the next operation.
 */
export const look = Effect.fnUntraced(function* (
  target: string
): Effect.fn.Return<Seen | undefined, Failure, Services> {
  const path = yield* Path.Path
  const fileSystem = yield* FileSystem.FileSystem
  const info = yield* ignoreMissing(fileSystem.lstat(target))
  if (info === undefined) return undefined
  return yield* useDirectory(path.dirname(target), (fileSystem, at) => {
    const name = at(path.basename(target))
    return info.type === "SymbolicLink"
      ? Effect.map(fileSystem.readLink(name), (link): Seen => ({ info, content: Utf8.encode(link) }))
      : Effect.flatMap(openFile(fileSystem, name), readAll)
  })
})

/** Turns the absence of a file into undefined. */
const ignoreMissing = <A, R>(
  effect: Effect.Effect<A, PlatformError, R>
): Effect.Effect<A | undefined, PlatformError, R> =>
  Effect.catchReason(effect, "PlatformError", "NotFound", () => Effect.undefined)

const readAll = Effect.fnUntraced(function* (file: {
  readonly handle: FileSystem.File
  readonly info: FileSystem.File.Info
}) {
  const size = Number(file.info.size)
  if (size > maxBytes) return yield* refuse(`is larger than ${maxBytes / 1_048_576} MiB, too large for a patch`)
  const content = new Uint8Array(size)
  let length = 0
  while (length < size) {
    const count = Number(yield* file.handle.read(content.subarray(length)))
    if (count === 0) break
    length += count
  }
  const seen: Seen = { info: file.info, content: content.subarray(0, length) }
  return seen
})

/**
 * Replaces the content of the file that was seen, and keeps the file: its other names, owner, mode and attributes.
 * `beforeWrite` runs after the last check and before the first byte is written.
 */
export const overwrite = Effect.fnUntraced(function* (
  target: string,
  {
    beforeWrite,
    content,
    seen
  }: { readonly seen: Seen; readonly content: Uint8Array; readonly beforeWrite: () => void }
) {
  const check = (info: FileSystem.File.Info) => Effect.andThen(checkUnchanged(info, seen), Effect.sync(beforeWrite))
  yield* write(target, content, check)
})

/** Writes back the content that was seen, regardless of how much of a new one has been written. */
export const restore = Effect.fnUntraced(function* (target: string, seen: Seen) {
  yield* write(target, seen.content, (info) => checkSame(info, seen))
})

const write = Effect.fnUntraced(function* (
  target: string,
  content: Uint8Array,
  check: (info: FileSystem.File.Info) => Effect.Effect<void, FileRefused>
) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) =>
    Effect.gen(function* () {
      const { handle, info } = yield* openFile(fileSystem, at(path.basename(target)))
      yield* check(info)
      yield* handle.writeAll(content)
      yield* handle.truncate(content.length)
    })
  )
})

/** Fails if the file that was seen has changed since. */
export const checkUnchangedAt = Effect.fnUntraced(function* (target: string, seen: Seen) {
  const fileSystem = yield* FileSystem.FileSystem
  const info = yield* ignoreMissing(fileSystem.lstat(target))
  if (info === undefined) return yield* refuse("was removed after the patch was checked")
  yield* checkUnchanged(info, seen)
})

const checkSame = (info: FileSystem.File.Info, seen: Seen): Effect.Effect<void, FileRefused> =>
  isSame(info, seen.info) ? Effect.void : refuse("was replaced after the patch was checked")

const checkUnchanged = (info: FileSystem.File.Info, seen: Seen): Effect.Effect<void, FileRefused> => {
  const time = ({ mtime }: FileSystem.File.Info) => Option.getOrUndefined(mtime)?.getTime()
  return isSame(info, seen.info) && info.size === seen.info.size && time(info) === time(seen.info)
    ? Effect.void
    : refuse("was changed after the patch was checked")
}

/** Creates a file that does not exist. A symbolic link is not followed. */
export const create = Effect.fnUntraced(function* (target: string, content: Uint8Array, mode?: number) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) => {
    const name = at(path.basename(target))
    const setMode = mode === undefined ? Effect.void : fileSystem.chmod(name, mode & 0o7777)
    return Effect.flatMap(fileSystem.open(name, { flag: "wx" }), (handle) =>
      Effect.onError(Effect.andThen(handle.writeAll(content), setMode), () => Effect.ignore(fileSystem.remove(name)))
    )
  })
})

/** Creates a symbolic link where there is no file. */
export const createLink = Effect.fnUntraced(function* (target: string, content: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) =>
    fileSystem.symlink(content, at(path.basename(target)))
  )
})

/** Renames a file or symbolic link, and replaces the file or symbolic link that has the new name. */
export const replace = Effect.fnUntraced(function* (from: string, to: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(from), (_, source) =>
    useDirectory(path.dirname(to), (fileSystem, target) =>
      fileSystem.rename(source(path.basename(from)), target(path.basename(to)))
    )
  )
})

/** Renames a file or symbolic link. The new name is created first, so that no file of that name is replaced. */
export const rename = Effect.fnUntraced(function* (from: string, to: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(from), (_, source) =>
    useDirectory(path.dirname(to), (fileSystem, target) =>
      Effect.gen(function* () {
        const name = target(path.basename(to))
        yield* Effect.scoped(fileSystem.open(name, { flag: "wx" }))
        yield* Effect.onError(fileSystem.rename(source(path.basename(from)), name), () =>
          Effect.ignore(fileSystem.remove(name))
        )
      })
    )
  )
})

/** Removes a file or symbolic link if it exists. */
export const remove = Effect.fnUntraced(function* (target: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) =>
    fileSystem.remove(at(path.basename(target)), { force: true })
  )
})

/** Creates a directory in an existing one. */
export const makeDirectory = Effect.fnUntraced(function* (target: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) =>
    fileSystem.makeDirectory(at(path.basename(target)))
  )
})

/** Removes an empty directory. */
export const removeDirectory = Effect.fnUntraced(function* (target: string) {
  const path = yield* Path.Path
  return yield* useDirectory(path.dirname(target), (fileSystem, at) =>
    fileSystem.remove(at(path.basename(target)), { recursive: true })
  )
})
