/**
 * The submissions of a session. Each gets one receipt, and input is durable before it is acknowledged (contract P1, P2,
 * P4, P7, J4).
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { ProcessId, SubmissionId, TurnId } from "../../protocol/Ids.ts"
import * as Input from "../../protocol/Input.ts"
import { jsonOfUnsafe } from "../../protocol/Item.ts"
import {
  type AcceptedTask,
  type Decision,
  isSubmission,
  jsonOfDecisionUnsafe,
  type Op,
  type Receipt,
  type Rejection,
  type Submission,
  type TaskParams,
  titleOf
} from "../../protocol/Op.ts"
import type { JournalFailed } from "../../protocol/SessionError.ts"
import * as Inbox from "../../state/Inbox.ts"
import * as SessionState from "../../state/SessionState.ts"
import type { StartableTask } from "../../TaskKind.ts"
import type { TaskSupervisor } from "../../TaskSupervisor.ts"
import { forkDetached } from "../detached.ts"
import { textOf } from "../foreign.ts"
import { flush } from "../log/flush.ts"
import type { Recorder } from "../log/recorder.ts"
import type { Questions } from "../turn/questions.ts"
import { replace } from "../turn/replacement.ts"
import type { Resources } from "../turn/resources.ts"
import type { Turns } from "../turn/turnStart.ts"
import type { Lifetime } from "./lifetime.ts"
import type { Queue } from "./queue.ts"
import * as Receipts from "./receipts.ts"
import { contextRejectionOf } from "./contextRejection.ts"
import type { SessionContext } from "./sessionContext.ts"
import type { StartContexts } from "./startContexts.ts"
import * as SubmissionSpan from "./submissionSpan.ts"
import * as TaskKinds from "./taskKinds.ts"

/** Operations that put input into the inbox. */
type InputOp = Extract<Op, { readonly _tag: "UserInput" | "Notice" }>

type StartTask = Extract<Op, { readonly _tag: "StartTask" }>

/** The options of {@link Submissions}. */
export interface SubmissionsOptions {
  readonly session: SessionContext
  readonly lifetime: Lifetime
  readonly recorder: Recorder
  readonly supervisor: TaskSupervisor
  readonly questions: Questions
  readonly resources: Resources
  readonly startContexts: StartContexts
  readonly turns: Turns
  readonly queue: Queue
  /** The task kinds that a client may start. */
  readonly taskKinds: TaskKinds.TaskKinds
}

/** The part of a session that takes submissions. */
export class Submissions {
  private receipts: Receipts.Receipts
  private readonly options: SubmissionsOptions
  constructor(options: SubmissionsOptions, receipts: Receipts.Receipts) {
    this.options = options
    this.receipts = receipts
  }

