/**
 * The questions of turns, and of the session itself. Each is registered, announced, and settled once (contract A1 to
 * A5).
 *
 * ```
 *                             ┌─ Approvals decides ───┐
 *   ask ─► register ─► record ┼─ a client answers ────┼─► settle, once ─► record ─► the asker continues
 *                             ├─ the deadline passes ─┤
 *                             └─ abort, end, asker ───┘
 *                                interrupted: cancelled
 * ```
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import type { Decided, Question } from "../../ports/Approvals.ts"
import type { QuestionId, TurnId } from "../../protocol/Ids.ts"
import { jsonOfUnsafe } from "../../protocol/Item.ts"
import { type Decision, jsonOfDecisionUnsafe } from "../../protocol/Op.ts"
import { DecisionSource } from "../../protocol/Question.ts"
import * as Authority from "../../state/Authority.ts"
import * as Tracing from "../../Tracing.ts"
import type { Answer, NewQuestion } from "../../Turn.ts"
import { forkDetached } from "../detached.ts"
import type { Recorder } from "../log/recorder.ts"
import type { Lifetime } from "../session/lifetime.ts"
import { millis, type SessionContext } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"

/** A question that waits for its answer. A question of the session itself has no turn. */
interface Pending {
  readonly turnId: TurnId | undefined
  readonly settle: Settle
}

/** Settles a question, once. The default source of a decision is `user`. */
type Settle = (answer: Answer, source?: DecisionSource) => void

/** An answer, and its source if it is a decision. */
interface Sourced {
  readonly decided: Answer
  readonly source: DecisionSource | undefined
}

const toSourced = (decided: Answer, source?: DecisionSource): Sourced => ({ decided, source })

/** Starts work that runs while a question waits, and returns a function that stops it. */
export type WhileWaiting = (question: Question, context: Context.Context<never>) => () => void

/** The open questions of one session, by id. */
export class Questions {
  private readonly pending = new Map<QuestionId, Pending>()
  private readonly session: SessionContext
  private readonly recorder: Recorder
  private readonly lifetime: Lifetime
  constructor(session: SessionContext, recorder: Recorder, lifetime: Lifetime) {
    this.session = session
    this.recorder = recorder
    this.lifetime = lifetime
  }

  /**
   * Asks the `Approvals` of the session and its clients. A turn that is closing interrupts its asker. Without a turn it
   * is a question of the session itself, for askers that outlive turns. Such a question stays open while the session is
   * idle and when a turn ends, until it is answered, its asker is interrupted, or the session closes or fails.
   * `whileWaiting` is called for a question that is not answered at once.
   */
  ask(ledger: Ledger | undefined, question: NewQuestion, whileWaiting?: WhileWaiting): Effect.Effect<Answer> {
    return Effect.suspend(() => {
      const keys = question.keys ?? [Authority.keyOf(question.tool, question.payload)]
      const { grants } = this.recorder.state
      // a grant for a turn answers the questions of that turn only (A4)
      return Authority.isGranted(ledger === undefined ? Authority.endTurn(grants) : grants, keys)
        ? this.answerFromCache(ledger, question)
        : Tracing.span(spanOf(this.session, question), (span) =>
            Effect.tap(this.askAll(ledger, question, whileWaiting), (answer) =>
              Effect.sync(() => describe(this.session, span, answer))
            )
          )
    })
  }

  private answerFromCache(ledger: Ledger | undefined, { callId, tool }: NewQuestion): Effect.Effect<Answer> {
    if (this.isClosing(ledger)) return Effect.interrupt
    this.recorder.append({
      _tag: "CallDecided",
      ...(ledger === undefined ? {} : { turnId: ledger.origin.turnId }),
      ...(callId === undefined ? {} : { callId }),
      ...(tool === undefined ? {} : { tool }),
      permission: "allow",
      source: "cache"
    })
    return Effect.succeed({ _tag: "Approved", scope: "once" })
  }

