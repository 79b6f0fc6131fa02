/**
 * An agent that decides the questions of a delegate before a person is asked: a `review` for `Delegate.start`. The
 * person is asked the questions that the agent leaves open, and all questions if it fails. The agent approves once at
 * most.
 */
import type { Agent } from "@spindle/core/Agent"
import type { Question } from "@spindle/core/Approvals"
import type { Journal } from "@spindle/core/Journal"
import type { Model } from "@spindle/core/Model"
import * as Input from "@spindle/core/Input"
import type { Turn } from "@spindle/core/Turn"
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Delegate from "./Delegate.ts"

/** The answer of a reviewer. `ask` leaves the question to the person. */
export const Verdict = Schema.Struct({ decision: Schema.Literals(["approve", "deny", "ask"]), reason: Schema.String })

/**
 * Returns the input of a reviewer: the question and its asker, as JSON. It comes from the delegate, so the reviewer
 * judges it and does not follow it.
 */
export const inputOf = ({ callId, kind, path, payload, tool }: Question): Input.Input =>
  Input.text(
    JSON.stringify({ kind, tool, arguments: payload, call_id: callId, asked_by: path.at(-1), depth: path.length - 1 })
  )

/**
 * Makes a review by an agent, which runs as a one-shot delegate of the current turn for each question. **Interruption**
 * of a review ends its delegate.
 */
export const fromAgent = <R>(options: {
  readonly agent: Agent<R>
  readonly deadline: Duration.Input
}): Effect.Effect<Delegate.Review, never, Turn | Model | Journal | R> =>
  Effect.contextWith((context: Context.Context<Turn | Model | Journal | R>) => {
    const review: Delegate.Review = (question) =>
      // a person has to answer these; an elicitation that names a tool only asks whether the tool may be called
      question.kind === "question" || (question.kind === "elicitation" && question.tool === undefined)
        ? Effect.undefined
        : Delegate.runOnce({ ...options, source: "review", input: inputOf(question), output: Verdict }).pipe(
            Effect.map(({ decision, reason }) => {
              if (decision === "approve") return { _tag: "Approved", scope: "once", source: "reviewer" } as const
              return decision === "deny" ? ({ _tag: "Denied", reason, source: "reviewer" } as const) : undefined
            }),
            Effect.catch((error) => Effect.as(Effect.logWarning(`a review failed: ${error.message}`), undefined)),
            Effect.provideContext(context)
          )
    return Effect.succeed(review)
  })
