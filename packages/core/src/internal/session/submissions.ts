/**
 * Submissions of a session: one receipt each, input durable before it is acknowledged, the queue started from its head
 * (contract P1 to P4, P7, J4).
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { SubmissionId, TurnId } from "../../protocol/Ids.ts"
import * as Input from "../../protocol/Input.ts"
import { type Decision, jsonOfDecisionUnsafe, type Op, type Receipt, type Rejection } from "../../protocol/Op.ts"
import type { Outcome } from "../../protocol/Outcome.ts"
import type { JournalFailed, ModelFailed } from "../../protocol/SessionError.ts"
import type { TraceContext } from "../../protocol/TraceContext.ts"
import * as Inbox from "../../state/Inbox.ts"
import * as SessionState from "../../state/SessionState.ts"
import type { Task } from "../../Task.ts"
import type { Caller } from "./submissionSpan.ts"
import * as Callers from "./submissionSpan.ts"
import { barrier } from "../log/flush.ts"
import type { Kernel } from "./sessionContext.ts"
import * as Receipts from "./receipts.ts"
import * as Turns from "../turn/turns.ts"

/** What starts for input of a user: the regular task of the session's agent, with all that it needs. */
export interface Regular {
  readonly task: Task<string | undefined, ModelFailed, any>
  readonly services: Context.Context<any>
}

/** The part of a session that takes submissions. */
export class Submissions {
  private readonly kernel: Kernel
  private readonly regular: Regular
  /** Callers of input that waits; they are not part of the input itself, and a resumed session has none. */
  private callers: Map<SubmissionId, Caller> | undefined
  private receipts: Receipts.Receipts
  /** Whether the queue was not started because a replacement was under way. */
  private owed = false
  constructor(kernel: Kernel, regular: Regular, receipts: Receipts.Receipts) {
    this.kernel = kernel
    this.regular = regular
    this.receipts = receipts
  }

  /** Takes one operation. From its append on it is not interruptible: its receipt says what is in the journal. */
  submit(
    op: Op,
    options?: { readonly id?: SubmissionId; readonly trace?: TraceContext }
  ): Effect.Effect<Receipt, JournalFailed> {
    return Effect.uninterruptible(
      Effect.contextWith((context: Context.Context<never>) =>
        Effect.flatMap(Callers.named(this.kernel, context, options?.trace), (caller) =>
          this.dispatch(op, options?.id, caller)
        )
      )
    )
  }

  private dispatch(
    op: Op,
    id: SubmissionId | undefined,
    caller: Caller | undefined
  ): Effect.Effect<Receipt, JournalFailed> {
    const { kernel } = this
    const { recorder } = kernel
    const from = recorder.isMeasuring ? recorder.nowNanos() : 0n
    const dispatched = Callers.open(kernel, op, caller)
    const receipt = this.named(op, id, dispatched.caller)
    // an interrupt records nothing itself, and is answered at once
    // mutant receipt-barrier (P2: a receipt waits until its input is durable): true
    const durable =
      receipt._tag === "Rejected" || op._tag === "Interrupt"
        ? Effect.succeed(receipt)
        : Effect.as(barrier(kernel, dispatched.span), receipt)
    if (dispatched.span === undefined && !recorder.isMeasuring) return durable
    return Effect.onExit(durable, (exit) =>
      Effect.sync(() => {
        Callers.end(kernel, dispatched, receipt.submissionId, exit)
        const rejection = receipt._tag === "Rejected" ? receipt.reason._tag : undefined
        const millis = recorder.millisSince(from)
        recorder.measured({ _tag: "Submitted", op: op._tag, receipt: receipt._tag, rejection, millis })
      })
    )
  }

  /** A submission whose id a client chose may come again: it gets the receipt that it got, and runs once (P6). */
  private named(op: Op, id: SubmissionId | undefined, caller: Caller | undefined): Receipt {
    if (id === undefined) return this.step(op, this.kernel.newId() as SubmissionId, caller)
    const known = Receipts.find(this.receipts, id)
    // mutant receipts (P6: a submission that is repeated gets its first receipt, and runs once): drop
    if (known !== undefined) return known
    const receipt = this.step(op, id, caller)
    if (receipt._tag !== "Rejected") this.receipts = Receipts.remember(this.receipts, receipt)
    return receipt
  }

