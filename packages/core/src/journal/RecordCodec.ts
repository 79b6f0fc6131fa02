/**
 * Converts records to lines of JSON, one object a line, and back (contract J6, J7).
 *
 * The field `v` of a line is the version of its format. Records of version 1 are converted to the current version.
 * Records of a tag or a version that this package does not know are kept as they are.
 */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { maxNesting, nestsTooDeep } from "../protocol/nesting.ts"
import { KnownRecord, type JournalRecord, recordVersion } from "../protocol/SessionEvent.ts"
import { ofVersion1, type RawRecord } from "./recordVersions.ts"

const decode = Schema.decodeUnknownExit(KnownRecord)
const known: ReadonlySet<string> = new Set(KnownRecord.members.map((member) => member.fields._tag.schema.literal))

/** Returns the line of a record, without its newline. {@link decodeLine} reads every line that this function writes. */
export const encode = (record: JournalRecord): string =>
  record._tag === "Unknown" ? JSON.stringify(record.raw) : `{"v":${recordVersion},${JSON.stringify(record).slice(1)}`

/**
 * Returns the record of a line. Returns undefined if the line is not a record: it is not a JSON object, it has no
 * number, it has a known tag with wrong fields, or it is nested too deep to be written again.
 */
export const decodeLine = (line: string): JournalRecord | undefined => {
  // a record nests values of the session, and is not nested much deeper itself
  if (nestsTooDeep(line, 2 * maxNesting)) return undefined
  let raw: RawRecord
  try {
    raw = JSON.parse(line) as typeof raw
  } catch {
    return undefined
  }
  if (typeof raw !== "object" || raw === null) return undefined
  const { _tag, at, seq, v } = raw
  if (typeof seq !== "number" || typeof at !== "number" || typeof _tag !== "string" || typeof v !== "number")
    return undefined
  const today = v === recordVersion ? raw : v === 1 ? ofVersion1(raw) : undefined
  if (today === undefined || !known.has(today["_tag"] as string)) return { _tag: "Unknown", seq, at, raw }
  const decoded = decode(today)
  return Exit.isSuccess(decoded) ? decoded.value : undefined
}
