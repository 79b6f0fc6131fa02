/** The ids of one session, and a usage, for events that tests make by hand. */
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

export const sessionId = "session" as SessionId
export const turnId = "turn" as TurnId
export const requestId = "request" as ModelRequestId
export const submissionId = "submission" as SubmissionId
export const questionId = "question" as QuestionId
export const callId = "call" as CallId
export const itemId = "item" as ItemId
export const processId = "process" as ProcessId
export const delegateId = "delegate" as SessionId
export const usage = { input: 100, cachedInput: 60, output: 20, reasoning: 5, total: 120 }
