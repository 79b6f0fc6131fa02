/** Questions of a turn, or of the session itself: registered, announced, settled once (contract A1 to A5). */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Tracer from "effect/Tracer"
import * as Tracing from "../../Tracing.ts"
import type { QuestionId, TurnId } from "../../protocol/Ids.ts"
import { jsonOfUnsafe } from "../../protocol/Item.ts"
import { jsonOfDecisionUnsafe } from "../../protocol/Op.ts"
import type { Decided } from "../../ports/Approvals.ts"
import * as Authority from "../../state/Authority.ts"
import type { Answer, NewQuestion } from "../../Turn.ts"
import { type Kernel, millis, pathOf } from "../session/sessionContext.ts"
import type { Ledger } from "./ledger.ts"

/**
 * Asks, beside the clients of the session, whoever decides for it. A turn that closes interrupts its asker. Without a
 * turn it is a request of the session itself, for askers that outlive turns: it is there while the session rests, and
 * stays when a turn ends, until it is answered, its asker leaves, or the session closes or fails.
 */
export const ask = (kernel: Kernel, ledger: Ledger | undefined, question: NewQuestion): Effect.Effect<Answer> =>
  Effect.suspend(() => {
    const key = Authority.keyOf(question.tool, question.payload)
    const { grants } = kernel.recorder.state
    // what was granted for a turn answers the questions of that turn, and none beside it (A4)
    return Authority.isGranted(ledger === undefined ? Authority.endTurn(grants) : grants, key)
      ? Effect.succeed<Answer>({ _tag: "Approved", scope: "once" })
      : Tracing.span(spanOf(kernel, question), (span) =>
          Effect.tap(asked(kernel, ledger, question), (answer) => Effect.sync(() => answered(span, answer)))
        )
  })

const spanOf = (kernel: Kernel, { callId, kind, tool }: NewQuestion): Tracing.SpanSettings => ({
  name: `spindle.approval ${kind}`,
  attributes: {
    "gen_ai.conversation.id": kernel.sessionId,
    "spindle.request.kind": kind,
    ...(tool === undefined ? {} : { "gen_ai.tool.name": tool }),
    ...(callId === undefined ? {} : { "gen_ai.tool.call.id": callId })
  }
})

const answered = (span: Tracer.Span | undefined, answer: Answer): void => {
  span?.attribute("spindle.decision", answer._tag)
  if (answer._tag === "Cancelled") span?.attribute("spindle.cancelled.by", answer.by)
}

/** Asks whoever is there; see {@link ask}. */
const asked = (kernel: Kernel, ledger: Ledger | undefined, question: NewQuestion): Effect.Effect<Answer> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.contextWith((context: Context.Context<never>) => {
      // in the step that registers: a straggler may have been held up since it was let in (I3)
      // mutant closing-in-the-step-that-asks (I2: the turn is checked for an abort atomically with the record of a
      //   question):
      //   drop
      if (isClosing(kernel, ledger)) return Effect.interrupt
      const { answered, request, settle } = open(kernel, ledger, question)
      const leave = () => {
        // mutant asker-leaves (A1: a question whose asker was interrupted is settled): drop
        settle({ _tag: "Cancelled", by: ledger?.slot.reason() === undefined ? "end" : "abort" })
      }
      // whoever was told of it may have stopped the turn, or answered: then nobody decides any more (I2)
      if (isClosing(kernel, ledger)) leave()
      if (kernel.requests?.has(request.questionId) !== true) return answered
      // in a fiber of its own, so that a decider that cannot be interrupted holds up nobody
      const deciding = Effect.runForkWith(context)(Effect.suspend(() => kernel.decider.decide(request)))
      // the first answer settles; the others find nothing to settle
      const first = Effect.raceFirst(
        decided(kernel, question, Fiber.join(deciding)),
        // mutant abort-wins-over-waiting (A2: a task that waits for an answer learns of an abort at once): true
        ledger === undefined
          ? Effect.never
          : Effect.as(ledger.slot.aborting, { _tag: "Cancelled", by: "abort" } as const)
      )
      return restore(
        Effect.raceFirst(
          answered,
          Effect.flatMap(first, (answer) => {
            settle(answer)
            return answered
          })
        )
      ).pipe(
        Effect.onExit(() =>
          Effect.sync(() => {
            leave()
            deciding.interruptUnsafe()
          })
        )
      )
    })
  )

/** Whether nothing is asked any more: of a turn when it closes, of the session when it is closed or has failed. */
const isClosing = (kernel: Kernel, ledger: Ledger | undefined): boolean =>
  ledger === undefined ? kernel.closed || kernel.recorder.failure !== undefined : ledger.isClosing()

