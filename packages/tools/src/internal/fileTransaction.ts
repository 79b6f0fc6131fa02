/** Writes, moves, adds and deletes files together: all of them, or none. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { uuidV7 } from "@spindle/core/Ids"
import * as Files from "./anchoredFiles.ts"

/** The change of one path. */
export interface FileWrite {
  readonly path: string
  /** The file that is there before, as it was read. */
  readonly seen: Files.Seen | undefined
  /** The new content; undefined if there is no such file afterwards. */
  readonly content: Uint8Array | undefined
  /** The file that is moved here. */
  readonly source: { readonly path: string; readonly seen: Files.Seen } | undefined
  /** Whether the file that is there before is moved to another path. */
  readonly isMovedAway: boolean
  /** The mode of a new file; undefined for the default of the host. */
  readonly mode: number | undefined
}

/**
 * The files could not be written. `left` names those that could not be restored, each with the file that keeps its
 * content.
 */
export class CommitFailed extends Schema.TaggedError<CommitFailed>()("CommitFailed", {
  path: Schema.String,
  detail: Schema.String,
  left: Schema.Array(Schema.String),
  cause: Schema.Defect()
}) {
  override get message() {
    const failure = `The patch applies, but ${this.path} ${this.detail}.`
    return this.left.length === 0
      ? `${failure} Every file is as it was before.`
      : `${failure} Not everything could be restored: ${this.left.join(", ")}`
  }
}

type Services = FileSystem.FileSystem | Path.Path
type Failure = Files.FileRefused | PlatformError

interface Transaction {
  /** What was done, in order, and how to undo it. `name` says what is left if that fails. */
  readonly undos: Array<{ readonly name: string; readonly run: Effect.Effect<void, Failure, Services> }>
  /** The new names of files that are removed or moved, by path. */
  readonly aside: Map<string, string>
  /** The copies of old contents, by the path where the content is overwritten. */
  readonly copies: Map<string, string>
  /** Copies of old contents, and files that were removed: deleted when everything is done. */
  readonly leftovers: Set<string>
  /** The path in work, for the message of a failure. */
  current: string
}

/**
 * Changes the files. A file that stays or moves is written in place, so that it keeps its other names, owner, mode and
 * attributes; a copy of its old content is next to it while that happens. **Interruption**: not interruptible.
 * **Errors**: `CommitFailed`.
 */
export const commit = (writes: ReadonlyArray<FileWrite>): Effect.Effect<void, CommitFailed, Services> =>
  Effect.suspend(() => {
    const transaction: Transaction = {
      undos: [],
      aside: new Map(),
      copies: new Map(),
      leftovers: new Set(),
      current: ""
    }
    return Effect.gen(function* () {
      yield* forEach(transaction, writes, prepare)
      yield* forEach(transaction, writes.filter(goesAside), setAside)
      yield* forEach(transaction, writes, put)
    }).pipe(
      Effect.catch((cause) => rollback(transaction, cause)),
      Effect.andThen(Effect.suspend(() => removeLeftovers(transaction))),
      Effect.uninterruptible
    )
  })

const forEach = (
  transaction: Transaction,
  writes: ReadonlyArray<FileWrite>,
  change: (transaction: Transaction, write: FileWrite) => Effect.Effect<void, Failure, Services>
) =>
  Effect.forEach(
    writes,
    (write) => {
      transaction.current = write.path
      return change(transaction, write)
    },
    { discard: true }
  )

/** Whether the file that is there before has to leave its path. A symbolic link is never written through. */
const goesAside = ({ content, isMovedAway, seen, source }: FileWrite): boolean =>
  seen !== undefined &&
  (content === undefined || isMovedAway || source !== undefined || seen.info.type === "SymbolicLink")

const temporaryPath = Effect.fnUntraced(function* (file: string) {
  const path = yield* Path.Path
  return path.join(path.dirname(file), `.${uuidV7(yield* Clock.currentTimeMillis)}.patch~`)
})

/** Makes sure that nothing has changed since the patch was checked, and does what needs space first. */
const prepare = Effect.fnUntraced(function* (transaction: Transaction, write: FileWrite) {
  const { content, path, seen } = write
  if (seen !== undefined) yield* Files.checkUnchangedAt(path, seen)
  if (content !== undefined && seen === undefined) yield* makeParents(transaction, path)
  const old = write.source?.seen ?? (goesAside(write) ? undefined : seen)
  if (content === undefined || old === undefined || isEqual(content, old.content)) return
  const copy = yield* temporaryPath(path)
  transaction.leftovers.add(copy)
  transaction.copies.set(path, copy)
  yield* Files.create(copy, old.content, old.info.mode)
})

