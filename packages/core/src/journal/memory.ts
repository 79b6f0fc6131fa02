/** The in-memory adapter of the journal port: for tests, and for sessions that need not outlive the process. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Journal, type JournalWriter, type PageOptions } from "../ports/Journal.ts"
import type { SessionId } from "../protocol/Ids.ts"
import type { JournalPage } from "../protocol/JournalEntry.ts"
import { JournalFailed, SessionBusy, SessionNotFound } from "../protocol/SessionError.ts"
import type { JournalRecord } from "../protocol/SessionEvent.ts"
import { lastTitle } from "../state/SessionState.ts"
import * as JournalPages from "../state/journalPages.ts"

/**
 * Keeps journals in memory. `retainCount` bounds the number of records of each session that are kept for late
 * subscribers (default: all). The state of a session does not need them, but a session whose records are gone cannot be
 * opened again. With `retainClosed: false` a journal is removed when its writer closes.
 *
 * @example
 * ```ts
 * import { Agent, Journal, Session } from "@spindle/core"
 * import { Layer } from "effect"
 *
 * // for tests, and for sessions that need not outlive the process
 * export const session = Session.layer(Agent.make({})).pipe(Layer.provide(Journal.layerMemory()))
 * ```
 */
export const layerMemory = (options?: {
  readonly retainCount?: number | undefined
  readonly retainClosed?: boolean | undefined
}): Layer.Layer<Journal> =>
  Layer.sync(Journal, () => makeMemory(options?.retainCount ?? Infinity, options?.retainClosed ?? true))

const existsAlready = "a journal of this id exists already"

const titleField = (title: string | undefined) => (title === undefined ? {} : { title })

interface MemoryJournal {
  title: string | undefined
  records: Array<JournalRecord>
  updatedAt: number
  isHeld: boolean
  isArchived: boolean
}

const makeMemory = (retainCount: number, retainClosed: boolean): Journal => {
  const journals = new Map<SessionId, MemoryJournal>()
  const since = (journal: MemoryJournal, from: number, limit: number) => {
    const start = Math.max(0, from - (journal.records[0]?.seq ?? 0))
    return journal.records.slice(start, start + limit)
  }
  const writer = (journal: MemoryJournal): JournalWriter => ({
    opened: { records: journal.records.slice(), cutBytes: 0, cutFile: undefined },
    append: (records) =>
      Effect.sync(() => {
        for (const record of records) journal.records.push(record)
        journal.title = lastTitle(records, journal.title)
        journal.updatedAt = records.at(-1)?.at ?? journal.updatedAt
        // trimmed in blocks, so that appending stays constant in time
        if (journal.records.length > 2 * retainCount) journal.records = journal.records.slice(-retainCount)
      }),
    read: (from, limit) => Effect.sync(() => since(journal, from, limit))
  })
  const change = (sessionId: SessionId, apply: (journal: MemoryJournal) => void) =>
    Effect.suspend((): Effect.Effect<void, SessionNotFound | SessionBusy> => {
      const journal = journals.get(sessionId)
      if (journal === undefined) return Effect.fail(new SessionNotFound({ sessionId }))
      if (journal.isHeld) return Effect.fail(new SessionBusy({ sessionId, holder: "this process" }))
      apply(journal)
      return Effect.void
    })
  const page = ({
    archived = false,
    cursor,
    limit,
    ...filter
  }: PageOptions): Effect.Effect<JournalPage, JournalFailed> =>
    Effect.suspend(() => {
      const start = JournalPages.startOf(cursor)
      if (start === undefined) return Effect.fail(JournalPages.malformedCursor(cursor))
      const entries = Array.from(journals)
        .filter(([, journal]) => journal.isArchived === archived)
        .map(([sessionId, { title, updatedAt }]) => ({ sessionId, updatedAt, sizeBytes: 0, ...titleField(title) }))
        .filter((entry) => JournalPages.selectsPlace(filter, entry) && JournalPages.selectsTitle(filter, entry.title))
      return Effect.succeed(JournalPages.pageOf(JournalPages.sortFrom(start, entries), limit))
    })
  const listOf = (archived: boolean) => Effect.map(page({ archived }), ({ entries }) => entries)
  return {
    open: (sessionId, mode) =>
      Effect.acquireRelease(
        Effect.suspend((): Effect.Effect<MemoryJournal, SessionNotFound | SessionBusy | JournalFailed> => {
          let journal = journals.get(sessionId)
          // mutant one-writer (J2: a journal has one writer): drop
          if (journal?.isHeld === true) return Effect.fail(new SessionBusy({ sessionId, holder: "this process" }))
          if (mode === "create") {
            if (journal !== undefined)
              return Effect.fail(new JournalFailed({ sessionId, operation: "open", detail: existsAlready }))
            journal = { title: undefined, records: [], updatedAt: 0, isHeld: false, isArchived: false }
            journals.set(sessionId, journal)
          } else if (journal === undefined) return Effect.fail(new SessionNotFound({ sessionId }))
          else if (journal.isArchived) return Effect.fail(new SessionNotFound({ sessionId, archived: true }))
          journal.isHeld = true
          return Effect.succeed(journal)
        }),
        (journal) =>
          Effect.sync(() => {
            journal.isHeld = false
            if (!retainClosed) journals.delete(sessionId)
          })
      ).pipe(Effect.map(writer)),
    load: (sessionId) =>
      Effect.suspend(() => {
        const journal = journals.get(sessionId)
        return journal === undefined
          ? Effect.fail(new SessionNotFound({ sessionId }))
          : Effect.succeed({ records: journal.records.slice(), cutBytes: 0, cutFile: undefined })
      }),
    list: listOf(false),
    archive: (sessionId) => change(sessionId, (journal) => void (journal.isArchived = true)),
    unarchive: (sessionId) => change(sessionId, (journal) => void (journal.isArchived = false)),
    archived: listOf(true),
    page,
    delete: (sessionId) => change(sessionId, () => void journals.delete(sessionId))
  }
}
