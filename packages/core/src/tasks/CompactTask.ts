/**
 * The task that compacts a history when it is asked to: it replaces what was said by the user's newest messages, a ledger
 * of progress and a summary that the model writes.
 *
 * ```
 *   TurnStarted(compact) ─► CompactionStarted ─► request aside ─► HistoryReplaced ─► CompactionCompleted ─► TurnCompleted
 *                              │                    │ fails, or frees too little: TurnFailed, and the history is as it was
 *                              └────────────────────┴ abort: TurnAborted, and the history is as it was
 * ```
 *
 * A client starts it by name: `Op.startTask("compact")`. One that is asked for while another runs waits for its turn; it
 * then fails with `GainTooSmall` if nothing new can be freed. A regular turn compacts by itself when it reaches
 * `SessionConfig.compactFromTokens`, and when its model refuses the context.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Model } from "../ports/Model.ts"
import { SessionConfig } from "../protocol/SessionConfig.ts"
import type { CompactionFailed, ModelFailed } from "../protocol/SessionError.ts"
import * as Task from "../Task.ts"
import * as TaskKind from "../TaskKind.ts"
import { Turn } from "../Turn.ts"
import { compact } from "./compaction.ts"

export { CompactionCompleted, CompactionStarted } from "./compaction.ts"

/** The task. **Errors**: `CompactionFailed`; `ModelFailed` after the retries of `SessionConfig`. */
export const task: Task.Task<void, CompactionFailed | ModelFailed, Turn | Model> = Task.make(
  "compact",
  Effect.gen(function* () {
    yield* compact({ turn: yield* Turn, config: yield* SessionConfig, trigger: "manual" })
  })
)

/** The kind of tasks by the name `compact`, for `Agent.make({ tasks })`. It has no parameters, and waits for its turn. */
export const kind: TaskKind.TaskKind<Model> = TaskKind.make("compact", {
  params: Schema.Struct({}),
  task: () => task,
  modes: ["queue"]
})
