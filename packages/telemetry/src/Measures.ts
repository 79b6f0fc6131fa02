/**
 * Turns the events of a session into measurements: a pure fold without clock, exporter or registry (contract O2).
 *
 * Each turn is measured once, including aborted and failed ones. Under the policy of the reference, an aborted turn has
 * its times only. Records carry their own time (`at`). Deltas do not, so the caller passes the current time.
 */
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { SessionSignal } from "@spindle/core/SessionObserver"
import * as Delegates from "./internal/delegateMeasures.ts"
import * as Input from "./internal/inputMeasures.ts"
import type { Options, State, Step } from "./internal/model.ts"
import * as ModelRequests from "./internal/modelRequestMeasures.ts"
import * as Processes from "./internal/processMeasures.ts"
import * as Questions from "./internal/questionMeasures.ts"
import { nothing, point, shape } from "./internal/points.ts"
import * as Turns from "./internal/turnMeasures.ts"

export type { DelegateMode, OpenModelRequest, OpenQuestion, Options, State, Step, TurnState } from "./internal/model.ts"

/** Measures everything, including aborted turns. `tmp_mem_enabled` and `is_git` are false. */
export const defaults: Options = { reference: true, abortedTurns: true, memoryEnabled: false, isGit: false }

/** The state before the first event of a session. */
export const initial = (options: Options): State => ({
  options,
  turnsCount: 0,
  turn: undefined,
  waiting: [],
  eventsCount: 0,
  questions: new Map(),
  processes: new Map(),
  delegates: new Map()
})

/** Applies an event that was seen at `now`, in milliseconds since 1970. */
export const step = (state: State, event: SessionEvent, now: number): Step => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta":
      return ModelRequests.recordOutput(state, now)
    case "SessionStarted":
      return [state, Turns.measureSessionStart(state, event)]
    case "SessionResumed":
      return [state, [point("sessionStarted", 1, resumed)]]
    case "SessionFailed":
      return Turns.failSession(state, now)
    case "TurnStarted":
      return Turns.startTurn(state, event)
    case "ItemRecorded":
      return Turns.recordItem(state, event)
    case "TaskNote":
      return Turns.recordNote(state, event)
    case "ModelRequested":
      return ModelRequests.startRequest(state, event)
    case "ModelResponded":
      return ModelRequests.endRequest(state, event)
    case "ModelRetrying":
      return [state, [point("modelRetries", 1, ofError(event.kind))]]
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return Turns.endTurn(state, event)
    case "StragglerEnded":
      return [state, [point("abortDuration", event.afterMillis / 1000, ofStraggler)]]
    case "InputAccepted":
      return Input.acceptInput(state, event)
    case "InputBlocked":
      return Input.removeInput(state, [event.submissionId], "blocked")
    case "InputWithdrawn":
      return Input.removeInput(state, [event.submissionId], "withdrawn")
    case "QuestionOpened":
      return Questions.openQuestion(state, event)
    case "QuestionSettled":
      return Questions.settleQuestion(state, event)
    case "ProcessStarted":
      return Processes.startProcess(state, event)
    case "ProcessEnded":
      return Processes.endProcess(state, event)
    case "DelegateStarted":
      return Delegates.startDelegate(state, event)
    case "DelegateEnded":
      return Delegates.endDelegate(state, event)
    case "ToolOutput":
    case "CallDecided":
    case "TurnContextChanged":
    case "HistoryReplaced":
    case "RolledBack":
    case "SessionRenamed":
    case "TaskReported":
    case "OperationAccepted":
    case "Warning":
    case "Unknown":
      return [state, nothing]
  }
}

/** Applies a signal. `Closed` takes back what the session still counts as open. */
export const stepSignal = (state: State, signal: SessionSignal): Step => {
  switch (signal._tag) {
    case "Submitted":
      return [state, Input.measureSubmission(signal)]
    case "Appended":
      return [state, [point("journalAppend", signal.millis / 1000), point("journalBatch", signal.recordsCount)]]
    case "Flushed":
      return [state, [point("journalFlush", signal.millis / 1000)]]
    case "Waiting":
      return [
        { ...state, eventsCount: state.eventsCount + signal.eventsChange },
        [point("subscriberWaiting", signal.eventsChange)]
      ]
    case "Closed":
      return [
        initial(state.options),
        [
          ...(state.waiting.length === 0 ? [] : [point("inboxWaiting", -state.waiting.length)]),
          ...(state.eventsCount === 0 ? [] : [point("subscriberWaiting", -state.eventsCount)]),
          ...(state.processes.size === 0 ? [] : [point("processActive", -state.processes.size)]),
          ...(state.delegates.size === 0 ? [] : [point("delegateActive", -state.delegates.size)]),
          point("codexTurnCount", state.turnsCount)
        ]
      ]
  }
}

const ofError = shape("error.type")
const resumed = shape("source")("resumed")
const ofStraggler = shape("phase")("straggler")
