/** `spindle undo` and `spindle review`: tasks of a session, run like a prompt. */
import * as ReviewTask from "@spindle/app/ReviewTask"
import * as Op from "@spindle/core/Op"
import type { Command } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import type { ExecOptions } from "./Exec.ts"

type Rest = Pick<ExecOptions, "settings" | "cwd" | "unattended" | "onRunning">

/** Takes back what the last turns of a session changed. */
export const undo = ({
  options,
  session,
  undo,
  ...rest
}: Omit<Extract<Command, { readonly _tag: "Undo" }>, "_tag"> & Rest): ExecOptions => ({
  ...rest,
  options,
  prompt: "",
  resume: session,
  task: { op: Op.startTask("undo", { ...undo }) }
})

/** Reviews changes in a new session. The exit code says whether something was found that is as urgent as `failOn`. */
export const review = ({
  failOn,
  options,
  target,
  ...rest
}: Omit<Extract<Command, { readonly _tag: "Review" }>, "_tag"> & Rest): ExecOptions => ({
  ...rest,
  options,
  prompt: "",
  resume: undefined,
  task: {
    op: Op.startTask("review", { target }),
    resultOf: (notes) => {
      const output = ReviewTask.outputOf(notes)
      if (output === undefined) return undefined
      const isUrgent = failOn !== undefined && output.findings.some(({ priority }) => priority <= failOn)
      return {
        answer: ReviewTask.render(output),
        code: isUrgent ? Help.exitCodes.findings : Help.exitCodes.ok
      }
    }
  }
})
