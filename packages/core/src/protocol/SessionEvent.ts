/**
 * Events of a session: numbered records, and deltas of text between them.
 *
 * A *record* is both a line of the journal and an event: it is written first and then published (contract J1). Its
 * `seq` starts at 0 and has no gaps. A *delta* is not written and has no number. It has the id of its item or call and
 * the offset of its text (in UTF-16 code units), so that deltas can be merged without loss.
 */
import * as Schema from "effect/Schema"
import { AgentStatus } from "./Display.ts"
import { CallId, ItemId, ModelRequestId, ProcessId, QuestionId, SessionId, SubmissionId, TurnId } from "./Ids.ts"
import { Delivery, Input } from "./Input.ts"
import { type DistributiveOmit, Item, JsonValue } from "./Item.ts"
import { AcceptedTask, Decision } from "./Op.ts"
import { AbortReason } from "./Outcome.ts"
import { DecisionSource, QuestionKind } from "./Question.ts"
import { ModelFailureKind } from "./SessionError.ts"
import { TokenUsage } from "./TokenUsage.ts"
import { TraceContext } from "./TraceContext.ts"
import { TurnContext } from "./TurnContext.ts"

/**
 * The version of the record format that this package writes. Version 1 is converted when it is read; records of other
 * versions are kept as they are (contract J6).
 */
export const recordVersion = 2

// seq: number in the session; at: milliseconds since 1970
const record = <const Tag extends string, const Fields extends Schema.Struct.Fields>(tag: Tag, fields: Fields) =>
  Schema.TaggedStruct(tag, { seq: Schema.Finite, at: Schema.Finite, ...fields }).annotate({ identifier: tag })

/** The first record of every journal. `meta` is free text about the host: working directory, model, program. */
export class SessionStarted extends Schema.Opaque<SessionStarted>()(
  record("SessionStarted", {
    sessionId: SessionId,
    forkedFrom: Schema.optionalKey(SessionId),
    meta: Schema.Record(Schema.String, Schema.String)
  })
) {}
/**
 * The journal was opened again. `cutBytes` at its end were not readable and were moved to the file `cutFile`. `damage`
 * counts the bytes between records that are not readable and remain in the journal, and the record numbers that are
 * missing.
 */
export class SessionResumed extends Schema.Opaque<SessionResumed>()(
  record("SessionResumed", {
    cutBytes: Schema.Finite,
    cutFile: Schema.optionalKey(Schema.String),
    damage: Schema.optionalKey(Schema.Struct({ bytes: Schema.Finite, missingCount: Schema.Finite }))
  })
) {}
/**
 * Input was accepted. With a `turnId` it steers that turn. Otherwise it waits in the queue: at a `position`, or at its
 * head, where it starts at once. With a `fragment` it is a notice of a program. With a `task` its turn runs that task
 * instead of the regular one. With both a `task` and a `turnId` the task runs alongside that turn.
 */
export class InputAccepted extends Schema.Opaque<InputAccepted>()(
  record("InputAccepted", {
    submissionId: SubmissionId,
    input: Input,
    delivery: Delivery,
    turnId: Schema.optionalKey(TurnId),
    position: Schema.optionalKey(Schema.Finite),
    fragment: Schema.optionalKey(Schema.String),
    task: Schema.optionalKey(AcceptedTask),
    context: Schema.optionalKey(TurnContext)
  })
) {}
/**
 * A hook blocked this input; the model never sees it. Without a turn it is a task that can no longer start, because the
 * agent no longer has its kind, or because its parameters no longer fit.
 */
export class InputBlocked extends Schema.Opaque<InputBlocked>()(
  record("InputBlocked", {
    turnId: Schema.optionalKey(TurnId),
    submissionId: SubmissionId,
    reason: Schema.optionalKey(Schema.String)
  })
) {}
/** A client took back this input, which no turn has carried (contract P8). `by` is the submission of the withdrawal. */
export class InputWithdrawn extends Schema.Opaque<InputWithdrawn>()(
  record("InputWithdrawn", { submissionId: SubmissionId, by: SubmissionId })
) {}
/**
 * A turn started. `trace` is that of its caller; `span` is the turn's own span, if it was traced. With `carried` the
 * submission is a task, and this record takes it and its input from the inbox (contract P2).
 */
