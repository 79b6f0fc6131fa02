/**
 * What a client sends to a session, and the one receipt that it gets for it (contract P1).
 */
import * as Schema from "effect/Schema"
import { ProcessId, QuestionId, SubmissionId, TurnId } from "./Ids.ts"
import * as Input from "./Input.ts"
import { jsonOfUnsafe } from "./Item.ts"
import { TraceContext } from "./TraceContext.ts"
import { TurnContext } from "./TurnContext.ts"

/**
 * The asker may do what it asked for: once, until its turn ends, or until the session ends. With `permissions`, a JSON
 * value, the asker has these permissions and no others, which may be fewer than it asked for. The asker applies such a
 * grant itself, and a later question is asked again. A tool call runs with less if its policy says that it can; else it
 * runs only if all that it asked for was granted. With an `amendment`, a JSON value, the rules of the user change too: the application that asked says what it may be.
 */
export class Approved extends Schema.Opaque<Approved>()(
  Schema.TaggedStruct("Approved", {
    scope: Schema.Literals(["once", "turn", "session"]),
    permissions: Schema.optionalKey(Schema.Unknown),
    amendment: Schema.optionalKey(Schema.Unknown)
  }).annotate({ identifier: "Approved" })
) {}
/** The asker may not. Its other calls are spared (contract A5). */
export class Denied extends Schema.Opaque<Denied>()(
  Schema.TaggedStruct("Denied", { reason: Schema.optionalKey(Schema.String) }).annotate({ identifier: "Denied" })
) {}
/** Denies, and aborts the turn (contract A5). */
export class Abort extends Schema.Opaque<Abort>()(Schema.TaggedStruct("Abort", {}).annotate({ identifier: "Abort" })) {}
/** Answers by the names that the asker gave. Each is a JSON value. */
export class Answered extends Schema.Opaque<Answered>()(
  Schema.TaggedStruct("Answered", { answers: Schema.Record(Schema.String, Schema.Unknown) }).annotate({
    identifier: "Answered"
  })
) {}

const decisions = Schema.Union([Approved, Denied, Abort, Answered]).annotate({ identifier: "Decision" })
/** An answer to a question: what was decided, and for how long. */
export type Decision = Approved | Denied | Abort | Answered
/** The schema of {@link Decision}. */
export interface DecisionSchema extends Schema.Union<typeof decisions.members> {
  readonly Type: Decision
}
/** @see {@link Decision} */
export const Decision: DecisionSchema = decisions

/** Converts a decision to what is read back from its JSON. Throws an error for anything else than a decision in JSON. */
export const jsonOfDecisionUnsafe = (decision: Decision): Decision => decodeDecision(jsonOfUnsafe(decision))

const decodeDecision = Schema.decodeUnknownSync(Decision)

/** Words of the user. */
export class UserInput extends Schema.Opaque<UserInput>()(
  Schema.TaggedStruct("UserInput", {
    input: Input.Input,
    delivery: Schema.optionalKey(Input.Delivery),
    /** Rejects the input unless this turn is running. */
    expectedTurnId: Schema.optionalKey(TurnId),
    /**
     * Changes the fields that it has, from the turn onwards that this input starts or joins while it waits, and from the
     * next turn onwards if it steers one. The changes are part of the session: a resume keeps them. The form of the answer
     * (`output`) is that of the turn which the input starts, and no other: input that steers a turn does not change it.
     */
    context: Schema.optionalKey(TurnContext)
  }).annotate({ identifier: "UserInput" })
) {}
/**
 * A program's message to the model, such as how a detached child ended. It waits in the inbox like input of the user,
 * but no prompt hook sees it (P5), an abort keeps it instead of returning it, and rollback and compaction do not count
 * it as the user's words. `fragment` names its kind.
 */
export class Notice extends Schema.Opaque<Notice>()(
  Schema.TaggedStruct("Notice", {
    fragment: Schema.String,
    input: Input.Input,
    delivery: Schema.optionalKey(Input.Delivery)
  }).annotate({ identifier: "Notice" })
) {}
/** Aborts the running turn as `Interrupted`. Accepted without effect when no turn runs. */
export class Interrupt extends Schema.Opaque<Interrupt>()(
  Schema.TaggedStruct("Interrupt", {}).annotate({ identifier: "Interrupt" })
) {}
/** Settles a pending question. */
export class Answer extends Schema.Opaque<Answer>()(
  Schema.TaggedStruct("Answer", { questionId: QuestionId, decision: Decision }).annotate({ identifier: "Answer" })
) {}
/**
 * Takes the last turns that carried user input out of the history, with all that came after the first of them
 * (contract J4). A number above theirs takes all. The journal keeps them. Rejected while a turn runs.
 */
export class Rollback extends Schema.Opaque<Rollback>()(
  Schema.TaggedStruct("Rollback", { turns: Schema.Finite }).annotate({ identifier: "Rollback" })
) {}
/**
 * Takes back input that no turn has carried, or a task that has not started (contract P8). Rejected with `NotWaiting` for
 * any other.
 */
export class Withdraw extends Schema.Opaque<Withdraw>()(
  Schema.TaggedStruct("Withdraw", { submissionId: SubmissionId }).annotate({ identifier: "Withdraw" })
) {}
/**
 * Gives the session a title for lists of sessions, or takes it away with an empty one. White space is collapsed, and what
 * is longer than 200 characters is cut.
 */
