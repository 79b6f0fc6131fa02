/**
 * Deletes sessions that are not open here: first the child sessions, then the data in stores, and last the journal. So
 * a deletion that was interrupted can be repeated: the session is found until nothing is left of it (contract J9).
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Journal, Opened } from "../../ports/Journal.ts"
import type { SessionStore } from "../../ports/SessionStores.ts"
import type { SessionId } from "../../protocol/Ids.ts"
import { type JournalFailed, type SessionBusy, type SessionNotFound, StoreFailed } from "../../protocol/SessionError.ts"
import { forkDetached } from "../detached.ts"
import * as Foreign from "../foreign.ts"

/** The reason why a session cannot be deleted. */
export type DeleteError = SessionNotFound | SessionBusy | JournalFailed | StoreFailed

/** The longest time for a store. */
const storeDeadline: Duration.Input = "1 minute"

/**
 * Returns the sessions below a session that have a journal, each once and before its parent. Sessions that only the
 * copied records of a fork name are not below it. The session itself is never below itself, even if damaged journals
 * say so.
 */
export const descendantsOf = (
  journal: Journal,
  sessionId: SessionId
): Effect.Effect<ReadonlyArray<SessionId>, SessionNotFound | JournalFailed> =>
  Effect.suspend(() => collectBelow(journal, sessionId, new Set([sessionId])))

/** Returns the same as `descendantsOf`, without the sessions that were seen before. */
const collectBelow = Effect.fnUntraced(function* (
  journal: Journal,
  sessionId: SessionId,
  seen: Set<SessionId>
): Effect.fn.Return<ReadonlyArray<SessionId>, SessionNotFound | JournalFailed> {
  const { records } = yield* journal.load(sessionId)
  const found: Array<SessionId> = []
  for (const record of records) {
    if (record._tag !== "DelegateStarted" || seen.has(record.delegateId)) continue
    // the child may have been deleted by itself
    const child = yield* Effect.catchTag(journal.load(record.delegateId), "SessionNotFound", () => Effect.undefined)
    if (child === undefined || parentOf(child) !== sessionId) continue
    seen.add(record.delegateId)
    found.push(...(yield* collectBelow(journal, record.delegateId, seen)), record.delegateId)
  }
  return found
})

const parentOf = ({ records: [first] }: Opened): string | undefined =>
  first?._tag === "SessionStarted" ? first.meta["parent"] : undefined

/** Deletes one session. Runs uninterruptibly, except for the stores. */
export const deleteOne = Effect.fnUntraced(function* (
  { journal, stores }: { readonly journal: Journal; readonly stores: ReadonlyArray<SessionStore> },
  sessionId: SessionId
): Effect.fn.Return<void, DeleteError> {
  if (stores.length > 0) {
    // from here on no process can open the session
    yield* journal.archive(sessionId)
    const [, failures] = yield* Effect.partition(stores, (store) => deleteFrom(store, sessionId))
    // the journal stays, so that the deletion can be repeated
    if (failures[0] !== undefined) return yield* failures[0]
  }
  yield* journal.delete(sessionId)
})

/** Runs the code of a store in its own fiber, so that a store that cannot be interrupted blocks nothing. */
const deleteFrom = (store: SessionStore, sessionId: SessionId): Effect.Effect<void, StoreFailed> => {
  const fail = (detail: string) => Effect.fail(new StoreFailed({ sessionId, store: store.name, detail }))
  return Effect.contextWith((context: Context.Context<never>) => {
    const fiber = forkDetached(
      context,
      Effect.suspend(() => store.delete(sessionId))
    )
    return Fiber.await(fiber).pipe(
      Effect.timeoutOrElse({ duration: storeDeadline, orElse: () => Effect.undefined }),
      Effect.interruptible,
      Effect.onExit(() => Effect.sync(() => fiber.interruptUnsafe())),
      Effect.flatMap((exit) => {
        if (exit === undefined) return fail("it took longer than a minute")
        return exit._tag === "Success" ? Effect.void : fail(Foreign.textOf(Cause.squash(exit.cause)))
      })
    )
  })
}
