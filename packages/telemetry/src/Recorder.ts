/**
 * What a session tells, as measurements: a pure fold, without clock, exporter or registry (contract O2).
 *
 * Each turn is measured once, aborted and failed ones too; under the reference's policy aborted turns are measured as
 * there, by their times only. Times of records are their own (`at`); a delta has none, so whoever drives the fold says
 * what time it is.
 */
import type { SessionSignal } from "@spindle/core/SessionObserver"
import type { CallId, ProcessId, QuestionId, SessionId, SubmissionId } from "@spindle/core/Ids"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Delegates from "./internal/delegateMeasures.ts"
import * as Requests from "./internal/requestMeasures.ts"
import * as Turns from "./internal/turnMeasures.ts"
import { none, shape } from "./internal/shapes.ts"
import type { Attributes, Measurement, MetricId } from "./Metrics.ts"

/** What the fold is told about its surroundings. */
export interface RecorderOptions {
  /** Whether to measure under the names of the reference, too. */
  readonly reference: boolean
  /** Whether aborted turns count in all turn metrics (`SessionPolicy.abortedTurnMetrics`). */
  readonly abortedTurns: boolean
  /** The value of `tmp_mem_enabled`: whether the agent has a memory. */
  readonly memoryEnabled: boolean
  /** The value of `is_git`: whether sessions work in a repository. */
  readonly isGit: boolean
}

/** A model request that has not ended. */
export interface OpenRequest {
  readonly at: number
  readonly provider: string
  readonly model: string
  readonly hasOutput: boolean
}

/** The running turn. */
export interface TurnState {
  readonly kind: string
  readonly at: number
  readonly hasOutput: boolean
  readonly hasMessage: boolean
  readonly toolCallsCount: number
  readonly request: OpenRequest | undefined
  /** Tool calls without a result. */
  readonly calls: ReadonlyArray<{ readonly callId: CallId; readonly at: number }>
}

/** What the fold remembers of one session; bounded by what is open in it. */
export interface RecorderState {
  readonly options: RecorderOptions
  readonly turnsCount: number
  readonly turn: TurnState | undefined
  /** Input that this program saw arrive and that still waits. */
  readonly waiting: ReadonlyArray<SubmissionId>
  /** Events that wait in memory for subscribers. */
  readonly eventsCount: number
  readonly approvals: ReadonlyMap<QuestionId, { readonly kind: string; readonly tool: string; readonly at: number }>
  readonly processes: ReadonlyMap<ProcessId, number>
  /** Delegates that this program saw start and that have not ended, with how they live. */
  readonly delegates: ReadonlyMap<SessionId, Delegates.Mode>
}

/** What one step answers: the next state, and what was measured. */
export type Step = readonly [state: RecorderState, measured: ReadonlyArray<Measurement>]

/** The state before the first event of a session. */
export const begin = (options: RecorderOptions): RecorderState => ({
  options,
  turnsCount: 0,
  turn: undefined,
  waiting: [],
  eventsCount: 0,
  approvals: new Map(),
  processes: new Map(),
  delegates: new Map()
})

/** Everything is measured, aborted turns too; `tmp_mem_enabled` and `is_git` are false. */
export const defaults: RecorderOptions = { reference: true, abortedTurns: true, memoryEnabled: false, isGit: false }

/** The state after an event that was seen at `now` (milliseconds since 1970), and what it measures. */
export const step = (state: RecorderState, event: SessionEvent, now: number): Step => {
  switch (event._tag) {
    case "TextDelta":
    case "ReasoningDelta":
      return Turns.output(state, now)
    case "SessionStarted":
      return [state, Turns.sessionStarted(state, event)]
    case "SessionResumed":
      return [state, [point("sessionStarted", 1, resumed)]]
    case "SessionFailed":
      return Turns.failed(state, now)
    case "TurnStarted":
      return Turns.started(state, event)
    case "ItemRecorded":
      return Turns.item(state, event)
    case "ModelRequested":
      return Turns.requested(state, event)
    case "ModelResponded":
      return Turns.responded(state, event)
    case "ModelRetrying":
      return [state, [point("modelRetries", 1, ofError(event.kind))]]
    case "TurnCompleted":
    case "TurnFailed":
    case "TurnAborted":
      return Turns.ended(state, event)
    case "StragglerEnded":
      return [state, [point("abortDuration", event.afterMillis / 1000, ofStraggler)]]
    case "InputAccepted":
      return Requests.inputAccepted(state, event)
    case "InputBlocked":
      return Requests.inputLeft(state, [event.submissionId], "blocked")
    case "QuestionOpened":
      return Requests.opened(state, event)
    case "QuestionSettled":
      return Requests.settled(state, event)
    case "ProcessStarted":
      return Requests.processStarted(state, event)
    case "ProcessEnded":
      return Requests.processEnded(state, event)
    case "DelegateStarted":
      return Delegates.started(state, event)
    case "DelegateEnded":
      return Delegates.ended(state, event)
    case "ToolOutput":
    case "TurnContextChanged":
    case "HistoryReplaced":
    case "RolledBack":
    case "Warning":
    case "Unknown":
      return [state, nothing]
  }
}

/** The state after a signal, and what it measures. */
export const signal = (state: RecorderState, signal: SessionSignal): Step => {
  switch (signal._tag) {
    case "Submitted":
      return [state, Requests.submitted(signal)]
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
        begin(state.options),
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

const nothing: ReadonlyArray<Measurement> = []
const ofError = shape("error.type")
const resumed = shape("source")("resumed")
const ofStraggler = shape("phase")("straggler")

const point = (metric: MetricId, value: number, attributes: Attributes = none): Measurement => ({
  metric,
  value,
  attributes
})
