/** Reports to the model about tasks of clients that have reported no result (contract I5, P2). */
import type { TurnId } from "../protocol/Ids.ts"
import * as Input from "../protocol/Input.ts"
import type { AcceptedTask } from "../protocol/Op.ts"
import type { NewRecord } from "../protocol/SessionEvent.ts"
import type { RunningTask } from "./Inbox.ts"

/** The number of characters of the parameters that a report repeats. */
const paramsLimit = 500

/** Returns a text that names a task: its kind and its parameters. */
export const nameOf = ({ kind, params }: AcceptedTask): string => {
  const text = JSON.stringify(params)
  return `${kind} ${text.length > paramsLimit ? `${text.slice(0, paramsLimit)} …` : text}`
}

/**
 * Makes the record that informs the model that a task alongside a turn ended: its kind, its parameters, how it ended,
 * and the input that it was started with.
 */
export const of = ({ input, submissionId, task }: RunningTask, turnId: TurnId, how: string): NewRecord => {
  const text = `The task ${nameOf(task)} ${how}. It reported no result.`
  return { _tag: "TaskReported", turnId, submissionId, fragment: task.kind, input: [...Input.text(text), ...input] }
}
