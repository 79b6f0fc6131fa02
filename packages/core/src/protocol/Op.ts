/** Operations that a client sends to a session, and the one receipt that it gets for each (contract P1). */
import * as Schema from "effect/Schema"
import { ProcessId, QuestionId, SubmissionId, TurnId } from "./Ids.ts"
import * as Input from "./Input.ts"
import { jsonOfUnsafe } from "./Item.ts"
import { TraceContext } from "./TraceContext.ts"
import { TurnContext } from "./TurnContext.ts"

/**
 * The asker may do what it asked for: once, until its turn ends, or until the session ends. With `permissions`, a JSON
 * value, the asker gets these permissions and no others. They may be fewer than it asked for. The asker applies such a
 * grant itself, and a later question is asked again. A tool call runs with fewer permissions only if its policy allows
 * that. With an `amendment`, a JSON value, the rules of the user change too. The application that asked defines the
 * form of the amendment.
 */
export class Approved extends Schema.Opaque<Approved>()(
  Schema.TaggedStruct("Approved", {
    scope: Schema.Literals(["once", "turn", "session"]),
    permissions: Schema.optionalKey(Schema.Unknown),
    amendment: Schema.optionalKey(Schema.Unknown)
  }).annotate({ identifier: "Approved" })
) {}
/** The asker may not do what it asked for. Its other calls continue (contract A5). */
export class Denied extends Schema.Opaque<Denied>()(
  Schema.TaggedStruct("Denied", { reason: Schema.optionalKey(Schema.String) }).annotate({ identifier: "Denied" })
) {}
/** The asker may not do what it asked for, and the turn is aborted (contract A5). */
export class Abort extends Schema.Opaque<Abort>()(Schema.TaggedStruct("Abort", {}).annotate({ identifier: "Abort" })) {}
/** The answers, by the names that the asker gave. Each is a JSON value. */
export class Answered extends Schema.Opaque<Answered>()(
  Schema.TaggedStruct("Answered", { answers: Schema.Record(Schema.String, Schema.Unknown) }).annotate({
    identifier: "Answered"
  })
) {}

const decisions = Schema.Union([Approved, Denied, Abort, Answered]).annotate({ identifier: "Decision" })
/** A decision on a question. */
export type Decision = Approved | Denied | Abort | Answered
/** The schema of {@link Decision}. */
export interface DecisionSchema extends Schema.Union<typeof decisions.members> {
  readonly Type: Decision
}
/** @see {@link Decision} */
export const Decision: DecisionSchema = decisions

/**
 * Converts a decision to the value that is read back from its JSON. Throws if JSON cannot represent it, or if it is not
 * a decision.
 */
export const jsonOfDecisionUnsafe = (decision: Decision): Decision => decodeDecision(jsonOfUnsafe(decision))

const decodeDecision = Schema.decodeUnknownSync(Decision)

/** Input of the user. */
export class UserInput extends Schema.Opaque<UserInput>()(
  Schema.TaggedStruct("UserInput", {
    input: Input.Input,
    delivery: Schema.optionalKey(Input.Delivery),
    /** The turn that the input is for. If it is not running, the input is rejected. */
    expectedTurnId: Schema.optionalKey(TurnId),
    /**
     * Changes of the turn context, for the fields that are set. They apply from the turn onwards that starts with this
     * input, or from the next turn onwards if the input steers a running turn. The changes are part of the session: a
     * resume keeps them. `output`, the format of the answer, applies only to the turn that the input starts. Input that
     * steers a turn does not change it.
     */
    context: Schema.optionalKey(TurnContext)
  }).annotate({ identifier: "UserInput" })
) {}
/**
 * A message of a program to the model, such as the report that a detached child has ended. It waits in the inbox like
 * input of the user. But it passes no prompt hook (P5), and an abort keeps it instead of returning it. Rollback and
 * compaction do not treat it as input of the user. `fragment` names its kind.
 */
