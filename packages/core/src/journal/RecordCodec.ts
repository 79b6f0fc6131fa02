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