  /** What an operation leads to, in one step; its receipt is given out when it is durable. */
  private step(op: Op, submissionId: SubmissionId, caller: Caller | undefined): Receipt {
    const { kernel } = this
    // mutant closed-takes-nothing (S7: a session that is closed or has failed accepts no operation): drop
    if (kernel.closed || kernel.recorder.failure !== undefined) return rejected(submissionId, { _tag: "SessionClosed" })
    switch (op._tag) {
      case "Interrupt":
        kernel.supervisor.abort("Interrupted")
        return { _tag: "Accepted", submissionId }
      case "Answer": {
        const pending = kernel.requests?.get(op.questionId)
        // mutant late-answers (A1: an answer that is late, or the second one, is rejected):
        //   replace: if (pending === undefined) return { _tag: "Accepted", submissionId }
        if (pending === undefined) return rejected(submissionId, { _tag: "UnknownQuestion", questionId: op.questionId })
        const decision = decisionOf(op)
        if ("invalid" in decision) return rejected(submissionId, decision.invalid)
        pending.settle(decision)
        return { _tag: "Accepted", submissionId }
      }
      case "Rollback":
        return this.rollBack(op.turns, submissionId)
      case "UserInput":
      case "Notice": {
        const refusal = refusalOf(kernel, op)
        if (refusal === undefined) return this.accept(op, submissionId, caller)
        // a kept queue that is full continues anyway: no submission could start it otherwise
        // mutant full-queue-starts (P2: a queue that is kept and full starts when input is rejected): drop
        if (refusal._tag === "InboxFull" && expectedTurnOf(op) === undefined) this.goOn()
        return rejected(submissionId, refusal)
      }
    }
  }

  private accept(op: InputOp, submissionId: SubmissionId, caller: Caller | undefined): Receipt {
    const { ledger, recorder, supervisor } = this.kernel
    // mutant steers-what-runs (P4: input joins a running turn, and no turn that was asked to stop or has ended): true
    const running = supervisor.state()._tag === "Running" ? ledger : undefined
    const delivery = op.delivery ?? "steer"
    const steered = delivery !== "queue" && running?.gateOpen === true ? running : undefined
    recorder.append({
      _tag: "InputAccepted",
      submissionId,
      input: op.input,
      delivery,
      ...(steered === undefined ? {} : { turnId: steered.origin.turnId }),
      ...(op._tag === "Notice" ? { fragment: op.fragment } : {})
    })
    if (steered !== undefined) {
      if (caller !== undefined) Callers.link(steered.origin.span, caller)
      return { _tag: "Steered", submissionId, turnId: steered.origin.turnId }
    }
    if (caller !== undefined) {
      this.callers ??= new Map()
      this.callers.set(submissionId, caller)
    }
    if (delivery === "wait") return { _tag: "Queued", submissionId, position: recorder.state.inbox.length - 1 }
    // what the running turn was started with may not be carried yet; it does not wait for a turn of its own any more
    const startedWith = recorder.state.turn?.startedWith
    const queue = Inbox.queued(recorder.state.inbox).filter((entry) => entry.submissionId !== startedWith)
    const turnId = this.goOn()
    return turnId !== undefined && queue[0]?.submissionId === submissionId
      ? { _tag: "Started", submissionId, turnId }
      : { _tag: "Queued", submissionId, position: queue.length - (turnId === undefined ? 1 : 2) }
  }

  /** Starts the queue from its head, now or as soon as the slot is free. */
  private goOn(): TurnId | undefined {
    const { recorder, supervisor } = this.kernel
    const turnId = this.startHead()
    // whoever was told how the turn ended submits the next input: it starts, although the slot is not free yet
    if (turnId === undefined && recorder.state.turn === undefined && supervisor.state()._tag !== "Idle") {
      // mutant unnamed-input-starts (P2: input that arrives after the end of a turn was reported starts): drop
      this.kernel.unnamed = true
    }
    return turnId
  }

  private rollBack(turns: number, submissionId: SubmissionId): Receipt {
    const { kernel } = this
    const { state } = kernel.recorder
    if (!Number.isInteger(turns) || turns < 1) return rejected(submissionId, { _tag: "InvalidTurnCount", turns })
    // mutant rollback-between-turns (J4: a rollback is rejected while a turn runs): drop
    if (state.turn !== undefined) return rejected(submissionId, { _tag: "TurnRunning", turnId: state.turn.turnId })
    const taken = Math.min(turns, SessionState.userTurnCount(state))
    const oldest = SessionState.oldestTaken(state, taken)
    kernel.recorder.append({ _tag: "RolledBack", submissionId, turns: taken })
    // the contexts of the session's start are gone with the turn that recorded them: its hooks run again
    if (oldest !== undefined && (kernel.greetedAt ?? -1) > oldest.startSeq) kernel.greetedAt = undefined
    return { _tag: "Accepted", submissionId }
  }

