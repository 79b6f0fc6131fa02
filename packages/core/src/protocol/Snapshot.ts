/** A session at one moment, for clients that connect. */
import * as Schema from "effect/Schema"
import { SessionId, SubmissionId, TurnId } from "./Ids.ts"
import { Item } from "./Item.ts"
import { TokenUsage } from "./TokenUsage.ts"
import { TurnContext } from "./TurnContext.ts"

/** Whether a session runs a turn, is about to end one, or takes nothing any longer. */
export const SessionStatus = Schema.Literals(["idle", "running", "aborting", "settling", "failed", "closed"]).annotate({
  identifier: "SessionStatus"
})
/** @see {@link SessionStatus} */
export type SessionStatus = typeof SessionStatus.Type

/**
 * A session at one moment. `seq` is the number of the next record: `events({ from: seq })` begins with what comes after
 * this snapshot. `waiting` names accepted input that waits, in order. `turnContext` is the context of the last turn that has
 * recorded one.
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
