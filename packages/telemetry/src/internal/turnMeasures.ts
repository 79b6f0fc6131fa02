/** Measurements of turns and of the requests and tool calls in them. */
import type * as SessionEvent from "@spindle/core/SessionEvent"
import * as TokenUsage from "@spindle/core/TokenUsage"
import type { Attributes, Measurement, MetricId } from "../Metrics.ts"
import type { RecorderOptions, RecorderState, Step, TurnState } from "../Recorder.ts"
import { inputLeft } from "./requestMeasures.ts"
import { none, shape } from "./shapes.ts"

type Event<Tag extends SessionEvent.KnownRecord["_tag"]> = Extract<SessionEvent.KnownRecord, { readonly _tag: Tag }>

const point = (metric: MetricId, value: number, attributes: Attributes = none): Measurement => ({
  metric,
  value,
  attributes
})
const nothing: ReadonlyArray<Measurement> = []
const source = shape("source")
const isGit = shape("is_git")
const ofKind = shape("task.kind")
const ofOutcome = shape("task.kind", "outcome")
const ofAbort = shape("task.kind", "outcome", "abort.reason")
const ofFailure = shape("task.kind", "outcome", "error.type")
const ofTokens = shape("task.kind", "outcome", "token.type")
const codexTokens = shape("token_type", "tmp_mem_enabled")
const withMemory = shape("tmp_mem_enabled")
const ofTool = shape("gen_ai.tool.name", "status")
const ofRequest = shape("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
const ofFailedRequest = shape("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type")
const ofRequestTokens = shape(
  "gen_ai.operation.name",
  "gen_ai.provider.name",
  "gen_ai.request.model",
  "gen_ai.token.type"
)
const ofSettling = shape("phase", "abort.reason")
const ofStraggler = shape("kind")
const ofFate = shape("fate")
const compacted = shape("type")
const seconds = (from: number, to: number): number => Math.max(0, to - from) / 1000

export const sessionStarted = (state: RecorderState, event: Event<"SessionStarted">): ReadonlyArray<Measurement> => [
  point("sessionStarted", 1, source(event.forkedFrom === undefined ? "new" : "forked")),
  point("codexThreadStarted", 1, isGit(String(state.options.isGit)))
]

const codexTasks: { readonly [kind: string]: readonly [MetricId, Attributes] | undefined } = {
  compact: ["codexTaskCompact", compacted("local")],
  review: ["codexTaskReview", none],
  undo: ["codexTaskUndo", none],
  user_shell: ["codexTaskUserShell", none]
}

export const started = (state: RecorderState, { at, kind }: Event<"TurnStarted">): Step => {
  const turn: TurnState = {
    kind,
    at,
    hasOutput: false,
    hasMessage: false,
    toolCallsCount: 0,
    request: undefined,
    calls: []
  }
  const measured = [point("turnStarted", 1, ofKind(kind)), point("turnActive", 1, ofKind(kind))]
  const codex = codexTasks[kind]
  if (codex !== undefined) measured.push(point(codex[0], 1, codex[1]))
  return [{ ...state, turn, turnsCount: state.turnsCount + 1 }, measured]
}

/** The first output counts, of the turn and of the request. */
export const output = (state: RecorderState, at: number): Step => {
  const { turn } = state
  if (turn === undefined || (turn.hasOutput && turn.request?.hasOutput !== false)) return [state, nothing]
  const measured: Array<Measurement> = []
  if (!turn.hasOutput) {
    measured.push(point("timeToFirstToken", seconds(turn.at, at), ofKind(turn.kind)))
    if (state.options.reference) measured.push(point("codexTimeToFirstToken", Math.max(0, at - turn.at)))
  }
  if (turn.request?.hasOutput === false) {
    measured.push(
      point(
        "timeToFirstChunk",
        seconds(turn.request.at, at),
        ofRequest("chat", turn.request.provider, turn.request.model)
      )
    )
  }
  const request = turn.request === undefined ? undefined : { ...turn.request, hasOutput: true }
  return [{ ...state, turn: { ...turn, hasOutput: true, request } }, measured]
}

export const item = (state: RecorderState, { at, item }: Event<"ItemRecorded">): Step => {
  switch (item._tag) {
    case "UserMessage":
      return item.submissionId === undefined ? [state, nothing] : inputLeft(state, [item.submissionId], "carried")
    case "DeveloperMessage":
      return [state, nothing]
    case "Reasoning":
      return item.text === "" ? [state, nothing] : output(state, at)
    case "AssistantMessage":
      return item.text === "" ? [state, nothing] : message(output(state, at), at, item.partial === undefined)
    case "ToolCall":
      return toolCall(output(state, at), item, at)
    case "ToolResult":
      return toolResult(state, item, at)
  }
}

const message = ([state, measured]: Step, at: number, isComplete: boolean): Step => {
  const { turn } = state
  if (turn === undefined || turn.hasMessage || !isComplete) return [state, measured]
  const first = [...measured, point("timeToFirstMessage", seconds(turn.at, at), ofKind(turn.kind))]
  if (state.options.reference) first.push(point("codexTimeToFirstMessage", Math.max(0, at - turn.at)))
  return [{ ...state, turn: { ...turn, hasMessage: true } }, first]
}

type Call = Extract<Event<"ItemRecorded">["item"], { readonly _tag: "ToolCall" }>
type Result = Extract<Event<"ItemRecorded">["item"], { readonly _tag: "ToolResult" }>

const toolCall = ([state, measured]: Step, { callId }: Call, at: number): Step => {
  const { turn } = state
  if (turn === undefined) return [state, measured]
  const calls = [...turn.calls, { callId, at }]
  return [{ ...state, turn: { ...turn, calls, toolCallsCount: turn.toolCallsCount + 1 } }, measured]
}

const toolResult = (state: RecorderState, { callId, name, status }: Result, at: number): Step => {
  const { turn } = state
  const call = turn?.calls.find((one) => one.callId === callId)
  if (turn === undefined || call === undefined) return [state, nothing]
  const calls = turn.calls.filter((one) => one !== call)
  return [{ ...state, turn: { ...turn, calls } }, [point("toolDuration", seconds(call.at, at), ofTool(name, status))]]
}

export const requested = (state: RecorderState, { at, model, provider }: Event<"ModelRequested">): Step => {
  if (state.turn === undefined) return [state, nothing]
  return [{ ...state, turn: { ...state.turn, request: { at, provider, model, hasOutput: false } } }, nothing]
}

export const responded = (state: RecorderState, { at, finish, usage }: Event<"ModelResponded">): Step => {
  const request = state.turn?.request
  if (state.turn === undefined || request === undefined) return [state, nothing]
  const { model, provider } = request
  const isBad = finish === "failed" || finish === "aborted"
  const outcome = isBad ? ofFailedRequest("chat", provider, model, finish) : ofRequest("chat", provider, model)
  return [
    { ...state, turn: { ...state.turn, request: undefined } },
    [
      point("operationDuration", seconds(request.at, at), outcome),
      point("clientTokens", usage.input, ofRequestTokens("chat", provider, model, "input")),
      point("clientTokens", usage.output, ofRequestTokens("chat", provider, model, "output"))
    ]
  ]
}

const outcomes = { TurnCompleted: "completed", TurnFailed: "failed", TurnAborted: "aborted" } as const

/** A turn of which this program saw no start, because its host died, is not measured; its input and stragglers are. */
export const ended = (state: RecorderState, event: SessionEvent.Terminal): Step => {
  const { options, turn } = state
  const measured: Array<Measurement> = []
  if (turn !== undefined) {
    const outcome = outcomes[event._tag]
    measured.push(
      point("turnActive", -1, ofKind(turn.kind)),
      point("turnDuration", seconds(turn.at, event.at), howOf(turn.kind, event))
    )
    if (options.reference) measured.push(point("codexTurnDuration", Math.max(0, event.at - turn.at)))
    if (outcome !== "aborted" || options.abortedTurns) atEnd(measured, turn, { options, outcome, usage: event.usage })
  }
  if (event._tag === "TurnAborted" && event.crashed === undefined) measured.push(...aborted(event))
  const [next, left] = leftInput({ ...state, turn: undefined }, event)
  for (const one of left) measured.push(one)
  return [next, measured]
}

/** A session whose journal cannot be written tells no end of its turn; it is measured all the same, as a failed one. */
export const failed = (state: RecorderState, at: number): Step => {
  const measured = [point("sessionFailed", 1)]
  const { options, turn } = state
  if (turn === undefined) return [state, measured]
  measured.push(
    point("turnActive", -1, ofKind(turn.kind)),
    point("turnDuration", seconds(turn.at, at), ofFailure(turn.kind, "failed", "JournalFailed"))
  )
  if (options.reference) measured.push(point("codexTurnDuration", Math.max(0, at - turn.at)))
  atEnd(measured, turn, { options, outcome: "failed", usage: TokenUsage.zero })
  return [{ ...state, turn: undefined }, measured]
}

const atEnd = (
  measured: Array<Measurement>,
  turn: TurnState,
  {
    options,
    outcome,
    usage
  }: { readonly options: RecorderOptions; readonly outcome: string; readonly usage: TokenUsage.TokenUsage }
): void => {
  const memory = String(options.memoryEnabled)
  measured.push(point("turnToolCalls", turn.toolCallsCount, ofOutcome(turn.kind, outcome)))
  for (const [type, of] of tokenTypes) measured.push(point("turnTokens", of(usage), ofTokens(turn.kind, outcome, type)))
  // whoever drives the fold adds `active`: it is read, and not told
  measured.push(point("turnProxy", 1, withMemory(memory)))
  if (!options.reference) return
  measured.push(point("codexTurnToolCalls", turn.toolCallsCount, withMemory(memory)))
  for (const [type, of] of tokenTypes) measured.push(point("codexTurnTokens", of(usage), codexTokens(type, memory)))
  measured.push(point("codexTurnProxy", 1, withMemory(memory)))
}

const tokenTypes: ReadonlyArray<readonly [type: string, of: (usage: TokenUsage.TokenUsage) => number]> = [
  ["total", (usage) => usage.total],
  ["input", (usage) => usage.input],
  ["cached_input", (usage) => usage.cachedInput],
  ["output", (usage) => usage.output],
  ["reasoning_output", (usage) => usage.reasoning]
]

const howOf = (kind: string, event: SessionEvent.Terminal): Attributes =>
  event._tag === "TurnAborted"
    ? ofAbort(kind, "aborted", event.reason)
    : event._tag === "TurnFailed"
      ? ofFailure(kind, "failed", event.error.tag)
      : ofOutcome(kind, "completed")

const aborted = (event: Event<"TurnAborted">): ReadonlyArray<Measurement> => [
  point("abortDuration", seconds(event.requestedAt, event.at), ofSettling("settled", event.reason)),
  ...event.stragglers.map(({ kind }) => point("stragglers", 1, ofStraggler(kind)))
]

const leftInput = (state: RecorderState, event: SessionEvent.Terminal): Step => {
  if (event._tag === "TurnCompleted") return [state, nothing]
  const kept = event.kept.map(() => point("inputFate", 1, ofFate("kept")))
  if (event._tag === "TurnFailed") return [state, kept]
  const [returned, some] = inputLeft(
    state,
    event.returned.map(({ submissionId }) => submissionId),
    "returned"
  )
  const [dropped, more] = inputLeft(returned, event.dropped, "dropped")
  return [dropped, [...kept, ...some, ...more]]
}