export class TurnStarted extends Schema.Opaque<TurnStarted>()(
  record("TurnStarted", {
    turnId: TurnId,
    kind: Schema.String,
    submissionId: Schema.optionalKey(SubmissionId),
    carried: Schema.optionalKey(Schema.Literal(true)),
    trace: Schema.optionalKey(TraceContext),
    span: Schema.optionalKey(TraceContext)
  })
) {}
/** The context of a turn that has just started, if it differs from the last one that was recorded. */
export class TurnContextChanged extends Schema.Opaque<TurnContextChanged>()(
  record("TurnContextChanged", { turnId: TurnId, context: TurnContext })
) {}
/** An item was added to the history. */
export class ItemRecorded extends Schema.Opaque<ItemRecorded>()(
  record("ItemRecorded", { turnId: TurnId, item: Item })
) {}
/**
 * The history before this record was replaced by `items`. The model no longer sees the other items. A rollback to a
 * point before this record restores them.
 */
export class HistoryReplaced extends Schema.Opaque<HistoryReplaced>()(
  record("HistoryReplaced", { turnId: TurnId, items: Schema.Array(Item) })
) {}
/**
 * A request is about to be sent to the model. `attempt` counts from 1. A request that is `aside` does not carry the
 * history, and its response is not recorded.
 */
export class ModelRequested extends Schema.Opaque<ModelRequested>()(
  record("ModelRequested", {
    turnId: TurnId,
    requestId: ModelRequestId,
    attempt: Schema.Finite,
    provider: Schema.String,
    model: Schema.String,
    aside: Schema.optionalKey(Schema.Literal(true))
  })
) {}
/** A request ended. `estimated` usage was not reported but computed from the text (contract I7). */
export class ModelResponded extends Schema.Opaque<ModelResponded>()(
  record("ModelResponded", {
    turnId: TurnId,
    requestId: ModelRequestId,
    finish: Schema.Literals(["stop", "tool-calls", "length", "content-filter", "failed", "aborted"]),
    usage: TokenUsage,
    estimated: Schema.optionalKey(Schema.Literal(true))
  })
) {}
/**
 * A request failed and will be sent again after `delayMillis`. `attempt` counts retries from 1; without `maxAttempts`
 * their number has no limit.
 */
export class ModelRetrying extends Schema.Opaque<ModelRetrying>()(
  record("ModelRetrying", {
    turnId: TurnId,
    requestId: ModelRequestId,
    attempt: Schema.Finite,
    maxAttempts: Schema.optionalKey(Schema.Finite),
    delayMillis: Schema.Finite,
    kind: ModelFailureKind,
    detail: Schema.String
  })
) {}
/**
 * A question waits for its answer (contract A1). `path` names the sessions from the root to the asker. Without a turn
 * it is a question of the session itself, which a detached delegate asks, even while no turn is running.
 */
export class QuestionOpened extends Schema.Opaque<QuestionOpened>()(
  record("QuestionOpened", {
    turnId: Schema.optionalKey(TurnId),
    questionId: QuestionId,
    callId: Schema.optionalKey(CallId),
    kind: QuestionKind,
    tool: Schema.optionalKey(Schema.String),
    payload: JsonValue,
    keys: Schema.optionalKey(Schema.Array(Schema.String)),
    path: Schema.Array(SessionId)
  })
) {}
/**
 * A question was settled: decided, or cancelled with its turn or its asker, or at its deadline. A decision has a
 * `source`, except in older journals.
 */
export class QuestionSettled extends Schema.Opaque<QuestionSettled>()(
  record("QuestionSettled", {
    turnId: Schema.optionalKey(TurnId),
    questionId: QuestionId,
    decision: Schema.Union([
      Decision,
      Schema.TaggedStruct("Cancelled", { by: Schema.Literals(["abort", "deadline", "end"]) })
    ]),
    source: Schema.optionalKey(DecisionSource)
  })
) {}
/**
 * A tool call, or something else that would have been a question, was allowed or denied without a question.
 * `permissions` is set if a call was granted less than it asked for: the call runs with these permissions and no others
 * (contract A4).
 */
