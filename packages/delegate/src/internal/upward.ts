/** Requests of a delegate on their way to whoever may answer them (contract A3): its `Approvals` ask the parent. */
import type { Question, Decided, Approvals } from "@spindle/core/Approvals"
import type { Answer, NewQuestion } from "@spindle/core/Turn"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** Decides a request before anybody above is asked; undefined leaves it to them. */
export type Review = (request: Question) => Effect.Effect<Decided | undefined>

/** The request as the parent asks it: the same id and path, so that it is one request wherever it is shown. */
export const questionOf = ({ kind, path, payload, questionId, tool }: Question): NewQuestion => ({
  kind,
  payload,
  ...(tool === undefined ? {} : { tool }),
  asker: { questionId, path }
})

/** Decides by asking the parent, after the review if there is one. */
export const askParent = (ask: (question: NewQuestion) => Effect.Effect<Answer>, review?: Review): Approvals => ({
  decide: (request) => {
    const asked = Effect.suspend(() => parentsAnswer(ask(questionOf(request))))
    if (review === undefined) return asked
    return Effect.flatMap(review(request), (decided) => (decided === undefined ? asked : Effect.succeed(decided)))
  }
})

/**
 * What the parent answers. A parent that stops, and takes the question with it, has not refused: the asker waits, for
 * its own end or its own deadline (A2).
 */
const parentsAnswer = (asked: Effect.Effect<Answer>): Effect.Effect<Decided> =>
  Effect.gen(function* () {
    // in a fiber of its own: a turn that closes interrupts its asker, and this is not the asker
    // mutant question-ends-with-its-asker (A2: a question whose asker was interrupted is withdrawn at the parent):
    //   replace: `Effect.forkChild` => `Effect.forkDetach`
    const exit = yield* Fiber.await(yield* Effect.forkChild(asked, { startImmediately: true }))
    if (Exit.isFailure(exit)) {
      // mutant asker-is-not-interrupted (A2: a parent that closes does not interrupt the asker below it):
      //   replace: return yield* Effect.failCause(exit.cause)
      return yield* Cause.hasInterruptsOnly(exit.cause) ? Effect.never : Effect.failCause(exit.cause)
    }
    const answer = exit.value
    if (answer._tag !== "Cancelled") return answer
    // mutant abort-is-no-denial (A2: the end of a parent is not a denial):
    //   replace: `yield* Effect.never` => `({ _tag: "Denied" } as const)`
    return answer.by === "deadline" ? ({ _tag: "Cancelled", by: "deadline" } as const) : yield* Effect.never
  })
