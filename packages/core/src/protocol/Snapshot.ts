/** Snapshots of sessions, for clients that connect. */
import * as Schema from "effect/Schema"
import { SessionId, SubmissionId, TurnId } from "./Ids.ts"
import { Item } from "./Item.ts"
import { TokenUsage } from "./TokenUsage.ts"
import { TurnContext } from "./TurnContext.ts"

/** The status of a session. In `idle` no turn is running; `failed` and `closed` sessions take no submissions. */
export const SessionStatus = Schema.Literals(["idle", "running", "aborting", "settling", "failed", "closed"]).annotate({
  identifier: "SessionStatus"
})
/** @see {@link SessionStatus} */
export type SessionStatus = typeof SessionStatus.Type

/**
 * The state of a session at one moment. `seq` is the number of the next record, so `events({ from: seq })` continues
 * after this snapshot. `waiting` names the accepted input that waits, in order. `turnContext` is the last context that
 * a turn has recorded.
 */
export class Snapshot extends Schema.Opaque<Snapshot>()(
  Schema.Struct({
    sessionId: SessionId,
    title: Schema.optional(Schema.String),
    seq: Schema.Finite,
    status: SessionStatus,
    turnId: Schema.optional(TurnId),
    items: Schema.Array(Item),
    waiting: Schema.Array(SubmissionId),
    usage: TokenUsage,
    turnCount: Schema.Finite,
    turnContext: Schema.optional(TurnContext)
  }).annotate({ identifier: "Snapshot" })
) {}
