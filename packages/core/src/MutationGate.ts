/**
 * A gate that tool calls pass before they may change something. It is for work that must come before the first change
 * of a turn, such as a snapshot of the files. Calls of tools with `ToolPolicy.mutates: false` do not wait for the gate.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Turn } from "./Turn.ts"

/** The gate of all turns of a session, or of one turn. */
export interface MutationGate {
  /**
   * Returns the gate of a turn. The delegates that the turn starts make the gates of their turns from it. If it throws, a
   * `Warning` reports that, and the turn runs without a gate.
   */
  readonly forTurn: (turn: Turn) => MutationGate
  /**
   * Waits until a call may run. Called in the fiber of each call. **Interruption** stops only the wait. If it dies, a
   * `Warning` reports that, and the call runs.
   */
  readonly pass: Effect.Effect<void>
}

/** The gate of the regular tasks that run in this context. By default there is none. */
export const MutationGate: Context.Reference<MutationGate | undefined> = Context.Reference<MutationGate | undefined>(
  "@spindle/core/MutationGate",
  { defaultValue: () => undefined }
)
