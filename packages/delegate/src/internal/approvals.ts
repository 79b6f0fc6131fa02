/** The `Approvals` of a child session. They ask its parent, and so every session up to the root (contract A3). */
import type { Approvals, Decided, Question } from "@spindle/core/Approvals"
import type { Answer, NewQuestion } from "@spindle/core/Turn"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** Decides a question before a session above is asked. `undefined` leaves it to them. */
export type Review = (question: Question) => Effect.Effect<Decided | undefined>

/**
 * Makes the question that the parent asks. It has the same id, call and path, so that it is one question wherever it is
 * shown.
 */
export const questionOf = ({ callId, keys, kind, path, payload, questionId, tool }: Question): NewQuestion => ({
  kind,
  payload,
  // mutant call-id-goes-up (A3: a question names its call in every session that shows it): drop
  ...(callId === undefined ? {} : { callId }),
  ...(tool === undefined ? {} : { tool }),
  ...(keys === undefined ? {} : { keys }),
  asker: { questionId, path }
})

/** Decides by asking the parent, after the review if there is one. */
export const askParent = (ask: (question: NewQuestion) => Effect.Effect<Answer>, review?: Review): Approvals => ({
  decide: (question) => {
    const asked = Effect.suspend(() => parentsAnswer(ask(questionOf(question))))
    if (review === undefined) return asked
    return Effect.flatMap(review(question), (decided) => (decided === undefined ? asked : Effect.succeed(decided)))
  }
})

/**
 * Returns the parent's answer. A parent that stops cancels the question, which is not a refusal: the asker then waits
 * for its own end or its own deadline (A2).
 */
const parentsAnswer = (asked: Effect.Effect<Answer>): Effect.Effect<Decided> =>
  Effect.gen(function* () {
    // in a separate fiber: a turn that closes interrupts the fiber that asks, and that must not be the asker's
    // mutant question-ends-with-its-asker (A2: a question whose asker was interrupted is withdrawn at the parent):
    //   replace: `Effect.forkChild` => `Effect.forkDetach`
    const exit = yield* Fiber.await(yield* Effect.forkChild(asked, { startImmediately: true }))
    if (Exit.isFailure(exit)) {
      // mutant asker-is-not-interrupted (A2: a parent that closes does not interrupt the asker below it):
      //   replace: return yield* Effect.failCause(exit.cause)
      return yield* Cause.hasInterruptsOnly(exit.cause) ? Effect.never : Effect.failCause(exit.cause)
    }
    const answer = exit.value
    if (answer._tag !== "Cancelled") return { ...answer, source: "parent" } as const
    // mutant abort-is-no-denial (A2: the end of a parent is not a denial):
    //   replace: `yield* Effect.never` => `({ _tag: "Denied" } as const)`
    return answer.by === "deadline" ? ({ _tag: "Cancelled", by: "deadline" } as const) : yield* Effect.never
  })