  /**
   * Takes one operation and returns its receipt. It is not interruptible from the append onwards, so the receipt always
   * matches the journal.
   */
  submit(submission: Op | Submission): Effect.Effect<Receipt, JournalFailed> {
    const { id, op, trace } = isSubmission(submission) ? submission : withoutId(submission)
    return Effect.uninterruptible(
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.flatMap(SubmissionSpan.parentOf(this.options.session, context, trace), (parent) =>
          this.dispatch(op, id, parent)
        )
      )
    )
  }

  private dispatch(
    op: Op,
    id: SubmissionId | undefined,
    parent: SubmissionSpan.TraceParent | undefined
  ): Effect.Effect<Receipt, JournalFailed> {
    const { recorder, session } = this.options
    const { signals } = recorder
    const from = signals.isMeasuring ? signals.nowNanos() : 0n
    const span = SubmissionSpan.start(session, op, parent)
    const own = SubmissionSpan.childParent(span, parent)
    const receipt = recorder.runBelow(own?.span, () => this.receiptFor(op, id, own))
    // an interrupt without an id records nothing itself, and is acknowledged at once
    // mutant receipt-when-durable (P2: a receipt waits until its input is durable): true
    const durable =
      receipt._tag === "Rejected" || (op._tag === "Interrupt" && id === undefined)
        ? Effect.succeed(receipt)
        : Effect.as(flush(recorder, span), receipt)
    if (span === undefined && !signals.isMeasuring) return durable
    return Effect.onExit(durable, (exit) =>
      Effect.sync(() => {
        SubmissionSpan.end(session, span, receipt.submissionId, exit)
        const rejection = receipt._tag === "Rejected" ? receipt.reason._tag : undefined
        const millis = signals.millisSince(from)
        signals.emit({ _tag: "Submitted", op: op._tag, receipt: receipt._tag, rejection, millis })
      })
    )
  }

  /** Applies an operation once. A repeated submission with an id of the client gets its first receipt (P6). */
  private receiptFor(op: Op, id: SubmissionId | undefined, parent: SubmissionSpan.TraceParent | undefined): Receipt {
    if (id === undefined) return this.applyOp(op, this.options.session.newId() as SubmissionId, parent)
    const known = Receipts.find(this.receipts, id)
    // mutant receipts (P6: a submission that is repeated gets its first receipt, and runs once): drop
    if (known !== undefined) return known
    const receipt = this.applyOp(op, id, parent)
    if (receipt._tag === "Rejected") return receipt
    this.receipts = Receipts.remember(this.receipts, receipt)
    if (op._tag === "Interrupt" || op._tag === "Answer" || op._tag === "EndProcess") {
      this.options.recorder.append({ _tag: "OperationAccepted", submissionId: id, op: op._tag })
    }
    return receipt
  }

  /** Applies an operation in one step. Its receipt is returned to the caller once it is durable. */
  private applyOp(op: Op, submissionId: SubmissionId, parent: SubmissionSpan.TraceParent | undefined): Receipt {
    const { lifetime, questions, queue, supervisor } = this.options
    // mutant closed-accepts-nothing (S7: a session that is closed or has failed accepts no operation): drop
    if (!lifetime.isOpen) return reject(submissionId, { _tag: "SessionClosed", ...lifetime.closedBy })
    switch (op._tag) {
      case "Interrupt":
        supervisor.abort("Interrupted")
        return { _tag: "Accepted", submissionId }
      case "Answer": {
        const decision = decisionOf(op)
        if ("invalid" in decision) return reject(submissionId, decision.invalid)
        return questions.answer(op.questionId, decision)
          ? { _tag: "Accepted", submissionId }
          : reject(submissionId, { _tag: "UnknownQuestion", questionId: op.questionId })
      }
      case "EndProcess":
        return this.endProcess(op.processId, submissionId)
      case "Withdraw":
        return this.withdraw(op.submissionId, submissionId)
      case "Rename":
        this.options.recorder.append({ _tag: "SessionRenamed", title: titleOf(op.title), submissionId })
        return { _tag: "Accepted", submissionId }
      case "Rollback":
        return this.rollBack(op.turns, submissionId)
      case "UserInput":
      case "Notice": {
        const rejection = this.rejectionOf(op)
        if (rejection === undefined) return this.accept(op, submissionId, parent)
        // a full queue that was kept must continue, or else no submission could ever start it
        // mutant full-queue-starts (P2: a queue that is kept and full starts when input is rejected): drop
        if (rejection._tag === "InboxFull" && expectedTurnOf(op) === undefined) queue.startNext()
        return reject(submissionId, rejection)
      }
      case "StartTask": {
        const task = this.taskOf(op)
        if ("rejection" in task) {
          if (task.rejection._tag === "InboxFull") queue.startNext()
          return reject(submissionId, task.rejection)
        }
        return this.startTask(task, { input: op.input ?? [], submissionId, parent })
      }
    }
  }

  private accept(op: InputOp, submissionId: SubmissionId, parent: SubmissionSpan.TraceParent | undefined): Receipt {
    const { delivery = "steer", input } = op
    const { queue, recorder, turns } = this.options
    const changed = op._tag === "UserInput" && op.context !== undefined ? { context: op.context } : {}
    const notice = op._tag === "Notice" ? { fragment: op.fragment } : changed
    const { running } = turns
    if (delivery !== "queue" && running?.isSteerable === true) {
      const { span, turnId } = running.origin
      recorder.append({ _tag: "InputAccepted", submissionId, input, delivery, turnId, ...notice })
      if (parent !== undefined) {
        SubmissionSpan.link(this.options.session, span, parent)
        // if the task does not take the input, another turn does
        queue.remember(submissionId, parent)
      }
      return { _tag: "Steered", submissionId, turnId }
    }
    const position = delivery === "wait" ? recorder.state.inbox.length : queue.nextPosition
    const recorded = position === undefined ? {} : { position }
    recorder.append({ _tag: "InputAccepted", submissionId, input, delivery, ...recorded, ...notice })
    if (parent !== undefined) queue.remember(submissionId, parent)
    const turnId = delivery === "wait" ? undefined : queue.startNext()
    if (position !== undefined) return { _tag: "Queued", submissionId, position }
    return turnId === undefined
      ? { _tag: "Queued", submissionId, position: 0 }
      : { _tag: "Started", submissionId, turnId }
  }

  /** Returns the task and the form in which it is recorded, or the reason why it is rejected. */
  private taskOf(op: StartTask): FoundTask | { readonly rejection: Rejection } {
    const { taskKinds } = this.options
    const { kind } = op
    const params = paramsOf(op)
    if ("rejection" in params) return params
    const found = TaskKinds.find(taskKinds, { kind, params: params.json })
    if (TaskKinds.isMissing(found)) return { rejection: found }
    const allowed = taskKinds.get(kind)!.modes
    const mode = op.mode ?? allowed[0]!
    if (!allowed.includes(mode)) return { rejection: { _tag: "TaskModeNotAllowed", kind, mode, allowed } }
    const rejection = this.limitOf(op.input ?? [], mode !== "alongside")
    return rejection === undefined ? { task: { kind, params: params.json, mode }, found } : { rejection }
  }

  private startTask({ found, task }: FoundTask, { input, parent, submissionId }: TaskStart): Receipt {
    const { queue, recorder, turns } = this.options
    if (task.mode === "alongside") {
      const turnId = turns.startAlongside(found, { input, submissionId, task }, parent)
      if (turnId !== undefined) return { _tag: "Steered", submissionId, turnId }
    }
    const replaces = task.mode === "replace"
    const position = !replaces ? queue.nextPosition : queue.isFree ? undefined : 0
    const recorded = position === undefined ? {} : { position }
    recorder.append({ _tag: "InputAccepted", submissionId, input, delivery: "queue", ...recorded, task })
    if (parent !== undefined) queue.remember(submissionId, parent)
    const turnId = replaces ? this.startAhead(submissionId) : queue.startNext()
    return position !== undefined || turnId === undefined
      ? { _tag: "Queued", submissionId, position: position ?? 0 }
      : { _tag: "Started", submissionId, turnId }
  }

  /** Starts a task in a free slot, or else in place of the running turn. It does not wait for the end of that turn. */
  private startAhead(submissionId: SubmissionId): TurnId | undefined {
    const { lifetime, queue, session, supervisor } = this.options
    if (queue.isFree) {
      const started = queue.startAhead(submissionId)
      return started._tag === "Started" ? started.turnId : undefined
    }
    const start = () => {
      const started = queue.startAhead(submissionId)
      return started._tag === "SlotTaken" ? undefined : started
    }
    const { context, sessionId } = session
    // if the session closes meanwhile, the task stays in its journal
    forkDetached(context, Effect.ignore(replace({ sessionId, lifetime, queue, supervisor, start })))
    return undefined
  }

  private endProcess(processId: ProcessId | undefined, submissionId: SubmissionId): Receipt {
    const { resources, session } = this.options
    if (processId !== undefined && !resources.processes.some((one) => one.processId === processId)) {
      return reject(submissionId, { _tag: "UnknownProcess", processId })
    }
    forkDetached(session.context, processId === undefined ? resources.endKeptProcesses : resources.end(processId))
    return { _tag: "Accepted", submissionId }
  }

  /** Removes input from the inbox in the same step as its record, so that no turn carries it (contract P8). */
  private withdraw(withdrawn: SubmissionId, submissionId: SubmissionId): Receipt {
    const { queue, recorder } = this.options
    // mutant withdraws-what-waits (P8: only input that waits is withdrawn): drop
    if (!Inbox.isWaiting(recorder.state.inbox, withdrawn)) {
      return reject(submissionId, { _tag: "NotWaiting", submissionId: withdrawn })
    }
    recorder.append({ _tag: "InputWithdrawn", submissionId: withdrawn, by: submissionId })
    queue.forget(withdrawn)
    return { _tag: "Accepted", submissionId }
  }

  private rollBack(turns: number, submissionId: SubmissionId): Receipt {
    const { recorder, startContexts } = this.options
    const { state } = recorder
    if (!Number.isInteger(turns) || turns < 1) return reject(submissionId, { _tag: "InvalidTurnCount", turns })
    // mutant rollback-between-turns (J4: a rollback is rejected while a turn runs): drop
    if (state.turn !== undefined) return reject(submissionId, { _tag: "TurnRunning", turnId: state.turn.turnId })
    const available = Math.min(turns, SessionState.userTurnCount(state))
    const oldest = SessionState.oldestTaken(state, available)
    recorder.append({ _tag: "RolledBack", submissionId, turns: available })
    if (oldest !== undefined) startContexts.onRollback(oldest.startSeq)
    return { _tag: "Accepted", submissionId }
  }

  private rejectionOf(op: InputOp): Rejection | undefined {
    const { input } = op
    const expectedTurnId = expectedTurnOf(op)
    if (Input.isEmpty(input)) return { _tag: "EmptyInput" }
    const rejection =
      contextRejectionOf(this.options.session.contextRule, op) ?? this.limitOf(input, op.delivery !== "wait")
    if (rejection !== undefined || expectedTurnId === undefined) return rejection
    const { running } = this.options.turns
    const actual = running?.origin.turnId
    if (running === undefined || actual !== expectedTurnId) {
      return { _tag: "TurnMismatch", expected: expectedTurnId, ...(actual === undefined ? {} : { actual }) }
    }
    return running.isSteerable ? undefined : { _tag: "NotSteerable", turnId: expectedTurnId }
  }

  private limitOf(input: Input.Input, startsTurn: boolean): Rejection | undefined {
    const { recorder, session } = this.options
    const { inboxCapacity, inputLimit } = session.config
    const size = Input.textOf(input).length
    if (size > inputLimit) return { _tag: "InputTooLarge", sizeCharacters: size, limitCharacters: inputLimit }
    return Inbox.isFull(recorder.state.inbox, inboxCapacity, startsTurn)
      ? { _tag: "InboxFull", capacityCount: inboxCapacity }
      : undefined
  }
}

