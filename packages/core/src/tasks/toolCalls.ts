/**
 * The tool calls of the agent loop. They are checked, approved, and run in parallel or alone. Their results are in the
 * order of the calls.
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type * as Tracer from "effect/Tracer"
import { textOf } from "../internal/foreign.ts"
import { recover } from "../internal/recover.ts"
import { checkKeys, defaultPolicy, reach, rulingOf } from "../internal/tools.ts"
import type { TurnTables } from "../internal/toolTables.ts"
import { Granted } from "../Granted.ts"
import { type Hooks, isNone } from "../Hooks.ts"
import type { MutationGate } from "../MutationGate.ts"
import { NestedCalls } from "../NestedCalls.ts"
import type { ToolEntry, ToolPolicy } from "../ports/ToolSource.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import { jsonOfUnsafe, type ToolCall } from "../protocol/Item.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import * as Authority from "../state/Authority.ts"
import * as Tracing from "../Tracing.ts"
import type { Answer, Turn } from "../Turn.ts"
import { type Finish, type MadeCall, makeNest, type Nest, type NewCall } from "./nestedCalls.ts"
import { RepeatedFailures } from "./repeatedFailures.ts"

/** The calls of one turn. Their fibers are children of the loop's fiber and end with it. */
export interface ToolCalls {
  /** Starts a call. The response that contains it may not have ended yet. */
  readonly start: (call: ToolCall) => Effect.Effect<unknown>
  /** Waits for all calls, and returns their number since the last time. A call that dies fails the turn. */
  readonly awaitAll: Effect.Effect<number>
  /** Returns the texts that hooks added after calls, in the order of the calls. Each text is returned once. */
  readonly takeContexts: () => ReadonlyArray<string>
}

/** The options that all calls of a turn share. */
export interface CallOptions {
  readonly turn: Turn
  readonly tools: TurnTables
  /** The context of the turn, for policies. */
  readonly context: TurnContext
  readonly hooks: Hooks
  /** The gate that calls pass before they may change something. */
  readonly gate: MutationGate | undefined
  /** The number of calls that may run at once. */
  readonly concurrency: number
  /** The number of times that a call may fail with the same arguments. */
  readonly identicalFailures: number
  /** The span of the turn, the parent of the spans of its calls. */
  readonly parent: Tracer.AnySpan | undefined
}

/** A call that a group starts. */
interface GroupCall extends NewCall {
  /** The parent of its span; undefined for the current span. */
  readonly parent: Tracer.AnySpan | undefined
  /** The array to which the texts of hooks after the call are added. */
  readonly contexts: Array<string>
  /** Makes the nested calls of a call; undefined for a call that is nested itself. */
  readonly nest: ((call: MadeCall) => Nest) | undefined
}

/** A group of calls. Their policies decide which of them wait for each other. */
interface CallGroup {
  /** Starts a call in a child of the current fiber, in the same step. */
  readonly start: (call: GroupCall) => Effect.Effect<Fiber.Fiber<void>>
  /** Waits for all calls, and returns their number since the last time. A call that dies fails the caller. */
  readonly awaitAll: Effect.Effect<number>
}

/** Makes the calls of one turn. */
export const make = (options: CallOptions): ToolCalls => {
  const { context, parent, tools, turn } = options
  const failures = new RepeatedFailures(options.identicalFailures)
  const calls = makeGroup(options, failures)
  let contexts: Array<ReadonlyArray<string>> = []
  return {
    start: (made) =>
      Effect.suspend(() => {
        const added: Array<string> = []
        contexts.push(added)
        return calls.start({
          turn,
          parent,
          made,
          finish: (status, output) => turn.finish(made, status, output),
          contexts: added,
          nest: (call) => {
            const rest = { parent: undefined, contexts: added, nest: undefined }
            // nested calls wait for each other, and not for the call that makes them
            let group: CallGroup | undefined
            const start = (nested: NewCall) =>
              Effect.suspend(() => (group ??= makeGroup(options, failures)).start({ ...nested, ...rest }))
            return makeNest({ turn, tools, context, call, start })
          }
        })
      }),
    awaitAll: calls.awaitAll,
    takeContexts: () => {
      const taken = contexts.flat()
      contexts = []
      return taken
    }
  }
}