  private startHead(): TurnId | undefined {
    const { kernel, regular } = this
    // mutant closed-starts-no-queue (S7: a session that is closed or has failed does not start its queue): drop
    if (kernel.closed || kernel.recorder.failure !== undefined) return undefined
    // a replacement that has not let go yet starts the queue when it does
    // mutant replacing-holds-the-queue (S4: no input starts between a turn and its replacement): false
    this.owed = kernel.replacing > 0
    if (this.owed) return undefined
    const head = Inbox.queued(kernel.recorder.state.inbox)[0]
    if (head === undefined) return undefined
    const caller = this.callers?.get(head.submissionId)
    const begin = { input: head.input, submissionId: head.submissionId, caller }
    const running = Turns.start(kernel, regular.task, regular.services, begin, (outcome) => this.freed(outcome))
    if (running !== undefined) this.callers?.delete(head.submissionId)
    return running?.turnId
  }

  /** Forgets who sent input that does not wait any more: an abort may drop what is queued. */
  private forgetCallers(): void {
    if (this.callers === undefined || this.callers.size === 0) return
    const waiting = new Set(this.kernel.recorder.state.inbox.map((entry) => entry.submissionId))
    for (const id of this.callers.keys()) if (!waiting.has(id)) this.callers.delete(id)
  }

  /** What a replacement calls when it has let go: the queue that had to wait for that goes on (P2). */
  replaced(): void {
    // mutant replaced-starts-the-queue (P2: a replacement that is over starts the queue that it held back): drop
    if (this.owed && this.kernel.replacing === 0) this.startHead()
  }

  /** What a turn calls when the slot is free again: after a completed turn the queue goes on (P2). */
  freed(outcome: Outcome<unknown, unknown>): void {
    const { kernel } = this
    const { unnamed } = kernel
    kernel.unnamed = false
    this.owed = false
    this.forgetCallers()
    if ((outcome._tag !== "Completed" && !unnamed) || kernel.recorder.state.inbox.length === 0) return
    // in a step of its own, so that a long queue of short turns does not grow the stack
    kernel.next = Effect.runForkWith(kernel.context)(
      Effect.andThen(
        Effect.yieldNow,
        Effect.sync(() => {
          kernel.next = undefined
          this.startHead()
        })
      )
    )
  }
}

const rejected = (submissionId: SubmissionId, reason: Rejection): Receipt => ({
  _tag: "Rejected",
  submissionId,
  reason
})

/** Operations that put input into the inbox. */
type InputOp = Extract<Op, { readonly _tag: "UserInput" | "Notice" }>

const expectedTurnOf = (op: InputOp): TurnId | undefined => (op._tag === "UserInput" ? op.expectedTurnId : undefined)

/** Returns the decision as its record will be read back, or the rejection of one that JSON cannot represent. */
const decisionOf = ({
  decision,
  questionId
}: Extract<Op, { readonly _tag: "Answer" }>): Decision | { readonly invalid: Rejection } => {
  try {
    return jsonOfDecisionUnsafe(decision)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { invalid: { _tag: "InvalidAnswer", questionId, message } }
  }
}

const refusalOf = (kernel: Kernel, op: InputOp): Rejection | undefined => {
  const { inboxCapacity, inputLimit } = kernel.config
  if (Input.isEmpty(op.input)) return { _tag: "EmptyInput" }
  const size = Input.textOf(op.input).length
  if (size > inputLimit) return { _tag: "InputTooLarge", sizeCharacters: size, limitCharacters: inputLimit }
  if (kernel.recorder.state.inbox.length >= inboxCapacity) return { _tag: "InboxFull", capacityCount: inboxCapacity }
  const expected = expectedTurnOf(op)
  if (expected === undefined) return undefined
  const running = kernel.supervisor.state()._tag === "Running" ? kernel.ledger : undefined
  const actual = running?.origin.turnId
  if (actual !== expected) {
    return { _tag: "TurnMismatch", expected, ...(actual === undefined ? {} : { actual }) }
  }
  return running!.gateOpen ? undefined : { _tag: "NotSteerable", turnId: expected }
}