export class Notice extends Schema.Opaque<Notice>()(
  Schema.TaggedStruct("Notice", {
    fragment: Schema.String,
    input: Input.Input,
    delivery: Schema.optionalKey(Input.Delivery)
  }).annotate({ identifier: "Notice" })
) {}
/** Aborts the running turn as `Interrupted`. If no turn is running, it is accepted and has no effect. */
export class Interrupt extends Schema.Opaque<Interrupt>()(
  Schema.TaggedStruct("Interrupt", {}).annotate({ identifier: "Interrupt" })
) {}
/** Settles an open question. */
export class Answer extends Schema.Opaque<Answer>()(
  Schema.TaggedStruct("Answer", { questionId: QuestionId, decision: Decision }).annotate({ identifier: "Answer" })
) {}
/**
 * Removes the last `turns` user turns from the history, with everything that came after the first of them
 * (contract J4). If there are fewer, it removes all of them. The journal keeps them. Rejected while a turn is running.
 */
export class Rollback extends Schema.Opaque<Rollback>()(
  Schema.TaggedStruct("Rollback", { turns: Schema.Finite }).annotate({ identifier: "Rollback" })
) {}
/**
 * Takes back input that no turn has carried, or a task that has not started (contract P8). Otherwise it is rejected
 * with `NotWaiting`.
 */
export class Withdraw extends Schema.Opaque<Withdraw>()(
  Schema.TaggedStruct("Withdraw", { submissionId: SubmissionId }).annotate({ identifier: "Withdraw" })
) {}
/**
 * Gives the session a title for lists of sessions; an empty one removes it. White space is collapsed, and a title is
 * cut after 200 characters.
 */
export class Rename extends Schema.Opaque<Rename>()(
  Schema.TaggedStruct("Rename", { title: Schema.String }).annotate({ identifier: "Rename" })
) {}
/**
 * Ends a process of the session and its descendants. Without an id it ends every process that outlives its turn. It is
 * accepted at once, and `ProcessEnded` follows when the process has ended.
 */
export class EndProcess extends Schema.Opaque<EndProcess>()(
  Schema.TaggedStruct("EndProcess", { processId: Schema.optionalKey(ProcessId) }).annotate({ identifier: "EndProcess" })
) {}

/**
 * The way in which a task of a client starts. With `queue` it waits for its turn like queued input. With `replace` it
 * aborts the running turn as `Replaced`, and its turn starts ahead of the queue. With `alongside` it runs next to the
 * running turn and has no turn; while no turn is running this is the same as `queue` (contract S4).
 */
export const TaskMode = Schema.Literals(["queue", "replace", "alongside"]).annotate({ identifier: "TaskMode" })
/** @see {@link TaskMode} */
export type TaskMode = typeof TaskMode.Type

/** The parameters of a task, by name. Each is a JSON value. */
export const TaskParams = Schema.Record(Schema.String, Schema.Unknown).annotate({ identifier: "TaskParams" })
/** @see {@link TaskParams} */
export type TaskParams = typeof TaskParams.Type

/**
 * Starts a task of a kind that the agent lists (`Agent.make({ tasks })`). `params` must fit the schema of the kind.
 * `input` becomes the input of the turn (`Turn.input`). Without a `mode` the default of the kind applies.
 */
export class StartTask extends Schema.Opaque<StartTask>()(
  Schema.TaggedStruct("StartTask", {
    kind: Schema.String,
    params: TaskParams,
    input: Schema.optionalKey(Input.Input),
    mode: Schema.optionalKey(TaskMode)
  }).annotate({ identifier: "StartTask" })
) {}

/** A task that was accepted, in the form in which it is recorded until it starts. */
export class AcceptedTask extends Schema.Opaque<AcceptedTask>()(
  Schema.Struct({ kind: Schema.String, params: TaskParams, mode: TaskMode }).annotate({ identifier: "AcceptedTask" })
) {}

