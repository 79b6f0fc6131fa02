/**
 * The task that answers a user: the model loop over the agent's instructions and tools. Its turn carries the input that
 * waits for it, can be steered, and ends when the model has nothing left to do and nothing waits.
 */
import type { Agent } from "../Agent.ts"
import * as modelLoop from "./modelLoop.ts"
import type { Model } from "../ports/Model.ts"
import type { ModelFailed } from "../protocol/SessionError.ts"
import type { Task } from "../Task.ts"
import type { Turn } from "../Turn.ts"

/**
 * Makes the regular task of an agent. It returns the last text of the model, or undefined if there was none.
 *
 * **Errors**: `ModelFailed` when the model could not be used, after the retries of `SessionConfig`. **Interruption**:
 * what the model said and every finished tool result is in the history; calls that were open get a result that says so.
 */
export const make: <R>(agent: Agent<R>) => Task<string | undefined, ModelFailed, R | Turn | Model> = modelLoop.task