  private askAll(
    ledger: Ledger | undefined,
    question: NewQuestion,
    whileWaiting: WhileWaiting | undefined
  ): Effect.Effect<Answer> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.contextWith((context: Context.Context<never>) => {
        // atomically with the record: a straggler may have been delayed since its call was accepted (I3)
        // mutant abort-checked-with-question (I2: the turn is checked for an abort atomically with the record of a
        //   question):
        //   drop
        if (this.isClosing(ledger)) return Effect.interrupt
        const { answer, asked, settle } = this.register(ledger, question)
        const leave = () => {
          // mutant interrupted-asker-settles (A1: a question whose asker was interrupted is settled): drop
          settle({ _tag: "Cancelled", by: ledger?.slot.reason() === undefined ? "end" : "abort" })
        }
        // an observer of the question may have stopped the turn or answered the question; `Approvals` are not asked
        // then (I2)
        if (this.isClosing(ledger)) leave()
        if (!this.pending.has(asked.questionId)) return answer
        // in its own fiber, so that a decision that cannot be interrupted blocks nothing else
        const deciding = forkDetached(
          context,
          Effect.suspend(() => this.session.approvals.decide(asked))
        )
        const isWaiting = whileWaiting !== undefined && deciding.pollUnsafe() === undefined
        const stopWaiting = isWaiting ? whileWaiting(asked, context) : undefined
        // the first answer settles; the others have no effect
        const first = Effect.raceFirst(
          decideInTime(this.session, question, Fiber.join(deciding)),
          // mutant abort-wins-over-waiting (A2: a task that waits for an answer learns of an abort at once): true
          ledger === undefined
            ? Effect.never
            : Effect.as(ledger.slot.aborting, toSourced({ _tag: "Cancelled", by: "abort" }))
        )
        return restore(
          Effect.raceFirst(
            answer,
            Effect.flatMap(first, ({ decided, source }) => {
              settle(decided, source)
              return answer
            })
          )
        ).pipe(
          Effect.onExit(() =>
            Effect.sync(() => {
              leave()
              deciding.interruptUnsafe()
              // mutant notification-ends-with-its-question (A1: a question that is settled no longer notifies): drop
              stopWaiting?.()
            })
          )
        )
      })
    )
  }

  /** Returns whether no question may be asked: the turn is closing, or the session is closed or has failed. */
  private isClosing(ledger: Ledger | undefined): boolean {
    return ledger === undefined ? !this.lifetime.isOpen : ledger.isClosing()
  }

  /** Registers a question and announces it. Returns a function that settles it once, and the wait for the answer. */
  private register(ledger: Ledger | undefined, { asker, callId, keys, kind, payload: given, tool }: NewQuestion) {
    const { recorder, session } = this
    const payload = jsonOfUnsafe(given)
    // a question keeps the id of its asker in every session that shows it
    const askerId = asker?.questionId
    const isFree = askerId !== undefined && !this.pending.has(askerId)
    // mutant unique-ids (A3: each question has its own id):
    //   replace: const questionId = `${ledger.origin.turnId}` as QuestionId
    // mutant one-id-everywhere (A3: a question has the same id in every session that shows it): false
    const questionId = isFree ? askerId : (session.newId() as QuestionId)
    const turnId = ledger?.origin.turnId
    const turn = turnId === undefined ? {} : { turnId }
    const path = asker?.path ?? session.path
    const answered = Deferred.makeUnsafe<Answer>()
    const settle: Settle = (first, by) => {
      // mutant settle-once (A1: the first answer settles a question, and later ones are rejected):
      //   replace: this.pending.delete(questionId)
      if (!this.pending.delete(questionId)) return
      // a turn that has returned, and waits for its delegates, can no longer be stopped (I1), so the question ends with
      // it
      const isOver = ledger?.slot.isSettling() === true
      const answer: Answer = first._tag === "Abort" && isOver ? { _tag: "Cancelled", by: "end" } : first
      const source = answer._tag === "Cancelled" ? {} : { source: by ?? "user" }
      recorder.append({ _tag: "QuestionSettled", ...turn, questionId, decision: answer, ...source })
      // before the asker continues, so that it and its siblings find a turn that is closing, with its reason (an
      // observer of the answer may have ended this turn already, and the abort must not reach the next one)
      if (answer._tag === "Abort") ledger?.slot.abort("Interrupted")
      Deferred.doneUnsafe(answered, Effect.succeed(answer))
    }
    // registered before it is announced (A1)
    // mutant register-before-announcing (A1: a question is registered before it is announced):
    //   replace: Effect.runForkWith(session.context)(Effect.andThen(Effect.yieldNow, Effect.sync(() =>
    //   this.pending.set(questionId, { turnId, settle }))))
    this.pending.set(questionId, { turnId, settle })
    recorder.append({
      _tag: "QuestionOpened",
      ...turn,
      questionId,
      kind,
      payload,
      path,
      ...(callId === undefined ? {} : { callId }),
      ...(tool === undefined ? {} : { tool }),
      ...(keys === undefined ? {} : { keys })
    })
    const { sessionId } = session
    const asked: Question = { sessionId, turnId, questionId, callId, kind, tool, payload, keys, path }
    return { answer: Deferred.await(answered), asked, settle }
  }

  /** Settles a question with the answer of a client, which is JSON. Returns false if the question is not open. */
  answer(questionId: QuestionId, decision: Decision): boolean {
    const pending = this.pending.get(questionId)
    // mutant late-answers (A1: an answer that is late, or the second one, is rejected):
    //   replace: if (pending === undefined) return true
    if (pending === undefined) return false
    pending.settle(decision)
    return true
  }

  /**
   * Settles the open questions of a turn, or without a turn those of the session itself. Their askers receive
   * `Cancelled`, which is not a refusal (A2).
   */
  cancelAll(of: TurnId | undefined, by: "abort" | "end"): void {
    for (const { settle, turnId } of this.pending.values()) {
      // mutant turns-take-their-own-questions (A3: the end of a turn settles no question of the session): true
      if (turnId === of) settle({ _tag: "Cancelled", by })
    }
  }
}

