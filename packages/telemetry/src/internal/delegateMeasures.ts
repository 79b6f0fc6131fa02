/** Measures delegates: their number, the depth of their nesting, and their ends. */
import type { DelegateMode, RecordOf, State, Step } from "./model.ts"
import { nothing, point, shape } from "./points.ts"

const ofMode = shape("mode")
const ofEnd = shape("mode", "outcome")

export const startDelegate = (state: State, { delegateId, depth, linked }: RecordOf<"DelegateStarted">): Step => {
  const mode: DelegateMode = linked ? "linked" : "detached"
  return [
    { ...state, delegates: new Map(state.delegates).set(delegateId, mode) },
    [point("delegateStarted", 1, ofMode(mode)), point("delegateActive", 1), point("delegateDepth", depth)]
  ]
}

export const endDelegate = (state: State, { delegateId, spent, status }: RecordOf<"DelegateEnded">): Step => {
  const mode = state.delegates.get(delegateId)
  if (mode === undefined) return [state, nothing]
  const delegates = new Map(state.delegates)
  delegates.delete(delegateId)
  const end = ofEnd(mode, status)
  const tokens = spent === undefined ? nothing : [point("delegateTokens", spent.tokens, end)]
  return [{ ...state, delegates }, [point("delegateEnded", 1, end), point("delegateActive", -1), ...tokens]]
}
