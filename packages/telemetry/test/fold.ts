/** Helpers for tests of the measures: a fold over events, and its points as short texts. */
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { definitions, type Measurement } from "@spindle/telemetry/Metrics"
import * as Measures from "@spindle/telemetry/Measures"

/** One point: `name{attributes} value`. */
export const pointOf = ({ attributes, metric, value }: Measurement): string => {
  const listed = Object.entries(attributes).map(([name, value]) => `${name}=${value}`)
  return `${definitions[metric].name}{${listed.join(",")}} ${value}`
}

/** The points of one family for some events. A delta is seen one millisecond after the record before it. */
export const measure = (
  events: ReadonlyArray<SessionEvent | SessionSignal>,
  options: Partial<Measures.Options> = {},
  prefix = "spindle."
): ReadonlyArray<string> => {
  let state = Measures.initial({ ...Measures.defaults, ...options })
  let now = 0
  const points: Array<string> = []
  for (const event of events) {
    now = "at" in event ? event.at : now + 1
    const [next, measured] = isSignal(event) ? Measures.stepSignal(state, event) : Measures.step(state, event, now)
    state = next
    for (const one of measured) if (definitions[one.metric].name.startsWith(prefix)) points.push(pointOf(one))
  }
  return points
}

const signals = ["Submitted", "Appended", "Flushed", "Waiting", "Closed"]

const isSignal = (event: SessionEvent | SessionSignal): event is SessionSignal => signals.includes(event._tag)
