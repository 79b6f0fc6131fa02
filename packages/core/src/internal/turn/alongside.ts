/**
 * Tasks alongside a turn. A client starts such a task, the turn owns it, and its result is reported to the model once
 * (contract S4, P2).
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { Alongside, make as makeAlongside } from "../../Alongside.ts"
import type { Fragment } from "../../ports/Fragments.ts"
import type { SubmissionId } from "../../protocol/Ids.ts"
import * as Input from "../../protocol/Input.ts"
import type { AcceptedTask } from "../../protocol/Op.ts"
import { CurrentTurnContext } from "../../protocol/TurnContext.ts"
import * as Inbox from "../../state/Inbox.ts"
import * as TaskReport from "../../state/TaskReport.ts"
import * as Tracing from "../../Tracing.ts"
import { forkDetached } from "../detached.ts"
import { textOf } from "../foreign.ts"
import type { Ledger } from "./ledger.ts"
import type { TurnParts } from "./turnParts.ts"
import { make as makeTurn } from "./turnService.ts"

/** A task that a client has submitted. */
export interface Submitted {
  readonly submissionId: SubmissionId
  readonly task: AcceptedTask
  readonly input: Input.Input
}

/**
 * Records that a task was accepted, and starts it alongside a running turn. The task is registered before the record,
 * so the turn always waits for it (S6). The context of the session has the services that the task needs.
 */
export const start = (
  parts: TurnParts,
  ledger: Ledger,
  run: Effect.Effect<unknown, unknown, any>,
  submitted: Submitted
): void => {
  const { recorder, resources, session } = parts
  const { input, submissionId, task } = submitted
  const ended = Deferred.makeUnsafe<void>()
  ledger.tasks.add(ended)
  recorder.append({
    _tag: "InputAccepted",
    submissionId,
    input,
    delivery: "wait",
    turnId: ledger.origin.turnId,
    task
  })
  const leave = () => {
    ledger.tasks.delete(ended)
    Deferred.doneUnsafe(ended, Effect.void)
  }
  // an observer of the record may have stopped the turn, whose owner then reports the task (I2)
  if (ledger.isClosing()) return leave()
  const span = { name: `session_task.${task.kind}`, attributes: { "submission.id": submissionId } }
  const work = Tracing.span(span, () => Effect.scoped(run))
  const provided = Effect.provideContext(work, contextOf(parts, ledger, submitted))
  const reported = Effect.onExit(provided, (exit) => Effect.sync(() => reportEnd(parts, ledger, submissionId, exit)))
  // the task is registered below before its first step, because its records may stop the turn
  // mutant task-registered-before-it-runs (S6: a task alongside a turn is registered before it runs):
  //   replace: const fiber = forkDetached(session.context, Effect.exit(reported))
  const fiber = forkDetached(session.context, Effect.andThen(Effect.yieldNow, Effect.exit(reported)))
  // mutant turn-owns-its-tasks (I2: an abort ends the tasks that run alongside its turn):
  //   replace: const release = () => {}
  const release = resources.own(ledger, {
    kind: "task",
    id: submissionId,
    name: task.kind,
    end: () => Effect.asVoid(Fiber.interrupt(fiber)),
    drain: session.config.grace
  })
  fiber.addObserver(() => {
    leave()
    release()
  })
}

/**
 * Waits for the tasks alongside a turn whose own task has ended. Afterwards no other task joins the turn: that changes
 * in one step with the last check.
 */
export const awaitAll = (ledger: Ledger): Effect.Effect<void> =>
  Effect.suspend(() => {
    for (const ended of ledger.tasks) {
      ledger.closeGate()
      return Effect.andThen(Deferred.await(ended), awaitAll(ledger))
    }
    // mutant no-task-joins-an-ended-turn (P2: a task does not join a turn whose last look at its tasks is over): drop
    ledger.takesTasks = false
    return Effect.void
  })

const contextOf = (parts: TurnParts, ledger: Ledger, { input, submissionId }: Submitted): Context.Context<any> => {
  const { recorder, session } = parts
  const { origin, slot, spans } = ledger
  const report = ({ name, text }: Fragment) =>
    Effect.suspend(() => {
      if (slot.isFenced()) return Effect.interrupt
      if (runningTask(parts, ledger, submissionId) !== undefined) {
        const { turnId } = origin
        recorder.append({ _tag: "TaskReported", turnId, submissionId, fragment: name, input: Input.text(text) })
      }
      return Effect.void
    })
  const view = makeAlongside(makeTurn(parts, ledger, slot.isFenced), { input, taskId: submissionId, report })
  const services = Context.add(Context.add(session.context, Tracing.OpenSpans, spans), Alongside, view)
  const { turnContext } = ledger
  const context = turnContext === undefined ? services : Context.add(services, CurrentTurnContext, () => turnContext)
  return origin.parentSpan === undefined ? context : Context.add(context, Tracer.ParentSpan, origin.parentSpan)
}

const runningTask = ({ recorder }: TurnParts, { origin }: Ledger, submissionId: SubmissionId) =>
  Inbox.runningTasks(recorder.state.inbox, origin.turnId).find((one) => one.submissionId === submissionId)

/** Reports a task that has ended without a report, unless the owner of the turn has done so. */
const reportEnd = (
  parts: TurnParts,
  ledger: Ledger,
  submissionId: SubmissionId,
  exit: Exit.Exit<unknown, unknown>
): void => {
  const task = runningTask(parts, ledger, submissionId)
  if (task !== undefined) parts.recorder.append(TaskReport.of(task, ledger.origin.turnId, endText(exit)))
}

const endText = (exit: Exit.Exit<unknown, unknown>): string => {
  if (exit._tag === "Success") return "has ended"
  return Cause.hasInterruptsOnly(exit.cause) ? "was cut off" : `failed: ${textOf(Cause.squash(exit.cause))}`
}
