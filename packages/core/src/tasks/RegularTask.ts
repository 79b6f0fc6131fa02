/**
 * The regular task: the agent loop.
 *
 * ```
 * take the input that waits ─► request ─► tool calls ─┐
 *        ▲                                            │ until the model calls no tool and no input waits
 *        └────────────────────────────────────────────┘
 * close the gate for input (P4) ─► stop hook: end, or continue with its text
 * ```
 *
 * Everything that the loop does goes through its {@link Turn}, so the turn can be settled without it.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { Agent } from "../Agent.ts"
import { millis } from "../internal/session/sessionContext.ts"
import * as ToolTables from "../internal/toolTables.ts"
import { guard, Hooks, provide } from "../Hooks.ts"
import type { Model } from "../ports/Model.ts"
import { ToolAuthority } from "../ports/ToolAuthority.ts"
import type { ToolTable } from "../ports/ToolSource.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import { SessionConfig } from "../protocol/SessionConfig.ts"
import { ModelFailed } from "../protocol/SessionError.ts"
import * as Task from "../Task.ts"
import * as Tracing from "../Tracing.ts"
import { type SampleRequest, Turn } from "../Turn.ts"
import * as ToolCalls from "./toolCalls.ts"

/**
 * Makes the regular task of an agent: the same one at each call. It returns the last text of the model, or undefined if
 * there was none. It can be steered.
 *
 * **Errors**: `ModelFailed` when the model could not be used, after the retries of `SessionConfig`. **Interruption**:
 * what the model said and every finished tool result is in the history; a call that was open gets a result that says so.
 */
export const make = <R>(agent: Agent<R>): Task.Task<string | undefined, ModelFailed, R | Turn | Model> => {
  let made = tasks.get(agent)
  if (made === undefined) {
    made = Task.make("regular", effectOf(agent), { spanName: "session_task.turn", steerable: true })
    tasks.set(agent, made)
  }
  return made
}

// a task is a value without state: one serves all sessions of its agent
const tasks = new WeakMap<Agent<any>, Task.Task<string | undefined, ModelFailed, Turn | Model>>()

const effectOf = <R>(agent: Agent<R>) => {
  const tablesOf = ToolTables.make(agent)
  return Effect.flatMap(Turn, (turn) => {
    const tables = tablesOf(turn.session)
    const tools = tables.forTurn(turn.warn)
    const loop = Effect.provideService(run(agent, turn, tools), ToolAuthority, tables.authority)
    return agent.sources.length === 0 ? loop : Effect.ensuring(loop, Effect.sync(tools.release))
  })
}

/** Runs the loop; returns the last text of the model. */
const run = <R>(agent: Agent<R>, turn: Turn, tools: ToolTables.TurnTables) =>
  Effect.gen(function* () {
    const hooks = provide(guard(yield* Hooks, turn.warn), Context.make(Turn, turn))
    const config = yield* SessionConfig
    const parent = yield* Effect.contextWith((context: Context.Context<never>) =>
      Effect.succeed(Tracing.currentSpan(context))
    )
    const { identicalFailures, toolConcurrency: concurrency } = config
    const calls = ToolCalls.make({ turn, tools, hooks, concurrency, identicalFailures, parent })
    const requests = requestsOf(agent)
    let continuations = 0
    let said: string | undefined
    let carried = yield* turn.takeInput
    for (;;) {
      while (carried > 0) {
        const next = tools.next()
        const request = requests.of(Effect.isEffect(next) ? yield* next : next)
        said = yield* attempt({ turn, calls, request, config })
        for (const warning of requests.takeWarnings()) yield* turn.warn(warning)
        const called = yield* calls.awaitAll
        for (const text of calls.takeContexts()) yield* turn.record({ _tag: "DeveloperMessage", text })
        carried = called + (yield* turn.takeInput)
      }
      if (!(yield* turn.closeGate)) {
        carried = yield* turn.takeInput
        continue
      }
      if (continuations >= config.stopContinuations) return said
      const verdict = yield* hooks.stop(turn.turnId, { lastMessage: said, continuations })
      if (verdict.continueWith === undefined) return said
      continuations++
      yield* turn.record({ _tag: "DeveloperMessage", text: verdict.continueWith })
      carried = 1
    }
  })

/** The requests of one turn: made again only if the tools have changed. */
const requestsOf = <R>({ instructions, output }: Agent<R>) => {
  let made: { readonly table: ToolTable; readonly request: SampleRequest } | undefined
  let warnings: Array<string> = []
  const warned = new Set<string>()
  const display =
    ({ byName }: ToolTable): SampleRequest["display"] =>
    ({ name, params }) => {
      try {
        return byName.get(name)?.display(params)
      } catch (cause) {
        if (!warned.has(name)) {
          warned.add(name)
          warnings.push(new CallbackFailed({ callback: `the display function of the tool ${name}`, cause }).message)
        }
        return undefined
      }
    }
  return {
    of: (table: ToolTable): SampleRequest => {
      if (made?.table !== table) {
        made = { table, request: { instructions, tools: table.specs, output, display: display(table) } }
      }
      return made.request
    },
    /** What is to be reported of display functions that threw, once a turn and tool. */
    takeWarnings: (): ReadonlyArray<string> => {
      if (warnings.length === 0) return warnings
      const taken = warnings
      warnings = []
      return taken
    }
  }
}

/** One request of the loop. */
interface Attempt {
  readonly turn: Turn
  readonly calls: ToolCalls.ToolCalls
  readonly request: SampleRequest
  readonly config: SessionConfig
}

/** Sends one request with its retries, and returns what the model said. No other code tries a model again. */
const attempt = Effect.fnUntraced(function* ({ calls, config, request, turn }: Attempt) {
  let requestRetries = 0
  let streamRetries = 0
  for (let count = 1; ; count++) {
    const sampled = yield* Effect.matchEager(turn.sample(request, count, calls.start), {
      onFailure: (error: ModelFailed) => error,
      onSuccess: (ended) => ended
    })
    if (!(sampled instanceof ModelFailed)) {
      if (cut[sampled.finish] !== undefined) yield* turn.warn(cut[sampled.finish]!)
      return sampled.text
    }
    // the calls of the broken response get their results first, so that the next request pairs up
    yield* calls.awaitAll
    const hadStarted = sampled.kind === "Disconnected" || sampled.kind === "IdleTimeout"
    const [done, most] = hadStarted
      ? [++streamRetries, config.streamRetries]
      : [++requestRetries, config.requestRetries]
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

/** The delay before a retry: it doubles each time and varies by 10 % each way. */
const backOff = (config: SessionConfig, attempt: number): Effect.Effect<number> =>
  Effect.map(Random.next, (random) => Math.round(millis(config.retryDelay) * 2 ** (attempt - 1) * (0.9 + 0.2 * random)))
