/** The types of the fold of `Measures`, shared by the files that measure one subject each. */
import type { CallId, ProcessId, QuestionId, SessionId, SubmissionId } from "@spindle/core/Ids"
import type { KnownRecord } from "@spindle/core/SessionEvent"
import type { Measurement } from "../Metrics.ts"

/** The options of the fold. */
export interface Options {
  /** True to measure under the names of the reference as well. */
  readonly reference: boolean
  /** True if aborted turns count in all turn metrics (`SessionPolicy.abortedTurnMetrics`). */
  readonly abortedTurns: boolean
  /** The value of `tmp_mem_enabled`: true if the agent has a memory. */
  readonly memoryEnabled: boolean
  /** The value of `is_git`: true if sessions work in a repository. */
  readonly isGit: boolean
}

/** The memory of the fold for one session. Its size is bounded by the open work of the session. */
export interface State {
  readonly options: Options
  readonly turnsCount: number
  readonly turn: TurnState | undefined
  /** Input that this program saw arrive and that still waits. */
  readonly waiting: ReadonlyArray<SubmissionId>
  /** Events that wait in memory for subscribers. */
  readonly eventsCount: number
  readonly questions: ReadonlyMap<QuestionId, OpenQuestion>
  /** The start of each running process, in milliseconds since 1970. */
  readonly processes: ReadonlyMap<ProcessId, number>
  /** Delegates that this program saw start and that have not ended. */
  readonly delegates: ReadonlyMap<SessionId, DelegateMode>
}

/** The running turn. */
export interface TurnState {
  readonly kind: string
  readonly at: number
  /** True for a compaction that is not counted yet. Its type is known only from its first note, after its start. */
  readonly isUncounted: boolean
  readonly hasOutput: boolean
  readonly hasMessage: boolean
  readonly toolCallsCount: number
  readonly request: OpenModelRequest | undefined
  /** Tool calls without a result. */
  readonly calls: ReadonlyArray<{ readonly callId: CallId; readonly at: number }>
}

/** A model request that has not ended. */
export interface OpenModelRequest {
  readonly at: number
  readonly provider: string
  readonly model: string
  readonly hasOutput: boolean
}

/** A question that has not been settled. */
export interface OpenQuestion {
  readonly kind: string
  readonly tool: string
  readonly at: number
}

/** The mode of a delegate: a linked one ends with the turn that started it. */
export type DelegateMode = "linked" | "detached"

/** The result of one step: the next state and the measurements. */
export type Step = readonly [state: State, measured: ReadonlyArray<Measurement>]

/** The record with this tag. */
export type RecordOf<Tag extends KnownRecord["_tag"]> = Extract<KnownRecord, { readonly _tag: Tag }>
