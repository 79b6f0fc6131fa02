/**
 * What a session tells: facts, numbered as its journal numbers them, and fleeting deltas between them.
 *
 * A *record* is both a line of the journal and an event: it is written first and published then (contract J1). Its
 * `seq` starts at 0 and has no holes. A *delta* is not written and has no number; it carries the item or call that it
 * belongs to and the offset (in UTF-16 code units) at which its text stands, so that deltas can be merged without loss.
 */
import * as Schema from "effect/Schema"
import { CallId, type ItemId, ModelRequestId, ProcessId, QuestionId, SessionId, SubmissionId, TurnId } from "./Ids.ts"
import { Delivery, Input } from "./Input.ts"
import { Item, JsonValue } from "./Item.ts"
import { Decision } from "./Op.ts"
import { AbortReason } from "./Outcome.ts"
import { ModelFailureKind } from "./SessionError.ts"
import { TokenUsage } from "./TokenUsage.ts"
import { TraceContext } from "./TraceContext.ts"

/** The version of the record format that this package writes. */
export const recordVersion = 1

// seq: number in the session; at: milliseconds since 1970
const record = <const Tag extends string, const Fields extends Schema.Struct.Fields>(tag: Tag, fields: Fields) =>
  Schema.TaggedStruct(tag, { seq: Schema.Finite, at: Schema.Finite, ...fields })

/** The first record of every journal. `meta` is free text about the host: working directory, model, program. */
export const SessionStarted = record("SessionStarted", {
  sessionId: SessionId,
  forkedFrom: Schema.optionalKey(SessionId),
  meta: Schema.Record(Schema.String, Schema.String)
})
/** The journal was opened again. `cutBytes` were not readable and stand in the file `cutFile`. */
export const SessionResumed = record("SessionResumed", {
  cutBytes: Schema.Finite,
  cutFile: Schema.optionalKey(Schema.String)
})
/**
 * Input was accepted. With a `turnId` it steers that turn, else it waits in the queue: at a `position`, or as its head,
 * which starts at once.
 */
export const InputAccepted = record("InputAccepted", {
  submissionId: SubmissionId,
  input: Input,
  delivery: Delivery,
  turnId: Schema.optionalKey(TurnId),
  position: Schema.optionalKey(Schema.Finite)
})
/** A hook refused this input; the model never sees it. */
export const InputBlocked = record("InputBlocked", {
  turnId: TurnId,
  submissionId: SubmissionId,
  reason: Schema.optionalKey(Schema.String)
})
/** A turn began. `trace` is that of whoever caused it, `span` the turn's own span, if it was traced. */
export const TurnStarted = record("TurnStarted", {
  turnId: TurnId,
  kind: Schema.String,
  submissionId: Schema.optionalKey(SubmissionId),
  trace: Schema.optionalKey(TraceContext),
  span: Schema.optionalKey(TraceContext)
})
/** An item joined the history. */
export const ItemRecorded = record("ItemRecorded", { turnId: TurnId, item: Item })
/** A request is about to be sent to the model. `attempt` counts from 1. */
export const ModelRequested = record("ModelRequested", {
  turnId: TurnId,
  requestId: ModelRequestId,
  attempt: Schema.Finite,
  provider: Schema.String,
  model: Schema.String
})
/** A request ended. `estimated` usage was not reported but computed from the text (contract I7). */
export const ModelResponded = record("ModelResponded", {
  turnId: TurnId,
  requestId: ModelRequestId,
  finish: Schema.Literals(["stop", "tool-calls", "length", "content-filter", "failed", "aborted"]),
  usage: TokenUsage,
  estimated: Schema.optionalKey(Schema.Literal(true))
})
/** A request failed and is tried again after `delayMillis`. `attempt` of `maxAttempts` retries, from 1. */
export const ModelRetrying = record("ModelRetrying", {
  turnId: TurnId,
  requestId: ModelRequestId,
  attempt: Schema.Finite,
  maxAttempts: Schema.Finite,
  delayMillis: Schema.Finite,
  kind: ModelFailureKind,
  detail: Schema.String
})
/**
 * Somebody is asked (contract A1). `path` names the sessions from the root to the asker. Without a turn it is a request of
 * the session itself: that of a detached delegate, whatever turn runs or none.
 */
