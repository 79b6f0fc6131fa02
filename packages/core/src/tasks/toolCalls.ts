/** Tool calls of the model loop: checked, approved, run side by side or alone, answered in the order of the calls. */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import type * as Tracer from "effect/Tracer"
import type { Hooks } from "../ports/Hooks.ts"
import * as Tracing from "../Tracing.ts"
import { jsonOfUnsafe, type ToolCall } from "../protocol/Item.ts"
import type * as Authority from "../state/Authority.ts"
import type { Turn } from "../Turn.ts"
import type { ToolEntry, ToolTable } from "../internal/tools.ts"

/** The calls of one turn. Their fibers are children of the loop's: they end with it. */
export interface ToolCalls {
  /** Starts a call, before the response that makes it has ended. */
  readonly begin: (call: ToolCall) => Effect.Effect<void>
  /** Waits for all calls; a call that dies fails the turn. Answers how many there were since the last time. */
  readonly awaitAll: Effect.Effect<number>
}

/** What the calls of a turn share. `concurrency` bounds how many run at once; `parent` is the span of each. */
export interface CallOptions {
  readonly turn: Turn
  readonly table: ToolTable
  readonly hooks: Hooks
  readonly concurrency: number
  readonly parent: Tracer.AnySpan | undefined
}

/** Makes the calls of one turn. */
export const make = ({ concurrency, hooks, parent, table, turn }: CallOptions): ToolCalls => {
  let running: Array<Fiber.Fiber<void>> = []
  /**
   * What a call waits for, in order of arrival: an exclusive one for all before it, a parallel one for the last
   * exclusive one.
   */
  let exclusive: Array<Fiber.Fiber<void>> = []
  let parallel: Array<Fiber.Fiber<void>> = []
  const permits = Semaphore.makeUnsafe(concurrency)
  return {
    begin: (call) =>
      Effect.suspend(() => {
        const policy = table.byName.get(call.name)?.policy
        const alone = policy !== undefined && policy.concurrency !== "parallel"
        const before = alone ? [...exclusive, ...parallel] : exclusive
        const inTurn = (run: Effect.Effect<void>) => {
          const permitted = Semaphore.withPermit(permits, run)
          if (before.length === 0) return permitted
          return Effect.andThen(Effect.forEach(before, Fiber.await, { discard: true }), permitted)
        }
        const known = table.byName.has(call.name)
        const work = Tracing.span(spanOf(turn, call, { known, parent }), (span) =>
          answer(span === undefined ? turn : told(turn, span), table, hooks, call, inTurn)
        )
        return Effect.map(Effect.forkChild(work, { startImmediately: true }), (fiber) => {
          running.push(fiber)
          if (!alone) return void parallel.push(fiber)
          exclusive = [fiber]
          parallel = []
        })
      }),
    awaitAll: Effect.suspend(() => {
      const fibers = running
      running = []
      exclusive = []
      parallel = []
      if (fibers.length === 0) return Effect.succeed(0)
      // side by side, so that a call that dies is noticed although one before it goes on
      const joined = fibers.length === 1 ? Fiber.join(fibers[0]!) : Effect.forEach(fibers, Fiber.join, together)
      return Effect.as(joined, fibers.length)
    })
  }
}

