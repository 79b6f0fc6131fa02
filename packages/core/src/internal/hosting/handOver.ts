/** Gives the open journal of a session to that session. */
import * as Effect from "effect/Effect"
import type { Journal, JournalWriter } from "../../ports/Journal.ts"
import type { SessionId } from "../../protocol/Ids.ts"

/**
 * Makes a journal that hands a writer over to the session that opens it. The session keeps this journal in its context.
 * Every other `open`, such as that of a child session, opens the underlying journal.
 */
export const handOver = (journal: Journal, sessionId: SessionId, writer: JournalWriter): Journal => {
  let isTaken = false
  return {
    ...journal,
    open: (wanted, mode) =>
      Effect.suspend(() => {
        if (isTaken || wanted !== sessionId) return journal.open(wanted, mode)
        isTaken = true
        return Effect.succeed(writer)
      })
  }
}
