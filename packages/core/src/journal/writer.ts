/**
 * The writer of an open journal file (contract J1, J2, J5).
 *
 * The writer makes checks before and after each write. Before it, the fence must be the writer's own. After it, the
 * fence must still be its own, and the file must be at its path and exactly as long as this writer made it. Then no
 * other writer and no other program has changed the file, and the records are acknowledged.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import type { JournalWriter, Opened } from "../ports/Journal.ts"
import type { SessionId } from "../protocol/Ids.ts"
import { JournalFailed } from "../protocol/SessionError.ts"
import type { JournalRecord } from "../protocol/SessionEvent.ts"
import * as Fence from "./fence.ts"
import { asJournalFailed, chunksOf, type Files } from "./files.ts"
import { concat } from "./lines.ts"
import * as RecordCodec from "./RecordCodec.ts"
import { lastTitle } from "../state/SessionState.ts"
import * as Titles from "./titles.ts"
import { openedOf, type Sequence, SequenceReader } from "./sequence.ts"

/** Makes the writer of a file that ends after the last record of `sequence`. */
export const makeWriter = Effect.fnUntraced(function* (
  place: Place,
  sequence: Sequence,
  cut: Pick<Opened, "cutBytes" | "cutFile">
) {
  const { file, files, sessionId } = place
  const { ino } = yield* file.stat.pipe(asJournalFailed("open", sessionId))
  let { sizeBytes } = sequence
  let count = sequence.records.length
  let nextSeq = (sequence.records.at(-1)?.seq ?? -1) + 1
  let title = lastTitle(sequence.records)
  if (title !== undefined) yield* Titles.repair(files, place.path, title)
  let refused: JournalFailed | undefined
  const pages = new Pages(sequence)
  // made once and run for each write
  const checkFence = refuseFenced(place)
  const stat = files.fs.stat(place.path).pipe(asJournalFailed("fence", sessionId))

  const writeChecked = Effect.fnUntraced(function* (bytes: Uint8Array) {
    yield* checkFence
    yield* file.writeAll(bytes).pipe(asJournalFailed("append", sessionId))
    if (files.isSynced) yield* file.sync.pipe(asJournalFailed("flush", sessionId))
    yield* checkFence
    yield* refuseChanged(place, yield* stat, { inode: ino, sizeBytes: sizeBytes + bytes.length })
  })

  const append: JournalWriter["append"] = (records) =>
    Effect.suspend(() => {
      if (refused !== undefined) return Effect.fail(refused)
      const lines = records.map((record) => encoder.encode(RecordCodec.encode(record) + "\n"))
      const bytes = concat(lines)
      return Effect.matchEffect(writeChecked(bytes), {
        onFailure: (error) => {
          refused = error
          return Effect.andThen(
            restore(place, error, { sizeBytes, maxBytes: sizeBytes + bytes.length }),
            Effect.fail(error)
          )
        },
        onSuccess: () => {
          for (const [index, line] of lines.entries()) {
            pages.add(count++, records[index]!.seq, sizeBytes)
            sizeBytes += line.length
          }
          nextSeq = (records.at(-1)?.seq ?? nextSeq - 1) + 1
          const next = lastTitle(records, title)
          if (next === title) return Effect.void
          title = next
          return Titles.write(files, place.path, title)
        }
      })
    }).pipe(Effect.uninterruptible)

  const read: JournalWriter["read"] = (from, limit) =>
    from >= nextSeq || limit <= 0
      ? Effect.succeed([])
      : readPages(place, pages.rangeOf(from, limit, sizeBytes), sequence.rejected).pipe(
          Effect.map((records) => {
            const first = records.findIndex((record) => record.seq >= from)
            return records.slice(first, first + limit)
          }),
          asJournalFailed("read", sessionId)
        )

  return { opened: openedOf(sequence, cut), coalesces: true, append, read } satisfies JournalWriter
})

declare const TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }
const encoder = new TextEncoder()

