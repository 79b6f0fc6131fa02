/** Agents of an earlier life of the host, as journals know them. */
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import { DelegateNotFound } from "../DelegateError.ts"
import * as Status from "../Status.ts"
import type { Wish } from "./choosing.ts"

/** What the journal of an agent says about it. */
export interface Recorded {
  readonly agentId: SessionId
  readonly nickname: string
  readonly role: string
  readonly wish: Wish
  /** How its last turn ended. */
  readonly status: Status.Status
}

/** What its first record says beside what every delegate's does; read back by {@link find}. */
export const metaOf = (role: string, { effort, model }: Wish): { readonly [key: string]: string } => ({
  role,
  ...(model === undefined ? {} : { model }),
  ...(effort === undefined ? {} : { effort })
})

/** The agent of this id, if this session started it. **Errors**: `DelegateNotFound`; those of the journal. */
export const find = Effect.fnUntraced(function* (agentId: SessionId) {
  const { session } = yield* Turn
  const journal = yield* Journal
  const missing = new DelegateNotFound({ path: session.path, delegateId: agentId })
  const { records } = yield* Effect.mapError(journal.load(agentId), (error) =>
    error._tag === "SessionNotFound" ? missing : error
  )
  const first = records[0]
  if (first?._tag !== "SessionStarted" || first.meta["parent"] !== session.sessionId) return yield* missing
  const { effort, model, name, role } = first.meta
  // another delegate: a review, or one of a task's own
  if (role === undefined) return yield* missing
  return {
    agentId,
    nickname: name ?? agentId,
    role,
    wish: { ...(model === undefined ? {} : { model }), ...(effort === undefined ? {} : { effort }) },
    status: statusOf(records)
  } satisfies Recorded as Recorded
})

/**
 * The agents that the journal of this session names, without those that are known. One whose journal cannot be read is
 * left out, and logged.
 */
export const all = Effect.fnUntraced(function* (isKnown: (agentId: SessionId) => boolean) {
  const { session } = yield* Turn
  const journal = yield* Journal
  const { records } = yield* journal.load(session.sessionId)
  const ids = records.flatMap((record) => (record._tag === "DelegateStarted" ? [record.delegateId] : []))
  const found = yield* Effect.forEach(
    Array.from(new Set(ids)).filter((id) => !isKnown(id)),
    (id) =>
      Effect.catchTags(
        Effect.map(find(id), (one) => [one]),
        {
          DelegateNotFound: () => Effect.succeed([]),
          JournalFailed: ({ message }) => Effect.as(Effect.logWarning(`agent ${id} is not listed: ${message}`), [])
        }
      )
  )
  return found.flat()
})

/** A turn without an end was cut off by the death of its host. */
const statusOf = (records: ReadonlyArray<JournalRecord>): Status.Status => {
  let status = Status.pendingInit
  for (const record of records) if (record._tag !== "Unknown") status = Status.step(status, record)
  return Status.isSettled(status) ? status : Status.shutdown
}
