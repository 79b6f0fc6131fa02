/** Measures submissions and the input that they carry. */
import type { SubmissionId } from "@spindle/core/Ids"
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { Measurement, MetricId } from "../Metrics.ts"
import type { RecordOf, State, Step } from "./model.ts"
import { nothing, point, shape } from "./points.ts"

const ofReceipt = shape("op", "receipt")
const ofRejection = shape("op", "receipt", "error.type")
const ofPhase = shape("phase", "abort.reason")
const ofDelivery = shape("delivery")
const ofFate = shape("fate")

const referenceTasks: { readonly [kind: string]: MetricId | undefined } = {
  review: "codexTaskReview",
  undo: "codexTaskUndo",
  user_shell: "codexTaskUserShell"
}

/**
 * Counts the start of a task under the name that the reference has for its kind. Compactions are counted by
 * `countCompaction`.
 */
export const measureTask = (kind: string): ReadonlyArray<Measurement> => {
  const metric = referenceTasks[kind]
  return metric === undefined ? nothing : [point(metric, 1)]
}

export const measureSubmission = ({
  millis,
  op,
  receipt,
  rejection
}: Extract<SessionSignal, { readonly _tag: "Submitted" }>): ReadonlyArray<Measurement> => {
  const attributes = rejection === undefined ? ofReceipt(op, receipt) : ofRejection(op, receipt, rejection)
  const duration = point("submissionDuration", millis / 1000, attributes)
  return op === "Interrupt" && receipt === "Accepted"
    ? [duration, point("abortDuration", millis / 1000, ofPhase("accepted", "Interrupted"))]
    : [duration]
}

/** Measures input that was accepted. A task with a turn starts alongside it, and has no `TurnStarted`. */
export const acceptInput = (state: State, { submissionId, task, turnId }: RecordOf<"InputAccepted">): Step => [
  { ...state, waiting: [...state.waiting, submissionId] },
  [
    point("inputAccepted", 1, ofDelivery(turnId === undefined ? "queued" : "steered")),
    point("inboxWaiting", 1),
    ...(task === undefined || turnId === undefined ? [] : measureTask(task.kind))
  ]
]

/** Removes input that no longer waits. Input that arrived before this program started was never counted as waiting. */
export const removeInput = (
  state: State,
  ids: ReadonlyArray<SubmissionId>,
  fate: "carried" | "blocked" | "withdrawn" | "returned" | "dropped"
): Step => {
  if (ids.length === 0) return [state, nothing]
  const waiting = state.waiting.filter((id) => !ids.includes(id))
  const removedCount = state.waiting.length - waiting.length
  const measured = ids.map(() => point("inputFate", 1, ofFate(fate)))
  return [{ ...state, waiting }, removedCount === 0 ? measured : [...measured, point("inboxWaiting", -removedCount)]]
}
