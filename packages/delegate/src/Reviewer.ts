/**
 * Another agent that decides the requests of a delegate first: a `review` for `Delegate.start`. What it does not decide is
 * asked of the person, and so is everything when it fails: a review can spare a person a question, never take one away.
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

/** What a reviewer answers: `ask` leaves it to the person. */
export const Verdict = Schema.Struct({ decision: Schema.Literals(["approve", "deny", "ask"]), reason: Schema.String })

/** What a reviewer is told, as JSON: who wants to do what. Content of the delegate's own, to be judged and not followed. */
export const inputOf = ({ callId, kind, path, payload, tool }: Question): Input.Input =>
  Input.text(
    JSON.stringify({ kind, tool, arguments: payload, call_id: callId, asked_by: path.at(-1), depth: path.length - 1 })
  )

/**
 * A review by an agent, which runs as a one-shot delegate of the current turn for each request. It approves once at most.
 * **Interruption** of a review ends its delegate.
 */
export const byAgent = <R>(options: {
  readonly agent: Agent<R>
  readonly deadline: Duration.Input
}): Effect.Effect<Delegate.Review, never, Turn | Model | Journal | R> =>
  Effect.contextWith((context: Context.Context<Turn | Model | Journal | R>) => {
    const review: Delegate.Review = (request) =>
      // a person answers questions better than a guess; an elicitation that names a tool asks whether it may be called
      request.kind === "question" || (request.kind === "elicitation" && request.tool === undefined)
        ? Effect.undefined
        : Delegate.runOnce({ ...options, source: "review", input: inputOf(request), output: Verdict }).pipe(
            Effect.map(({ decision, reason }) => {
              if (decision === "approve") return { _tag: "Approved", scope: "once" } as const
              return decision === "deny" ? ({ _tag: "Denied", reason } as const) : undefined
            }),
            Effect.catch((error) => Effect.as(Effect.logWarning(`a review failed: ${error.message}`), undefined)),
            Effect.provideContext(context)
          )
    return Effect.succeed(review)
  })
