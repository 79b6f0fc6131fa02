/** The result of a tool: a text for the model, or a failure that the model reads in its place. */
import * as Schema from "effect/Schema"
import { ToolFailure } from "../ToolFailure.ts"

/** The options that all tools of this package with a text as their result have in common. */
export const textResult = {
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return" as const
}