const operations = Schema.Union([
  UserInput,
  Notice,
  StartTask,
  Withdraw,
  Interrupt,
  Answer,
  Rollback,
  Rename,
  EndProcess
]).annotate({
  identifier: "Op"
})
/** Operations of a session. */
export type Op = UserInput | Notice | StartTask | Withdraw | Interrupt | Answer | Rollback | Rename | EndProcess
/** The schema of {@link Op}. */
export interface OpSchema extends Schema.Union<typeof operations.members> {
  readonly Type: Op
}
/** @see {@link Op} */
export const Op: OpSchema = operations

/**
 * An operation with an id that its sender chose, and the trace of its sender. An operation that is submitted alone gets
 * a new id and the trace of the calling fiber. A submission with a repeated id gets the first receipt again (P6).
 */
export class Submission extends Schema.Opaque<Submission>()(
  Schema.Struct({ id: SubmissionId, op: Op, trace: Schema.optionalKey(TraceContext) }).annotate({
    identifier: "Submission"
  })
) {}

/** Returns true for a submission, and false for an operation alone. */
export const isSubmission = (self: Op | Submission): self is Submission => "op" in self

/** Returns the operation that is submitted. */
export const opOf = (self: Op | Submission): Op => (isSubmission(self) ? self.op : self)

/** The session is closed or has failed. `failure` is the reason if it failed. */
export class SessionClosed extends Schema.Opaque<SessionClosed>()(
  Schema.TaggedStruct("SessionClosed", { failure: Schema.optionalKey(Schema.String) }).annotate({
    identifier: "SessionClosed"
  })
) {}
/** Input without content. */
export class EmptyInput extends Schema.Opaque<EmptyInput>()(
  Schema.TaggedStruct("EmptyInput", {}).annotate({ identifier: "EmptyInput" })
) {}
/** Input with more text than the session takes. */
export class InputTooLarge extends Schema.Opaque<InputTooLarge>()(
  Schema.TaggedStruct("InputTooLarge", { sizeCharacters: Schema.Finite, limitCharacters: Schema.Finite }).annotate({
    identifier: "InputTooLarge"
  })
) {}
/** The inbox is full: no more accepted input may wait. */
export class InboxFull extends Schema.Opaque<InboxFull>()(
  Schema.TaggedStruct("InboxFull", { capacityCount: Schema.Finite }).annotate({ identifier: "InboxFull" })
) {}
/** Input with a change of the turn context that the application does not allow, or that JSON cannot represent. */
export class InvalidContext extends Schema.Opaque<InvalidContext>()(
  Schema.TaggedStruct("InvalidContext", { message: Schema.String }).annotate({ identifier: "InvalidContext" })
) {}
/** The expected turn is not running. `actual` is the running turn, if there is one. */
export class TurnMismatch extends Schema.Opaque<TurnMismatch>()(
  Schema.TaggedStruct("TurnMismatch", { expected: TurnId, actual: Schema.optionalKey(TurnId) }).annotate({
    identifier: "TurnMismatch"
  })
) {}
/** The expected turn takes no input. */
export class NotSteerable extends Schema.Opaque<NotSteerable>()(
  Schema.TaggedStruct("NotSteerable", { turnId: Schema.optionalKey(TurnId) }).annotate({ identifier: "NotSteerable" })
) {}
/** No open question has this id. */
export class UnknownQuestion extends Schema.Opaque<UnknownQuestion>()(
  Schema.TaggedStruct("UnknownQuestion", { questionId: QuestionId }).annotate({ identifier: "UnknownQuestion" })
) {}
/**
 * No input with this id waits: it was never accepted, a turn has carried it, or it was blocked, returned or dropped
 * (contract P2).
 */
