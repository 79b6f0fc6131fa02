/** A line of a list of sessions. */
import * as Schema from "effect/Schema"
import { SessionId } from "./Ids.ts"

/** A session that has a journal. `updatedAt` is in milliseconds since 1970. */
export class JournalEntry extends Schema.Opaque<JournalEntry>()(
  Schema.Struct({ sessionId: SessionId, updatedAt: Schema.Finite, sizeBytes: Schema.Finite }).annotate({
    identifier: "JournalEntry"
  })
) {}