/** A task of the agent, and the form in which it is recorded. */
interface FoundTask {
  readonly task: AcceptedTask
  readonly found: StartableTask
}

/** The start of a task. */
interface TaskStart {
  readonly input: Input.Input
  readonly submissionId: SubmissionId
  readonly parent: SubmissionSpan.TraceParent | undefined
}

const paramsOf = ({ kind, params }: StartTask): { readonly json: TaskParams } | { readonly rejection: Rejection } => {
  try {
    return { json: jsonOfUnsafe(params) as TaskParams }
  } catch (error) {
    return { rejection: { _tag: "InvalidParams", kind, message: textOf(error) } }
  }
}

const withoutId = (op: Op) => ({ id: undefined, op, trace: undefined })

const reject = (submissionId: SubmissionId, reason: Rejection): Receipt => ({
  _tag: "Rejected",
  submissionId,
  reason
})

const expectedTurnOf = (op: InputOp): TurnId | undefined => (op._tag === "UserInput" ? op.expectedTurnId : undefined)

/**
 * Returns the decision in the form in which its record will be read back, or a rejection if JSON cannot represent it.
 */
const decisionOf = ({
  decision,
  questionId
}: Extract<Op, { readonly _tag: "Answer" }>): Decision | { readonly invalid: Rejection } => {
  try {
    return jsonOfDecisionUnsafe(decision)
  } catch (error) {
    return { invalid: { _tag: "InvalidAnswer", questionId, message: textOf(error) } }
  }
}
