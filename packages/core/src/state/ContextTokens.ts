/**
 * How many tokens the next model request costs: as reported by the provider for the part of the history that it has seen,
 * and for the rest an estimate, scaled by how far the last report was from the estimate of its request.
 *
 * The reported input includes what no history holds, such as instructions and descriptions of tools. So the scale is
 * kept within {@link scaleLimits}.
 */
import * as History from "./History.ts"
import type { MeasuredContext, SessionState } from "./SessionState.ts"

/** The least and the greatest scale of an estimate. */
export const scaleLimits = { least: 0.5, greatest: 2 } as const

/** Returns the tokens of the next request with this history. */
export const of = ({ history, measured }: Pick<SessionState, "history" | "measured">): number => {
  if (measured === undefined) return History.estimateLog(history)
  const unseen = History.itemsAfter(history, measured.history)
  const scale = scaleOf(measured)
  // the history was replaced or rolled back: the provider has seen none of it as it is
  if (unseen === undefined) return Math.ceil(scale * History.estimateLog(history))
  return measured.usage.total + Math.ceil(scale * History.estimateAll(unseen))
}

/** Returns by which factor the reported tokens exceed their estimate. */
const scaleOf = ({ history, usage }: MeasuredContext): number => {
  const estimated = History.estimateLog(history)
  const exact = estimated === 0 ? 1 : usage.total / estimated
  return Math.min(Math.max(exact, scaleLimits.least), scaleLimits.greatest)
}