export class Rename extends Schema.Opaque<Rename>()(
  Schema.TaggedStruct("Rename", { title: Schema.String }).annotate({ identifier: "Rename" })
) {}
/**
 * Ends a process of the session with its descendants; without an id, every process that outlives its turn. Accepted at
 * once: `ProcessEnded` follows when it has ended.
 */
export class EndProcess extends Schema.Opaque<EndProcess>()(
  Schema.TaggedStruct("EndProcess", { processId: Schema.optionalKey(ProcessId) }).annotate({ identifier: "EndProcess" })
) {}

/**
 * How a task that a client starts gets its turn: `queue` waits like queued input, `replace` aborts the running turn as
 * `Replaced` and starts ahead of the queue, and `alongside` runs next to the running turn and has no turn; without a
 * running turn it is as `queue` (contract S4).
 */
export const TaskMode = Schema.Literals(["queue", "replace", "alongside"]).annotate({ identifier: "TaskMode" })
/** @see {@link TaskMode} */
export type TaskMode = typeof TaskMode.Type

/** The parameters of a task, by name. Each is a JSON value. */
export const TaskParams = Schema.Record(Schema.String, Schema.Unknown).annotate({ identifier: "TaskParams" })
/** @see {@link TaskParams} */
export type TaskParams = typeof TaskParams.Type

/**
 * Starts a task of a kind that the agent has (`Agent.make({ tasks })`), with parameters for the schema of the kind. The
 * input is that of the turn (`Turn.input`). Without a mode the default of the kind applies.
 */
export class StartTask extends Schema.Opaque<StartTask>()(
  Schema.TaggedStruct("StartTask", {
    kind: Schema.String,
    params: TaskParams,
    input: Schema.optionalKey(Input.Input),
    mode: Schema.optionalKey(TaskMode)
  }).annotate({ identifier: "StartTask" })
) {}

/** A task that was accepted, as its record keeps it until it starts. */
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
 * An operation with an id that its sender chose, and the trace of its sender. A session takes it as it takes an operation
 * alone, which gets an id and the trace of the calling fiber. One that is repeated with its id gets its first receipt (P6).
 */
export class Submission extends Schema.Opaque<Submission>()(
  Schema.Struct({ id: SubmissionId, op: Op, trace: Schema.optionalKey(TraceContext) }).annotate({
    identifier: "Submission"
  })
) {}

/** Returns whether this is a submission, and not an operation alone. */
export const isSubmission = (self: Op | Submission): self is Submission => "op" in self

/** Returns the operation that is submitted. */
export const opOf = (self: Op | Submission): Op => (isSubmission(self) ? self.op : self)

/** The session is closed or has failed. `failure` says why it failed. */
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
/** As much accepted input waits as the session takes. */
export class InboxFull extends Schema.Opaque<InboxFull>()(
  Schema.TaggedStruct("InboxFull", { capacityCount: Schema.Finite }).annotate({ identifier: "InboxFull" })
) {}
/** Input that changes the context of turns as the application does not allow, or to what JSON cannot represent. */
export class InvalidContext extends Schema.Opaque<InvalidContext>()(
  Schema.TaggedStruct("InvalidContext", { message: Schema.String }).annotate({ identifier: "InvalidContext" })
) {}
/** Another turn than the expected one is running, or none. */
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
/** No input of this id waits: it was never accepted, a turn has carried it, or it has another fate (contract P2). */
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
/** A rollback of less than one turn, or of a number of turns that is not an integer. */
export class InvalidTurnCount extends Schema.Opaque<InvalidTurnCount>()(
  Schema.TaggedStruct("InvalidTurnCount", { turns: Schema.Finite }).annotate({ identifier: "InvalidTurnCount" })
) {}
/** A rollback while a turn runs. */
export class TurnRunning extends Schema.Opaque<TurnRunning>()(
  Schema.TaggedStruct("TurnRunning", { turnId: TurnId }).annotate({ identifier: "TurnRunning" })
) {}

/** The agent has no task of this kind. */
export class UnknownTask extends Schema.Opaque<UnknownTask>()(
  Schema.TaggedStruct("UnknownTask", { kind: Schema.String, known: Schema.Array(Schema.String) }).annotate({
    identifier: "UnknownTask"
  })
) {}
/** Parameters that the schema of the kind does not take, or for which the kind could not make a task. */
export class InvalidParams extends Schema.Opaque<InvalidParams>()(
  Schema.TaggedStruct("InvalidParams", { kind: Schema.String, message: Schema.String }).annotate({
    identifier: "InvalidParams"
  })
) {}
/** Tasks of this kind do not start in this mode. */
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
/** Why a submission was not accepted. */
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
/** The operation, which has no input, was accepted. */
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
/** What became of a submission. */
export type Receipt = Started | Steered | Queued | Accepted | Rejected
/** The schema of {@link Receipt}. */
export interface ReceiptSchema extends Schema.Union<typeof receipts.members> {
  readonly Type: Receipt
}
/** @see {@link Receipt} */
export const Receipt: ReceiptSchema = receipts

/**
 * Makes input of one text.
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

/** Takes the last turns out of the history; see {@link Op}. */
export const rollback = (turns: number): Op => ({ _tag: "Rollback", turns })

/** Gives the session a title; see {@link Op}. */
export const rename = (title: string): Op => ({ _tag: "Rename", title })

/** Returns a title as it is recorded. */
export const titleOf = (title: string): string => title.trim().replace(/\s+/g, " ").slice(0, 200)

/** Ends a process, or all that outlive their turns; see {@link Op}. */
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
