/** What tests of the recorder share: a fold over events, and its points as short texts. */
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { definitions, type Measurement } from "@spindle/telemetry/Metrics"
import * as Recorder from "@spindle/telemetry/Recorder"

/** One point: `name{attributes} value`. */
export const pointOf = ({ attributes, metric, value }: Measurement): string => {
  const told = Object.entries(attributes).map(([name, own]) => `${name}=${own}`)
  return `${definitions[metric].name}{${told.join(",")}} ${value}`
}

/** The points of one family that some events measure. Deltas are seen at the time of the record before, plus one. */
export const measure = (
  events: ReadonlyArray<SessionEvent | SessionSignal>,
  options: Partial<Recorder.RecorderOptions> = {},
  prefix = "spindle."
): ReadonlyArray<string> => {
  let state = Recorder.begin({ ...Recorder.defaults, ...options })
  let now = 0
  const points: Array<string> = []
  for (const event of events) {
    now = "at" in event ? event.at : now + 1
    const [next, measured] = isSignal(event) ? Recorder.signal(state, event) : Recorder.step(state, event, now)
    state = next
    for (const one of measured) if (definitions[one.metric].name.startsWith(prefix)) points.push(pointOf(one))
  }
  return points
}

const signals = ["Submitted", "Appended", "Flushed", "Waiting", "Closed"]

const isSignal = (event: SessionEvent | SessionSignal): event is SessionSignal => signals.includes(event._tag)
