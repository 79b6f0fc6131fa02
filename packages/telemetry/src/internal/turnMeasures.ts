/** Measures turns, and the items and tool calls in them. */
import { CompactionStarted } from "@spindle/core/CompactTask"
import type { Terminal } from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import * as Option from "effect/Option"
import type { Attributes, Measurement } from "../Metrics.ts"
import { measureTask, removeInput } from "./inputMeasures.ts"
import type { Options, RecordOf, State, Step, TurnState } from "./model.ts"
import { recordOutput } from "./modelRequestMeasures.ts"
import { nothing, point, seconds, shape } from "./points.ts"

const ofSource = shape("source")
const ofGit = shape("is_git")
const ofKind = shape("task.kind")
const ofOutcome = shape("task.kind", "outcome")
const ofAbort = shape("task.kind", "outcome", "abort.reason")
const ofFailure = shape("task.kind", "outcome", "error.type")
const ofTokens = shape("task.kind", "outcome", "token.type")
const ofReferenceTokens = shape("token_type", "tmp_mem_enabled")
const ofMemory = shape("tmp_mem_enabled")
const ofTool = shape("gen_ai.tool.name", "status")
const ofPhase = shape("phase", "abort.reason")
const ofStraggler = shape("kind")
const ofFate = shape("fate")
const ofCompaction = shape("type")

export const measureSessionStart = (state: State, event: RecordOf<"SessionStarted">): ReadonlyArray<Measurement> => [
  point("sessionStarted", 1, ofSource(event.forkedFrom === undefined ? "new" : "forked")),
  point("codexThreadStarted", 1, ofGit(String(state.options.isGit)))
]

/** Counts a compaction that is a task, once: by its note, or at its end if it asked for no summary. */
const countCompaction = (state: State, type: "local" | "remote"): Step =>
  state.turn?.isUncounted === true
    ? [{ ...state, turn: { ...state.turn, isUncounted: false } }, [point("codexTaskCompact", 1, ofCompaction(type))]]
    : [state, nothing]

export const recordNote = (state: State, note: RecordOf<"TaskNote">): Step =>
  Option.match(CompactionStarted.decode(note), {
    onNone: () => [state, nothing],
    onSome: ({ remote }) => countCompaction(state, remote === true ? "remote" : "local")
  })

export const startTurn = (state: State, { at, carried, kind, submissionId }: RecordOf<"TurnStarted">): Step => {
  const turn: TurnState = {
    kind,
    at,
    isUncounted: kind === "compact",
    hasOutput: false,
    hasMessage: false,
    toolCallsCount: 0,
    request: undefined,
    calls: []
  }
  const measured = [point("turnStarted", 1, ofKind(kind)), point("turnActive", 1, ofKind(kind)), ...measureTask(kind)]
  const started = { ...state, turn, turnsCount: state.turnsCount + 1 }
  // the start of a task takes it from the inbox
  if (carried !== true || submissionId === undefined) return [started, measured]
  const [next, ofInput] = removeInput(started, [submissionId], "carried")
  return [next, [...measured, ...ofInput]]
}

export const recordItem = (state: State, { at, item }: RecordOf<"ItemRecorded">): Step => {
  switch (item._tag) {
    case "UserMessage":
      return item.submissionId === undefined ? [state, nothing] : removeInput(state, [item.submissionId], "carried")
    case "DeveloperMessage":
      return [state, nothing]
    case "Reasoning":
      return item.text === "" ? [state, nothing] : recordOutput(state, at)
    case "AssistantMessage":
      return item.text === ""
        ? [state, nothing]
        : recordMessage(recordOutput(state, at), at, item.partial === undefined)
    case "ToolCall":
      return startCall(recordOutput(state, at), item, at)
    case "ToolResult":
      return endCall(state, item, at)
  }
}

const recordMessage = ([state, measured]: Step, at: number, isComplete: boolean): Step => {
  const { turn } = state
  if (turn === undefined || turn.hasMessage || !isComplete) return [state, measured]
  const first = [...measured, point("timeToFirstMessage", seconds(turn.at, at), ofKind(turn.kind))]
  if (state.options.reference) first.push(point("codexTimeToFirstMessage", Math.max(0, at - turn.at)))
  return [{ ...state, turn: { ...turn, hasMessage: true } }, first]
}

type Call = Extract<RecordOf<"ItemRecorded">["item"], { readonly _tag: "ToolCall" }>
type Result = Extract<RecordOf<"ItemRecorded">["item"], { readonly _tag: "ToolResult" }>

const startCall = ([state, measured]: Step, { callId }: Call, at: number): Step => {
  const { turn } = state
  if (turn === undefined) return [state, measured]
  const calls = [...turn.calls, { callId, at }]
  return [{ ...state, turn: { ...turn, calls, toolCallsCount: turn.toolCallsCount + 1 } }, measured]
}

