/** A line of a list of sessions. */
import * as Schema from "effect/Schema"
import { SessionId } from "./Ids.ts"

/** A session that has a journal. `updatedAt` is in milliseconds since 1970. One that was not renamed has no title. */
export class JournalEntry extends Schema.Opaque<JournalEntry>()(
  Schema.Struct({
    sessionId: SessionId,
    updatedAt: Schema.Finite,
    sizeBytes: Schema.Finite,
    title: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "JournalEntry" })
) {}

/** Selects sessions of a list. */
export interface JournalFilter {
  /** Only sessions whose id begins like this. */
  readonly prefix?: string | undefined
  /** Only sessions whose title contains this text, in any case. */
  readonly title?: string | undefined
  /** Only sessions that were written at this time or later, in milliseconds since 1970. */
  readonly updatedFrom?: number | undefined
  /** Only sessions that were written before this time, in milliseconds since 1970. */
  readonly updatedBefore?: number | undefined
}

/** A part of a list of sessions, the latest first. `next` is the cursor of the part after it; absent after the last. */
export class JournalPage extends Schema.Opaque<JournalPage>()(
  Schema.Struct({ entries: Schema.Array(JournalEntry), next: Schema.optionalKey(Schema.String) }).annotate({
    identifier: "JournalPage"
  })
) {}
