/** The attributes of spans that only the reference system has. They belong to the metric family `reference`. */
import type { Options } from "../SessionMetrics.ts"

/** True if the names of the reference are wanted. */
export const isWanted = (metrics: Options | false | undefined): boolean =>
  metrics !== false && metrics?.sets?.includes("reference") === true

const dispatch = "op.dispatch."

/** The attributes of the reference for a span of this name. */
export const attributesOf = (spanName: string): { readonly [name: string]: string } =>
  spanName.startsWith(dispatch) ? { "codex.op": spanName.slice(dispatch.length) } : {}
