/** The turn context of a review. */
import type { TurnContext } from "@spindle/core/TurnContext"
import * as Equal from "effect/Equal"
import * as Struct from "effect/Struct"

/**
 * Returns the context of a review of turns with a context: no person is asked, nothing is written, and the answer has
 * its own form.
 */
export const toReviewing = (context: TurnContext): TurnContext => ({
  ...Struct.omit(context, ["output"]),
  approvalPolicy: "never",
  sandbox: "read-only"
})

/** Returns the names of the fields in which two contexts differ. The day is not compared: it changes by itself. */
export const differences = (one: TurnContext, other: TurnContext): ReadonlyArray<string> => {
  const names = new Set([...Object.keys(one), ...Object.keys(other)] as Array<keyof TurnContext>)
  names.delete("date")
  return [...names].filter((name) => !Equal.equals(one[name], other[name])).toSorted()
}