const spanOf = ({ sessionId }: SessionContext, { callId, kind, tool }: NewQuestion): Tracing.SpanSettings => ({
  name: `spindle.approval ${kind}`,
  attributes: {
    "gen_ai.conversation.id": sessionId,
    "spindle.request.kind": kind,
    ...(tool === undefined ? {} : { "gen_ai.tool.name": tool }),
    ...(callId === undefined ? {} : { "gen_ai.tool.call.id": callId })
  }
})

const describe = ({ context }: SessionContext, span: Tracer.Span | undefined, answer: Answer): void => {
  if (span === undefined) return
  const by = answer._tag === "Cancelled" ? { "spindle.cancelled.by": answer.by } : {}
  Tracing.annotate(context, span, { "spindle.decision": answer._tag, ...by })
}

const checkSource = Schema.decodeUnknownSync(DecisionSource)

/**
 * Returns the decision if it comes within the deadline. Otherwise a question of the kind `question` gets an empty
 * answer, and any other is cancelled, which grants nothing (A2).
 */
const decideInTime = (
  { config }: SessionContext,
  question: NewQuestion,
  decision: Effect.Effect<Decided>
): Effect.Effect<Sourced> => {
  const { questionDeadline } = config
  // an answer that no record can carry is a defect of the decider, which shows here and not in the record
  const answer = Effect.map(decision, ({ source, ...decided }) =>
    toSourced(
      decided._tag === "Cancelled" ? { _tag: "Cancelled", by: "deadline" } : jsonOfDecisionUnsafe(decided),
      source === undefined ? undefined : checkSource(source)
    )
  )
  if (questionDeadline === undefined) return answer
  return Effect.timeoutOrElse(answer, {
    duration: millis(questionDeadline),
    orElse: () =>
      Effect.succeed(
        question.kind === "question"
          ? toSourced({ _tag: "Answered", answers: {} }, "policy")
          : toSourced({ _tag: "Cancelled", by: "deadline" })
      )
  })
}
