/** A line of a list of sessions. */
import * as Schema from "effect/Schema"
import { SessionId } from "./Ids.ts"

/** A session that has a journal. `updatedAt` is in milliseconds since 1970. */
export class JournalEntry extends Schema.Opaque<JournalEntry>()(
  Schema.Struct({ sessionId: SessionId, updatedAt: Schema.Finite, sizeBytes: Schema.Finite }).annotate({
    identifier: "JournalEntry"
  })
) {}

/** A part of a list of sessions, the latest first. `next` is the cursor of the part after it; absent after the last. */
export class JournalPage extends Schema.Opaque<JournalPage>()(
  Schema.Struct({ entries: Schema.Array(JournalEntry), next: Schema.optionalKey(Schema.String) }).annotate({
    identifier: "JournalPage"
  })
) {}
