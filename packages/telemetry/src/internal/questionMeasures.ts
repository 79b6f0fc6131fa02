/** Measures questions to a person. */
import type { RecordOf, State, Step } from "./model.ts"
import { nothing, point, seconds, shape } from "./points.ts"

const ofKind = shape("kind")
const ofDecision = shape("kind", "decision")
const ofReferenceDecision = shape("tool", "approved")

export const openQuestion = (state: State, { at, kind, questionId, tool }: RecordOf<"QuestionOpened">): Step => [
  { ...state, questions: new Map(state.questions).set(questionId, { kind, tool: tool ?? "none", at }) },
  [point("approvalRequested", 1, ofKind(kind))]
]

export const settleQuestion = (state: State, { at, decision, questionId }: RecordOf<"QuestionSettled">): Step => {
  const question = state.questions.get(questionId)
  if (question === undefined) return [state, nothing]
  const questions = new Map(state.questions)
  questions.delete(questionId)
  const attributes = ofDecision(question.kind, decision._tag.toLowerCase())
  return [
    { ...state, questions },
    [
      point("approvalDecided", 1, attributes),
      point("approvalDuration", seconds(question.at, at), attributes),
      point("codexApprovalRequested", 1, ofReferenceDecision(question.tool, String(decision._tag === "Approved")))
    ]
  ]
}
