/**
 * What the agent whose turn runs may do by itself, for whoever starts a delegate in that turn: the most that the delegate
 * may do (contract A4).
 */
import * as Context from "effect/Context"
import type { Permission } from "../state/Authority.ts"
import type { ToolSpec } from "./Model.ts"

/** The permission for a call of a tool; undefined for one that it says nothing about. */
export interface ToolAuthority {
  (tool: ToolSpec, params: unknown): Permission | undefined
}

/** The authority of the running agent. Turns of the regular task provide it; by default nothing is narrowed. */
export const ToolAuthority: Context.Reference<ToolAuthority> = Context.Reference<ToolAuthority>(
  "@spindle/core/ToolAuthority",
  { defaultValue: () => () => undefined }
)
