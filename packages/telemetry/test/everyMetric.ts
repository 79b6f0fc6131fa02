/**
 * Events that record every metric of a session with each of its attributes, and the rows that an exporter must send.
 */
import type {
  CallId,
  ItemId,
  ModelRequestId,
  ProcessId,
  QuestionId,
  SessionId,
  SubmissionId,
  TurnId
} from "@spindle/core/Ids"
import type { NewRecord, SessionEvent } from "@spindle/core/SessionEvent"
import { SessionObserver, type SessionSignal } from "@spindle/core/SessionObserver"
import { type Definition, definitions } from "@spindle/telemetry/Metrics"
import { Effect } from "effect"

const sessionId = "session" as SessionId
const turnId = "turn" as TurnId
const requestId = "request" as ModelRequestId
const submissionId = "submission" as SubmissionId
const questionId = "question" as QuestionId
const callId = "call" as CallId
const id = "item" as ItemId
const processId = "process" as ProcessId
const delegateId = "delegate" as SessionId
const usage = { input: 100, cachedInput: 60, output: 20, reasoning: 5, total: 120 }

const records: ReadonlyArray<NewRecord> = [
  { _tag: "SessionStarted", sessionId, meta: {} },
  { _tag: "InputAccepted", submissionId, input: [], delivery: "queue" },
  { _tag: "TurnStarted", turnId, kind: "regular" },
  { _tag: "ItemRecorded", turnId, item: { _tag: "UserMessage", id, content: [], submissionId } },
  { _tag: "ModelRequested", turnId, requestId, attempt: 1, provider: "openai", model: "gpt" },
  { _tag: "ItemRecorded", turnId, item: { _tag: "AssistantMessage", id, text: "hello" } },
  { _tag: "ItemRecorded", turnId, item: { _tag: "ToolCall", id, callId, name: "exec", params: {} } },
  { _tag: "ModelResponded", turnId, requestId, finish: "failed", usage },
  {
    _tag: "ModelRetrying",
    turnId,
    requestId,
    attempt: 1,
    maxAttempts: 2,
    delayMillis: 1,
    kind: "Overloaded",
    detail: ""
  },
  { _tag: "QuestionOpened", turnId, questionId, kind: "command", tool: "exec", payload: {}, path: [sessionId] },
  { _tag: "QuestionSettled", turnId, questionId, decision: { _tag: "Approved", scope: "once" } },
  { _tag: "ProcessStarted", turnId, processId, command: ["ls"], cwd: "/", keep: false },
  { _tag: "ProcessEnded", processId, exitCode: 0 },
  { _tag: "DelegateStarted", turnId, delegateId, name: "Ada", linked: true, depth: 1 },
  { _tag: "DelegateEnded", delegateId, status: "completed", spent: { tokens: 1, started: 0 } },
  {
    _tag: "ItemRecorded",
    turnId,
    item: { _tag: "ToolResult", id, callId, name: "exec", status: "completed", output: "" }
  },
  {
    _tag: "TurnAborted",
    turnId,
    reason: "Interrupted",
    requestedAt: 0,
    returned: [],
    kept: [],
    dropped: [],
    stragglers: [{ kind: "task", name: "regular" }],
    keptProcesses: [],
    usage
  },
  ...["compact", "review", "undo", "user_shell"].flatMap((kind): ReadonlyArray<NewRecord> => [
    { _tag: "TurnStarted", turnId, kind },
    { _tag: "TurnFailed", turnId, error: { tag: "ModelFailed", message: "" }, kept: [], usage }
  ])
]

const signals: ReadonlyArray<SessionSignal> = [
  { _tag: "Submitted", op: "UserInput", receipt: "Rejected", rejection: "SessionClosed", millis: 1 },
  { _tag: "Submitted", op: "Interrupt", receipt: "Accepted", rejection: undefined, millis: 1 },
  { _tag: "Appended", recordsCount: 1, millis: 1 },
  { _tag: "Flushed", millis: 1 },
  { _tag: "Waiting", eventsChange: 1 }
]

/** Records every metric at the observer of the context. */
export const recordAll = Effect.map(SessionObserver, (observer) => {
  const events = records.map((record, seq): SessionEvent => ({ seq, at: seq * 10, ...record }) as SessionEvent)
  for (const event of events) observer!.onEvent(sessionId, event)
  for (const signal of signals) observer!.onSignal!(sessionId, signal)
  observer!.onEvent(sessionId, { _tag: "SessionFailed", sessionId, message: "" })
  observer!.onSignal!(sessionId, { _tag: "Closed" })
})

/** One metric as an exporter sends it, with the names of all attributes of its points. */
export interface Row {
  readonly name: string
  readonly kind: string
  readonly unit: string
  readonly description: string
  readonly attributes: ReadonlyArray<string>
}

/** Makes a row from the attribute sets of all points of a metric. */
export const rowOf = (metric: Omit<Row, "attributes">, points: ReadonlyArray<Iterable<string>>): Row => ({
  ...metric,
  attributes: [...new Set(points.flatMap((point) => [...point]))].sort()
})

/** The rows of the table, in the order of their names, without those that are left out. */
export const expected = (isLeftOut: (definition: Definition) => boolean = () => false): ReadonlyArray<Row> =>
  Object.values<Definition>(definitions)
    .filter((definition) => !isLeftOut(definition))
    .map(({ attributes, description, kind, name, unit }) => ({
      name,
      kind,
      unit,
      description,
      attributes: [...attributes].sort()
    }))
    .sort(byName)

export const byName = (one: Row, other: Row): number => (one.name < other.name ? -1 : 1)