/** The span of a call, beside the request that made it. What a model invented as a name is not told. */
const spanOf = (
  turn: Turn,
  call: ToolCall,
  { known, parent }: { readonly known: boolean; readonly parent: Tracer.AnySpan | undefined }
): Tracing.SpanSettings => {
  const name = known ? call.name : "unknown"
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

/** The turn, with how the call ends noted on its span: a call that was answered with a failure has failed. */
const told = (turn: Turn, span: Tracer.Span): Turn => ({
  ...turn,
  finish: (call, status, output) =>
    Effect.contextWith((context: Context.Context<never>) => {
      span.attribute("spindle.tool.status", status)
      if (status === "failed") span.attribute("error.type", "tool_error")
      const [args, result] = [Tracing.content(context, () => call.params), Tracing.content(context, () => output)]
      if (args !== undefined) span.attribute("gen_ai.tool.call.arguments", args)
      if (result !== undefined) span.attribute("gen_ai.tool.call.result", result)
      return turn.finish(call, status, output)
    })
})

// they only wait: how many calls run at once is bounded by the permits
const together = { concurrency: "unbounded", discard: true } as const

const answer = Effect.fnUntraced(function* (
  turn: Turn,
  table: ToolTable,
  hooks: Hooks,
  call: ToolCall,
  inTurn: (run: Effect.Effect<void>) => Effect.Effect<void>
) {
  const entry = table.byName.get(call.name)
  if (entry === undefined) return yield* turn.finish(call, "failed", `unsupported call: there is no tool ${call.name}`)
  if (call.invalid !== undefined)
    return yield* turn.finish(call, "failed", `the arguments of ${call.name} are not JSON`)
  const decoded = yield* Effect.matchEager(entry.decode(call.params), {
    onFailure: (error) => ({ ok: false as const, message: error.message }),
    onSuccess: (params) => ({ ok: true as const, params })
  })
  if (!decoded.ok) return yield* turn.finish(call, "failed", `invalid arguments for ${call.name}: ${decoded.message}`)
  const refusal = yield* refused(turn, hooks, entry, call, decoded.params)
  if (refusal !== undefined) return yield* turn.finish(call, "denied", refusal)
  yield* inTurn(run(turn, hooks, entry, call, decoded.params))
})

/**
 * Why a call may not run: a hook, its policy, or whoever was asked said no. A cancelled request interrupts: it is no
 * refusal (A2).
 */
const refused = Effect.fnUntraced(function* (
  turn: Turn,
  hooks: Hooks,
  entry: ToolEntry,
  call: ToolCall,
  params: unknown
) {
  const verdict = yield* hooks.preToolUse(turn.turnId, call.name, params)
  if (verdict.deny) return `denied: ${verdict.reason ?? "a hook refused this call"}`
  const { approval, kind, payload } = entry.policy
  const allowed: Authority.Permission = typeof approval === "function" ? approval(params) : approval
  const asks = allowed === "allow" && entry.asks !== undefined
  const permission = asks && (yield* entry.asks(params, call.callId, yield* turn.history)) ? "ask" : allowed
  if (permission === "allow") return undefined
  if (permission === "deny") return `denied: the policy forbids ${call.name}`
  const answered = yield* turn.ask({
    kind: kind ?? "permissions",
    callId: call.callId,
    tool: call.name,
    payload: payload === undefined ? call.params : payload(params)
  })
  switch (answered._tag) {
    case "Approved":
      return undefined
    case "Denied":
      return answered.reason === undefined ? "rejected by user" : `rejected: ${answered.reason}`
    case "Answered":
      return "rejected: the request was answered without a decision"
    case "Abort":
      return yield* Effect.interrupt
    case "Cancelled":
      return answered.by === "deadline" ? "not approved: nobody answered in time" : yield* Effect.interrupt
  }
})

const run = Effect.fnUntraced(function* (turn: Turn, hooks: Hooks, entry: ToolEntry, call: ToolCall, params: unknown) {
  // the record of the call is durable before its handler starts (J8), which a closing turn does not do (I2)
  // mutant recorded-before-it-runs (J8: a call is durable before its handler starts): drop
  yield* turn.flush
  // mutant closing-before-a-handler (I2: the turn is checked for an abort again once the record of a call is durable):
  //   drop
  if ((yield* turn.abortReason) !== undefined) return yield* Effect.interrupt
  const result = yield* Effect.matchCauseEager(entry.run(params, call.callId), {
    onFailure: (cause) => ({ ok: false as const, cause }),
    onSuccess: (value) => ({ ok: true as const, value })
  })
  if (!result.ok) return yield* failed(turn, entry, call, result.cause)
  const encoded = yield* Effect.orDie(entry.encodeSuccess(result.value))
  const output = jsonOf(encoded)
  if (output._tag === "None") return yield* turn.finish(call, "failed", `the result of ${call.name} is no JSON value`)
  yield* turn.finish(call, "completed", output.value)
  yield* hooks.postToolUse(turn.turnId, call.name, output.value)
})

const jsonOf = (value: unknown): Option.Option<unknown> => {
  try {
    return Option.some(jsonOfUnsafe(value))
  } catch {
    return Option.none()
  }
}

/**
 * A typed failure is told to the model, and so is a handler that interrupted itself; a defect is the turn's, and so is
 * the end of a turn that closes.
 */
const failed = (turn: Turn, entry: ToolEntry, call: ToolCall, cause: Cause.Cause<unknown>) => {
  if (Cause.hasDies(cause)) return Effect.failCause(cause as Cause.Cause<never>)
  if (Cause.hasInterruptsOnly(cause)) {
    return Effect.flatMap(turn.abortReason, (reason) =>
      reason === undefined ? turn.finish(call, "failed", `${call.name} was interrupted`) : Effect.interrupt
    )
  }
  const error = Cause.squash(cause)
  // what an error has to say is its message; one without any is told by its fields, as a failure that is no error is
  if (error instanceof Error && error.message !== "") return turn.finish(call, "failed", error.message)
  return Effect.flatMap(
    Effect.matchEager(entry.encodeFailure(error), { onFailure: () => String(error), onSuccess: (encoded) => encoded }),
    (encoded) => turn.finish(call, "failed", encoded)
  )
}
