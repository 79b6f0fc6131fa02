/** Replaces, adds and deletes files together: all of them, or none. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { uuidV7 } from "@spindle/core/Ids"

/** A file and what it is to hold; undefined deletes it. */
export interface FileWrite {
  readonly path: string
  readonly content: Uint8Array | undefined
  /** Whether it is there before. */
  readonly isThere: boolean
  /** The file whose mode it takes, if not its own. */
  readonly modeOf: string | undefined
}

/**
 * The files could not be written. `left` are the ones that could not be put back, with the names under which their
 * contents were kept.
 */
export class CommitFailed extends Schema.TaggedError<CommitFailed>()("CommitFailed", {
  path: Schema.String,
  left: Schema.Array(Schema.String),
  cause: Schema.Defect()
}) {
  override get message() {
    return this.left.length === 0
      ? `The patch applies, but ${this.path} could not be written. Every file is as it was before.`
      : `The patch applies, but ${this.path} could not be written, and not everything could be put back: ${this.left.join(", ")}`
  }
}

interface Transaction {
  readonly fileSystem: FileSystem.FileSystem
  readonly path: Path.Path
  /** What was done, in order, and how to take it back; `name` says what is left if that fails. */
  readonly undos: Array<{ readonly name: string; readonly run: Effect.Effect<void, PlatformError> }>
  /** Old contents, to be removed when all is done. */
  readonly backups: Array<string>
  /** The file in work, for the message of a failure. */
  current: string
}

/**
 * Writes the new contents beside their files, and then puts them in their places by renames, each of which is one step.
 * **Interruption**: not interruptible. **Errors**: `CommitFailed`.
 */
export const commit: (
  writes: ReadonlyArray<FileWrite>
) => Effect.Effect<void, CommitFailed, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (writes) {
  const transaction: Transaction = {
    fileSystem: yield* FileSystem.FileSystem,
    path: yield* Path.Path,
    undos: [],
    backups: [],
    current: ""
  }
  yield* Effect.gen(function* () {
    const prepared = yield* Effect.forEach(writes, (write) => prepare(transaction, write))
    yield* Effect.forEach(prepared, ({ fresh, write }) => replace(transaction, write, fresh), { discard: true })
  }).pipe(
    Effect.catch((cause) => rollback(transaction, cause)),
    Effect.andThen(Effect.suspend(() => removeBackups(transaction))),
    Effect.uninterruptible
  )
})

const beside = (transaction: Transaction, file: string) =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    transaction.path.join(transaction.path.dirname(file), `.${uuidV7(now)}.patch~`)
  )

const prepare = Effect.fnUntraced(function* (transaction: Transaction, write: FileWrite) {
  const { fileSystem, undos } = transaction
  transaction.current = write.path
  if (write.content === undefined) return { write, fresh: undefined }
  yield* makeParents(transaction, write.path)
  const fresh = yield* beside(transaction, write.path)
  undos.push({ name: fresh, run: fileSystem.remove(fresh, { force: true }) })
  yield* fileSystem.writeFile(fresh, write.content, { flag: "wx" })
  const model = write.modeOf ?? (write.isThere ? write.path : undefined)
  if (model !== undefined) yield* fileSystem.chmod(fresh, (yield* fileSystem.stat(model)).mode & 0o7777)
  return { write, fresh }
})

const makeParents = Effect.fnUntraced(function* ({ fileSystem, path, undos }: Transaction, file: string) {
  const missing: Array<string> = []
  for (let one = path.dirname(file); !(yield* fileSystem.exists(one)); one = path.dirname(one)) missing.unshift(one)
  for (const one of missing) {
    yield* fileSystem.makeDirectory(one)
    undos.push({ name: one, run: removeEmpty(fileSystem, one) })
  }
})

/** Removes a directory that was made, unless somebody else put something into it meanwhile. */
const removeEmpty = Effect.fnUntraced(function* (fileSystem: FileSystem.FileSystem, directory: string) {
  const names = yield* fileSystem.readDirectory(directory)
  if (names.length === 0) yield* fileSystem.remove(directory, { recursive: true })
})

const replace = Effect.fnUntraced(function* (transaction: Transaction, write: FileWrite, fresh: string | undefined) {
  const { backups, fileSystem, undos } = transaction
  transaction.current = write.path
  if (write.isThere) {
    const backup = yield* beside(transaction, write.path)
    backups.push(backup)
    if (fresh === undefined) yield* fileSystem.rename(write.path, backup)
    // a copy where the file system knows no links, so that the file is never missing
    else yield* Effect.catch(fileSystem.link(write.path, backup), () => fileSystem.copyFile(write.path, backup))
    undos.push({ name: `${write.path} (kept as ${backup})`, run: fileSystem.rename(backup, write.path) })
  } else undos.push({ name: write.path, run: fileSystem.remove(write.path, { force: true }) })
  if (fresh !== undefined) yield* fileSystem.rename(fresh, write.path)
})

const rollback = Effect.fnUntraced(function* (transaction: Transaction, cause: PlatformError) {
  const left: Array<string> = []
  for (const undo of transaction.undos.toReversed()) {
    if (yield* Effect.isFailure(undo.run)) left.push(undo.name)
  }
  // a link that was put back over the file it names is still there; a content that was not put back stays
  if (left.length === 0) yield* removeBackups(transaction)
  return yield* new CommitFailed({ path: transaction.current, left, cause })
})

const removeBackups = ({ backups, fileSystem }: Transaction) =>
  Effect.forEach(
    backups,
    (backup) =>
      Effect.catch(fileSystem.remove(backup, { force: true }), (error) =>
        Effect.logWarning(`a temporary file of a patch could not be removed: ${backup}`, error)
      ),
    { discard: true }
  )
