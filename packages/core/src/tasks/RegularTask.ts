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
 * Everything that the loop does goes through its {@link Turn}, so the owner can settle the turn without the loop.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import type { Agent } from "../Agent.ts"
import { reach } from "../internal/tools.ts"
import * as ToolTables from "../internal/toolTables.ts"
import { guard, Hooks, provide } from "../Hooks.ts"
import { MutationGate } from "../MutationGate.ts"
import { NestedCalls } from "../NestedCalls.ts"
import { Model, type OutputFormat, type ToolSpec } from "../ports/Model.ts"
import { ToolAuthority } from "../ports/ToolAuthority.ts"
import type { ToolTable } from "../ports/ToolSource.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import { SessionConfig } from "../protocol/SessionConfig.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import * as TurnContexts from "../protocol/TurnContext.ts"
import * as Task from "../Task.ts"
import * as Tracing from "../Tracing.ts"
import { type Sampled, type SampleRequest, Turn } from "../Turn.ts"
import * as Attempts from "./attempts.ts"
import * as AutomaticCompaction from "./automaticCompaction.ts"
import * as ToolCalls from "./toolCalls.ts"

/**
 * Returns the regular task of an agent, the same one at each call. The task returns the last text of the model, or
 * undefined if there was none. It can be steered.
 *
 * **Errors**: `ModelFailed` after the retries of `SessionConfig`. **Interruption**: the text of the model and the
 * results of finished calls are in the history; an open call gets a result with the status `aborted`.
 */
export const make = <R>(agent: Agent<R>): Task.Task<string | undefined, ModelFailed, R | Turn | Model> => {
  let made = tasks.get(agent)
  if (made === undefined) {
    made = Task.make("regular", effectOf(agent), { spanName: "session_task.turn", steerable: true })
    tasks.set(agent, made)
  }
  return made
}

// a task is a value without state, so all sessions of an agent share one
const tasks = new WeakMap<Agent<any>, Task.Task<string | undefined, ModelFailed, Turn | Model>>()

const effectOf = <R>(agent: Agent<R>) => {
  const tablesOf = ToolTables.make(agent)
  return Effect.contextWith((services: Context.Context<Turn | Model>) => {
    const turn = Context.get(services, Turn)
    const tables = tablesOf(turn.session)
    const tools = tables.forTurn(turn.warn)
    const context = TurnContexts.inServices(services)
    const work = withGate(turn, Context.get(services, MutationGate), (gate) =>
      run(agent, { turn, tools, context, gate, services })
    )
    const loop = Effect.provideService(work, ToolAuthority, tables.authorityIn(context))
    // a call of the parent session may have put its nested calls into the context
    const hasNestedCalls = Context.get(services, NestedCalls) !== undefined
    const alone = hasNestedCalls ? Effect.provideService(loop, NestedCalls, undefined) : loop
    return agent.sources.length === 0 ? alone : Effect.ensuring(alone, Effect.sync(tools.release))
  })
}

/**
 * Runs the loop with the gate of its turn, if there is one. If the gate throws, a warning reports it, and the turn runs
 * without a gate.
 */
