/**
 * Which session a person means by `--last`: one that was started by hand, not by another session.
 */
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"

/** Who started a session, and what it is called there; undefined for one that was started by hand. */
export const parentOf = (
  records: ReadonlyArray<JournalRecord>
): { readonly id: string; readonly name: string | undefined } | undefined => {
  const first = records[0]
  if (first?._tag !== "SessionStarted" || first.meta["parent"] === undefined) return undefined
  return { id: first.meta["parent"], name: first.meta["name"] }
}

/**
 * The session that was written last, agents of other sessions left out; undefined when there is none. Reads the journals
 * that it passes over. One that cannot be read is taken: whoever opens it is told why.
 */
export const latest: Effect.Effect<SessionId | undefined, JournalFailed, Journal> = Effect.gen(function* () {
  const journal = yield* Journal
  for (const { sessionId } of yield* journal.list) {
    const isMeant = yield* Effect.matchEager(journal.load(sessionId), {
      onSuccess: ({ records }) => parentOf(records) === undefined,
      onFailure: (error) => error._tag !== "SessionNotFound"
    })
    if (isMeant) return sessionId
  }
  return undefined
})
