/**
 * Task kinds: tasks that a client may start by name, with `Op.startTask("release-notes", { since: "1.2" })`.
 *
 * An agent lists them (`Agent.make({ tasks })`). A kind decodes the parameters of the client and returns the task. The
 * type of the kind has the requirements of its tasks, and so has the type of the agent.
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

/**
 * A task kind. The types of its parameters and results are erased, because the parameters come from a client as JSON.
 */
export interface TaskKind<out R = never> {
  readonly name: string
  /** The modes in which its tasks may start; see `TaskMode`. The first is the default. */
  readonly modes: ReadonlyArray<TaskMode>
  /** Returns the task for these parameters, or the reason why there is none. Does not throw. */
  readonly taskOf: (params: TaskParams) => StartableTask | InvalidParams
  readonly Requirements: Types.Covariant<R>
}

/**
 * A task of a kind. `alongside` is the effect that may run alongside another turn; undefined if the task needs its own
 * turn.
 */
export interface StartableTask extends Task.Task<unknown, unknown, any> {
  readonly alongside?: Effect.Effect<unknown, unknown, any> | undefined
}

/**
 * Makes a task kind. `task` is called with the decoded parameters, once when the task is submitted and again if the
 * task had to wait. By default a task waits for its turn, unless the client asks that it replace the running turn.
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
    /** The schema of the parameters that a client sends. It must decode synchronously. */
    readonly params: Params
    readonly task: (params: Params["Type"]) => Task.Task<A, E, R>
    /** The modes in which its tasks may start, the default one first. Default: `["queue", "replace"]`. */
    readonly modes?: readonly [TurnMode, ...ReadonlyArray<TurnMode>] | undefined
  }
): TaskKind<Exclude<R, Turn | Scope.Scope>> => makeKind(name, options.modes ?? ["queue", "replace"], options)

/** The modes of a task that needs its own turn. */
export type TurnMode = Exclude<TaskMode, "alongside">

/**
 * Makes a task kind whose tasks run alongside the running turn, unless the client asks that they wait for their own
 * turn. While no turn is running, such a task gets its own turn at once. `run` is called with the decoded parameters,
 * as `task` in {@link make}.
 */
export const makeAlongside = <Params extends Schema.ConstraintDecoder<unknown>, E, R>(
  name: string,
  options: {
    /** The schema of the parameters that a client sends. It must decode synchronously. */
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