const endCall = (state: State, { callId, name, status }: Result, at: number): Step => {
  const { turn } = state
  const call = turn?.calls.find((one) => one.callId === callId)
  if (turn === undefined || call === undefined) return [state, nothing]
  const calls = turn.calls.filter((one) => one !== call)
  return [{ ...state, turn: { ...turn, calls } }, [point("toolDuration", seconds(call.at, at), ofTool(name, status))]]
}

const outcomes = { TurnCompleted: "completed", TurnFailed: "failed", TurnAborted: "aborted" } as const

/**
 * Measures the end of a turn. A turn whose start this program did not see, because its host died, is not measured. Its
 * input and stragglers are.
 */
export const endTurn = (state: State, event: Terminal): Step => {
  const { options, turn } = state
  const measured = [...countCompaction(state, "local")[1]]
  if (turn !== undefined) {
    const outcome = outcomes[event._tag]
    measured.push(
      point("turnActive", -1, ofKind(turn.kind)),
      point("turnDuration", seconds(turn.at, event.at), attributesOfEnd(turn.kind, event))
    )
    if (options.reference) measured.push(point("codexTurnDuration", Math.max(0, event.at - turn.at)))
    if (outcome !== "aborted" || options.abortedTurns) {
      measured.push(...measureTotals(turn, options, { outcome, usage: event.usage }))
    }
  }
  if (event._tag === "TurnAborted" && event.crashed === undefined) measured.push(...measureAbort(event))
  const [next, left] = removeLeftoverInput({ ...state, turn: undefined }, event)
  return [next, [...measured, ...left]]
}

/** Measures the running turn as failed: a session whose journal cannot be written emits no terminal record. */
export const failSession = (state: State, at: number): Step => {
  const measured = [point("sessionFailed", 1), ...countCompaction(state, "local")[1]]
  const { options, turn } = state
  if (turn === undefined) return [state, measured]
  measured.push(
    point("turnActive", -1, ofKind(turn.kind)),
    point("turnDuration", seconds(turn.at, at), ofFailure(turn.kind, "failed", "JournalFailed"))
  )
  if (options.reference) measured.push(point("codexTurnDuration", Math.max(0, at - turn.at)))
  measured.push(...measureTotals(turn, options, { outcome: "failed", usage: TokenUsage.zero }))
  return [{ ...state, turn: undefined }, measured]
}

interface End {
  readonly outcome: string
  readonly usage: TokenUsage.TokenUsage
}

const measureTotals = (turn: TurnState, options: Options, { outcome, usage }: End): ReadonlyArray<Measurement> => {
  // `SessionMetrics` adds `active`, which is read and not recorded
  const measured = [
    point("turnToolCalls", turn.toolCallsCount, ofOutcome(turn.kind, outcome)),
    ...tokenTypes.map(([type, of]) => point("turnTokens", of(usage), ofTokens(turn.kind, outcome, type))),
    point("turnProxy", 1)
  ]
  if (!options.reference) return measured
  const memory = String(options.memoryEnabled)
  return [
    ...measured,
    point("codexTurnToolCalls", turn.toolCallsCount, ofMemory(memory)),
    ...tokenTypes.map(([type, of]) => point("codexTurnTokens", of(usage), ofReferenceTokens(type, memory))),
    point("codexTurnProxy", 1, ofMemory(memory))
  ]
}

const tokenTypes: ReadonlyArray<readonly [type: string, of: (usage: TokenUsage.TokenUsage) => number]> = [
  ["total", (usage) => usage.total],
  ["input", (usage) => usage.input],
  ["cached_input", (usage) => usage.cachedInput],
  ["output", (usage) => usage.output],
  ["reasoning_output", (usage) => usage.reasoning]
]

const attributesOfEnd = (kind: string, event: Terminal): Attributes =>
  event._tag === "TurnAborted"
    ? ofAbort(kind, "aborted", event.reason)
    : event._tag === "TurnFailed"
      ? ofFailure(kind, "failed", event.error.tag)
      : ofOutcome(kind, "completed")

const measureAbort = (event: RecordOf<"TurnAborted">): ReadonlyArray<Measurement> => [
  point("abortDuration", seconds(event.requestedAt, event.at), ofPhase("settled", event.reason)),
  ...event.stragglers.map(({ kind }) => point("stragglers", 1, ofStraggler(kind)))
]

const removeLeftoverInput = (state: State, event: Terminal): Step => {
  if (event._tag === "TurnCompleted") return [state, nothing]
  const kept = event.kept.map(() => point("inputFate", 1, ofFate("kept")))
  if (event._tag === "TurnFailed") return [state, kept]
  const ids = event.returned.map(({ submissionId }) => submissionId)
  const [afterReturned, returned] = removeInput(state, ids, "returned")
  const [afterDropped, dropped] = removeInput(afterReturned, event.dropped, "dropped")
  return [afterDropped, [...kept, ...returned, ...dropped]]
}
