/** Turns the answer to the question of a tool into its result. */
import * as Effect from "effect/Effect"
import type { Answer } from "@spindle/core/Turn"
import { ToolFailure } from "../../ToolFailure.ts"

type Given = Extract<Answer, { readonly _tag: "Approved" | "Answered" }>

/** Returns the answer if a person or a decider gave one. Otherwise the call fails, or ends with its turn (A2, A5). */
export const requireAnswer = (answer: Answer): Effect.Effect<Given, ToolFailure> => {
  switch (answer._tag) {
    case "Approved":
    case "Answered":
      return Effect.succeed(answer)
    case "Denied":
      return Effect.fail(new ToolFailure({ detail: `The request was refused: ${answer.reason ?? "rejected by user"}` }))
    case "Abort":
      return Effect.interrupt
    case "Cancelled":
      return answer.by === "deadline"
        ? Effect.fail(new ToolFailure({ detail: "Nobody answered in time." }))
        : Effect.interrupt
  }
}
