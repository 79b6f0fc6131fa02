/**
 * The view that a task has of the turn that it runs alongside.
 *
 * A client starts such a task with the mode `alongside`: a command of the user while the model works, for example. It has
 * no turn. It may start processes, publish output and record notes in the turn that runs, which owns it: an abort
 * interrupts it, and a turn whose own task has returned waits for it. It sends no model request and does not see the
 * history. Its result is one fragment, which becomes input of the turn, or of the next turn if this one takes no more.
 *
 * While no turn runs, the same effect is the task of a turn (see `TaskKind.makeAlongside`).
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { Fragment } from "./ports/Fragments.ts"
import * as Input from "./protocol/Input.ts"
import type { Turn } from "./Turn.ts"

/** What a task may do in the turn that it runs alongside. What the members do after an abort is described in `Turn`. */
export interface Alongside extends Pick<
  Turn,
  "sessionId" | "turnId" | "input" | "output" | "note" | "warn" | "process" | "endProcess"
> {
  /** Names the task among those of its turn, such as in the `CallId` of its output. */
  readonly taskId: string
  /**
   * Reports the result of the task to the model, without prompt hooks; a second report is ignored. A task that ends
   * without a report is reported by its session. **Interruption**: not interruptible; does not wait for the disk.
   */
  readonly report: (fragment: Fragment) => Effect.Effect<void>
}

/** The service key of {@link Alongside}. */
export const Alongside: Context.Service<Alongside, Alongside> = Context.Service("@spindle/core/Alongside")

/** Makes the view of a turn. */
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

/** Makes the view that the task of a turn has of that turn: its report is an item of the history. */
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
