/** Changes the journals of sessions that are not open. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Journal } from "../../ports/Journal.ts"
import type { SessionId, TurnId } from "../../protocol/Ids.ts"
import { titleOf } from "../../protocol/Op.ts"
import { TurnNotFound } from "../../protocol/SessionError.ts"
import { isTerminal, type JournalRecord } from "../../protocol/SessionEvent.ts"

/** Appends a title to a journal that no session has open. */
export const rename = Effect.fnUntraced(function* (
  journal: Journal,
  sessionId: SessionId,
  title: string,
  clock: Clock.Clock
) {
  const { append, opened } = yield* journal.open(sessionId, "existing")
  const seq = (opened.records.at(-1)?.seq ?? -1) + 1
  yield* append([{ _tag: "SessionRenamed", seq, at: clock.currentTimeMillisUnsafe(), title: titleOf(title) }])
}, Effect.scoped)

/** Writes the journal of a fork. */
export const copy = Effect.fnUntraced(function* (
  journal: Journal,
  {
    sessionId,
    source,
    until
  }: { readonly source: SessionId; readonly sessionId: SessionId; readonly until: TurnId | undefined }
) {
  const { records } = yield* journal.load(source)
  if (until !== undefined && !records.some((record) => record._tag === "TurnStarted" && record.turnId === until)) {
    return yield* new TurnNotFound({ sessionId: source, turnId: until })
  }
  const writer = yield* journal.open(sessionId, "create")
  yield* writer.append(copyOf(recordsUntil(records, until), { source, sessionId }))
}, Effect.scoped)

const recordsUntil = (records: ReadonlyArray<JournalRecord>, until: TurnId | undefined) => {
  const end = until === undefined ? -1 : records.findIndex((record) => isTerminal(record) && record.turnId === until)
  return end < 0 ? records : records.slice(0, end + 1)
}

/** Returns the records of a fork. The first one names the fork and its source. */
const copyOf = (
  records: ReadonlyArray<JournalRecord>,
  { sessionId, source }: { readonly source: SessionId; readonly sessionId: SessionId }
): ReadonlyArray<JournalRecord> =>
  records.map((record) => (record._tag === "SessionStarted" ? { ...record, sessionId, forkedFrom: source } : record))
