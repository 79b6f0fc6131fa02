/** Measures processes. */
import type { RecordOf, State, Step } from "./model.ts"
import { nothing, point, seconds, shape } from "./points.ts"

const ofKeep = shape("keep")
const ofExit = shape("exit")

export const startProcess = (state: State, { at, keep, processId }: RecordOf<"ProcessStarted">): Step => [
  { ...state, processes: new Map(state.processes).set(processId, at) },
  [point("processStarted", 1, ofKeep(String(keep))), point("processActive", 1)]
]

export const endProcess = (state: State, { at, exitCode, processId, signal }: RecordOf<"ProcessEnded">): Step => {
  const startedAt = state.processes.get(processId)
  if (startedAt === undefined) return [state, nothing]
  const processes = new Map(state.processes)
  processes.delete(processId)
  const exit = exitCode === null ? (signal === undefined ? "none" : "signal") : exitCode === 0 ? "zero" : "nonzero"
  return [
    { ...state, processes },
    [point("processActive", -1), point("processDuration", seconds(startedAt, at), ofExit(exit))]
  ]
}
