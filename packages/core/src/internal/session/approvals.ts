/** The decider of one session, made from that of the application. */
import * as Effect from "effect/Effect"
import { type Approvals, askClient, type Question } from "../../ports/Approvals.ts"
import { CallbackFailed } from "../../protocol/AgentError.ts"
import type { SessionConfig } from "../../protocol/SessionConfig.ts"

/**
 * Returns the decider of a session. A defect in it becomes `CallbackFailed`. If questions wait for clients without a
 * deadline, it reports each question that is still open after `unansweredLimit`, once.
 */
export const approvalsOf = (
  { questionDeadline, unansweredLimit }: SessionConfig,
  approvals: Approvals,
  report: (question: Question) => Effect.Effect<void>
): Approvals => {
  if (approvals !== askClient) return nameDefects(approvals)
  if (questionDeadline !== undefined) return askClient
  return {
    decide: (question) => Effect.andThen(Effect.sleep(unansweredLimit), Effect.andThen(report(question), Effect.never))
  }
}

/** Wraps a decider, so that a defect in it becomes `CallbackFailed`. */
const nameDefects = (self: Approvals): Approvals => ({
  decide: (question) =>
    Effect.catchDefect(
      Effect.suspend(() => self.decide(question)),
      (cause) =>
        Effect.die(
          cause instanceof CallbackFailed ? cause : new CallbackFailed({ callback: "Approvals.decide", cause })
        )
    )
})
