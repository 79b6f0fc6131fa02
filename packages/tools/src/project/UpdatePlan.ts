/** The tool `update_plan`: shows the person the steps of the work, and which of them is in progress. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import { ToolFailure } from "../ToolFailure.ts"

const statuses = { pending: "pending", in_progress: "inProgress", completed: "completed" } as const

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  explanation: Schema.optionalKey(
    Schema.String.annotate({ description: "Why the plan changes, in one sentence for the user." })
  ),
  plan: Schema.Array(
    Schema.Struct({
      step: Schema.String.annotate({ description: "The step, in a few words." }),
      status: Schema.Literals(["pending", "in_progress", "completed"])
    })
  ).annotate({ description: "All steps in their order. They replace those of the last call." })
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("update_plan", {
  description:
    "Shows the user the plan of your work. Use it for work that takes several steps, and call it again when a step is done or the plan changes. At most one step is in_progress.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return"
})

/** Describes a call for people: the steps of the plan. */
export const display = ({ explanation, plan }: Parameters): CallDisplay => ({
  _tag: "Plan",
  steps: plan.map(({ status, step }) => ({ step, status: statuses[status] })),
  ...(explanation === undefined ? {} : { explanation })
})

/**
 * Accepts a plan. The plan itself is in the record of the call. **Errors**: `ToolFailure` for a plan without a meaning.
 */
export const run = ({ plan }: Parameters): Effect.Effect<string, ToolFailure> => {
  const refuse = (detail: string) => Effect.fail(new ToolFailure({ detail: `The plan was not updated: ${detail}` }))
  const running = plan.filter(({ status }) => status === "in_progress").length
  if (running > 1) return refuse(`${running} steps are in_progress, and at most one may be`)
  const empty = plan.findIndex(({ step }) => step.trim() === "")
  if (empty >= 0) return refuse(`step ${empty + 1} has no text`)
  return Effect.succeed("Plan updated")
}
