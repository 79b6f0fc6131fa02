/**
 * What a client sends to a session, and the one receipt that it gets for it (contract P1).
 */
import * as Schema from "effect/Schema"
import { QuestionId, SubmissionId, TurnId } from "./Ids.ts"
import * as Input from "./Input.ts"
import { TraceContext } from "./TraceContext.ts"

/** An answer to a request: what was decided, for how long, and by whom. */
export const Decision = Schema.Union([
  Schema.TaggedStruct("Approved", { scope: Schema.Literals(["once", "turn", "session"]) }),
  Schema.TaggedStruct("Denied", { reason: Schema.optionalKey(Schema.String) }),
  /** Deny, and abort the turn (contract A5). */
  Schema.TaggedStruct("Abort", {}),
  /** Answers to questions, by question id. */
  Schema.TaggedStruct("Answered", { answers: Schema.Record(Schema.String, Schema.Unknown) })
])
/** @see {@link Decision} */
export type Decision = typeof Decision.Type

/** Operations of a session. */
export const Op = Schema.Union([
  Schema.TaggedStruct("UserInput", {
    input: Input.Input,
    delivery: Schema.optionalKey(Input.Delivery),
    /** Refuse the input unless this turn is running. */
    expectedTurnId: Schema.optionalKey(TurnId)
  }),
  /** Abort the running turn as `Interrupted`; accepted, and nothing happens, when none runs. */
  Schema.TaggedStruct("Interrupt", {}),
  /** Settle a pending request. */
  Schema.TaggedStruct("Answer", { questionId: QuestionId, decision: Decision }),
  /**
   * Takes the last turns that carried user input out of the history, with all that came after the first of them
   * (contract J4); more than there are takes all. The journal keeps them. Refused while a turn runs.
   */
  Schema.TaggedStruct("Rollback", { turns: Schema.Finite })
])
/** @see {@link Op} */
export type Op = typeof Op.Type

/** An operation with its id and the trace of its caller. */
export const Submission = Schema.Struct({ id: SubmissionId, op: Op, trace: Schema.optionalKey(TraceContext) })
/** @see {@link Submission} */
export type Submission = typeof Submission.Type

/** Why a submission was not accepted. */
export const Rejection = Schema.Union([
  Schema.TaggedStruct("SessionClosed", {}),
  Schema.TaggedStruct("EmptyInput", {}),
  Schema.TaggedStruct("InputTooLarge", { sizeCharacters: Schema.Finite, limitCharacters: Schema.Finite }),
  Schema.TaggedStruct("InboxFull", { capacityCount: Schema.Finite }),
  Schema.TaggedStruct("TurnMismatch", { expected: TurnId, actual: Schema.optionalKey(TurnId) }),
  Schema.TaggedStruct("NotSteerable", { turnId: Schema.optionalKey(TurnId) }),
  Schema.TaggedStruct("UnknownQuestion", { questionId: QuestionId }),
  /** A rollback of less than one turn, or of no whole number of turns. */
  Schema.TaggedStruct("InvalidTurnCount", { turns: Schema.Finite }),
  /** A rollback while a turn runs. */
  Schema.TaggedStruct("TurnRunning", { turnId: TurnId })
])
/** @see {@link Rejection} */
export type Rejection = typeof Rejection.Type

/** What became of a submission. `position` counts from 0 at the head of the queue. */
export const Receipt = Schema.Union([
  Schema.TaggedStruct("Started", { submissionId: SubmissionId, turnId: TurnId }),
  Schema.TaggedStruct("Steered", { submissionId: SubmissionId, turnId: TurnId }),
  Schema.TaggedStruct("Queued", { submissionId: SubmissionId, position: Schema.Finite }),
  Schema.TaggedStruct("Accepted", { submissionId: SubmissionId }),
  Schema.TaggedStruct("Rejected", { submissionId: SubmissionId, reason: Rejection })
])
/** @see {@link Receipt} */
export type Receipt = typeof Receipt.Type

/** Input of one text. */
export const userInput = (text: string, options?: { readonly delivery?: Input.Delivery }): Op => ({
  _tag: "UserInput",
  input: Input.text(text),
  ...options
})

/** Abort the running turn. */
export const interrupt: Op = { _tag: "Interrupt" }

/** Take the last turns out of the history; see {@link Op}. */
export const rollback = (turns: number): Op => ({ _tag: "Rollback", turns })

/** Settle a request. */
export const answer = (questionId: QuestionId, decision: Decision): Op => ({ _tag: "Answer", questionId, decision })
