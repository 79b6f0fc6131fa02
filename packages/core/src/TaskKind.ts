/**
 * Kinds of tasks that a client may start by name: `Op.startTask("release-notes", { since: "1.2" })`.
 *
 * An agent has them (`Agent.make({ tasks })`). A kind decodes the parameters of the client and returns the task. What its
 * tasks require is in its type, and so in the type of the agent.
 */
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Types from "effect/Types"
import { textOf } from "./internal/foreign.ts"
import { CallbackFailed } from "./protocol/AgentError.ts"
import { type InvalidParams, TaskMode, type TaskParams } from "./protocol/Op.ts"
import type { Task } from "./Task.ts"
import type { Turn } from "./Turn.ts"

/** A kind of tasks. The types of its parameters and results are erased: the parameters come from a client as JSON. */
export interface TaskKind<out R = never> {
  readonly name: string
  /** How its tasks may start; see `TaskMode`. The first is the default. */
  readonly modes: ReadonlyArray<TaskMode>
  /** Returns the task for these parameters, or why there is none. Does not throw. */
  readonly taskOf: (params: TaskParams) => Task<unknown, unknown, any> | InvalidParams
  readonly Requirements: Types.Covariant<R>
}

/**
 * Makes a kind of tasks. `task` is called with the decoded parameters, once when the task is submitted and again if it
 * had to wait. By default a task waits for its turn, unless the client asks that it replace the one that runs.
 */
export const make = <Params extends Schema.ConstraintDecoder<unknown>, A, E, R>(
  name: string,
  options: {
    /** The parameters that a client sends. Its decoding must not be asynchronous. */
    readonly params: Params
    readonly task: (params: Params["Type"]) => Task<A, E, R>
    /** How its tasks may start, the default first: `["queue", "replace"]` unless it is given. */
    readonly modes?: readonly [TaskMode, ...ReadonlyArray<TaskMode>] | undefined
  }
): TaskKind<Exclude<R, Turn | Scope.Scope>> => {
  const decode = Schema.decodeUnknownExit(options.params)
  const invalid = (message: string): InvalidParams => ({ _tag: "InvalidParams", kind: name, message })
  return {
    name,
    modes: options.modes ?? TaskMode.literals,
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