const makeGroup = (options: CallOptions, failures: RepeatedFailures): CallGroup => {
  let running: Array<Fiber.Fiber<void>> = []
  // in order of arrival, an exclusive call waits for all calls before it, a parallel one for the last exclusive one
  let exclusive: Array<Fiber.Fiber<void>> = []
  let parallel: Array<Fiber.Fiber<void>> = []
  const permits = Semaphore.makeUnsafe(options.concurrency)
  return {
    start: ({ made, ...rest }) => {
      const { call, entry, failure } = reach(options.tools.current, made)
      const isExclusive = entry !== undefined && entry.policy?.concurrency !== "parallel"
      const before = isExclusive ? [...exclusive, ...parallel] : exclusive
      const order: Order = {
        isFirst: before.length === 0,
        awaitEarlier: before.length === 0 ? Effect.void : Effect.forEach(before, Fiber.await, { discard: true }),
        run: (run) => {
          const permitted = Semaphore.withPermit(permits, run)
          return order.isFirst ? permitted : Effect.andThen(order.awaitEarlier, permitted)
        }
      }
      const work = Tracing.span(spanOf(rest, call, entry !== undefined), (span) => {
        const finish = noteEnd({ call, failures, finish: rest.finish, span })
        const { context, gate, hooks, tools } = options
        const notice = failures.noticeFor(call)
        if (notice !== undefined) return finish("failed", notice)
        if (failure !== undefined) {
          return Effect.andThen(rest.turn.warn(failure.message), finish("failed", failure.message))
        }
        return entry === undefined
          ? finish("failed", unknownTool(call.name, tools))
          : processCall({
              ...rest,
              finish,
              context,
              hooks,
              gate,
              entry,
              policy: entry.policy ?? defaultPolicy,
              call,
              order
            })
      })
      return Effect.map(Effect.forkChild(work, { startImmediately: true }), (fiber) => {
        running.push(fiber)
        if (isExclusive) {
          exclusive = [fiber]
          parallel = []
        } else parallel.push(fiber)
        return fiber
      })
    },
    awaitAll: Effect.suspend(() => {
      const fibers = running
      running = []
      exclusive = []
      parallel = []
      if (fibers.length === 0) return Effect.succeed(0)
      // concurrently, so that a call that dies ends the turn although an earlier one still runs
      const joined = fibers.length === 1 ? Fiber.join(fibers[0]!) : Effect.forEach(fibers, Fiber.join, allAtOnce)
      return Effect.as(joined, fibers.length)
    })
  }
}

const unknownTool = (name: string, tools: TurnTables): string =>
  tools.isGone(name)
    ? `unsupported call: the tool ${name} is no longer available`
    : `unsupported call: there is no tool ${name}`

/** Returns the settings of the span of a call. The name of an unknown tool is left out. */
const spanOf = (
  { parent, turn }: Pick<GroupCall, "parent" | "turn">,
  call: MadeCall,
  isKnown: boolean
): Tracing.SpanSettings => {
  const name = isKnown ? call.name : "unknown"
  return {
    name: `execute_tool ${name}`,
    parent,
    attributes: {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": name,
      "gen_ai.tool.call.id": call.callId,
      "gen_ai.tool.type": "function",
      "gen_ai.conversation.id": turn.sessionId,
      tool_name: name,
      call_id: call.callId
    }
  }
}

interface Noting {
  readonly call: MadeCall
  readonly failures: RepeatedFailures
  readonly finish: Finish
  readonly span: Tracer.Span | undefined
}

/**
 * Counts the failure of a call, and adds the end of the call to its span. The span of a call with a failed result has
 * failed.
 */
const noteEnd =
  ({ call, failures, finish, span }: Noting): Finish =>
  (status, output) =>
    Effect.contextWith((context: Context.Context<never>) => {
      failures.note(call, status)
      if (span === undefined) return finish(status, output)
      const [args, result] = [Tracing.content(context, () => call.params), Tracing.content(context, () => output)]
      Tracing.annotate(context, span, {
        "spindle.tool.status": status,
        ...(status === "failed" ? { "error.type": "tool_error" } : {}),
        ...(args === undefined ? {} : { "gen_ai.tool.call.arguments": args }),
        ...(result === undefined ? {} : { "gen_ai.tool.call.result": result })
      })
      return finish(status, output)
    })

