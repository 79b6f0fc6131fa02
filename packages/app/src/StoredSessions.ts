/**
 * The sessions that have a journal, as a person looks for them. Reading a journal here never opens it for writing.
 */
import { Journal, type JournalEntry } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import { textOf } from "@spindle/core/Input"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"

/** The session that started this one, and the name of this one there; undefined for a session without a parent. */
export const parentOf = (
  records: ReadonlyArray<JournalRecord>
): { readonly id: string; readonly name: string | undefined } | undefined => {
  const first = records[0]
  if (first?._tag !== "SessionStarted" || first.meta["parent"] === undefined) return undefined
  return { id: first.meta["parent"], name: first.meta["name"] }
}

/**
 * The session that was written last and has no parent; undefined if there is none. It reads each journal that it skips.
 * A journal that cannot be read is not skipped: opening it then reports why.
 */
export const latest: Effect.Effect<SessionId | undefined, JournalFailed, Journal> = Effect.gen(function* () {
  const journal = yield* Journal
  for (const { sessionId } of yield* journal.list) {
    const isFound = yield* Effect.matchEager(journal.load(sessionId), {
      onSuccess: ({ records }) => parentOf(records) === undefined,
      onFailure: (error) => error._tag !== "SessionNotFound"
    })
    if (isFound) return sessionId
  }
  return undefined
})

/** One session in a list. `parent` and `name` are set for an agent that another session started. */
export interface Summary {
  readonly id: SessionId
  readonly updated: string
  readonly turns: number
  readonly cwd: string | undefined
  readonly firstInput: string | undefined
  readonly parent?: string
  readonly name?: string
}

/** Summarizes a session from its records. */
export const summaryOf = (entry: JournalEntry, records: ReadonlyArray<JournalRecord>): Summary => {
  const started = records[0]?._tag === "SessionStarted" ? records[0] : undefined
  const first = records.find((record) => record._tag === "InputAccepted")
  const parent = parentOf(records)
  return {
    id: entry.sessionId,
    updated: new Date(entry.updatedAt).toISOString(),
    turns: records.filter((record) => record._tag === "TurnStarted").length,
    cwd: started?.meta["cwd"],
    firstInput: first?._tag === "InputAccepted" ? textOf(first.input) : undefined,
    ...(parent === undefined ? {} : { parent: parent.id, ...(parent.name === undefined ? {} : { name: parent.name }) })
  }
}
