/** The decider of one session, made from that of the application. */
import * as Effect from "effect/Effect"
import { type Approvals, askClient, type Question } from "../../ports/Approvals.ts"
import { CallbackFailed } from "../../protocol/AgentError.ts"
import type { SessionConfig } from "../../protocol/SessionConfig.ts"
import type { Recorder } from "../log/recorder.ts"
import type { Subscribers } from "../log/subscribers.ts"
import { recover } from "../recover.ts"

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

/** Warns that a question waits without an end, if nobody can see it. */
export const warnUnanswered = (
  { recorder, subscribers }: { readonly recorder: Recorder; readonly subscribers: Subscribers },
  { kind, questionId, tool }: Question
): Effect.Effect<void> =>
  Effect.sync(() => {
    if (!subscribers.isEmpty) return
    const about = tool === undefined ? kind : `${kind} of ${tool}`
    const message = `no one answers the question ${questionId} (${about}): the session has no decider, no deadline and no client`
    recorder.append({ _tag: "Warning", message })
  })

/** Wraps a decider, so that a defect in it becomes `CallbackFailed`, and so does an interruption by itself. */
const nameDefects = (self: Approvals): Approvals => ({
  decide: (question) =>
    recover(
      Effect.suspend(() => self.decide(question)),
      (cause) =>
        Effect.die(
          cause instanceof CallbackFailed ? cause : new CallbackFailed({ callback: "Approvals.decide", cause })
        )
    )
})
