/** Tables of tools, for sources: tools that bring their handlers along. */
import type * as Effect from "effect/Effect"
import type * as Tool from "effect/ai/Tool"
import * as internal from "./internal/tools.ts"
import type { ToolPolicy, ToolTable } from "./ports/ToolSource.ts"

/** A tool with its handler. */
export interface SourceTool {
  readonly tool: Tool.Any
  /** Runs a call with decoded arguments. A failure is a result for the model; a defect fails the turn. */
  readonly run: (params: any, callId: string) => Effect.Effect<unknown, unknown>
  /** Its policy; the default policy of the agent if there is none. */
  readonly policy?: ToolPolicy<any> | undefined
}

/**
 * Makes a table of tools. Make one only if the tools have changed: the table is compared by identity.
 *
 * **Errors**: throws `ToolInvalid` for a tool that no session can run, and for a name that occurs twice.
 *
 * @example
 * ```ts
 * import { Agent, Tools, type ToolSource } from "@spindle/core"
 * import { Effect, Schema } from "effect"
 * import { Tool } from "effect/ai"
 *
 * const now = Tool.make("now", { success: Schema.String })
 * const table = Tools.make([{ tool: now, run: () => Effect.sync(() => new Date().toISOString()) }])
 * const clock: ToolSource.ToolSource = { name: "clock", table: () => table }
 *
 * export const agent = Agent.make({ sources: [clock], defaultPolicy: { approval: "allow" } })
 * ```
 */
export const make = (tools: Iterable<SourceTool>): ToolTable =>
  internal.makeTable(Array.from(tools, ({ policy, run, tool }) => ({ tool, run, policy })))

/** The table without tools. */
export const empty: ToolTable = internal.noTools
