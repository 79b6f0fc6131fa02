/**
 * Records as lines of JSON, one object a line, and back (contract J6, J7).
 *
 * A line carries the version of its format in `v`. Records of a tag or a version that this package does not know are
 * kept as they came.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { KnownRecord, type JournalRecord, recordVersion } from "../protocol/SessionEvent.ts"

const decode = Schema.decodeUnknownExit(KnownRecord)
const known: ReadonlySet<string> = new Set(KnownRecord.members.map((member) => member.fields._tag.schema.literal))

/** One line, without its end. */
export const encode = (record: JournalRecord): string =>
  record._tag === "Unknown" ? JSON.stringify(record.raw) : `{"v":${recordVersion},${JSON.stringify(record).slice(1)}`

/**
 * The record of a line, or undefined if the line is none: no JSON object, no number, or a known tag with wrong fields.
 */
export const decodeLine = (line: string): JournalRecord | undefined => {
  let raw: { readonly [key: string]: unknown }
  try {
    raw = JSON.parse(line) as typeof raw
  } catch {
    return undefined
  }
  if (typeof raw !== "object" || raw === null) return undefined
  const { _tag, at, seq, v } = raw
  if (typeof seq !== "number" || typeof at !== "number" || typeof _tag !== "string" || typeof v !== "number")
    return undefined
  if (v !== recordVersion || !known.has(_tag)) return { _tag: "Unknown", seq, at, raw }
  const decoded = decode(raw)
  return Exit.isSuccess(decoded) ? decoded.value : undefined
}

/** The longest valid beginning of a journal's bytes. */
export interface ValidPrefix {
  readonly records: ReadonlyArray<JournalRecord>
  /** How many bytes it has; what follows is not readable. */
  readonly sizeBytes: number
  /** Where each record begins. */
  readonly offsets: ReadonlyArray<number>
}

declare const TextDecoder: new (
  label: string,
  options: { readonly fatal: boolean }
) => { readonly decode: (bytes: Uint8Array) => string }

const newline = 10

/**
 * Reads records, numbered from `first` on, until the first line that is torn, is no record, or has the wrong number.
 * Linear in the size.
 */
export const validPrefix = (bytes: Uint8Array, first = 0): ValidPrefix => {
  const text = new TextDecoder("utf-8", { fatal: true })
  const records: Array<JournalRecord> = []
  const offsets: Array<number> = []
  let start = 0
  for (;;) {
    const end = bytes.indexOf(newline, start)
    if (end < 0) break
    let line: string
    try {
      line = text.decode(bytes.subarray(start, end))
    } catch {
      break
    }
    const record = decodeLine(line)
    if (record === undefined || record.seq !== first + records.length) break
    records.push(record)
    offsets.push(start)
    start = end + 1
  }
  return { records, sizeBytes: start, offsets }
}
