/** Measures submissions and the input that they carry. */
import type { SubmissionId } from "@spindle/core/Ids"
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { Measurement } from "../Metrics.ts"
import type { RecordOf, State, Step } from "./model.ts"
import { nothing, point, shape } from "./points.ts"

const ofReceipt = shape("op", "receipt")
const ofRejection = shape("op", "receipt", "error.type")
const ofPhase = shape("phase", "abort.reason")
const ofDelivery = shape("delivery")
const ofFate = shape("fate")

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

export const acceptInput = (state: State, { submissionId, turnId }: RecordOf<"InputAccepted">): Step => [
  { ...state, waiting: [...state.waiting, submissionId] },
  [point("inputAccepted", 1, ofDelivery(turnId === undefined ? "queued" : "steered")), point("inboxWaiting", 1)]
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