const isEqual = (one: Uint8Array, two: Uint8Array): boolean =>
  one.length === two.length && one.every((byte, index) => byte === two[index])

const makeParents = Effect.fnUntraced(function* ({ undos }: Transaction, file: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const missing: Array<string> = []
  for (let one = path.dirname(file); !(yield* fileSystem.exists(one)); one = path.dirname(one)) missing.unshift(one)
  for (const one of missing) {
    yield* Files.makeDirectory(one)
    undos.push({ name: one, run: removeEmpty(one) })
  }
})

/** Removes a directory that was made, unless another program has put something into it since. */
const removeEmpty = Effect.fnUntraced(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const names = yield* fileSystem.readDirectory(directory)
  if (names.length === 0) yield* fileSystem.remove(directory, { recursive: true })
})

const setAside = Effect.fnUntraced(function* ({ aside, leftovers, undos }: Transaction, { path }: FileWrite) {
  const name = yield* temporaryPath(path)
  yield* Files.rename(path, name)
  undos.push({ name: `${path} (kept as ${name})`, run: Files.rename(name, path) })
  aside.set(path, name)
  leftovers.add(name)
})

const put = Effect.fnUntraced(function* (transaction: Transaction, write: FileWrite) {
  const { content, mode, path, seen, source } = write
  if (content === undefined) return
  if (source !== undefined) return yield* move(transaction, write, source)
  if (seen !== undefined && !goesAside(write)) return yield* overwrite(transaction, path, { seen, content })
  yield* Files.create(path, content, mode)
  transaction.undos.push({ name: path, run: Files.remove(path) })
})

const overwrite = Effect.fnUntraced(function* (
  { copies, undos }: Transaction,
  path: string,
  { content, seen }: { readonly seen: Files.Seen; readonly content: Uint8Array }
) {
  const copy = copies.get(path)
  if (copy === undefined) return
  const undo = { name: `${path} (kept as ${copy})`, run: Files.restore(path, seen) }
  // a write that fails may have written a part
  yield* Files.overwrite(path, { seen, content, beforeWrite: () => undos.push(undo) })
})

const move = Effect.fnUntraced(function* (
  transaction: Transaction,
  { content, path }: FileWrite,
  { path: from, seen }: NonNullable<FileWrite["source"]>
) {
  const name = transaction.aside.get(from)!
  const isRenamed = yield* Files.rename(name, path).pipe(
    Effect.as(true),
    // the new path is on another file system: the file is copied, and the original is removed with the leftovers
    Effect.catchIf(isOtherDevice, () => Effect.as(Files.create(path, content!, seen.info.mode), false))
  )
  transaction.undos.push({ name: path, run: isRenamed ? Files.rename(path, name) : Files.remove(path) })
  if (!isRenamed) return
  transaction.leftovers.delete(name)
  yield* overwrite(transaction, path, { seen, content: content! })
})

const isOtherDevice = (error: Failure): boolean =>
  error._tag === "PlatformError" && (error.reason.cause as { readonly code?: unknown } | undefined)?.code === "EXDEV"

const rollback = Effect.fnUntraced(function* (transaction: Transaction, cause: Failure) {
  const left: Array<string> = []
  for (const undo of transaction.undos.toReversed()) {
    if (yield* Effect.isFailure(undo.run)) left.push(undo.name)
  }
  // when something could not be restored, the copies of the old contents stay
  if (left.length === 0) yield* removeLeftovers(transaction)
  return yield* new CommitFailed({ path: transaction.current, detail: reasonOf(cause), left, cause })
})

const reasonOf = (error: Failure): string => {
  if (error._tag === "FileRefused") return error.detail
  const { code } = (error.reason.cause ?? {}) as { readonly code?: unknown }
  return `could not be written: ${typeof code === "string" ? code : error.reason._tag}`
}

const removeLeftovers = ({ leftovers }: Transaction) =>
  Effect.forEach(
    leftovers,
    (leftover) =>
      Effect.catch(Files.remove(leftover), (error) =>
        Effect.logWarning(`a temporary file of a patch could not be removed: ${leftover}`, error)
      ),
    { discard: true }
  )
