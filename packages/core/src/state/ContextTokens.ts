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
  if (measured === undefined) return History.estimateAll(History.toArray(history))
  const unseen = itemsAfter(measured.history, history)
  const scale = scaleOf(measured)
  // the history was replaced or rolled back: the provider has seen none of it as it is
  if (unseen === undefined) return Math.ceil(scale * History.estimateAll(History.toArray(history)))
  return measured.usage.total + Math.ceil(scale * History.estimateAll(unseen))
}

/** Returns the items that were added to a log; undefined if it is not the beginning of the other one. */
const itemsAfter = (before: History.ItemLog, after: History.ItemLog) => {
  const items = []
  let log = after
  while (log.length > before.length) {
    items.push(log.last!)
    log = log.before!
  }
  return log === before ? items : undefined
}

// it costs a pass over the history, and is needed before each request
const scales = new WeakMap<MeasuredContext, number>()

/** Returns by which factor the reported tokens exceed their estimate. */
const scaleOf = (measured: MeasuredContext): number => {
  const known = scales.get(measured)
  if (known !== undefined) return known
  const estimated = History.estimateAll(History.toArray(measured.history))
  const exact = estimated === 0 ? 1 : measured.usage.total / estimated
  const scale = Math.min(Math.max(exact, scaleLimits.least), scaleLimits.greatest)
  scales.set(measured, scale)
  return scale
}
