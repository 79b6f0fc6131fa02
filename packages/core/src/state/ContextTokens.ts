/**
 * The number of tokens that the next model request costs. The provider has reported those of the part of the history
 * that it has seen. Those of the rest are an estimate, scaled by the ratio of the last report to its own estimate.
 *
 * The reported input includes parts that are not in the history, such as instructions and descriptions of tools. The
 * scale is therefore kept within {@link scaleLimits}.
 */
import * as History from "./History.ts"
import type { MeasuredContext, SessionState } from "./SessionState.ts"

/** The smallest and the greatest scale of an estimate. */
export const scaleLimits = { least: 0.5, greatest: 2 } as const

/** Returns the number of tokens of the next request with this history. */
export const of = ({ history, measured }: Pick<SessionState, "history" | "measured">): number => {
  if (measured === undefined) return History.estimateLog(history)
  const unseen = History.itemsAfter(history, measured.history)
  const scale = scaleOf(measured)
  // the history was replaced or rolled back, so the provider has not seen it in this form
  if (unseen === undefined) return Math.ceil(scale * History.estimateLog(history))
  return measured.usage.total + Math.ceil(scale * History.estimateAll(unseen))
}

/** Returns the ratio of the reported tokens to their estimate, within the limits. */
const scaleOf = ({ history, usage }: MeasuredContext): number => {
  const estimated = History.estimateLog(history)
  const exact = estimated === 0 ? 1 : usage.total / estimated
  return Math.min(Math.max(exact, scaleLimits.least), scaleLimits.greatest)
}
