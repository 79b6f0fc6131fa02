/** Records for the suites: one of each shape that matters to a journal, with texts that are hard to store. */
import type { CallId, ItemId, SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { KnownRecord, NewRecord, JournalRecord } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"

const turnId = "turn" as TurnId
const submissionId = "input" as SubmissionId

/** Texts with line ends, quotes, characters outside ASCII and outside the basic plane, and an empty one. */
export const texts: ReadonlyArray<string> = [
  "plain",
  'a "quoted"\nline\r\n',
  "é€𝄞\u2028",
  "\u0000\\",
  "",
  "x".repeat(9_000)
]

const item = (index: number): NewRecord => {
  const text = texts[index % texts.length]!
  const id = `1.${index}` as ItemId
  const callId = `call ${index - (index % 2)}` as CallId
  return {
    _tag: "ItemRecorded",
    turnId,
    item:
      index % 2 === 0
        ? { _tag: "ToolCall", id, callId, name: "look", params: { text, nested: [null, 1.5, { [text]: true }] } }
        : { _tag: "ToolResult", id, callId, name: "look", status: "completed", output: text }
  }
}

/** Makes `count` records of a session, numbered from `from`, one second apart. Record 0 is `SessionStarted`. */
export const records = (sessionId: SessionId, count: number, from = 0): ReadonlyArray<JournalRecord> =>
  Array.from({ length: count }, (_, offset) => {
    const seq = from + offset
    return { ...newRecord(sessionId, seq), seq, at: 1_000 * seq } as KnownRecord
  })

const newRecord = (sessionId: SessionId, seq: number): NewRecord => {
  if (seq === 0) return { _tag: "SessionStarted", sessionId, meta: { cwd: "/somewhere", name: texts[2]! } }
  if (seq === 1) return { _tag: "InputAccepted", submissionId, input: Input.text(texts[1]!), delivery: "steer", turnId }
  if (seq === 2) return { _tag: "TurnStarted", turnId, kind: "regular" }
  if (seq % 7 === 0) return { _tag: "Warning", message: texts[seq % texts.length]! }
  if (seq % 11 === 0) return { _tag: "TurnCompleted", turnId, usage: TokenUsage.zero }
  return item(seq)
}

/** A record of a later version. */
export const unknown = (seq: number): JournalRecord => {
  const raw = { v: 99, _tag: "FromTheFuture", seq, at: 1_000 * seq, more: [1, { deep: texts[2] }] }
  return { _tag: "Unknown", seq, at: 1_000 * seq, raw }
}
