/** Questions to a person or a reviewer (contract A1 to A4). */
import * as Schema from "effect/Schema"
import { CallId, QuestionId, SessionId, TurnId } from "./Ids.ts"

/** The kind of a question. */
export const QuestionKind = Schema.Literals(["command", "patch", "permissions", "question", "elicitation"]).annotate({
  identifier: "QuestionKind"
})
/** @see {@link QuestionKind} */
export type QuestionKind = typeof QuestionKind.Type

/**
 * The source of a decision: a person or client (`user`), the policy of the session or of a tool, a rule about commands,
 * an earlier decision that still applies (`cache`), an agent that reviews, or a hook. With `parent` the session above
 * decided, and its journal has the source.
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
 * `payload` is a JSON value for the person or program that answers. `path` names the sessions from the root to the
 * asker.
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
    /** The keys by which a grant for a turn or the session is remembered; see `ToolPolicy.keys`. */
    keys: Schema.optional(Schema.Array(Schema.String)),
    path: Schema.Array(SessionId)
  }).annotate({ identifier: "Question" })
) {}