// the fibers only wait here; the permits bound the number of calls that run at once
const allAtOnce = { concurrency: "unbounded", discard: true } as const

/** A call of a tool that exists. */
interface KnownCall extends Omit<GroupCall, "made" | "parent">, Pick<CallOptions, "context" | "hooks" | "gate"> {
  readonly entry: ToolEntry
  readonly policy: ToolPolicy<any>
  readonly call: MadeCall
  readonly order: Order
}

/** The place of a call among the calls of its group. */
interface Order {
  /** True if the call waits for no earlier call. */
  readonly isFirst: boolean
  /** Waits for the earlier calls that it must not run alongside. */
  readonly awaitEarlier: Effect.Effect<void>
  /** Runs the call in its place. */
  readonly run: (run: Effect.Effect<void>) => Effect.Effect<void>
}

/** Decodes the arguments, asks for approval, and runs the handler. */
const processCall = Effect.fnUntraced(function* (known: KnownCall) {
  const { call, entry, finish, order, turn } = known
  if (call.invalid !== undefined) {
    return yield* finish("failed", `the arguments of ${call.name} are not JSON`)
  }
  const decoded = yield* Effect.matchEager(entry.decode(call.params), {
    onFailure: (error) => ({ ok: false as const, message: error.message }),
    onSuccess: (params) => ({ ok: true as const, params })
  })
  if (!decoded.ok) return yield* finish("failed", `invalid arguments for ${call.name}: ${decoded.message}`)
  const verdict = isAlwaysAllowed(known)
    ? undefined
    : yield* Effect.matchEager(judge(known, decoded.params), {
        onFailure: (error) => error,
        onSuccess: (judged) => judged
      })
  if (verdict instanceof CallbackFailed) {
    yield* turn.warn(verdict.message)
    return yield* finish("failed", verdict.message)
  }
  if (verdict !== undefined && "reason" in verdict) return yield* finish(verdict.status, verdict.reason)
  if (known.gate !== undefined) {
    const closed = yield* Effect.matchEager(passGate(known, known.gate, decoded.params), {
      onFailure: (error) => error,
      onSuccess: () => undefined
    })
    if (closed !== undefined) return yield* finish("failed", closed.message)
  }
  const work = run(known, decoded.params)
  yield* order.run(verdict === undefined ? work : Effect.provideService(work, Granted, verdict))
})

/** Waits for the gate if the call may change something. Meanwhile the call does not count as one that runs. */
const passGate = Effect.fnUntraced(function* ({ call, policy, turn }: KnownCall, gate: MutationGate, params: unknown) {
  const { mutates = true } = policy
  const waits =
    typeof mutates === "function"
      ? yield* callApplication(`the mutates function of the tool ${call.name}`, () => mutates(params))
      : mutates
  if (!waits) return
  yield* recover(gate.pass, (cause) =>
    turn.warn(new CallbackFailed({ callback: "the gate of mutating calls", cause }).message)
  )
})

/**
 * The reason why a call does not run. The status is `failed` if its tool knows, before a person is asked, that the call
 * cannot succeed.
 */
interface Refusal {
  readonly status: "denied" | "failed"
  readonly reason: string
}

const denial = (reason: string): Refusal => ({ status: "denied", reason })

/**
 * Returns whether a call needs no decision: its policy allows every call, its tool never asks, and there are no hooks.
 */
const isAlwaysAllowed = ({ entry, hooks, policy }: KnownCall): boolean =>
  policy.approval === "allow" && entry.asks === undefined && isNone(hooks)

/**
 * Decides about a call. Returns a refusal if a hook, its policy, its check or the person who was asked refused it; a
 * grant if it was granted less than it asked for; and undefined if it may run. A cancelled question interrupts the
 * call: it is not a refusal (A2).
 */
