/**
 * Requests of a child that cannot be given an `Approvals` of ours, because it runs in another process: the event that
 * opens one goes up as a question, and its answer goes down as an operation (contract A3). They wait side by side, and
 * beside everything else that the child tells.
 */
import type { Question, Approvals } from "@spindle/core/Approvals"
import type { QuestionId, SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { QuestionOpened, SessionEvent } from "@spindle/core/SessionEvent"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Child, outlive } from "./Bridge.ts"

export { askParent } from "./internal/upward.ts"

/**
 * A child whose requests are decided by `decider`, for a bridge. What is still asked when the child settles a request
 * otherwise is withdrawn. When the scope closes, with the turn that asked for the child, what is open is withdrawn and the
 * child is told so: a command, a patch or permissions with `Abort`, a question with no answers, an elicitation by declining
 * it; and so it is when the decider dies by a defect, which is logged. A request that nobody answered in time is left to
 * the child, whose deadline it is.
 */
export const route = (child: Child, decider: Approvals): Effect.Effect<Child, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const open = new Map<QuestionId, { fiber?: Fiber.Fiber<void> }>()
    const reply = (questionId: QuestionId, decision: Op.Decision) => {
      const id = `${questionId}-answer` as SubmissionId
      // a child that is gone has settled its requests
      return Effect.ignore(child.submit({ id, op: Op.answer(questionId, decision) }))
    }
    const answer = ({ questionId, ...event }: typeof QuestionOpened.Type) =>
      Effect.flatMap(decider.decide(requestOf(child, { questionId, ...event })), (decided) => {
        open.delete(questionId)
        return decided._tag === "Cancelled" ? Effect.void : reply(questionId, decided)
      }).pipe(
        Effect.onError((cause) => {
          // what the child has settled needs no answer
          if (!open.delete(questionId)) return Effect.void
          const told = outlive(Effect.timeoutOption(reply(questionId, withdrawn(event.kind)), replyLimit))
          return Cause.hasInterruptsOnly(cause)
            ? told
            : Effect.andThen(Effect.logError(`nobody decides request ${questionId} of a delegate`, cause), told)
        })
      )
    const note = (event: SessionEvent) => {
      if (event._tag === "QuestionOpened") {
        const asked: { fiber?: Fiber.Fiber<void> } = {}
        open.set(event.questionId, asked)
        // mutant asks-beside-the-events (A3: an open question of a child blocks none of its events):
        //   replace: return answer(event)
        return Effect.map(Effect.forkIn(answer(event), scope, { startImmediately: true }), (fiber) => {
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
    return { ...child, events: Stream.tap(child.events, note) }
  })

/** How long a child may take to hear that a question was withdrawn. */
const replyLimit = "500 millis"

const withdrawn = (kind: Question["kind"]): Op.Decision => {
  if (kind === "question") return { _tag: "Answered", answers: {} }
  return kind === "elicitation" ? { _tag: "Denied", reason: "whoever was asked has stopped" } : { _tag: "Abort" }
}

const requestOf = ({ path }: Child, event: typeof QuestionOpened.Type): Question => ({
  sessionId: path.at(-1)!,
  turnId: event.turnId,
  questionId: event.questionId,
  callId: event.callId,
  kind: event.kind,
  tool: event.tool,
  payload: event.payload,
  // a child that knows nothing of its ancestors begins with itself
  path: event.path[0] === path[0] ? event.path : [...path.slice(0, -1), ...event.path]
})
