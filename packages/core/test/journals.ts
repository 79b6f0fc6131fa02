/** Journals in memory whose appends a test can hold, fail or watch. */
import type { Journal, JournalWriter } from "@spindle/core/Journal"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { memoryJournal } from "@spindle/testing/SessionHarness"
import { Deferred, Effect } from "effect"

/** What happens around an append: the append itself, and its records. */
export type Around = (
  append: Effect.Effect<void, JournalFailed>,
  records: ReadonlyArray<JournalRecord>
) => Effect.Effect<void, JournalFailed>

/** A journal in memory whose appends go through `around`. */
export const journalWith = (around: Around) =>
  Effect.map(memoryJournal, (journal): Journal => ({
    ...journal,
    open: (sessionId, mode) =>
      Effect.map(journal.open(sessionId, mode), (writer): JournalWriter => ({
        ...writer,
        append: (records) => around(writer.append(records), records)
      }))
  }))

/** A journal that holds every append with a record of one tag until `open` runs; `reached` waits until one stands there. */
export const heldAt = Effect.fnUntraced(function* (tag: JournalRecord["_tag"]) {
  const reached = yield* Deferred.make<void>()
  const opened = yield* Deferred.make<void>()
  const journal = yield* journalWith((append, records) =>
    records.some((record) => record._tag === tag)
      ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.andThen(Deferred.await(opened), append))
      : append
  )
  return { journal, reached: Deferred.await(reached), open: Deferred.succeed(opened, undefined) }
})