const judge = Effect.fnUntraced(function* (known: KnownCall, params: unknown) {
  const { call, context, hooks, policy, turn } = known
  const verdict = yield* hooks.preToolUse(turn.turnId, call.name, params)
  const decision = { callId: call.callId, tool: call.name }
  if (verdict.deny) {
    yield* turn.recordDecision({ ...decision, permission: "deny", source: "hook", reason: verdict.reason })
    return denial(`denied: ${verdict.reason ?? "a hook refused this call"}`)
  }
  const { approval } = policy
  const isFixed = typeof approval !== "function" && known.entry.asks === undefined
  const ruling = isFixed ? approval : yield* rulingFor(known, params)
  const permission = Authority.permissionOf(ruling)
  const { reason: why, source } = typeof ruling === "string" ? byPolicy : ruling
  if (permission !== "ask") {
    // a policy that allows every call has not decided about this one
    if (ruling !== "allow") yield* turn.recordDecision({ ...decision, permission, source, reason: why })
    return permission === "allow" ? undefined : denial(`denied: ${why ?? `the policy forbids ${call.name}`}`)
  }
  const failure = yield* checkCall(known, params)
  if (failure !== undefined) return { status: "failed", reason: failure } satisfies Refusal
  const payload =
    policy.payload === undefined
      ? call.params
      : yield* callApplication(`the payload function of the tool ${call.name}`, () => policy.payload!(params, context))
  const { keys: keysOf } = policy
  const keys =
    keysOf === undefined
      ? undefined
      : yield* callApplication(`the keys function of the tool ${call.name}`, () => checkKeys(keysOf(params, context)))
  const answer = yield* turn.ask({
    kind: policy.kind ?? "permissions",
    callId: call.callId,
    tool: call.name,
    payload,
    ...(keys === undefined ? {} : { keys })
  })
  const isLess =
    answer._tag === "Approved" && answer.permissions !== undefined && !Authority.isEqual(answer.permissions, payload)
  if (isLess) return yield* acceptLess(known, params, { permissions: answer.permissions, scope: answer.scope })
  const reason = yield* refusalIn(answer)
  return reason === undefined ? undefined : denial(reason)
})

/** Records that a call runs with less than it asked for, or refuses it if its tool cannot do that. */
const acceptLess = Effect.fnUntraced(function* (
  { call, context, policy, turn }: KnownCall,
  params: unknown,
  granted: Granted
) {
  const { mayRunWith } = policy
  const { permissions } = granted
  const canRun =
    mayRunWith !== undefined &&
    (yield* callApplication(`the mayRunWith function of the tool ${call.name}`, () =>
      mayRunWith(params, permissions, context)
    ))
  if (!canRun) return denial("not approved: less was granted than this call needs")
  const { callId, name: tool } = call
  yield* turn.recordDecision({ callId, tool, permission: "allow", source: "policy", permissions })
  return granted
})

/**
 * Returns the reason why a call that needs a question cannot succeed. An earlier call that is still running may change
 * that, so after a refusal the check runs again when the earlier calls have ended.
 */
const checkCall = ({ call, order, policy }: KnownCall, params: unknown) => {
  const { check } = policy
  if (check === undefined) return Effect.succeed(undefined)
  const callback = `the check function of the tool ${call.name}`
  const once = Effect.flatMap(
    callApplication(callback, () => check(params)),
    (checking) => nameFailure(callback, checking)
  )
  return Effect.flatMap(once, (refusal) =>
    refusal === undefined || order.isFirst ? Effect.succeed(refusal) : Effect.andThen(order.awaitEarlier, once)
  )
}

const byPolicy: Pick<Authority.Ruling, "source" | "reason"> = { source: "policy" }

/** Returns the ruling of the policy of a tool and of the tool itself about a call. */
const rulingFor = Effect.fnUntraced(function* ({ call, context, entry, policy, turn }: KnownCall, params: unknown) {
  const ruling =
    typeof policy.approval === "function"
      ? yield* callApplication(`the approval function of the tool ${call.name}`, () =>
          rulingOf(policy, params, context)
        )
      : policy.approval
  if (Authority.permissionOf(ruling) !== "allow" || entry.asks === undefined) return ruling
  const asks = entry.asks(params, call.callId, yield* turn.history)
  const needsApproval = yield* nameFailure(`the needsApproval function of the tool ${call.name}`, asks)
  return needsApproval ? ("ask" as const) : ruling
})

/** Calls a function of the application. */
const callApplication = <A>(callback: string, evaluate: () => A): Effect.Effect<A, CallbackFailed> => {
  try {
    return Effect.succeed(evaluate())
  } catch (cause) {
    return Effect.fail(new CallbackFailed({ callback, cause }))
  }
}