export const QuestionOpened = record("QuestionOpened", {
  turnId: Schema.optionalKey(TurnId),
  questionId: QuestionId,
  callId: Schema.optionalKey(CallId),
  kind: Schema.Literals(["command", "patch", "permissions", "question", "elicitation"]),
  tool: Schema.optionalKey(Schema.String),
  payload: JsonValue,
  path: Schema.Array(SessionId)
})
/** A request was settled: decided, or cancelled together with its turn or its asker, or at its deadline. */
export const QuestionSettled = record("QuestionSettled", {
  turnId: Schema.optionalKey(TurnId),
  questionId: QuestionId,
  decision: Schema.Union([
    Decision,
    Schema.TaggedStruct("Cancelled", { by: Schema.Literals(["abort", "deadline", "end"]) })
  ])
})
/** A process is about to be started (contract X3). A kept one may outlive its turn. */
export const ProcessStarted = record("ProcessStarted", {
  processId: ProcessId,
  turnId: Schema.optionalKey(TurnId),
  callId: Schema.optionalKey(CallId),
  command: Schema.Array(Schema.String),
  cwd: Schema.String,
  keep: Schema.Boolean
})
/** A process has ended: by itself, by a signal, or without ever having started. */
export const ProcessEnded = record("ProcessEnded", {
  processId: ProcessId,
  exitCode: Schema.NullOr(Schema.Finite),
  signal: Schema.optionalKey(Schema.String)
})
/**
 * A child session is about to be started, so many levels below the root: 1 for the child of a root. A linked one ends
 * with its turn (contract D1).
 */
export const DelegateStarted = record("DelegateStarted", {
  turnId: TurnId,
  delegateId: SessionId,
  name: Schema.String,
  linked: Schema.Boolean,
  depth: Schema.Finite,
  callId: Schema.optionalKey(CallId)
})
/** A child session has ended, or was never made. An event of the session: it may come after the turn's end. */
export const DelegateEnded = record("DelegateEnded", { delegateId: SessionId, status: Schema.String })
/** Terminal: the task returned. `usage` counts the turn. */
export const TurnCompleted = record("TurnCompleted", {
  turnId: TurnId,
  lastMessage: Schema.optionalKey(Schema.String),
  usage: TokenUsage
})
/** Terminal: the task failed or died. Input that waits is kept, and not started. */
export const TurnFailed = record("TurnFailed", {
  turnId: TurnId,
  error: Schema.Struct({ tag: Schema.String, message: Schema.String }),
  lastMessage: Schema.optionalKey(Schema.String),
  kept: Schema.Array(SubmissionId),
  usage: TokenUsage
})
/** Something that had not ended when its turn was settled. */
export const Straggler = Schema.Struct({
  kind: Schema.Literals(["task", "cleanup", "process", "delegate", "hook"]),
  name: Schema.String
})
/** @see {@link Straggler} */
export type Straggler = typeof Straggler.Type
/**
 * Terminal: the turn was stopped. Each input that it had accepted and not carried is named in `returned`, `kept` or
 * `dropped` (contract P2). `requestedAt` is when the abort was accepted; `crashed` says that the host died and a resume
 * wrote this record.
 */
