/**
 * The authority of the agent of the running turn: the calls that it may make without asking. A delegate that the turn
 * starts never has more authority (contract A4).
 */
import * as Context from "effect/Context"
import type { ToolSpec } from "./ports/Model.ts"
import type { Permission } from "./state/Authority.ts"

/** Returns the permission for a call of a tool; undefined for an unknown tool. */
export interface ToolAuthority {
  (tool: ToolSpec, params: unknown): Permission | undefined
}

/** The authority of the running agent. Turns of the regular task provide it. Default: no tool is known. */
export const ToolAuthority: Context.Reference<ToolAuthority> = Context.Reference<ToolAuthority>(
  "@spindle/core/ToolAuthority",
  { defaultValue: () => () => undefined }
)
