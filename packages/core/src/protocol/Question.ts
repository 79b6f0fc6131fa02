/** A question to a person or a reviewer (contract A1 to A4). */
import * as Schema from "effect/Schema"
import { CallId, QuestionId, SessionId, TurnId } from "./Ids.ts"

/** What is asked for. */
export const QuestionKind = Schema.Literals(["command", "patch", "permissions", "question", "elicitation"]).annotate({
  identifier: "QuestionKind"
})
/** @see {@link QuestionKind} */
export type QuestionKind = typeof QuestionKind.Type

/**
 * A question that waits for its answer. Without a `turnId` the session itself asks, for a delegate that outlives turns.
 * `payload` is a JSON value for the one who answers. `path` names the sessions from the root to the asker.
 */
export class Question extends Schema.Opaque<Question>()(
  Schema.Struct({
    sessionId: SessionId,
    turnId: Schema.optional(TurnId),
    questionId: QuestionId,
    callId: Schema.optional(CallId),
    kind: QuestionKind,
    tool: Schema.optional(Schema.String),
    payload: Schema.Unknown,
    path: Schema.Array(SessionId)
  }).annotate({ identifier: "Question" })
) {}