export class NotWaiting extends Schema.Opaque<NotWaiting>()(
  Schema.TaggedStruct("NotWaiting", { submissionId: SubmissionId }).annotate({ identifier: "NotWaiting" })
) {}
/** No running process of the session has this id. */
export class UnknownProcess extends Schema.Opaque<UnknownProcess>()(
  Schema.TaggedStruct("UnknownProcess", { processId: ProcessId }).annotate({ identifier: "UnknownProcess" })
) {}
/** An answer that JSON cannot represent. The question stays open. */
export class InvalidAnswer extends Schema.Opaque<InvalidAnswer>()(
  Schema.TaggedStruct("InvalidAnswer", { questionId: QuestionId, message: Schema.String }).annotate({
    identifier: "InvalidAnswer"
  })
) {}
/** A rollback of a number of turns that is less than 1 or not an integer. */
export class InvalidTurnCount extends Schema.Opaque<InvalidTurnCount>()(
  Schema.TaggedStruct("InvalidTurnCount", { turns: Schema.Finite }).annotate({ identifier: "InvalidTurnCount" })
) {}
/** A rollback while a turn is running. */
export class TurnRunning extends Schema.Opaque<TurnRunning>()(
  Schema.TaggedStruct("TurnRunning", { turnId: TurnId }).annotate({ identifier: "TurnRunning" })
) {}

/** The agent has no task of this kind. */
export class UnknownTask extends Schema.Opaque<UnknownTask>()(
  Schema.TaggedStruct("UnknownTask", { kind: Schema.String, known: Schema.Array(Schema.String) }).annotate({
    identifier: "UnknownTask"
  })
) {}
/** Parameters that do not fit the schema of the kind, or from which the kind could not make a task. */
export class InvalidParams extends Schema.Opaque<InvalidParams>()(
  Schema.TaggedStruct("InvalidParams", { kind: Schema.String, message: Schema.String }).annotate({
    identifier: "InvalidParams"
  })
) {}
/** Tasks of this kind cannot start in this mode. */
export class TaskModeNotAllowed extends Schema.Opaque<TaskModeNotAllowed>()(
  Schema.TaggedStruct("TaskModeNotAllowed", {
    kind: Schema.String,
    mode: TaskMode,
    allowed: Schema.Array(TaskMode)
  }).annotate({ identifier: "TaskModeNotAllowed" })
) {}

const rejections = Schema.Union([
  SessionClosed,
  EmptyInput,
  InputTooLarge,
  InboxFull,
  InvalidContext,
  TurnMismatch,
  NotSteerable,
  NotWaiting,
  UnknownQuestion,
  UnknownProcess,
  InvalidAnswer,
  InvalidTurnCount,
  TurnRunning,
  UnknownTask,
  InvalidParams,
  TaskModeNotAllowed
]).annotate({ identifier: "Rejection" })
/** The reason why a submission was not accepted. */
export type Rejection =
  | SessionClosed
  | EmptyInput
  | InputTooLarge
  | InboxFull
  | InvalidContext
  | TurnMismatch
  | NotSteerable
  | NotWaiting
  | UnknownQuestion
  | UnknownProcess
  | InvalidAnswer
  | InvalidTurnCount
  | TurnRunning
  | UnknownTask
  | InvalidParams
  | TaskModeNotAllowed
/** The schema of {@link Rejection}. */
export interface RejectionSchema extends Schema.Union<typeof rejections.members> {
  readonly Type: Rejection
}
/** @see {@link Rejection} */
export const Rejection: RejectionSchema = rejections

/** The input or the task started a turn. */
export class Started extends Schema.Opaque<Started>()(
  Schema.TaggedStruct("Started", { submissionId: SubmissionId, turnId: TurnId }).annotate({ identifier: "Started" })
) {}
/** The input joined the running turn, or the task runs alongside it. */
export class Steered extends Schema.Opaque<Steered>()(
  Schema.TaggedStruct("Steered", { submissionId: SubmissionId, turnId: TurnId }).annotate({ identifier: "Steered" })
) {}
/** The input or the task waits. `position` counts from 0 at the head of the queue. */
export class Queued extends Schema.Opaque<Queued>()(
  Schema.TaggedStruct("Queued", { submissionId: SubmissionId, position: Schema.Finite }).annotate({
    identifier: "Queued"
  })
) {}
/** An operation without input was accepted. */
export class Accepted extends Schema.Opaque<Accepted>()(
  Schema.TaggedStruct("Accepted", { submissionId: SubmissionId }).annotate({ identifier: "Accepted" })
) {}
/** The submission was not accepted; nothing was recorded. */
export class Rejected extends Schema.Opaque<Rejected>()(
  Schema.TaggedStruct("Rejected", { submissionId: SubmissionId, reason: Rejection }).annotate({
    identifier: "Rejected"
  })
) {}

