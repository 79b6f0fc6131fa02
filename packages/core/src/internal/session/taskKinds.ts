/** Finds the task that a client asks for in the task kinds of the agent. */
import type { AcceptedTask, InvalidParams, UnknownTask } from "../../protocol/Op.ts"
import type { StartableTask, TaskKind } from "../../TaskKind.ts"

/** The task kinds of an agent, by name. */
export type TaskKinds = ReadonlyMap<string, TaskKind<any>>

/** The reason why there is no task. */
export type NoTask = UnknownTask | InvalidParams

/** Returns the task of a kind with parameters, or the reason why there is none. */
export const find = (
  kinds: TaskKinds,
  { kind, params }: Pick<AcceptedTask, "kind" | "params">
): StartableTask | NoTask =>
  kinds.get(kind)?.taskOf(params) ?? { _tag: "UnknownTask", kind, known: Array.from(kinds.keys()) }

/** Returns whether there is no task. */
export const isMissing = (found: StartableTask | NoTask): found is NoTask => "_tag" in found

/** Returns the reason in words for a person. */
export const textOf = (reason: NoTask): string =>
  reason._tag === "UnknownTask"
    ? `the agent has no task of the kind ${reason.kind}`
    : `the parameters of the task ${reason.kind} are not valid: ${reason.message}`
