/** Measurements of turns and of the requests and tool calls in them. */
import type * as SessionEvent from "@spindle/core/protocol/SessionEvent"
import * as TokenUsage from "@spindle/core/protocol/TokenUsage"
import type { Attributes, Measurement, MetricId } from "../Metrics.ts"
import type { RecorderState, Step, TurnState } from "../Recorder.ts"
import { inputLeft } from "./requestMeasures.ts"

type Event<Tag extends SessionEvent.KnownRecord["_tag"]> = Extract<SessionEvent.KnownRecord, { readonly _tag: Tag }>

const point = (metric: MetricId, value: number, attributes: Attributes = none): Measurement => ({
  metric,
  value,
  attributes
})
const none: Attributes = {}
const nothing: ReadonlyArray<Measurement> = []
const seconds = (from: number, to: number): number => Math.max(0, to - from) / 1000

export const sessionStarted = (state: RecorderState, event: Event<"SessionStarted">): ReadonlyArray<Measurement> => [
  point("sessionStarted", 1, { source: event.forkedFrom === undefined ? "new" : "forked" }),
  point("codexThreadStarted", 1, { is_git: String(state.options.isGit) })
]

const codexTasks: { readonly [kind: string]: readonly [MetricId, Attributes] | undefined } = {
  compact: ["codexTaskCompact", { type: "local" }],
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
    calls: new Map()
  }
  const measured = [point("turnStarted", 1, { "task.kind": kind }), point("turnActive", 1, { "task.kind": kind })]
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
    measured.push(
      point("timeToFirstToken", seconds(turn.at, at), { "task.kind": turn.kind }),
      point("codexTimeToFirstToken", Math.max(0, at - turn.at))
    )
  }
  if (turn.request?.hasOutput === false) {
    measured.push(point("timeToFirstChunk", seconds(turn.request.at, at), turn.request.attributes))
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
  return [
    { ...state, turn: { ...turn, hasMessage: true } },
    [
      ...measured,
      point("timeToFirstMessage", seconds(turn.at, at), { "task.kind": turn.kind }),
      point("codexTimeToFirstMessage", Math.max(0, at - turn.at))
    ]
  ]
}

type Call = Extract<Event<"ItemRecorded">["item"], { readonly _tag: "ToolCall" }>
type Result = Extract<Event<"ItemRecorded">["item"], { readonly _tag: "ToolResult" }>

const toolCall = ([state, measured]: Step, { callId, name }: Call, at: number): Step => {
  const { turn } = state
  if (turn === undefined) return [state, measured]
  const calls = new Map(turn.calls).set(callId, { name, at })
  return [{ ...state, turn: { ...turn, calls, toolCallsCount: turn.toolCallsCount + 1 } }, measured]
}

const toolResult = (state: RecorderState, { callId, name, status }: Result, at: number): Step => {
  const { turn } = state
  const call = turn?.calls.get(callId)
  if (turn === undefined || call === undefined) return [state, nothing]
  const calls = new Map(turn.calls)
  calls.delete(callId)
  return [
    { ...state, turn: { ...turn, calls } },
    [point("toolDuration", seconds(call.at, at), { "gen_ai.tool.name": name, status })]
  ]
}

export const requested = (state: RecorderState, { at, model, provider }: Event<"ModelRequested">): Step => {
  if (state.turn === undefined) return [state, nothing]
  const attributes = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": provider,
    "gen_ai.request.model": model
  }
  return [{ ...state, turn: { ...state.turn, request: { at, attributes, hasOutput: false } } }, nothing]
}

export const responded = (state: RecorderState, { at, finish, usage }: Event<"ModelResponded">): Step => {
  const request = state.turn?.request
  if (state.turn === undefined || request === undefined) return [state, nothing]
  const { attributes } = request
  const outcome = finish === "failed" || finish === "aborted" ? { ...attributes, "error.type": finish } : attributes
  return [
    { ...state, turn: { ...state.turn, request: undefined } },
    [
      point("operationDuration", seconds(request.at, at), outcome),
      point("clientTokens", usage.input, { ...attributes, "gen_ai.token.type": "input" }),
      point("clientTokens", usage.output, { ...attributes, "gen_ai.token.type": "output" })
    ]
  ]
}

