/** The spending of a session and its delegates before the session was resumed (contract D6). */
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import type { TurnSession } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import type { Node } from "./tree.ts"

/**
 * Counts, once, the spending of a session before it was resumed. Its own records contain it, except for delegates that
 * ran when the process died: those are read from their journals. One that was resumed afterwards counts with all of its
 * journal.
 */
export const restore = Effect.fnUntraced(function* (node: Node, session: TurnSession) {
  if (node.isRestored) return
  const { unsettled, ...known } = yield* session.spending
  const found = yield* Effect.forEach(unsettled, usedBy)
  node.restore({
    firstStartAt: known.firstStartAt,
    started: found.reduce((sum, one) => sum + one.started, known.started),
    tokens: found.reduce((sum, one) => sum + one.tokens, known.tokens)
  })
})

interface Used {
  readonly started: number
  readonly tokens: number
}

/**
 * Returns the spending of a session and everything below it, read from its journal; none if the journal was deleted.
 */
const usedBy: (sessionId: SessionId) => Effect.Effect<Used, JournalFailed, Journal> = Effect.fnUntraced(
  function* (sessionId) {
    const journal = yield* Journal
    const { records } = yield* Effect.catchTag(journal.load(sessionId), "SessionNotFound", () =>
      Effect.succeed(deleted)
    )
    const { delegates, spending } = SessionState.fold(records)
    const ids = new Set([...spending.unsettled, ...delegates.map(({ delegateId }) => delegateId)])
    const below = yield* Effect.forEach(ids, usedBy)
    return below.reduce((sum, one) => ({ started: sum.started + one.started, tokens: sum.tokens + one.tokens }), {
      started: spending.started,
      tokens: spending.tokens + tokensOf(records)
    })
  }
)

const deleted: { readonly records: ReadonlyArray<JournalRecord> } = { records: [] }

const tokensOf = (records: ReadonlyArray<JournalRecord>): number =>
  records.reduce((sum, record) => (record._tag === "ModelResponded" ? sum + record.usage.total : sum), 0)
