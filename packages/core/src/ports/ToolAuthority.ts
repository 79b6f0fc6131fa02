/**
 * The authority of the agent whose turn runs: what it may do without asking. A delegate that the turn starts never has more
 * authority than that (contract A4).
 */
import * as Context from "effect/Context"
import type { Permission } from "../state/Authority.ts"
import type { ToolSpec } from "./Model.ts"

/** Returns the permission for a call of a tool; undefined for a tool that it does not know. */
export interface ToolAuthority {
  (tool: ToolSpec, params: unknown): Permission | undefined
}

/** The authority of the running agent. Turns of the regular task provide it; the default knows no tool. */
export const ToolAuthority: Context.Reference<ToolAuthority> = Context.Reference<ToolAuthority>(
  "@spindle/core/ToolAuthority",
  { defaultValue: () => () => undefined }
)
