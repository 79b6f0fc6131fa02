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
 * Who or what decided: a person or client, the policy of the session or of a tool, a rule about commands, an earlier
 * decision that still holds, an agent that reviews, a hook, or the session above, whose journal says how.
 */
export const DecisionSource = Schema.Literals([
  "user",
  "policy",
  "rule",
  "cache",
  "reviewer",
  "hook",
  "parent"
]).annotate({ identifier: "DecisionSource" })
/** @see {@link DecisionSource} */
export type DecisionSource = typeof DecisionSource.Type

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
    /** What a grant for a turn or the session is remembered by; see `ToolPolicy.keys`. */
    keys: Schema.optional(Schema.Array(Schema.String)),
    path: Schema.Array(SessionId)
  }).annotate({ identifier: "Question" })
) {}
