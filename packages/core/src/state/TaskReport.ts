/** What the session reports about a task alongside a turn that has reported no result itself (contract P2). */
import type { TurnId } from "../protocol/Ids.ts"
import * as Input from "../protocol/Input.ts"
import type { NewRecord } from "../protocol/SessionEvent.ts"
import type { RunningTask } from "./Inbox.ts"

/** The most characters of the parameters that a report repeats. */
const paramsLimit = 500

/**
 * Returns the record that says how a task ended, for the model: its kind, its parameters, and the input that it was
 * started with.
 */
export const of = ({ input, submissionId, task }: RunningTask, turnId: TurnId, how: string): NewRecord => {
  const params = JSON.stringify(task.params)
  const named = `${task.kind} ${params.length > paramsLimit ? `${params.slice(0, paramsLimit)} …` : params}`
  const text = `The task ${named} ${how}. It reported no result.`
  return { _tag: "TaskReported", turnId, submissionId, fragment: task.kind, input: [...Input.text(text), ...input] }
}