const receipts = Schema.Union([Started, Steered, Queued, Accepted, Rejected]).annotate({ identifier: "Receipt" })
/** The result of a submission. */
export type Receipt = Started | Steered | Queued | Accepted | Rejected
/** The schema of {@link Receipt}. */
export interface ReceiptSchema extends Schema.Union<typeof receipts.members> {
  readonly Type: Receipt
}
/** @see {@link Receipt} */
export const Receipt: ReceiptSchema = receipts

/**
 * Makes an operation with input of one text.
 *
 * @example
 * ```ts
 * import { Op, type Session } from "@spindle/core"
 * import { Effect } from "effect"
 *
 * // steers the running turn if it can be steered; `queue` always waits for a separate turn
 * export const later = (session: Session.Session) =>
 *   Effect.map(session.submit(Op.userInput("And now the tests.", { delivery: "queue" })), (receipt) => receipt._tag)
 * ```
 */
export const userInput = (
  text: string,
  options?: { readonly delivery?: Input.Delivery | undefined; readonly context?: TurnContext | undefined }
): Op => ({
  _tag: "UserInput",
  input: Input.text(text),
  ...(options?.delivery === undefined ? {} : { delivery: options.delivery }),
  ...(options?.context === undefined ? {} : { context: options.context })
})

/** Makes a notice of one text; see {@link Op}. */
export const notice = (
  fragment: string,
  text: string,
  options?: { readonly delivery?: Input.Delivery | undefined }
): Op => ({
  _tag: "Notice",
  fragment,
  input: Input.text(text),
  ...(options?.delivery === undefined ? {} : { delivery: options.delivery })
})

/** Starts a task of the agent by the name of its kind; see {@link Op}. */
export const startTask = (
  kind: string,
  params: TaskParams = {},
  options?: { readonly input?: Input.Input | undefined; readonly mode?: TaskMode | undefined }
): Op => ({
  _tag: "StartTask",
  kind,
  params,
  ...(options?.input === undefined ? {} : { input: options.input }),
  ...(options?.mode === undefined ? {} : { mode: options.mode })
})

/** Aborts the running turn. */
export const interrupt: Op = { _tag: "Interrupt" }

/** Takes back input that no turn has carried; see {@link Op}. */
export const withdraw = (submissionId: SubmissionId): Op => ({ _tag: "Withdraw", submissionId })

/** Removes the last user turns from the history; see {@link Op}. */
export const rollback = (turns: number): Op => ({ _tag: "Rollback", turns })

/** Gives the session a title; see {@link Op}. */
export const rename = (title: string): Op => ({ _tag: "Rename", title })

/** Returns a title in the form in which it is recorded. */
export const titleOf = (title: string): string => {
  const line = title.trim().replace(/\s+/g, " ").toWellFormed().slice(0, 200)
  // without the first half of a character whose second one was cut off
  return line.isWellFormed() ? line : line.slice(0, -1)
}

/** Ends a process, or every process that outlives its turn; see {@link Op}. */
export const endProcess = (processId?: ProcessId): Op => ({
  _tag: "EndProcess",
  ...(processId === undefined ? {} : { processId })
})

/**
 * Settles a question.
 *
 * @example
 * ```ts
 * import { Op, type Session } from "@spindle/core"
 * import { Stream } from "effect"
 *
 * // a client that approves each question once
 * export const approving = (session: Session.Session) =>
 *   session.events().pipe(
 *     Stream.filter((event) => event._tag === "QuestionOpened"),
 *     Stream.runForEach(({ questionId }) => session.submit(Op.answer(questionId, { _tag: "Approved", scope: "once" })))
 *   )
 * ```
 */
export const answer = (questionId: QuestionId, decision: Decision): Op => ({ _tag: "Answer", questionId, decision })
