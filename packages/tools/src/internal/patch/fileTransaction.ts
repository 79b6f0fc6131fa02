/**
 * Writes, moves, adds and deletes files together: all of them, or none. With a directory for journals this holds even
 * if the program dies in between: `patchJournal.recover` then restores the files.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { uuidV7 } from "@spindle/core/Ids"
import * as Files from "../anchoredFiles.ts"
import * as PatchJournal from "./patchJournal.ts"

/** The change of one path. */
export interface FileWrite {
  readonly path: string
  /** The file at the path before the change, as it was read. */
  readonly seen: Files.Seen | undefined
  /** The new content; undefined if there is no such file afterwards. */
  readonly content: Uint8Array | undefined
  /** The file that is moved here. */
  readonly source: { readonly path: string; readonly seen: Files.Seen } | undefined
  /** True if the file at the path before the change is moved to another path. */
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
  /** The steps to undo, in order. `name` describes the file that remains if the step fails. */
  readonly undos: Array<{ readonly name: string; readonly run: Effect.Effect<void, Failure, Services> }>
  /** The steps of the journal, by path. They name the temporary files. */
  readonly steps: ReadonlyMap<string, PatchJournal.Step>
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
  Effect.uninterruptible(
    Effect.gen(function* () {
      const steps = yield* Effect.forEach(writes, stepOf)
      const transaction: Transaction = {
        undos: [],
        steps: new Map(steps.map((step) => [step.path, step])),
        leftovers: new Set(),
        current: writes[0]?.path ?? ""
      }
      const directories = yield* missingParents(writes)
      const journal = yield* Effect.mapError(PatchJournal.begin({ steps, directories }), (cause) => {
        const detail = `was not written: cannot write the journal of the patch: ${reasonOf(cause)}`
        return new CommitFailed({ path: transaction.current, detail, left: [], cause })
      })
      yield* Effect.gen(function* () {
        yield* Effect.forEach(directories, (directory) => makeDirectory(transaction, directory), { discard: true })
        yield* forEach(transaction, writes, prepare)
        yield* forEach(transaction, writes.filter(goesAside), setAside)
        yield* forEach(transaction, writes, put)
        yield* journal.markDone
      }).pipe(
        Effect.catch((cause) =>
          Effect.andThen(rollback(transaction, cause), (failure) =>
            Effect.andThen(failure.left.length === 0 ? closeJournal(journal) : Effect.void, Effect.fail(failure))
          )
        )
      )
      yield* removeLeftovers(transaction)
      yield* closeJournal(journal)
    })
  )

/** Removes a journal. If that fails, the next start concludes the journal and finds nothing to do. */
const closeJournal = ({ remove }: PatchJournal.Entry) =>
  Effect.catch(remove, (error) => Effect.logWarning("the journal of a patch could not be removed", error))

/** Names the temporary files that a write needs. */
const stepOf = Effect.fnUntraced(function* (write: FileWrite): Effect.fn.Return<PatchJournal.Step, never, Path.Path> {
  const { content, path, seen, source } = write
  const old = source?.seen ?? (goesAside(write) ? undefined : seen)
  const isCopied = content !== undefined && old !== undefined && !isEqual(content, old.content)
  const inode = seen === undefined ? undefined : Option.getOrUndefined(seen.info.ino)
  return {
    path,
    ...(seen === undefined ? {} : { before: seen.content }),
    ...(content === undefined ? {} : { after: content }),
    ...(inode === undefined ? {} : { inode }),
    ...(source === undefined ? {} : { movedFrom: source.path }),
    ...(goesAside(write) ? { aside: yield* temporaryPath(path) } : {}),
    ...(isCopied ? { copy: yield* temporaryPath(path) } : {})
  }
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

/** True if the file at the path has to leave it. A symbolic link is never written through. */
const goesAside = ({ content, isMovedAway, seen, source }: FileWrite): boolean =>
  seen !== undefined &&
  (content === undefined || isMovedAway || source !== undefined || seen.info.type === "SymbolicLink")

const temporaryPath = Effect.fnUntraced(function* (file: string) {
  const path = yield* Path.Path
  return path.join(path.dirname(file), `.${uuidV7(yield* Clock.currentTimeMillis)}.patch~`)
})

/** Makes sure that nothing has changed since the patch was checked, and first does everything that needs space. */
const prepare = Effect.fnUntraced(function* ({ leftovers, steps }: Transaction, { path, seen, source }: FileWrite) {
  if (seen !== undefined) yield* Files.checkUnchangedAt(path, seen)
  const { copy } = steps.get(path)!
  const old = source?.seen ?? seen
  if (copy === undefined || old === undefined) return
  leftovers.add(copy)
  yield* Files.create(copy, old.content, old.info.mode)
})

const isEqual = (one: Uint8Array, two: Uint8Array): boolean =>
  one.length === two.length && one.every((byte, index) => byte === two[index])

/** Returns the directories that new files need, the upper ones first. */
const missingParents = Effect.fnUntraced(function* (writes: ReadonlyArray<FileWrite>) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const missing = new Set<string>()
  const exists = (directory: string) => Effect.orElseSucceed(fileSystem.exists(directory), () => false)
  for (const write of writes) {
    if (write.content === undefined || write.seen !== undefined) continue
    const own: Array<string> = []
    let one = path.dirname(write.path)
    for (; !missing.has(one) && !(yield* exists(one)); one = path.dirname(one)) own.unshift(one)
    for (const directory of own) missing.add(directory)
  }
  return [...missing]
})

const makeDirectory = Effect.fnUntraced(function* (transaction: Transaction, directory: string) {
  transaction.current = directory
  yield* Files.makeDirectory(directory)
  transaction.undos.push({ name: directory, run: removeEmpty(directory) })
})

/** Removes a directory that was made, unless another program has put something into it since. */
const removeEmpty = Effect.fnUntraced(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const names = yield* fileSystem.readDirectory(directory)
  if (names.length === 0) yield* fileSystem.remove(directory, { recursive: true })
})

const setAside = Effect.fnUntraced(function* ({ leftovers, steps, undos }: Transaction, { path }: FileWrite) {
  const name = steps.get(path)!.aside!
  yield* Files.rename(path, name)
  undos.push({ name: `${path} (kept as ${name})`, run: Files.rename(name, path) })
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
  { steps, undos }: Transaction,
  path: string,
  { content, seen }: { readonly seen: Files.Seen; readonly content: Uint8Array }
) {
  const { copy } = steps.get(path)!
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
  const name = transaction.steps.get(from)!.aside!
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
  const detail = cause._tag === "FileRefused" ? cause.detail : `could not be written: ${reasonOf(cause)}`
  return new CommitFailed({ path: transaction.current, detail, left, cause })
})

const reasonOf = ({ reason }: PlatformError): string => {
  const { code } = (reason.cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" ? code : reason._tag
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
