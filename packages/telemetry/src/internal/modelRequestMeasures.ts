/** Measures model requests. */
import type { Measurement } from "../Metrics.ts"
import type { RecordOf, State, Step } from "./model.ts"
import { nothing, point, seconds, shape } from "./points.ts"

const ofKind = shape("task.kind")
const ofRequest = shape("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
const ofFailedRequest = shape("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type")
const ofTokens = shape("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type")

export const startRequest = (state: State, { at, model, provider }: RecordOf<"ModelRequested">): Step => {
  if (state.turn === undefined) return [state, nothing]
  return [{ ...state, turn: { ...state.turn, request: { at, provider, model, hasOutput: false } } }, nothing]
}

/** Records output of the model. The first output counts, once for the turn and once for the request. */
export const recordOutput = (state: State, at: number): Step => {
  const { turn } = state
  if (turn === undefined || (turn.hasOutput && turn.request?.hasOutput !== false)) return [state, nothing]
  const { request } = turn
  const measured: Array<Measurement> = []
  if (!turn.hasOutput) {
    measured.push(point("timeToFirstToken", seconds(turn.at, at), ofKind(turn.kind)))
    if (state.options.reference) measured.push(point("codexTimeToFirstToken", Math.max(0, at - turn.at)))
  }
  if (request?.hasOutput === false) {
    const attributes = ofRequest("chat", request.provider, request.model)
    measured.push(point("timeToFirstChunk", seconds(request.at, at), attributes))
  }
  const after = request === undefined ? undefined : { ...request, hasOutput: true }
  return [{ ...state, turn: { ...turn, hasOutput: true, request: after } }, measured]
}

export const endRequest = (state: State, { at, finish, usage }: RecordOf<"ModelResponded">): Step => {
  const request = state.turn?.request
  if (state.turn === undefined || request === undefined) return [state, nothing]
  const { model, provider } = request
  const hasFailed = finish === "failed" || finish === "aborted"
  const attributes = hasFailed ? ofFailedRequest("chat", provider, model, finish) : ofRequest("chat", provider, model)
  return [
    { ...state, turn: { ...state.turn, request: undefined } },
    [
      point("operationDuration", seconds(request.at, at), attributes),
      point("clientTokens", usage.input, ofTokens("chat", provider, model, "input")),
      point("clientTokens", usage.output, ofTokens("chat", provider, model, "output"))
    ]
  ]
}