export const TurnAborted = record("TurnAborted", {
  turnId: TurnId,
  reason: AbortReason,
  requestedAt: Schema.Finite,
  lastMessage: Schema.optionalKey(Schema.String),
  returned: Schema.Array(Schema.Struct({ submissionId: SubmissionId, input: Input })),
  kept: Schema.Array(SubmissionId),
  dropped: Schema.Array(SubmissionId),
  stragglers: Schema.Array(Straggler),
  keptProcesses: Schema.Array(ProcessId),
  /** Child sessions that go on. */
  keptDelegates: Schema.optionalKey(Schema.Array(SessionId)),
  usage: TokenUsage,
  crashed: Schema.optionalKey(Schema.Literal(true))
})
/** What an aborted turn had named as still ending has ended. An event of the session, not of the turn. */
export const StragglerEnded = record("StragglerEnded", {
  straggler: Straggler,
  ofTurn: TurnId,
  afterMillis: Schema.Finite
})
/**
 * The last `turns` turns that carried user input are not part of the history any more, nor is anything that came after
 * the first of them. Their records stay, and so do usage, grants and waiting input (contract J4). `turns` is what there
 * was to take, at most what the submission asked for.
 */
export const RolledBack = record("RolledBack", { submissionId: SubmissionId, turns: Schema.Finite })
/** Something a person should know. */
export const Warning = record("Warning", { message: Schema.String })

/** Records that this version knows. */
export const KnownRecord = Schema.Union([
  SessionStarted,
  SessionResumed,
  InputAccepted,
  InputBlocked,
  TurnStarted,
  ItemRecorded,
  ModelRequested,
  ModelResponded,
  ModelRetrying,
  QuestionOpened,
  QuestionSettled,
  ProcessStarted,
  ProcessEnded,
  DelegateStarted,
  DelegateEnded,
  TurnCompleted,
  TurnFailed,
  TurnAborted,
  StragglerEnded,
  RolledBack,
  Warning
])
/** @see {@link KnownRecord} */
export type KnownRecord = typeof KnownRecord.Type

/** A record of a later version, kept as it came (contract J6). */
export interface UnknownRecord {
  readonly _tag: "Unknown"
  readonly seq: number
  readonly at: number
  readonly raw: { readonly [key: string]: unknown }
}

/** A line of the journal, and a numbered event. */
export type JournalRecord = KnownRecord | UnknownRecord

/** More text of an assistant message. */
export interface TextDelta {
  readonly _tag: "TextDelta"
  readonly turnId: TurnId
  readonly itemId: ItemId
  readonly offset: number
  readonly text: string
}
/** More text of a reasoning item. */
export interface ReasoningDelta {
  readonly _tag: "ReasoningDelta"
  readonly turnId: TurnId
  readonly itemId: ItemId
  readonly offset: number
  readonly text: string
}
/** More output of a running tool call. */
export interface ToolOutput {
  readonly _tag: "ToolOutput"
  readonly turnId: TurnId
  readonly callId: CallId
  readonly offset: number
  readonly text: string
}
/**
 * Terminal for the session: its journal cannot be written. Not journalled, for that reason. The stream ends with it.
 */
export interface SessionFailed {
  readonly _tag: "SessionFailed"
  readonly sessionId: SessionId
  readonly message: string
}

/** Fleeting text between records. */
export type Delta = TextDelta | ReasoningDelta | ToolOutput

/** What a session tells. */
export type SessionEvent = JournalRecord | Delta | SessionFailed

/** Whether an event is a delta. */
export const isDelta = (event: SessionEvent): event is Delta =>
  event._tag === "TextDelta" || event._tag === "ReasoningDelta" || event._tag === "ToolOutput"

/** Whether an event is a record: numbered, and in the journal. */
export const isRecord = (event: SessionEvent): event is JournalRecord =>
  !isDelta(event) && event._tag !== "SessionFailed"

/** The records that end a turn (contract S2). */
export type Terminal = typeof TurnCompleted.Type | typeof TurnFailed.Type | typeof TurnAborted.Type

/** Whether an event ends a turn. */
export const isTerminal = (event: SessionEvent): event is Terminal =>
  event._tag === "TurnCompleted" || event._tag === "TurnFailed" || event._tag === "TurnAborted"

type DistributiveOmit<A, K extends PropertyKey> = A extends unknown ? Omit<A, K> : never
/** A record before its session has numbered and dated it. */
export type NewRecord = DistributiveOmit<KnownRecord, "seq" | "at">