export class CallDecided extends Schema.Opaque<CallDecided>()(
  record("CallDecided", {
    turnId: Schema.optionalKey(TurnId),
    callId: Schema.optionalKey(CallId),
    tool: Schema.optionalKey(Schema.String),
    permission: Schema.Literals(["allow", "deny"]),
    source: DecisionSource,
    reason: Schema.optionalKey(Schema.String),
    permissions: Schema.optionalKey(JsonValue)
  })
) {}
/** A process is about to be started (contract X3). With `keep` it may outlive its turn. */
export class ProcessStarted extends Schema.Opaque<ProcessStarted>()(
  record("ProcessStarted", {
    processId: ProcessId,
    turnId: Schema.optionalKey(TurnId),
    callId: Schema.optionalKey(CallId),
    command: Schema.Array(Schema.String),
    cwd: Schema.String,
    keep: Schema.Boolean
  })
) {}
/** A process has ended: by itself, by a signal, or without ever having started. */
export class ProcessEnded extends Schema.Opaque<ProcessEnded>()(
  record("ProcessEnded", {
    processId: ProcessId,
    exitCode: Schema.NullOr(Schema.Finite),
    signal: Schema.optionalKey(Schema.String)
  })
) {}
/**
 * A child session is about to be started. `depth` is its level below the root: 1 for a child of a root. A `linked`
 * child ends with its turn (contract D1).
 */
export class DelegateStarted extends Schema.Opaque<DelegateStarted>()(
  record("DelegateStarted", {
    turnId: TurnId,
    delegateId: SessionId,
    name: Schema.String,
    linked: Schema.Boolean,
    depth: Schema.Finite,
    callId: Schema.optionalKey(CallId)
  })
) {}
/**
 * The tokens that a child session and all sessions below it have used since it was started, and the number of sessions
 * that were started.
 */
export class DelegateSpending extends Schema.Opaque<DelegateSpending>()(
  Schema.Struct({ tokens: Schema.Finite, started: Schema.Finite }).annotate({ identifier: "DelegateSpending" })
) {}
/**
 * A child session has ended, or could not be made. `message` is its last message, or that of its error. The record
 * belongs to the session, so it may come after the end of the turn.
 */
export class DelegateEnded extends Schema.Opaque<DelegateEnded>()(
  record("DelegateEnded", {
    delegateId: SessionId,
    status: AgentStatus,
    message: Schema.optionalKey(Schema.String),
    spent: Schema.optionalKey(DelegateSpending)
  })
) {}
/**
 * A task reports something to clients. The note is not part of the history, and a rollback does not remove it. `name`
 * is that of its `NoteKind`, which decodes `data`; `message` is for people.
 */
export class TaskNote extends Schema.Opaque<TaskNote>()(
  record("TaskNote", {
    turnId: TurnId,
    name: Schema.String,
    data: JsonValue,
    message: Schema.optionalKey(Schema.String)
  })
) {}
/**
 * A task alongside the turn reports its result. The result replaces the task in the inbox: it is a notice for this
 * turn, or for the next one if this turn takes no more input. If a task was cut off, the result says so.
 */
export class TaskReported extends Schema.Opaque<TaskReported>()(
  record("TaskReported", { turnId: TurnId, submissionId: SubmissionId, fragment: Schema.String, input: Input })
) {}
/** Terminal: the task returned. `usage` counts the turn. */
export class TurnCompleted extends Schema.Opaque<TurnCompleted>()(
  record("TurnCompleted", {
    turnId: TurnId,
    lastMessage: Schema.optionalKey(Schema.String),
    usage: TokenUsage
  })
) {}
/** Terminal: the task failed or died. Input that waits is kept and does not start a turn. */
export class TurnFailed extends Schema.Opaque<TurnFailed>()(
  record("TurnFailed", {
    turnId: TurnId,
    error: Schema.Struct({ tag: Schema.String, message: Schema.String }),
    lastMessage: Schema.optionalKey(Schema.String),
    kept: Schema.Array(SubmissionId),
    usage: TokenUsage
  })
) {}
/** Work that had not ended when its turn was settled. */
export class Straggler extends Schema.Opaque<Straggler>()(
  Schema.Struct({
    kind: Schema.Literals(["task", "cleanup", "process", "delegate", "hook"]),
    name: Schema.String
  }).annotate({ identifier: "Straggler" })
) {}
/**
 * Terminal: the turn was stopped. `returned`, `kept` and `dropped` name each input that was accepted and not carried
 * (contract P2). `requestedAt` is the time of the abort. With `crashed` the host died, and a resume wrote this record.
 */
