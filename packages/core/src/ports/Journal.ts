/**
 * The port to journals: one append-only list of records for each session (contract J1 to J8).
 *
 * A session opens its journal for writing once, through {@link Journal}, and appends in batches from one fiber. An
 * implementation must keep the order of records, and must not acknowledge a record that a crash of the process can
 * lose. Each `append` must succeed or fail. A session waits for it until its deadline, and then treats the journal as
 * failed.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { SessionId } from "../protocol/Ids.ts"
import type { JournalEntry, JournalFilter, JournalPage } from "../protocol/JournalEntry.ts"
import type { JournalFailed, SessionBusy, SessionNotFound } from "../protocol/SessionError.ts"
import type { JournalRecord } from "../protocol/SessionEvent.ts"

export type { JournalEntry, JournalFilter, JournalPage } from "../protocol/JournalEntry.ts"

/** The content of a journal. `cutBytes` at its end are not readable; opening for writing moves them to `cutFile`. */
export interface Opened {
  /** The records in order. Their numbers increase; some numbers are missing if there is damage. */
  readonly records: ReadonlyArray<JournalRecord>
  readonly cutBytes: number
  readonly cutFile: string | undefined
  /** Set if bytes between records are not readable, or if numbers are missing. The bytes stay in the journal. */
  readonly damage?: JournalDamage
}

/** Damage between the records of a journal. */
export interface JournalDamage {
  /** The number of bytes that belong to no record. */
  readonly bytes: number
  /** The number of record numbers that are missing. */
  readonly missingCount: number
}

/** A journal that is open for writing by this holder only. */
export interface JournalWriter {
  /**
   * True if a write costs much more than a record, so that the records of one step should be written together. The
   * session then waits for the end of the step before it writes. Default: false.
   */
  readonly coalesces?: boolean
  readonly opened: Opened
  /**
   * Appends records in order. When it succeeds, they are acknowledged: they survive the death of the process.
   * **Interruption**: not interruptible; a session bounds its wait instead. **Errors**: `JournalFailed`. No record of
   * the batch is acknowledged then, and the writer refuses all later batches.
   */
  readonly append: (records: ReadonlyArray<JournalRecord>) => Effect.Effect<void, JournalFailed>
  /**
   * Reads at most `limit` acknowledged records, in order, whose numbers are at least `from`. **Errors**:
   * `JournalFailed`.
   */
  readonly read: (from: number, limit: number) => Effect.Effect<ReadonlyArray<JournalRecord>, JournalFailed>
}

/** The options of a page of journals. */
export interface PageOptions extends JournalFilter {
  /** Selects the archived journals instead of the others. Default: false. */
  readonly archived?: boolean | undefined
  /** The greatest number of entries of a page. Default: no limit. */
  readonly limit?: number | undefined
  /** The `next` of the previous page. Default: the page begins with the latest journal. */
  readonly cursor?: string | undefined
}

/** Journals, by session. */
export interface Journal {
  /**
   * Opens the journal of a session for writing, until the scope closes. `create` makes an empty one, `existing` opens
   * one that exists. **Interruption** leaves nothing open. **Errors**: `SessionNotFound`; `SessionBusy` while another
   * holder has it open; `JournalFailed`, including if a journal to create exists already. After an error nothing is
   * held.
   */
  readonly open: (
    sessionId: SessionId,
    mode: "create" | "existing"
  ) => Effect.Effect<JournalWriter, SessionNotFound | SessionBusy | JournalFailed, Scope.Scope>
  /**
   * Reads a journal, archived or not, without opening it for writing. It leaves out unreadable parts and changes
   * nothing. **Errors**: `SessionNotFound`; `JournalFailed`.
   */
  readonly load: (sessionId: SessionId) => Effect.Effect<Opened, SessionNotFound | JournalFailed>
  /** Returns all journals that are not archived, the latest first. */
  readonly list: Effect.Effect<ReadonlyArray<JournalEntry>, JournalFailed>
  /**
   * Archives a journal. It keeps all its records and is listed in `archived`, but `open` refuses it. Does nothing for a
   * journal that is archived. **Interruption**: not interruptible; the journal is complete even if the process dies.
   * **Errors**: `SessionNotFound`; `SessionBusy` while another holder writes it; `JournalFailed`.
   */
  readonly archive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /** Undoes `archive`. Does nothing for a journal that is not archived. **Interruption**, **Errors**: as `archive`. */
  readonly unarchive: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
  /** Returns all archived journals, the latest first. */
  readonly archived: Effect.Effect<ReadonlyArray<JournalEntry>, JournalFailed>
  /**
   * Returns one page of `list`, or of `archived`. The pages together contain each journal that does not change
   * meanwhile exactly once. **Errors**: `JournalFailed`, including for a cursor that is not from a page.
   */
  readonly page: (options: PageOptions) => Effect.Effect<JournalPage, JournalFailed>
  /**
   * Deletes a journal, archived or not, with all parts that were cut off it. **Interruption**: not interruptible; if
   * the process dies, the journal is gone or can be deleted again. **Errors**: as `archive`.
   */
  readonly delete: (sessionId: SessionId) => Effect.Effect<void, SessionNotFound | SessionBusy | JournalFailed>
}

/** The service key of {@link Journal}. */
export const Journal: Context.Service<Journal, Journal> = Context.Service("@spindle/core/Journal")