/** An open journal. */
export interface Place {
  readonly files: Files
  readonly sessionId: SessionId
  readonly path: string
  readonly file: FileSystem.File
  readonly fence: Fence.Fence
  /** True if this writer made the file. */
  readonly isNew: boolean
}

/** Fails if another writer has opened the journal. */
const refuseFenced = ({ fence, files, path, sessionId }: Place): Effect.Effect<void, JournalFailed> =>
  Effect.matchEffect(Fence.isHeld(files.fs, path, fence), {
    onFailure: (error) => asJournalFailed("fence", sessionId)(Effect.fail(error)),
    onSuccess: (isHeld) => {
      // mutant file-fence (J2: a writer that lost its journal is refused before its write is acknowledged): false
      if (!isHeld) return Effect.fail(new JournalFailed({ sessionId, operation: "fence", detail: Fence.lost }))
      return Effect.void
    }
  })

/** Fails unless the journal is the file that was opened, and exactly as long as it should be. */
const refuseChanged = (
  { path, sessionId }: Place,
  info: FileSystem.File.Info,
  { inode, sizeBytes }: { readonly inode: Option.Option<bigint>; readonly sizeBytes: number }
): Effect.Effect<void, JournalFailed> => {
  const isSame = Option.getOrUndefined(info.ino) === Option.getOrUndefined(inode)
  if (isSame && Number(info.size) === sizeBytes) return Effect.void
  const detail = isSame
    ? `another program changed ${path}: it has ${info.size} bytes instead of ${sizeBytes}`
    : `another program replaced ${path}`
  return Effect.fail(new JournalFailed({ sessionId, operation: "fence", detail }))
}

/**
 * Removes the bytes of a failed write, so that none of its records can be read. A new file without a record is deleted.
 * The file is left as it is if another writer or program may have changed it. If the removal fails, the next opening
 * handles the bytes.
 */
const restore = (
  { fence, file, files, isNew, path }: Place,
  { operation }: JournalFailed,
  { maxBytes, sizeBytes }: { readonly sizeBytes: number; readonly maxBytes: number }
): Effect.Effect<void> =>
  operation === "fence"
    ? Effect.void
    : Effect.gen(function* () {
        const { size } = yield* file.stat
        if (Number(size) > maxBytes || !(yield* Fence.isHeld(files.fs, path, fence))) return
        yield* isNew && sizeBytes === 0 ? files.fs.remove(path) : file.truncate(sizeBytes)
      }).pipe(Effect.ignore)

const readPages = (
  { files, path }: Place,
  range: { readonly start: number; readonly end: number },
  rejected: ReadonlySet<number>
): Effect.Effect<ReadonlyArray<JournalRecord>, PlatformError> =>
  Effect.gen(function* () {
    const file = yield* files.fs.open(path, { flag: "r" })
    const reader = new SequenceReader({ position: range.start, rejected })
    yield* Stream.runForEach(chunksOf(file, range), (chunk) => Effect.sync(() => reader.push(chunk)))
    return reader.finish().records
  }).pipe(Effect.scoped)

/** The offset of every 256th record, so that a read from a number onwards need not read the records before it. */
class Pages {
  private readonly pages: Array<{ readonly seq: number; readonly start: number }> = []

  constructor({ offsets, records }: Sequence) {
    for (const [index, { seq }] of records.entries()) this.add(index, seq, offsets[index]!)
  }

  /** Adds a record by its index, number and offset. */
  add(index: number, seq: number, start: number): void {
    if (index % pageCount === 0) this.pages.push({ seq, start })
  }

  /** Returns the range of bytes of the pages with `limit` records from a number onwards. */
  rangeOf(from: number, limit: number, sizeBytes: number): { readonly start: number; readonly end: number } {
    let low = 0
    let high = this.pages.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if (this.pages[middle]!.seq <= from) low = middle
      else high = middle
    }
    const start = this.pages[low]!.start
    // the first record may be anywhere in its page
    return { start, end: this.pages[low + 1 + Math.ceil(limit / pageCount)]?.start ?? sizeBytes }
  }
}

const pageCount = 256
