/** Agents that an earlier process has started, read from journals. */
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Turn } from "@spindle/core/Turn"
import * as Effect from "effect/Effect"
import { DelegateNotFound } from "../DelegateError.ts"
import type { Wish } from "../Roles.ts"
import * as Status from "../Status.ts"

/** The facts about an agent in its journal. */
export interface Recorded {
  readonly agentId: SessionId
  readonly nickname: string
  readonly role: string
  readonly wish: Wish
  /** The end of its last turn. */
  readonly status: Status.Status
}

/**
 * Returns the metadata that the first record of an agent has in addition to that of every delegate. {@link find} reads
 * it.
 */
export const metaOf = (role: string, { effort, model }: Wish): { readonly [key: string]: string } => ({
  role,
  ...(model === undefined ? {} : { model }),
  ...(effort === undefined ? {} : { effort })
})

/** Returns the agent of this id if this session started it. **Errors**: `DelegateNotFound`; those of the journal. */
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
  // a delegate that is no agent, such as a review
  if (role === undefined) return yield* missing
  const recorded: Recorded = {
    agentId,
    nickname: name ?? agentId,
    role,
    wish: { model, effort },
    status: statusOf(records)
  }
  return recorded
})

/**
 * Returns the agents that the journal of this session names, without the known ones. An agent whose journal cannot be
 * read is left out and logged.
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

/** Folds the status. A turn without an end was cut off by the end of its process. */
const statusOf = (records: ReadonlyArray<JournalRecord>): Status.Status => {
  let status = Status.pendingInit
  for (const record of records) if (record._tag !== "Unknown") status = Status.step(status, record)
  return Status.isSettled(status) ? status : Status.shutdown
}