const withGate = <A, E, R>(
  turn: Turn,
  gate: MutationGate | undefined,
  loop: (own: MutationGate | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  if (gate === undefined) return loop(undefined)
  let own: MutationGate | undefined
  let report: Effect.Effect<void> = Effect.void
  try {
    own = gate.forTurn(turn)
  } catch (cause) {
    report = turn.warn(new CallbackFailed({ callback: "MutationGate.forTurn", cause }).message)
  }
  return Effect.andThen(report, Effect.provideService(loop(own), MutationGate, own))
}

/** The parts of the loop of one turn. */
interface Loop {
  readonly turn: Turn
  readonly tools: ToolTables.TurnTables
  readonly context: TurnContexts.TurnContext
  readonly gate: MutationGate | undefined
  readonly services: Context.Context<Turn | Model>
}

/** Runs the loop, and returns the last text of the model. */
const run = Effect.fnUntraced(function* (
  agent: Pick<Agent<never>, "instructions" | "output">,
  { context, gate, services, tools, turn }: Loop
) {
  const hooks = provide(guard(Context.get(services, Hooks), turn.warn), Context.make(Turn, turn))
  const config = Context.get(services, SessionConfig)
  const { identicalFailures, toolConcurrency: concurrency } = config
  const parent = Tracing.currentSpan(services)
  const calls = ToolCalls.make({ turn, tools, context, hooks, concurrency, identicalFailures, parent, gate })
  const output = outputIn(context, agent.output)
  const requests = requestsOf({ instructions: agent.instructions, output, context })
  let continuations = 0
  let said: string | undefined
  const compaction = AutomaticCompaction.make(turn, config, Context.get(services, Model))
  // before the input leaves the inbox, so that no failure loses the input
  yield* compaction.beforeRequest()
  let carried = yield* turn.takeInput
  for (let isFirst = true; ;) {
    while (carried > 0) {
      // this records the fragments again, and the input that came meanwhile
      if (!isFirst && (yield* compaction.beforeRequest())) yield* turn.takeInput
      isFirst = false
      const next = tools.next()
      const table = Effect.isEffect(next) ? yield* next : next
      const specs = tools.hasChoice ? tools.offer(yield* turn.items) : table.specs
      const request = requests.of(table, specs)
      const { finish, text } = yield* sample({ turn, calls, request, config, compaction })
      said = text
      if (cut[finish] !== undefined) yield* turn.warn(cut[finish])
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

/** Returns the output format of a turn: that of its context if an input has set one, or else that of the agent. */
const outputIn = (
  { output: schema }: TurnContexts.TurnContext,
  own: OutputFormat | undefined
): OutputFormat | undefined =>
  schema === undefined || Equal.equals(schema, own?.schema) ? own : { name: "output", schema }

/** Makes the requests of one turn. A new request is made only if the tools have changed. */
const requestsOf = ({
  context,
  instructions,
  output
}: Pick<SampleRequest, "instructions" | "output"> & { readonly context: TurnContexts.TurnContext }) => {
  let made: { readonly table: ToolTable; readonly request: SampleRequest } | undefined
  const isMade = (table: ToolTable, specs: ReadonlyArray<ToolSpec>) =>
    made?.table === table && (made.request.tools === specs || areEqual(made.request.tools, specs))
  let warnings: Array<string> = []
  const warned = new Set<string>()
  const display =
    (table: ToolTable): SampleRequest["display"] =>
    (asked) => {
      const { name } = asked
      try {
        const { call, entry } = reach(table, asked)
        return entry?.display(call.params, context)
      } catch (cause) {
        if (!warned.has(name)) {
          warned.add(name)
          warnings.push(new CallbackFailed({ callback: `the display function of the tool ${name}`, cause }).message)
        }
        return undefined
      }
    }
  return {
    /** Returns the request with these tools of a table. */
    of: (table: ToolTable, specs: ReadonlyArray<ToolSpec>): SampleRequest => {
      if (made === undefined || !isMade(table, specs)) {
        made = { table, request: { instructions, tools: specs, output, display: display(table) } }
      }
      return made.request
    },
    /** Returns and removes the warnings about display functions that threw, one for each tool and turn. */
    takeWarnings: (): ReadonlyArray<string> => {
      if (warnings.length === 0) return warnings
      const taken = warnings
      warnings = []
      return taken
    }
  }
}

const areEqual = (before: ReadonlyArray<ToolSpec>, after: ReadonlyArray<ToolSpec>): boolean =>
  before.length === after.length && before.every((spec, index) => spec === after[index])

/** A request of the loop. */
interface LoopRequest {
  readonly turn: Turn
  readonly calls: ToolCalls.ToolCalls
  readonly request: SampleRequest
  readonly config: SessionConfig
  readonly compaction: AutomaticCompaction.AutomaticCompaction
}

/** Sends one request. If the model refuses the context, the history is compacted and the request is sent again. */
const sample = ({
  calls,
  compaction,
  config,
  request,
  turn
}: LoopRequest): Effect.Effect<Sampled, ModelFailed, Model> => {
  const attempts = { turn, config, request, onCall: calls.start, afterFailure: calls.awaitAll }
  return Attempts.sample({
    ...attempts,
    orElse: (error) =>
      error.kind === "ContextWindowExceeded"
        ? Effect.flatMap(compaction.afterOverflow, (isCompacted) =>
            isCompacted ? Effect.andThen(turn.takeInput, Attempts.sample(attempts)) : Effect.fail(error)
          )
        : Effect.fail(error)
  })
}

const cut: { readonly [finish: string]: string | undefined } = {
  length: "the model's answer was cut off at its output limit",
  "content-filter": "the model's answer was cut off by the provider's content filter"
}
