/**
 * Tasks alongside a turn: the view that such a task has of the running turn.
 *
 * A client starts such a task with the mode `alongside`. An example is a command of the user while the model works. The
 * task does not get a separate turn. It may start processes, publish output and record notes in the running turn, which
 * owns it: an abort interrupts it, and a turn whose own task has returned waits for it. It sends no model request and
 * does not see the history. Its result is one fragment, which becomes input of the running turn, or of the next turn if
 * this one takes no more input.
 *
 * While no turn is running, the same effect is the task of a new turn (see `TaskKind.makeAlongside`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Fragment } from "./ports/Fragments.ts"
import * as Input from "./protocol/Input.ts"
import type { Turn } from "./Turn.ts"

/** The view of the running turn. `Turn` says what its members do after an abort. */
export interface Alongside extends Pick<
  Turn,
  "sessionId" | "turnId" | "input" | "output" | "note" | "warn" | "process" | "endProcess"
> {
  /**
   * An id that is unique among the tasks of the turn. A task uses it to make the `CallId` of its output, for example.
   */
  readonly taskId: string
  /**
   * Reports the result of the task to the model, without prompt hooks. A second report is ignored. If a task ends
   * without a report, its session reports that. **Interruption**: not interruptible; it does not wait for the disk.
   */
  readonly report: (fragment: Fragment) => Effect.Effect<void>
}

/** The service key of {@link Alongside}. */
export const Alongside: Context.Service<Alongside, Alongside> = Context.Service("@spindle/core/Alongside")

/** Makes the view of a turn for a task alongside it. */
export const make = (turn: Turn, own: Pick<Alongside, "input" | "taskId" | "report">): Alongside => ({
  sessionId: turn.sessionId,
  turnId: turn.turnId,
  output: turn.output,
  note: turn.note,
  warn: turn.warn,
  process: turn.process,
  endProcess: turn.endProcess,
  ...own
})

/** Makes the view of a turn for the turn's own task. The report is then an item of the history. */
export const ofTurn = (turn: Turn): Alongside => {
  let isReported = false
  const report = ({ name, text }: Fragment) =>
    Effect.suspend(() => {
      if (isReported) return Effect.void
      isReported = true
      return Effect.asVoid(turn.record({ _tag: "UserMessage", content: Input.text(text), fragment: name }))
    })
  return make(turn, { input: turn.input, taskId: turn.turnId, report })
}