/** Makes an effect of the application fail by name if it fails, dies or interrupts itself. */
const nameFailure = <A>(callback: string, effect: Effect.Effect<A, unknown>): Effect.Effect<A, CallbackFailed> =>
  recover(effect, (cause) => Effect.fail(new CallbackFailed({ callback, cause })))

const refusalIn = (answer: Answer): Effect.Effect<string | undefined> => {
  switch (answer._tag) {
    case "Approved":
      return Effect.undefined
    case "Denied":
      return Effect.succeed(answer.reason === undefined ? "rejected by user" : `rejected: ${answer.reason}`)
    case "Answered":
      return Effect.succeed("rejected: the question was answered without a decision")
    case "Abort":
      return Effect.interrupt
    case "Cancelled":
      return answer.by === "deadline" ? Effect.succeed("not approved: nobody answered in time") : Effect.interrupt
  }
}

const run = Effect.fnUntraced(function* (known: KnownCall, params: unknown) {
  const { call, contexts, entry, finish, hooks, turn } = known
  // the record of the call is durable before its handler starts (J8); a closing turn starts no handler (I2)
  // mutant record-before-running (J8: a call is durable before its handler starts): drop
  yield* turn.flush
  // mutant abort-checked-before-handler (I2: the turn is checked for an abort once the record of a call is durable):
  //   replace: `turn.unlessStopping(handle(known, params))` => `handle(known, params)`
  const result = yield* Effect.matchCauseEager(turn.unlessStopping(handle(known, params)), {
    onFailure: (cause) => ({ ok: false as const, cause }),
    onSuccess: (value) => ({ ok: true as const, value })
  })
  if (!result.ok) return yield* finishFailed(known, result.cause)
  const encoded = yield* Effect.catch(entry.encodeSuccess(result.value), (cause) =>
    Effect.die(new CallbackFailed({ callback: `the encoding of the result of the tool ${call.name}`, cause }))
  )
  const output = jsonOf(encoded)
  if (output._tag === "None") return yield* finish("failed", `the result of ${call.name} is not a JSON value`)
  yield* finish("completed", output.value)
  contexts.push(...(yield* hooks.postToolUse(turn.turnId, call.name, output.value)))
})

/** Runs the handler. Only a call that runs alone may make nested calls, which then wait for no other call. */
const handle = ({ call, entry, nest, policy }: KnownCall, params: unknown): Effect.Effect<unknown, unknown> => {
  const handler = entry.run(params, call.callId)
  if (nest === undefined) return Effect.provideService(handler, NestedCalls, undefined)
  if (policy.concurrency === "parallel") return handler
  const { calls, close } = nest(call)
  return Effect.ensuring(Effect.provideService(handler, NestedCalls, calls), close)
}

const jsonOf = (value: unknown): Option.Option<unknown> => {
  try {
    return Option.some(jsonOfUnsafe(value))
  } catch {
    return Option.none()
  }
}

/**
 * Finishes a call whose handler did not succeed. A typed failure is a result for the model, and so is a handler that
 * interrupted itself. A defect fails the turn. The interruption of a closing turn ends the call without a result.
 */
const finishFailed = ({ call, entry, finish, turn }: KnownCall, cause: Cause.Cause<unknown>) => {
  if (Cause.hasDies(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  if (Cause.hasInterruptsOnly(cause)) {
    return Effect.flatMap(turn.abortReason, (reason) =>
      reason === undefined ? finish("failed", `${call.name} was interrupted`) : Effect.interrupt
    )
  }
  const error = Cause.squash(cause)
  // an error without a message, or a failure that is not an error, is shown by its fields
  if (error instanceof Error && error.message !== "") return finish("failed", error.message)
  return Effect.flatMap(
    Effect.catch(entry.encodeFailure(error), () => Effect.succeed(fieldsOf(error))),
    (encoded) => finish("failed", encoded)
  )
}

/** Returns the fields of a failure that the schema of its tool does not describe, or a text if JSON cannot carry them. */
const fieldsOf = (error: unknown): unknown =>
  typeof error === "object" && error !== null ? Option.getOrElse(jsonOf(error), () => textOf(error)) : String(error)
