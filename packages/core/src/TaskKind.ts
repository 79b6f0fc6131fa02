/**
 * Kinds of tasks that a client may start by name: `Op.startTask("release-notes", { since: "1.2" })`.
 *
 * An agent has them (`Agent.make({ tasks })`). A kind decodes the parameters of the client and returns the task. What its
 * tasks require is in its type, and so in the type of the agent.
 */
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { Alongside, ofTurn } from "./Alongside.ts"
import { textOf } from "./internal/foreign.ts"
import { CallbackFailed } from "./protocol/AgentError.ts"
import type { InvalidParams, TaskMode, TaskParams } from "./protocol/Op.ts"
import * as Task from "./Task.ts"
import { Turn } from "./Turn.ts"

/** A kind of tasks. The types of its parameters and results are erased: the parameters come from a client as JSON. */
export interface TaskKind<out R = never> {
  readonly name: string
  /** How its tasks may start; see `TaskMode`. The first is the default. */
  readonly modes: ReadonlyArray<TaskMode>
  /** Returns the task for these parameters, or why there is none. Does not throw. */
  readonly taskOf: (params: TaskParams) => StartableTask | InvalidParams
  readonly Requirements: Types.Covariant<R>
}

/** A task of a kind, and what runs of it alongside another turn; undefined if it needs its own. */
export interface StartableTask extends Task.Task<unknown, unknown, any> {
  readonly alongside?: Effect.Effect<unknown, unknown, any> | undefined
}

/**
 * Makes a kind of tasks. `task` is called with the decoded parameters, once when the task is submitted and again if it
 * had to wait. By default a task waits for its turn, unless the client asks that it replace the one that runs.
 *
 * @example
 * ```ts
 * import { Agent, Op, Task, TaskKind } from "@spindle/core"
 * import { Effect, Schema } from "effect"
 *
 * const wait = TaskKind.make("wait", {
 *   params: Schema.Struct({ millis: Schema.Finite }),
 *   task: ({ millis }) => Task.make("wait", Effect.sleep(millis))
 * })
 * export const agent = Agent.make({ tasks: [wait] })
 *
 * // a client starts it by name
 * export const operation = Op.startTask("wait", { millis: 10 })
 * ```
 */
export const make = <Params extends Schema.ConstraintDecoder<unknown>, A, E, R>(
  name: string,
  options: {
    /** The parameters that a client sends. Its decoding must not be asynchronous. */
    readonly params: Params
    readonly task: (params: Params["Type"]) => Task.Task<A, E, R>
    /** How its tasks may start, the default first: `["queue", "replace"]` unless it is given. */
    readonly modes?: readonly [TurnMode, ...ReadonlyArray<TurnMode>] | undefined
  }
): TaskKind<Exclude<R, Turn | Scope.Scope>> => makeKind(name, options.modes ?? ["queue", "replace"], options)

/** The modes of a task that needs its own turn. */
export type TurnMode = Exclude<TaskMode, "alongside">

/**
 * Makes a kind of tasks that run alongside the running turn, unless the client asks that they wait for their own; while no
 * turn runs, such a task is its own turn. `run` is called with the decoded parameters, as `task` in {@link make}.
 */
export const makeAlongside = <Params extends Schema.ConstraintDecoder<unknown>, E, R>(
  name: string,
  options: {
    /** The parameters that a client sends. Its decoding must not be asynchronous. */
    readonly params: Params
    readonly run: (params: Params["Type"]) => Effect.Effect<unknown, E, R>
  }
): TaskKind<Exclude<R, Alongside | Scope.Scope>> =>
  makeKind(name, ["alongside", "queue"], {
    params: options.params,
    task: (params: Params["Type"]): StartableTask => {
      const alongside = options.run(params)
      const inOwnTurn = Effect.flatMap(Turn, (turn) => Effect.provideService(alongside, Alongside, ofTurn(turn)))
      return { ...Task.make(name, inOwnTurn, { lastMessage: () => undefined }), alongside }
    }
  })

const makeKind = <Params extends Schema.ConstraintDecoder<unknown>>(
  name: string,
  modes: ReadonlyArray<TaskMode>,
  options: { readonly params: Params; readonly task: (params: Params["Type"]) => StartableTask }
): TaskKind<never> => {
  const decode = Schema.decodeUnknownExit(options.params)
  const invalid = (message: string): InvalidParams => ({ _tag: "InvalidParams", kind: name, message })
  return {
    name,
    modes,
    taskOf: (params) => {
      const decoded = decode(params)
      if (Exit.isFailure(decoded)) return invalid(textOf(Cause.squash(decoded.cause)))
      try {
        return options.task(decoded.value)
      } catch (cause) {
        return invalid(new CallbackFailed({ callback: `the task function of the kind ${name}`, cause }).message)
      }
    },
    Requirements: covariant
  }
}

// the requirements exist in the type only
const covariant = (none: never): never => none
