/**
 * The task that compacts a history on request. It replaces the history with the user's newest messages, a progress
 * ledger and a summary that the model writes.
 *
 * ```
 *   TurnStarted(compact) ─► CompactionStarted ─► request aside ─► HistoryReplaced ─► CompactionCompleted ─► TurnCompleted
 *                              │                    │ fails, or frees too little: TurnFailed, and the history is as it was
 *                              └────────────────────┴ abort: TurnAborted, and the history is as it was
 * ```
 *
 * A client starts it by name: `Op.startTask("compact")`. A second compaction waits for its turn, and fails with
 * `GainTooSmall` if it can free too little. A regular turn compacts by itself when it reaches
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

/**
 * The task. **Interruption**: the history is as it was. **Errors**: `CompactionFailed`; `ModelFailed` after the retries
 * of `SessionConfig`.
 */
export const task: Task.Task<void, CompactionFailed | ModelFailed, Turn | Model> = Task.make(
  "compact",
  Effect.gen(function* () {
    yield* compact({ turn: yield* Turn, config: yield* SessionConfig, trigger: "manual" })
  })
)

/** The task kind `compact`, for `Agent.make({ tasks })`. It has no parameters, and its tasks wait for their turn. */
export const kind: TaskKind.TaskKind<Model> = TaskKind.make("compact", {
  params: Schema.Struct({}),
  task: () => task,
  modes: ["queue"]
})