export class TurnAborted extends Schema.Opaque<TurnAborted>()(
  record("TurnAborted", {
    turnId: TurnId,
    reason: AbortReason,
    requestedAt: Schema.Finite,
    lastMessage: Schema.optionalKey(Schema.String),
    returned: Schema.Array(Schema.Struct({ submissionId: SubmissionId, input: Input })),
    kept: Schema.Array(SubmissionId),
    dropped: Schema.Array(SubmissionId),
    stragglers: Schema.Array(Straggler),
    keptProcesses: Schema.Array(ProcessId),
    /** Child sessions that keep running. */
    keptDelegates: Schema.optionalKey(Schema.Array(SessionId)),
    usage: TokenUsage,
    crashed: Schema.optionalKey(Schema.Literal(true))
  })
) {}
/** A straggler of an aborted turn has ended. The record belongs to the session, not to the turn. */
export class StragglerEnded extends Schema.Opaque<StragglerEnded>()(
  record("StragglerEnded", {
    straggler: Straggler,
    ofTurn: TurnId,
    afterMillis: Schema.Finite
  })
) {}
/**
 * The last `turns` user turns are no longer part of the history, and neither is anything that came after the first of
 * them. Their records stay, and so do usage, grants and waiting input (contract J4). `turns` is the number of turns
 * that were removed, at most the number that the submission asked for.
 */
export class RolledBack extends Schema.Opaque<RolledBack>()(
  record("RolledBack", { submissionId: SubmissionId, turns: Schema.Finite })
) {}
/** The session has a new title, or no title if it is empty. `submissionId` names the operation, if there was one. */
export class SessionRenamed extends Schema.Opaque<SessionRenamed>()(
  record("SessionRenamed", { title: Schema.String, submissionId: Schema.optionalKey(SubmissionId) })
) {}
/**
 * An operation whose id a client chose was accepted, and no other record names that id. The record lets the client send
 * it again after a restart (contract P6).
 */
export class OperationAccepted extends Schema.Opaque<OperationAccepted>()(
  record("OperationAccepted", {
    submissionId: SubmissionId,
    op: Schema.Literals(["Interrupt", "Answer", "EndProcess"])
  })
) {}
/** Something a person should know. */
export class Warning extends Schema.Opaque<Warning>()(record("Warning", { message: Schema.String })) {}

const knownRecords = Schema.Union([
  SessionStarted,
  SessionResumed,
  InputAccepted,
  InputBlocked,
  InputWithdrawn,
  TurnStarted,
  TurnContextChanged,
  ItemRecorded,
  HistoryReplaced,
  ModelRequested,
  ModelResponded,
  ModelRetrying,
  QuestionOpened,
  QuestionSettled,
  CallDecided,
  ProcessStarted,
  ProcessEnded,
  DelegateStarted,
  DelegateEnded,
  TaskNote,
  TaskReported,
  TurnCompleted,
  TurnFailed,
  TurnAborted,
  StragglerEnded,
  RolledBack,
  SessionRenamed,
  OperationAccepted,
  Warning
]).annotate({ identifier: "KnownRecord" })
/** Records that this version knows. */
export type KnownRecord =
  | SessionStarted
  | SessionResumed
  | InputAccepted
  | InputBlocked
  | InputWithdrawn
  | TurnStarted
  | TurnContextChanged
  | ItemRecorded
  | HistoryReplaced
  | ModelRequested
  | ModelResponded
  | ModelRetrying
  | QuestionOpened
  | QuestionSettled
  | CallDecided
  | ProcessStarted
  | ProcessEnded
  | DelegateStarted
  | DelegateEnded
  | TaskNote
  | TaskReported
  | TurnCompleted
  | TurnFailed
  | TurnAborted
  | StragglerEnded
  | RolledBack
  | SessionRenamed
  | OperationAccepted
  | Warning
