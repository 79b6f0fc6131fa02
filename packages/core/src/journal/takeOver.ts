/**
 * Opens an existing journal for writing, in place (contract J1, J2).
 *
 * 1. The first line decides whether the file is the journal of the session. A foreign file is left untouched.
 * 2. The fence is replaced, so an earlier writer is refused afterwards.
 * 3. The records are read. Since the fence was replaced before, no earlier writer acknowledges a record after this.
 * 4. Bytes after the last readable record are copied to a file next to the journal, and cut off.
 *
 * No step copies the journal. If the process dies between two steps, the journal can be opened again.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import type { SessionId } from "../protocol/Ids.ts"
import { JournalFailed } from "../protocol/SessionError.ts"
import * as Fence from "./fence.ts"
import { asJournalFailed, chunksOf, type Files } from "./files.ts"
import { headOf } from "./head.ts"
import { afterNuls } from "./lines.ts"
import * as Paths from "./paths.ts"
import { type Sequence, SequenceReader } from "./sequence.ts"
import { makeWriter, type Place } from "./writer.ts"

/** Opens the journal at `path` for writing, until the scope closes. */
export const takeOver = Effect.fnUntraced(function* (files: Files, sessionId: SessionId, path: string) {
  const opening = asJournalFailed("open", sessionId)
  yield* recoverName(files, sessionId, path)
  yield* refuseForeign(files, sessionId, path)
  const fence = yield* Fence.make(files.fs, path).pipe(opening)
  const file = yield* files.fs.open(path, { flag: "a+", mode: 0o600 }).pipe(opening)
  const found = yield* readAll(file).pipe(opening)
  const place = { files, sessionId, path, file, fence, isNew: false }
  const cut = yield* cutEnd(place, found)
  const sequence = yield* endLine(file, found.sequence).pipe(opening)
  // with fsync, nothing is written after records that could still be lost
  if (files.isSynced) yield* file.sync.pipe(opening)
  return yield* makeWriter(place, sequence, cut)
})

/**
 * Gives a journal its name back. An earlier version copied a journal to open it, and a process that died meanwhile left
 * it under another name.
 */
const recoverName = Effect.fnUntraced(function* (files: Files, sessionId: SessionId, path: string) {
  const { fs } = files
  const taken = Paths.takenPath(path)
  const opening = asJournalFailed("open", sessionId)
  if (yield* fs.exists(taken).pipe(opening)) {
    yield* refuseForeign(files, sessionId, taken)
    // the copy has the name of the journal only if it is complete
    if (yield* fs.exists(path).pipe(opening)) yield* fs.remove(taken).pipe(opening)
    else yield* fs.rename(taken, path).pipe(opening)
  }
  yield* fs.remove(Paths.copyPath(path), { force: true }).pipe(opening)
})

/** Fails if a file is not the journal of the session. */
export const refuseForeign = Effect.fnUntraced(function* (files: Files, sessionId: SessionId, path: string) {
  const head = yield* headOf(files.fs, path, sessionId).pipe(asJournalFailed("open", sessionId))
  if (head !== "foreign") return
  const detail = `the first line of ${path} is not the first record of this session; the file was left as it is`
  return yield* new JournalFailed({ sessionId, operation: "open", detail })
})

/** Reads the records of an open file, and its size. */
export const readAll = Effect.fnUntraced(function* (file: FileSystem.File) {
  const reader = new SequenceReader()
  let sizeBytes = 0
  yield* Stream.runForEach(chunksOf(file, { start: 0, end: Infinity }), (chunk) =>
    Effect.sync(() => {
      reader.push(chunk)
      sizeBytes += chunk.length
    })
  )
  return { sequence: reader.finish(), sizeBytes }
})

/** Copies the bytes after the last record to a separate file, then cuts them off. */
const cutEnd = Effect.fnUntraced(function* (place: Place, found: Effect.Success<ReturnType<typeof readAll>>) {
  const { fence, file, files, path, sessionId } = place
  const opening = asJournalFailed("open", sessionId)
  const range = { start: found.sequence.sizeBytes, end: found.sizeBytes }
  const cutBytes = range.end - range.start
  if (cutBytes === 0) return { cutBytes, cutFile: undefined }
  const cutFile = Paths.cutPath(path, { bytes: cutBytes, timeMillis: yield* Clock.currentTimeMillis })
  yield* copyRange(place, range, cutFile).pipe(
    // an incomplete copy is useless, and may have filled the disk
    Effect.onError(() => Effect.ignore(files.fs.remove(cutFile, { force: true }))),
    opening
  )
  const isHeld = yield* Fence.isHeld(files.fs, path, fence).pipe(opening)
  const { size } = yield* file.stat.pipe(opening)
  if (!isHeld || Number(size) !== range.end) {
    return yield* new JournalFailed({ sessionId, operation: "fence", detail: Fence.lost })
  }
  yield* file.truncate(range.start).pipe(opening)
  return { cutBytes, cutFile }
})

/** Copies a range of bytes to a new file. Chunks of NUL bytes become holes, which take no space. */
const copyRange = (
  { file, files }: Place,
  range: { readonly start: number; readonly end: number },
  to: string
): Effect.Effect<void, PlatformError> =>
  Effect.gen(function* () {
    const copy = yield* files.fs.open(to, { flag: "w", mode: 0o600 })
    yield* Stream.runForEach(chunksOf(file, range), (chunk) =>
      afterNuls(chunk, 0) === chunk.length
        ? Effect.asVoid(copy.seek(BigInt(chunk.length), "current"))
        : copy.writeAll(chunk)
    )
    yield* copy.truncate(range.end - range.start)
    if (files.isSynced) yield* copy.sync
  }).pipe(Effect.scoped)

/** Adds a newline after the last record, if there is none. */
const endLine = (file: FileSystem.File, sequence: Sequence): Effect.Effect<Sequence, PlatformError> =>
  sequence.hasNewline
    ? Effect.succeed(sequence)
    : Effect.as(file.writeAll(newline), { ...sequence, sizeBytes: sequence.sizeBytes + 1, hasNewline: true })

const newline = new Uint8Array([10])