const outcomes = { TurnCompleted: "completed", TurnFailed: "failed", TurnAborted: "aborted" } as const

/** A turn of which this program saw no start, because its host died, is not measured; its input and stragglers are. */
export const ended = (state: RecorderState, event: SessionEvent.Terminal): Step => {
  const { options, turn } = state
  const measured: Array<Measurement> = []
  if (turn !== undefined) {
    const outcome = { "task.kind": turn.kind, outcome: outcomes[event._tag] }
    measured.push(
      point("turnActive", -1, { "task.kind": turn.kind }),
      point("turnDuration", seconds(turn.at, event.at), { ...outcome, ...whyOf(event) }),
      point("codexTurnDuration", Math.max(0, event.at - turn.at))
    )
    if (event._tag !== "TurnAborted" || options.abortedTurns) {
      measured.push(...atEnd(turn, event.usage, { outcome, memory: String(options.memoryEnabled) }))
    }
  }
  if (event._tag === "TurnAborted" && event.crashed === undefined) measured.push(...aborted(event))
  const [next, left] = leftInput({ ...state, turn: undefined }, event)
  return [next, measured.concat(left)]
}

/** A session whose journal cannot be written tells no end of its turn; it is measured all the same, as a failed one. */
export const failed = (state: RecorderState, at: number): Step => {
  const count = point("sessionFailed", 1)
  const { turn } = state
  if (turn === undefined) return [state, [count]]
  const outcome = { "task.kind": turn.kind, outcome: "failed" }
  const measured = [
    count,
    point("turnActive", -1, { "task.kind": turn.kind }),
    point("turnDuration", seconds(turn.at, at), { ...outcome, "error.type": "JournalFailed" }),
    point("codexTurnDuration", Math.max(0, at - turn.at)),
    ...atEnd(turn, TokenUsage.zero, { outcome, memory: String(state.options.memoryEnabled) })
  ]
  return [{ ...state, turn: undefined }, measured]
}

const atEnd = (
  turn: TurnState,
  usage: TokenUsage.TokenUsage,
  { memory, outcome }: { readonly outcome: Attributes; readonly memory: string }
): ReadonlyArray<Measurement> => [
  point("turnToolCalls", turn.toolCallsCount, outcome),
  point("codexTurnToolCalls", turn.toolCallsCount, { tmp_mem_enabled: memory }),
  ...tokenTypes.flatMap(([type, of]) => [
    point("turnTokens", of(usage), { ...outcome, "token.type": type }),
    point("codexTurnTokens", of(usage), { token_type: type, tmp_mem_enabled: memory })
  ]),
  // whoever drives the fold adds `active`: it is read, and not told
  point("turnProxy", 1, { tmp_mem_enabled: memory }),
  point("codexTurnProxy", 1, { tmp_mem_enabled: memory })
]

const tokenTypes: ReadonlyArray<readonly [type: string, of: (usage: TokenUsage.TokenUsage) => number]> = [
  ["total", (usage) => usage.total],
  ["input", (usage) => usage.input],
  ["cached_input", (usage) => usage.cachedInput],
  ["output", (usage) => usage.output],
  ["reasoning_output", (usage) => usage.reasoning]
]

const whyOf = (event: SessionEvent.Terminal): Attributes =>
  event._tag === "TurnAborted"
    ? { "abort.reason": event.reason }
    : event._tag === "TurnFailed"
      ? { "error.type": event.error.tag }
      : none

const aborted = (event: Event<"TurnAborted">): ReadonlyArray<Measurement> => [
  point("abortDuration", seconds(event.requestedAt, event.at), { phase: "settled", "abort.reason": event.reason }),
  ...event.stragglers.map(({ kind }) => point("stragglers", 1, { kind }))
]

const leftInput = (state: RecorderState, event: SessionEvent.Terminal): Step => {
  if (event._tag === "TurnCompleted") return [state, nothing]
  const kept = event.kept.map(() => point("inputFate", 1, { fate: "kept" }))
  if (event._tag === "TurnFailed") return [state, kept]
  const [returned, some] = inputLeft(
    state,
    event.returned.map(({ submissionId }) => submissionId),
    "returned"
  )
  const [dropped, more] = inputLeft(returned, event.dropped, "dropped")
  return [dropped, [...kept, ...some, ...more]]
}
