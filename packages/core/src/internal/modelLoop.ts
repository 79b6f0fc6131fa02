/** The model loop of a regular turn: input, request, tools, until the model has nothing left to do (`behaviour.md` 12, contract P4). */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Agent } from "../Agent.ts"
import { Hooks } from "../ports/Hooks.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import { SessionConfig, type SessionTunables } from "../protocol/SessionConfig.ts"
import { Turn } from "../Turn.ts"
import { millis } from "./kernel.ts"
import * as ToolCalls from "./toolCalls.ts"

/** Runs the loop; answers the last text of the model. */
export const run = <R>(agent: Agent<R>) =>
  Effect.gen(function* () {
    const turn = yield* Turn
    const hooks = yield* Hooks
    const config = yield* SessionConfig
    const table = yield* agent.tools
    const calls = ToolCalls.make(turn, table, hooks, config.toolConcurrency)
    const request = { instructions: agent.instructions, tools: table.specs, output: agent.output }
    let continuations = 0
    let carried = yield* turn.takeInput
    for (;;) {
      if (carried === 0) break
      do {
        yield* attempt(turn, calls, request, config)
        const called = yield* calls.awaitAll
        carried = called + (yield* turn.takeInput)
      } while (carried > 0)
      if (!(yield* turn.closeGate)) {
        carried = yield* turn.takeInput
        continue
      }
      if (continuations >= config.stopContinuations) break
      const verdict = yield* hooks.stop(turn.turnId, yield* lastText(turn))
      if (verdict.continueWith === undefined) break
      continuations++
      yield* turn.record({ _tag: "DeveloperMessage", text: verdict.continueWith })
      carried = 1
    }
    return yield* lastText(turn)
  })

const lastText = (turn: Turn["Service"]): Effect.Effect<string | undefined> =>
  Effect.map(turn.history, (items) => {
    const last = items.at(-1)
    return last?._tag === "AssistantMessage" ? last.text : undefined
  })

/** One request with its retries: the classified, bounded, announced kind. The only place that tries a model again. */
const attempt = Effect.fnUntraced(function* (
  turn: Turn["Service"],
  calls: ToolCalls.ToolCalls,
  request: Parameters<Turn["Service"]["sample"]>[0],
  config: SessionTunables
) {
  let requestRetries = 0
  let streamRetries = 0
  for (let count = 1; ; count++) {
    const before = (yield* turn.history).length
    const failure = yield* Effect.matchEager(turn.sample(request, count, calls.begin), {
      onFailure: (error: ModelFailed) => error,
      onSuccess: () => undefined
    })
    if (failure === undefined) return
    // calls that the broken answer had completed are answered first, so that the next request pairs up
    const called = yield* calls.awaitAll
    const began = called > 0 || (yield* turn.history).length > before || failure.kind === "Disconnected" || failure.kind === "IdleTimeout"
    const [done, most] = began
      ? [++streamRetries, config.streamRetries]
      : [++requestRetries, config.requestRetries]
    if (!failure.isRetryable || done > most) return yield* failure
    const delayMillis = failure.retryAfterMillis ?? (yield* backOff(config, done))
    yield* turn.retrying({ attempt: done, maxAttempts: most, delayMillis, error: failure })
    yield* Effect.sleep(delayMillis)
  }
})

/** The delay doubles from try to try and varies by 10 % each way. */
const backOff = (config: SessionTunables, attempt: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) =>
    Math.round(millis(config.retryDelay) * 2 ** (attempt - 1) * (0.9 + 0.2 * random))
  )
