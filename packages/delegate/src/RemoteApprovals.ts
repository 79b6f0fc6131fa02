/**
 * Approvals for a child session that runs in another process and so cannot call ours. The event that opens a question
 * goes up as a question, and its answer goes down as an operation, unchanged (contract A3). Questions wait
 * concurrently, and block no other event of the child.
 */
import type { Approvals, Question } from "@spindle/core/Approvals"
import type { QuestionId, SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { QuestionOpened, SessionEvent } from "@spindle/core/SessionEvent"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Child } from "./Bridge.ts"
import { forkDetached } from "./internal/detached.ts"

export { askParent } from "./internal/approvals.ts"

/**
 * Returns a child whose questions `approvals` decides, to make a bridge from.
 *
 * - A question that the child settles itself is withdrawn.
 * - When the child is interrupted, when the scope closes or when `approvals` dies, an open question is withdrawn and
 *   settled at the child: a command or a patch with `Abort`, permissions with an empty grant for the turn, a question
 *   with no answers, an elicitation with a denial. A death is logged.
 * - A question that nobody answered in time is left to the child and its own deadline.
 */
export const route = (child: Child, approvals: Approvals): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const open = new Map<QuestionId, OpenQuestion>()
    const reply = (questionId: QuestionId, decision: Op.Decision) => {
      const id = `${questionId}-answer` as SubmissionId
      // a child that has ended has settled its questions
      return Effect.ignore(child.submit({ id, op: Op.answer(questionId, decision) }))
    }
    const withdraw = ({ kind, questionId }: Question) =>
      // a question that the child has settled needs no answer
      open.delete(questionId)
        ? Effect.asVoid(forkDetached(Effect.timeoutOption(reply(questionId, withdrawalAnswer(kind)), replyLimit)))
        : Effect.void
    const decide = (question: Question) =>
      Effect.flatMap(approvals.decide(question), (answer) => {
        if (!open.delete(question.questionId) || answer._tag === "Cancelled") return Effect.void
        // for the child, its client decided
        const { source: _source, ...decision } = answer
        return reply(question.questionId, decision)
      }).pipe(
        Effect.onError((cause) =>
          Effect.andThen(
            Cause.hasInterruptsOnly(cause)
              ? Effect.void
              : Effect.logError(`the approvals for question ${question.questionId} of a delegate died`, cause),
            withdraw(question)
          )
        )
      )
    const onEvent = (event: SessionEvent) => {
      if (event._tag === "QuestionOpened") {
        const question = questionOf(child, event)
        const asked: OpenQuestion = { question }
        open.set(event.questionId, asked)
        // mutant asks-concurrently (A3: an open question of a child blocks none of its events):
        //   replace: return decide(question)
        return Effect.map(Effect.forkIn(decide(question), scope, { startImmediately: true }), (fiber) => {
          asked.fiber = fiber
        })
      }
      if (event._tag === "QuestionSettled") {
        const asked = open.get(event.questionId)
        open.delete(event.questionId)
        // mutant withdraws-what-the-child-settled (A2: a question that the child has settled is withdrawn at the
        //   parent):
        //   drop
        asked?.fiber?.interruptUnsafe()
      }
      return Effect.void
    }
    const withdrawAll = Effect.suspend(() =>
      Effect.forEach(
        Array.from(open.values()),
        ({ fiber, question }) =>
          Effect.andThen(
            withdraw(question),
            Effect.sync(() => fiber?.interruptUnsafe())
          ),
        { discard: true }
      )
    )
    return {
      ...child,
      events: Stream.tap(child.events, onEvent),
      // the child gets the answers before it has to stop
      interrupt: (reason) => Effect.andThen(withdrawAll, child.interrupt(reason))
    }
  })

interface OpenQuestion {
  readonly question: Question
  fiber?: Fiber.Fiber<void>
}

/** The time that a child has to accept the answer to a withdrawn question. */
const replyLimit = "500 millis"

/** Returns the answer that a child gets to a question that was withdrawn: nothing is granted (A2). */
const withdrawalAnswer = (kind: Question["kind"]): Op.Decision => {
  switch (kind) {
    case "question":
      return { _tag: "Answered", answers: {} }
    case "permissions":
      return { _tag: "Approved", scope: "turn", permissions: {} }
    case "elicitation":
      return { _tag: "Denied", reason: "the session that was asked has stopped" }
    case "command":
    case "patch":
      return { _tag: "Abort" }
  }
}

const questionOf = ({ path }: Child, event: typeof QuestionOpened.Type): Question => ({
  sessionId: path.at(-1)!,
  turnId: event.turnId,
  questionId: event.questionId,
  callId: event.callId,
  kind: event.kind,
  tool: event.tool,
  payload: event.payload,
  keys: event.keys,
  // the path of a child that does not know its ancestors begins with the child
  path: event.path[0] === path[0] ? event.path : [...path.slice(0, -1), ...event.path]
})