/** The schema of {@link KnownRecord}. */
export interface KnownRecordSchema extends Schema.Union<typeof knownRecords.members> {
  readonly Type: KnownRecord
}
/** @see {@link KnownRecord} */
export const KnownRecord: KnownRecordSchema = knownRecords

/** A record of another version, kept as it was read (contract J6). */
export class UnknownRecord extends Schema.Opaque<UnknownRecord>()(
  record("Unknown", { raw: Schema.Record(Schema.String, Schema.Unknown) })
) {}

const records = Schema.Union([...KnownRecord.members, UnknownRecord]).annotate({
  identifier: "JournalRecord"
})
/** A line of the journal, and a numbered event. */
export type JournalRecord = KnownRecord | UnknownRecord
/** The schema of {@link JournalRecord}. */
export interface JournalRecordSchema extends Schema.Union<typeof records.members> {
  readonly Type: JournalRecord
}
/** @see {@link JournalRecord} */
export const JournalRecord: JournalRecordSchema = records

/** More text of an assistant message. */
export class TextDelta extends Schema.Opaque<TextDelta>()(
  Schema.TaggedStruct("TextDelta", {
    turnId: TurnId,
    itemId: ItemId,
    offset: Schema.Finite,
    text: Schema.String
  }).annotate({ identifier: "TextDelta" })
) {}
/** More text of a reasoning item. */
export class ReasoningDelta extends Schema.Opaque<ReasoningDelta>()(
  Schema.TaggedStruct("ReasoningDelta", {
    turnId: TurnId,
    itemId: ItemId,
    offset: Schema.Finite,
    text: Schema.String
  }).annotate({ identifier: "ReasoningDelta" })
) {}
/** More output of a running tool call. */
export class ToolOutput extends Schema.Opaque<ToolOutput>()(
  Schema.TaggedStruct("ToolOutput", {
    turnId: TurnId,
    callId: CallId,
    offset: Schema.Finite,
    text: Schema.String
  }).annotate({ identifier: "ToolOutput" })
) {}
const deltas = Schema.Union([TextDelta, ReasoningDelta, ToolOutput]).annotate({ identifier: "Delta" })
/** Text between records. It is not written to the journal. */
export type Delta = TextDelta | ReasoningDelta | ToolOutput
/** The schema of {@link Delta}. */
export interface DeltaSchema extends Schema.Union<typeof deltas.members> {
  readonly Type: Delta
}
/** @see {@link Delta} */
export const Delta: DeltaSchema = deltas

/** Terminal for the session: its journal cannot be written, so neither can this event. The stream ends with it. */
export class SessionFailed extends Schema.Opaque<SessionFailed>()(
  Schema.TaggedStruct("SessionFailed", { sessionId: SessionId, message: Schema.String }).annotate({
    identifier: "SessionFailed"
  })
) {}

const events = Schema.Union([...JournalRecord.members, ...Delta.members, SessionFailed]).annotate({
  identifier: "SessionEvent"
})
/** An event of a session. */
export type SessionEvent = JournalRecord | Delta | SessionFailed
/** The schema of {@link SessionEvent}. */
export interface SessionEventSchema extends Schema.Union<typeof events.members> {
  readonly Type: SessionEvent
}
/** @see {@link SessionEvent} */
export const SessionEvent: SessionEventSchema = events

/** Returns whether an event is a delta. */
export const isDelta = (event: SessionEvent): event is Delta =>
  event._tag === "TextDelta" || event._tag === "ReasoningDelta" || event._tag === "ToolOutput"

/** Returns whether an event is a record, which has a number and is in the journal. */
export const isRecord = (event: SessionEvent): event is JournalRecord =>
  !isDelta(event) && event._tag !== "SessionFailed"

/** The records that end a turn (contract S2). */
export type Terminal = TurnCompleted | TurnFailed | TurnAborted

/** Returns whether an event ends a turn. */
export const isTerminal = (event: SessionEvent): event is Terminal =>
  event._tag === "TurnCompleted" || event._tag === "TurnFailed" || event._tag === "TurnAborted"

/** A record to which its session has not yet given a number and a time. */
export type NewRecord = DistributiveOmit<KnownRecord, "seq" | "at">
