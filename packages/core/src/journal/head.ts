/**
 * The head of a file, which is its first line. It decides whether Spindle may write to the file.
 *
 * A file belongs to a session if its first record is the readable `SessionStarted` of that session. Any other file is
 * foreign, whatever its name: it is never listed and never opened for writing.
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Stream from "effect/Stream"
import type { SessionId } from "../protocol/Ids.ts"
import { type JournalRecord, recordVersion } from "../protocol/SessionEvent.ts"
import { chunksOf } from "./files.ts"
import { type Line, LineSplitter } from "./lines.ts"
import { recordOf } from "./sequence.ts"

/**
 * - `journal`: the first record is readable and starts this session.
 * - `unfinished`: the file is empty or ends within the first record, which therefore was never acknowledged.
 * - `foreign`: anything else.
 */
export type Head = "journal" | "unfinished" | "foreign"

/** Classifies a file by its first line, of which it reads at most 1 MiB. */
export const headOf = (
  fs: FileSystem.FileSystem,
  path: string,
  sessionId: SessionId
): Effect.Effect<Head, PlatformError> =>
  Effect.gen(function* () {
    if ((yield* fs.stat(path)).type !== "File") return "foreign"
    const file = yield* fs.open(path, { flag: "r" })
    let first: Line | undefined
    let sizeBytes = 0
    const lines = new LineSplitter((line) => void (first ??= isBlank(line.bytes) ? undefined : line))
    yield* Stream.runForEachWhile(chunksOf(file, { start: 0, end: maxHeadBytes }), (chunk) =>
      Effect.sync(() => {
        lines.push(chunk)
        sizeBytes += chunk.length
        return first === undefined
      })
    )
    if (first === undefined) lines.finish()
    if (first === undefined) return sizeBytes === 0 ? "unfinished" : "foreign"
    const record = recordOf(first)?.record
    if (record !== undefined) return startsSession(record, sessionId) ? "journal" : "foreign"
    return first.end === sizeBytes && isUnfinished(first) ? "unfinished" : "foreign"
  }).pipe(Effect.scoped)

const maxHeadBytes = 1024 * 1024

const isBlank = (bytes: Uint8Array): boolean => bytes.length > 0 && bytes.every((byte) => byte <= space)
const space = 32

const startsSession = (record: JournalRecord, sessionId: SessionId): boolean => {
  const fields = record._tag === "Unknown" ? record.raw : record
  if (record.seq !== 0 || !("sessionId" in fields)) return false
  return fields._tag === "SessionStarted" && fields.sessionId === sessionId
}

/** Returns whether a line is the beginning of a first record of this or an earlier version. */
const isUnfinished = ({ bytes, hasNewline, start }: Line): boolean => {
  if (hasNewline || start > 0) return false
  const text = String.fromCharCode(...bytes.subarray(0, 64))
  for (let version = 1; version <= recordVersion; version++) {
    const beginning = `{"v":${version},"_tag":"SessionStarted",`
    if (beginning.startsWith(text) || text.startsWith(beginning)) return true
  }
  return false
}
