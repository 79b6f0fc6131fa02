/** Measurements of input, questions and processes. */
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { SubmissionId } from "@spindle/core/Ids"
import type * as SessionEvent from "@spindle/core/SessionEvent"
import type { Measurement } from "../Metrics.ts"
import type { RecorderState, Step } from "../Recorder.ts"
import { none, shape } from "./shapes.ts"

type Event<Tag extends SessionEvent.KnownRecord["_tag"]> = Extract<SessionEvent.KnownRecord, { readonly _tag: Tag }>
const ofReceipt = shape("op", "receipt")
const ofRejection = shape("op", "receipt", "error.type")
const ofPhase = shape("phase", "abort.reason")
const ofDelivery = shape("delivery")
const ofFate = shape("fate")
const ofKind = shape("kind")
const ofDecision = shape("kind", "decision")
const codexApproval = shape("tool", "approved")
const ofKeep = shape("keep")
const ofExit = shape("exit")
const seconds = (from: number, to: number): number => Math.max(0, to - from) / 1000

export const submitted = (
  signal: Extract<SessionSignal, { readonly _tag: "Submitted" }>
): ReadonlyArray<Measurement> => {
  const value = signal.millis / 1000
  const duration: Measurement = {
    metric: "submissionDuration",
    value,
    attributes:
      signal.rejection === undefined
        ? ofReceipt(signal.op, signal.receipt)
        : ofRejection(signal.op, signal.receipt, signal.rejection)
  }
  return signal.op === "Interrupt" && signal.receipt === "Accepted"
    ? [duration, { metric: "abortDuration", value, attributes: ofPhase("accepted", "Interrupted") }]
    : [duration]
}

export const inputAccepted = (state: RecorderState, { submissionId, turnId }: Event<"InputAccepted">): Step => [
  { ...state, waiting: [...state.waiting, submissionId] },
  [
    { metric: "inputAccepted", value: 1, attributes: ofDelivery(turnId === undefined ? "queued" : "steered") },
    { metric: "inboxWaiting", value: 1, attributes: none }
  ]
]

/** Input that waits no more, and why. What arrived before this program was started was not counted as waiting. */
export const inputLeft = (
  state: RecorderState,
  ids: ReadonlyArray<SubmissionId>,
  fate: "carried" | "blocked" | "returned" | "dropped"
): Step => {
  if (ids.length === 0) return [state, []]
  const waiting = state.waiting.filter((id) => !ids.includes(id))
  const gone = state.waiting.length - waiting.length
  const measured: Array<Measurement> = ids.map(() => ({ metric: "inputFate", value: 1, attributes: ofFate(fate) }))
  if (gone > 0) measured.push({ metric: "inboxWaiting", value: -gone, attributes: none })
  return [{ ...state, waiting }, measured]
}

export const opened = (state: RecorderState, { at, kind, questionId, tool }: Event<"QuestionOpened">): Step => [
  { ...state, approvals: new Map(state.approvals).set(questionId, { kind, tool: tool ?? "none", at }) },
  [{ metric: "approvalRequested", value: 1, attributes: ofKind(kind) }]
]

export const settled = (state: RecorderState, { at, decision, questionId }: Event<"QuestionSettled">): Step => {
  const open = state.approvals.get(questionId)
  if (open === undefined) return [state, []]
  const approvals = new Map(state.approvals)
  approvals.delete(questionId)
  const attributes = ofDecision(open.kind, decision._tag.toLowerCase())
  return [
    { ...state, approvals },
    [
      { metric: "approvalDecided", value: 1, attributes },
      { metric: "approvalDuration", value: seconds(open.at, at), attributes },
      {
        metric: "codexApprovalRequested",
        value: 1,
        attributes: codexApproval(open.tool, String(decision._tag === "Approved"))
      }
    ]
  ]
}

export const processStarted = (state: RecorderState, { at, keep, processId }: Event<"ProcessStarted">): Step => [
  { ...state, processes: new Map(state.processes).set(processId, at) },
  [
    { metric: "processStarted", value: 1, attributes: ofKeep(String(keep)) },
    { metric: "processActive", value: 1, attributes: none }
  ]
]

export const processEnded = (
  state: RecorderState,
  { at, exitCode, processId, signal }: Event<"ProcessEnded">
): Step => {
  const startedAt = state.processes.get(processId)
  if (startedAt === undefined) return [state, []]
  const processes = new Map(state.processes)
  processes.delete(processId)
  const exit = exitCode === null ? (signal === undefined ? "none" : "signal") : exitCode === 0 ? "zero" : "nonzero"
  return [
    { ...state, processes },
    [
      { metric: "processActive", value: -1, attributes: none },
      { metric: "processDuration", value: seconds(startedAt, at), attributes: ofExit(exit) }
    ]
  ]
}
