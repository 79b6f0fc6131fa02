/** Measurements of delegates: how many, how deep, how they live and end. */
import type * as SessionEvent from "@spindle/core/SessionEvent"
import type { RecorderState, Step } from "../Recorder.ts"
import { none, shape } from "./shapes.ts"

/** Whether a delegate ends with the turn that started it. */
export type Mode = "linked" | "detached"

type Event<Tag extends SessionEvent.KnownRecord["_tag"]> = Extract<SessionEvent.KnownRecord, { readonly _tag: Tag }>
const ofMode = shape("mode")
const ofEnd = shape("mode", "outcome")

export const started = (state: RecorderState, { delegateId, depth, linked }: Event<"DelegateStarted">): Step => {
  const mode: Mode = linked ? "linked" : "detached"
  return [
    { ...state, delegates: new Map(state.delegates).set(delegateId, mode) },
    [
      { metric: "delegateStarted", value: 1, attributes: ofMode(mode) },
      { metric: "delegateActive", value: 1, attributes: none },
      { metric: "delegateDepth", value: depth, attributes: none }
    ]
  ]
}

export const ended = (state: RecorderState, { delegateId, status }: Event<"DelegateEnded">): Step => {
  const mode = state.delegates.get(delegateId)
  if (mode === undefined) return [state, []]
  const delegates = new Map(state.delegates)
  delegates.delete(delegateId)
  return [
    { ...state, delegates },
    [
      { metric: "delegateEnded", value: 1, attributes: ofEnd(mode, status) },
      { metric: "delegateActive", value: -1, attributes: none }
    ]
  ]
}