/** Registers a request and announces it; answers how to settle it, once, and how to wait for that. */
const open = (
  kernel: Kernel,
  ledger: Ledger | undefined,
  { asker, callId, kind, payload: asked, tool }: NewQuestion
) => {
  const payload = jsonOfUnsafe(asked)
  // a request keeps the id that its asker gave it, in every session that shows it
  const given = asker?.questionId
  const isFree = given !== undefined && kernel.requests?.has(given) !== true
  // mutant unique-ids (A3: each question has its own id):
  //   replace: const questionId = `${ledger.origin.turnId}` as QuestionId
  // mutant one-id-everywhere (A3: a question has the same id in every session that shows it): false
  const questionId = isFree ? given : (kernel.newId() as QuestionId)
  const turnId = ledger?.origin.turnId
  const turn = turnId === undefined ? {} : { turnId }
  const path = asker?.path ?? pathOf(kernel)
  const answered = Deferred.makeUnsafe<Answer>()
  const settle = (given: Answer): void => {
    // mutant settle-once (A1: the first answer settles a question, and later ones are rejected):
    //   replace: kernel.requests?.delete(questionId)
    if (kernel.requests?.delete(questionId) !== true) return
    // a turn that has returned, and waits for its delegates, cannot be stopped any more (I1): who asks ends with it
    const isCurrent = () => ledger !== undefined && kernel.ledger === ledger
    const isOver = isCurrent() && kernel.supervisor.state()._tag === "Settling"
    const decision: Answer = given._tag === "Abort" && isOver ? { _tag: "Cancelled", by: "end" } : given
    kernel.recorder.append({ _tag: "QuestionSettled", ...turn, questionId, decision })
    // before the waiter goes on: it and its siblings then find a turn that is closing, and for what reason
    // (whoever was just told may have ended this turn already: the abort must not reach the next one)
    // mutant answer-aborts-its-own-turn (A5: the answer Abort stops the turn that asked, and not the next one):
    //   replace: `isCurrent()` => `true`
    if (decision._tag === "Abort" && isCurrent()) kernel.supervisor.abort("Interrupted")
    Deferred.doneUnsafe(answered, Effect.succeed(decision))
  }
  // registered before it is announced (A1)
  kernel.requests ??= new Map()
  // mutant register-before-announcing (A1: a question is registered before it is announced):
  //   replace: Effect.runForkWith(kernel.context)(Effect.andThen(Effect.yieldNow, Effect.sync(() =>
  //   kernel.requests?.set(questionId, { turnId, settle }))))
  kernel.requests.set(questionId, { turnId, settle })
  kernel.recorder.append({
    _tag: "QuestionOpened",
    ...turn,
    questionId,
    kind,
    payload,
    path,
    ...(callId === undefined ? {} : { callId }),
    ...(tool === undefined ? {} : { tool })
  })
  const request = { sessionId: kernel.sessionId, turnId, questionId, callId, kind, tool, payload, path }
  return { answered: Deferred.await(answered), request, settle }
}

/**
 * What was decided in time. What nobody answered until the deadline: a question gets an empty answer, everything else
 * is cancelled, which grants nothing (A2).
 */
const decided = (kernel: Kernel, question: NewQuestion, decision: Effect.Effect<Decided>): Effect.Effect<Answer> => {
  const { questionDeadline } = kernel.config
  // an answer that JSON cannot represent is a defect of the decider, before it reaches a record
  const answer = Effect.map(decision, (decided) =>
    decided._tag === "Cancelled" ? decided : jsonOfDecisionUnsafe(decided)
  )
  if (questionDeadline === undefined) return answer
  return Effect.timeoutOrElse(answer, {
    duration: millis(questionDeadline),
    orElse: () =>
      Effect.succeed<Answer>(
        question.kind === "question" ? { _tag: "Answered", answers: {} } : { _tag: "Cancelled", by: "deadline" }
      )
  })
}

/**
 * Settles every request that a turn leaves behind, or without a turn those of the session itself. Their waiters are told
 * that they were cancelled, which is no refusal (A2).
 */
export const cancelAll = (kernel: Kernel, of: TurnId | undefined, by: "abort" | "end"): void => {
  for (const { settle, turnId } of kernel.requests?.values() ?? []) {
    // mutant turns-take-their-own-questions (A3: the end of a turn settles no question of the session): true
    if (turnId === of) settle({ _tag: "Cancelled", by })
  }
}
