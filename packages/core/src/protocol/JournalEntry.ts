/** Entries of a list of sessions. */
import * as Schema from "effect/Schema"
import { SessionId } from "./Ids.ts"

/**
 * A session that has a journal. `updatedAt` is in milliseconds since 1970. A session has a title once it was renamed.
 */
export class JournalEntry extends Schema.Opaque<JournalEntry>()(
  Schema.Struct({
    sessionId: SessionId,
    updatedAt: Schema.Finite,
    sizeBytes: Schema.Finite,
    title: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "JournalEntry" })
) {}

/** A filter of a list of sessions. */
export interface JournalFilter {
  /** Only sessions whose id begins with this text. */
  readonly prefix?: string | undefined
  /** Only sessions whose title contains this text, in any case. */
  readonly title?: string | undefined
  /** Only sessions that were written at this time or later, in milliseconds since 1970. */
  readonly updatedFrom?: number | undefined
  /** Only sessions that were written before this time, in milliseconds since 1970. */
  readonly updatedBefore?: number | undefined
}

/** A page of a list of sessions, the latest first. `next` is the cursor of the next page; the last page has none. */
export class JournalPage extends Schema.Opaque<JournalPage>()(
  Schema.Struct({ entries: Schema.Array(JournalEntry), next: Schema.optionalKey(Schema.String) }).annotate({
    identifier: "JournalPage"
  })
) {}
