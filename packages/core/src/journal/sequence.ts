/**
 * The readable records of a journal (contract J1).
 *
 * A line that is not a record is damaged, and is skipped. If the numbers of the readable records do not increase from
 * each to the next, the longest sequence of records with increasing numbers is kept, and the others count as damaged.
 * So numbers may be missing, but never repeated or out of order.
 */
import type { Opened } from "../ports/Journal.ts"
import type { JournalRecord } from "../protocol/SessionEvent.ts"
import { type Line, LineSplitter } from "./lines.ts"
import * as RecordCodec from "./RecordCodec.ts"

/** The records of a journal, in order. */
export interface Sequence {
  readonly records: ReadonlyArray<JournalRecord>
  /** The offset of each record. */
  readonly offsets: ReadonlyArray<number>
  /** The offsets of readable records that do not fit into the sequence. */
  readonly rejected: ReadonlySet<number>
  /** The offset after the last record. No byte from there onwards is readable. */
  readonly sizeBytes: number
  /** True if a newline follows the last record. */
  readonly hasNewline: boolean
  /** The number of bytes before `sizeBytes` that belong to no record of the sequence. */
  readonly damagedBytes: number
  /** The number of record numbers that are missing before that of the last record. */
  readonly missingCount: number
}

/**
 * Reads records from the chunks of a file, from the offset `position` onwards. It leaves out the records that an
 * earlier reading rejected. Its time is linear in the size of the chunks.
 */
export class SequenceReader {
  private readonly found: Array<Found> = []
  private isGrowing = true
  private readonly lines: LineSplitter
  private readonly rejected: ReadonlySet<number>

  constructor(
    options: { readonly position?: number | undefined; readonly rejected?: ReadonlySet<number> | undefined } = {}
  ) {
    this.lines = new LineSplitter((line) => this.read(line), options.position)
    this.rejected = options.rejected ?? none
  }

  /** Takes the next chunk, and keeps it until its last line ends. */
  push(chunk: Uint8Array): void {
    this.lines.push(chunk)
  }

  /** Returns the sequence of the records that were read. Call it once, after the last chunk. */
  finish(): Sequence {
    this.lines.finish()
    const { found } = this
    const kept = this.isGrowing ? found : longestGrowing(found)
    const keptSet = this.isGrowing ? undefined : new Set(kept)
    const last = kept.at(-1)
    const sizeBytes = last?.end ?? 0
    return {
      records: kept.map(({ record }) => record),
      offsets: kept.map(({ start }) => start),
      rejected:
        keptSet === undefined ? none : new Set(found.filter((one) => !keptSet.has(one)).map(({ start }) => start)),
      sizeBytes,
      hasNewline: last?.hasNewline ?? true,
      damagedBytes: sizeBytes - kept.reduce((sum, { end, start }) => sum + end - start, 0),
      missingCount: last === undefined ? 0 : last.record.seq + 1 - kept.length
    }
  }

  private read(line: Line): void {
    const read = recordOf(line)
    if (read === undefined || this.rejected.has(read.start)) return
    const before = this.found.at(-1)
    if (before !== undefined && read.record.seq <= before.record.seq) this.isGrowing = false
    this.found.push(read)
  }
}

const none: ReadonlySet<number> = new Set()

/** Returns the report about a sequence for `open` and `load`. */
export const openedOf = (
  { damagedBytes, missingCount, records }: Sequence,
  cut: Pick<Opened, "cutBytes" | "cutFile">
): Opened => ({
  records,
  ...cut,
  ...(damagedBytes === 0 && missingCount === 0 ? {} : { damage: { bytes: damagedBytes, missingCount } })
})

/** The sequence of a new journal. */
export const empty: Sequence = {
  records: [],
  offsets: [],
  rejected: none,
  sizeBytes: 0,
  hasNewline: true,
  damagedBytes: 0,
  missingCount: 0
}

interface Found {
  readonly record: JournalRecord
  readonly start: number
  readonly end: number
  readonly hasNewline: boolean
}

/**
 * Returns the record of a line, or undefined if the line is damaged. It also finds a record that follows the beginning
 * of another record on the same line.
 */
export const recordOf = ({ bytes, end, hasNewline, start }: Line): Found | undefined => {
  let at = 0
  for (let attempt = 0; attempt < maxAttempts && at < bytes.length; attempt++) {
    const record = decode(at === 0 ? bytes : bytes.subarray(at))
    if (record !== undefined) return { record, start: start + at, end, hasNewline }
    at = nextBeginning(bytes, at + 1)
  }
  return undefined
}

/**
 * The number of places of a damaged line that are tried. It is bounded, because each attempt may read the line to its
 * end.
 */
const maxAttempts = 16

declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean }
) => { readonly decode: (bytes: Uint8Array) => string }

const utf8 = new TextDecoder("utf-8", { fatal: true })

const decode = (bytes: Uint8Array): JournalRecord | undefined => {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    // not UTF-8
    return undefined
  }
  const record = RecordCodec.decodeLine(text)
  return record !== undefined && Number.isSafeInteger(record.seq) && record.seq >= 0 ? record : undefined
}

/** The beginning of every line that {@link RecordCodec.encode} writes for a record of the current version. */
const beginning = Array.from(`{"v":`, (character) => character.charCodeAt(0))

/** Returns the next index at which a record may begin, or the length. */
const nextBeginning = (bytes: Uint8Array, from: number): number => {
  for (let at = bytes.indexOf(beginning[0]!, from); at >= 0; at = bytes.indexOf(beginning[0]!, at + 1)) {
    if (beginning.every((byte, offset) => bytes[at + offset] === byte)) return at
  }
  return bytes.length
}

/**
 * Returns the longest subsequence with increasing numbers; of several, the one with the smallest last number. Of
 * records with the same number the first is kept.
 */
const longestGrowing = (found: ReadonlyArray<Found>): ReadonlyArray<Found> => {
  // ends[n] is the smallest last record of an increasing sequence of n + 1 records
  const ends: Array<Chain> = []
  for (const one of found) {
    const length = countBelow(ends, one.record.seq)
    if (ends[length]?.found.record.seq === one.record.seq) continue
    ends[length] = { found: one, before: ends[length - 1] }
  }
  const kept: Array<Found> = []
  for (let chain = ends.at(-1); chain !== undefined; chain = chain.before) kept.push(chain.found)
  return kept.reverse()
}

interface Chain {
  readonly found: Found
  readonly before: Chain | undefined
}

/**
 * Returns how many of these chains end below a number. It takes one step if all of them do, as in a journal that is in
 * order.
 */
const countBelow = (ends: ReadonlyArray<Chain>, seq: number): number => {
  let low = 0
  let high = ends.length
  if (high > 0 && ends[high - 1]!.found.record.seq < seq) return high
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ends[middle]!.found.record.seq < seq) low = middle + 1
    else high = middle
  }
  return low
}
