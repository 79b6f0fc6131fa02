/** `spindle undo`, `spindle review` and `!COMMAND`: tasks of a session, run like a prompt. */
import * as ReviewTask from "@spindle/app/ReviewTask"
import * as UserShellTask from "@spindle/app/UserShellTask"
import * as Op from "@spindle/core/Op"
import * as Option from "effect/Option"
import type { Command } from "../args/Arguments.ts"
import * as Help from "../args/Help.ts"
import type { ExecOptions, TaskRun } from "./Exec.ts"

type Rest = Pick<ExecOptions, "settings" | "cwd" | "makeUnattended" | "onRunning">

/** Takes back the changes of the last turns of a session. */
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
  task: { op: Op.startTask("undo", { ...undo }), needs: "with a change to undo" }
})

/** Reviews changes in a new session. The exit code is 4 if a finding is as urgent as `failOn`. */
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

/**
 * Returns the task of a prompt that begins with `!`: the rest is a command for the shell of the person, with its exit
 * code. Text on standard input and images are for a model, so a prompt with them has no such task.
 */
export const shellTask = (
  { options, prompt }: Pick<Extract<Command, { readonly _tag: "Exec" }>, "options" | "prompt">,
  text: string
): TaskRun | undefined => {
  const command = text.startsWith("!") ? text.slice(1).trim() : ""
  const isAlone = prompt._tag === "Text" && prompt.text === text && options.images.length === 0
  if (command === "" || !isAlone) return undefined
  return {
    op: Op.startTask("user_shell", { command }),
    resultOf: (notes) => {
      const [ended] = notes.flatMap((note) => Option.toArray(UserShellTask.UserShellEnded.decode(note)))
      if (ended === undefined) return undefined
      return { answer: ended.output, code: ended.ending.exitCode ?? Help.exitCodes.failed }
    }
  }
}
