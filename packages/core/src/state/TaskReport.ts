/** What the session tells the model about a task of a client that has reported no result itself (contract I5, P2). */
import type { TurnId } from "../protocol/Ids.ts"
import * as Input from "../protocol/Input.ts"
import type { AcceptedTask } from "../protocol/Op.ts"
import type { NewRecord } from "../protocol/SessionEvent.ts"
import type { RunningTask } from "./Inbox.ts"

/** The most characters of the parameters that a report repeats. */
const paramsLimit = 500

/** Names a task by its kind and its parameters. */
export const nameOf = ({ kind, params }: AcceptedTask): string => {
  const text = JSON.stringify(params)
  return `${kind} ${text.length > paramsLimit ? `${text.slice(0, paramsLimit)} …` : text}`
}

/**
 * Returns the record that says how a task alongside a turn ended, for the model: its kind, its parameters, and the input
 * that it was started with.
 */
export const of = ({ input, submissionId, task }: RunningTask, turnId: TurnId, how: string): NewRecord => {
  const text = `The task ${nameOf(task)} ${how}. It reported no result.`
  return { _tag: "TaskReported", turnId, submissionId, fragment: task.kind, input: [...Input.text(text), ...input] }
}
