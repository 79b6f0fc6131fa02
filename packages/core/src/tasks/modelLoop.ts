/** The model loop of a regular turn: input, request, tools, until the model has nothing left to do (contract P4). */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Agent from "../Agent.ts"
import { Hooks } from "../ports/Hooks.ts"
import type { Model } from "../ports/Model.ts"
import { ToolAuthority } from "../ports/ToolAuthority.ts"
import * as Tracing from "../Tracing.ts"
import { ModelFailed } from "../protocol/SessionError.ts"
import { SessionConfig } from "../protocol/SessionConfig.ts"
import * as Task from "../Task.ts"
import { Turn } from "../Turn.ts"
import * as Tools from "../internal/tools.ts"
import { millis } from "../internal/session/sessionContext.ts"
import * as ToolCalls from "./toolCalls.ts"

/** The regular task of an agent; see `RegularTask.make`. */
export const task = <R>(agent: Agent.Agent<R>): Task.Task<string | undefined, ModelFailed, R | Turn | Model> => {
  let made = tasks.get(agent)
  if (made === undefined) {
    const effect = Effect.provideService(run(agent), ToolAuthority, Agent.authorityOf(agent))
    made = Task.make("regular", effect, { spanName: "session_task.turn", steerable: true })
    tasks.set(agent, made)
  }
  return made
}

// a task is a value without state: one serves all sessions of its agent
const tasks = new WeakMap<Agent.Agent<any>, Task.Task<string | undefined, ModelFailed, Turn | Model>>()

/** Runs the loop; answers the last text of the model. */
const run = <R>(agent: Agent.Agent<R>) =>
  Effect.gen(function* () {
    const turn = yield* Turn
    const hooks = yield* Hooks
    const config = yield* SessionConfig
    const table = agent.tools()
    const parent = yield* Effect.contextWith((context: Context.Context<never>) =>
      Effect.succeed(Tracing.currentSpan(context))
    )
    const calls = ToolCalls.make({ turn, table, hooks, concurrency: config.toolConcurrency, parent })
    const request = {
      instructions: agent.instructions,
      tools: table.specs,
      output: agent.output,
      display: Tools.display(table)
    }
    let continuations = 0
    let said: string | undefined
    let carried = yield* turn.takeInput
    for (;;) {
      while (carried > 0) {
        said = yield* attempt(turn, calls, request, config)
        const called = yield* calls.awaitAll
        carried = called + (yield* turn.takeInput)
      }
      if (!(yield* turn.closeGate)) {
        carried = yield* turn.takeInput
        continue
      }
      if (continuations >= config.stopContinuations) return said
      const verdict = yield* hooks.stop(turn.turnId, said)
      if (verdict.continueWith === undefined) return said
      continuations++
      yield* turn.record({ _tag: "DeveloperMessage", text: verdict.continueWith })
      carried = 1
    }
  })

/**
 * One request with its retries: the classified, bounded, announced kind. The only place that tries a model again.
 * Answers what the model said.
 */
const attempt = Effect.fnUntraced(function* (
  turn: Turn,
  calls: ToolCalls.ToolCalls,
  request: Parameters<Turn["sample"]>[0],
  config: SessionConfig
) {
  let requestRetries = 0
  let streamRetries = 0
  for (let count = 1; ; count++) {
    const sampled = yield* Effect.matchEager(turn.sample(request, count, calls.begin), {
      onFailure: (error: ModelFailed) => error,
      onSuccess: (ended) => ended
    })
    if (!(sampled instanceof ModelFailed)) {
      if (cut[sampled.finish] !== undefined) yield* turn.warn(cut[sampled.finish]!)
      return sampled.text
    }
    // calls that the broken answer had completed are answered first, so that the next request pairs up
    yield* calls.awaitAll
    const begun = sampled.kind === "Disconnected" || sampled.kind === "IdleTimeout"
    const [done, most] = begun ? [++streamRetries, config.streamRetries] : [++requestRetries, config.requestRetries]
    if (!sampled.isRetryable || done > most) return yield* sampled
    const delayMillis = sampled.retryAfterMillis ?? (yield* backOff(config, done))
    yield* turn.retrying({ attempt: done, maxAttempts: most, delayMillis, error: sampled })
    yield* Effect.sleep(delayMillis)
  }
})

const cut: { readonly [finish: string]: string | undefined } = {
  length: "the model's answer was cut off at its output limit",
  "content-filter": "the model's answer was cut off by the provider's content filter"
}

/** The delay doubles from try to try and varies by 10 % each way. */
const backOff = (config: SessionConfig, attempt: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => Math.round(millis(config.retryDelay) * 2 ** (attempt - 1) * (0.9 + 0.2 * random)))
