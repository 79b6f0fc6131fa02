/** The calls that a running call makes. They are recorded as notes, and run like those of the model. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { reach } from "../internal/tools.ts"
import type { TurnTables } from "../internal/toolTables.ts"
import type { NestedCalls, NestedResult } from "../NestedCalls.ts"
import { CallbackFailed } from "../protocol/AgentError.ts"
import type { CallDetail, CallDisplay } from "../protocol/Display.ts"
import { CallId } from "../protocol/Ids.ts"
import { jsonOfUnsafe, type ToolCall, type ToolStatus } from "../protocol/Item.ts"
import type { TurnContext } from "../protocol/TurnContext.ts"
import { Turn } from "../Turn.ts"

/** A call by the model or by a running call, before it is run. */
export type MadeCall = Pick<ToolCall, "callId" | "name" | "params" | "invalid">

/** Records the result of a call. */
export type Finish = (status: ToolStatus, output: unknown) => Effect.Effect<void>

/** A call to run in a turn. */
export interface NewCall {
  readonly turn: Turn
  readonly made: MadeCall
  readonly finish: Finish
}

/** The nested calls of one call, while its handler runs. */
export interface Nest {
  readonly calls: NestedCalls
  /** Aborts the calls that are still running, and makes no more calls. */
  readonly close: Effect.Effect<void>
}

/** The options of nested calls. */
export interface NestOptions {
  readonly turn: Turn
  readonly tools: TurnTables
  readonly context: TurnContext
  /** The call that makes the nested calls. */
  readonly call: MadeCall
  /** Runs a call in a child of the current fiber. */
  readonly start: (call: NewCall) => Effect.Effect<Fiber.Fiber<void>>
}

/** Makes the nested calls of one call. */
export const makeNest = (options: NestOptions): Nest => {
  const state: NestState = { options, open: new Set(), count: 0, isOver: false }
  return {
    calls: {
      call: (name, params) =>
        Effect.uninterruptibleMask((restore) => {
          // mutant nested-calls-end-with-their-call (I3: a call that has ended makes no calls): drop
          if (state.isOver) return Effect.interrupt
          const opened: OpenCall = { name, params, fiber: undefined, ended: Deferred.makeUnsafe() }
          state.open.add(opened)
          return Effect.ensuring(
            makeCall(state, opened, restore),
            Effect.sync(() => {
              state.open.delete(opened)
              Deferred.doneUnsafe(opened.ended, Effect.void)
            })
          )
        })
    },
    close: Effect.suspend(() => {
      state.isOver = true
      if (state.open.size === 0) return Effect.void
      for (const { fiber } of state.open) fiber?.interruptUnsafe()
      return Effect.forEach([...state.open], ({ ended }) => Deferred.await(ended), { discard: true })
    })
  }
}

/** The state of the nested calls of one call. */
interface NestState {
  readonly options: NestOptions
  readonly open: Set<OpenCall>
  /** The number of nested calls that were made. */
  count: number
  /** True if the call that makes them has ended. */
  isOver: boolean
}

const makeCall = Effect.fnUntraced(function* (state: NestState, opened: OpenCall, restore: Restore) {
  const { call: parent, start, turn } = state.options
  const { name, params } = opened
  const callId = CallId.make(`${parent.callId}/${++state.count}`)
  const { display, target } = yield* look(state.options, name, params)
  const end = yield* turn.nestedCall({
    callId,
    parentId: parent.callId,
    name,
    ...definedFields({ params: jsonOfUnsafe(params), display })
  })
  let result: NestedResult | undefined
  let detail: CallDetail | undefined
  // in one region, because an interruption in between would record a second result
  const finish: Finish = (status, output) =>
    Effect.uninterruptible(
      Effect.suspend(() => {
        const made: NestedResult = { status, ...definedFields({ output: jsonOfUnsafe(output), detail }) }
        return Effect.map(end(made), () => void (result = made))
      })
    )
  if (target === parent.name) {
    yield* finish("failed", `${target} cannot call itself`)
    return result!
  }
  // the turn keeps details for the model's calls only
  const own: Turn = {
    ...turn,
    detail: (id, data) => (id === callId ? Effect.sync(() => void (detail = data)) : turn.detail(id, data))
  }
  const started = start({ turn: own, made: { callId, name, params }, finish })
  const fiber = yield* Effect.provideService(started, Turn, own)
  opened.fiber = fiber
  // the parent call may have ended during the start
  if (state.isOver) fiber.interruptUnsafe()
  return yield* restore(Fiber.join(fiber)).pipe(
    Effect.onInterrupt(() => Fiber.interrupt(fiber)),
    Effect.onInterrupt(() => (result === undefined ? finish("aborted", "aborted") : Effect.void)),
    Effect.map(() => result!)
  )
})

/** Returns the display of a call, and the tool that it reaches. */
const look = Effect.fnUntraced(function* ({ context, tools, turn }: NestOptions, name: string, params: unknown) {
  const { call: reached, entry } = reach(tools.current, { name, params })
  let display: CallDisplay | undefined
  try {
    display = entry?.display(reached.params, context)
  } catch (cause) {
    yield* turn.warn(new CallbackFailed({ callback: `the display function of the tool ${name}`, cause }).message)
  }
  return { display, target: reached.name }
})

/** A nested call that has not ended, with its fiber once that has started. */
interface OpenCall {
  readonly name: string
  readonly params: unknown
  fiber: Fiber.Fiber<void> | undefined
  readonly ended: Deferred.Deferred<void>
}

/** Returns the fields that are not undefined, because JSON has no undefined. */
const definedFields = <A extends object>(fields: A): { [Key in keyof A]?: Exclude<A[Key], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
