/** Tables of tools with their handlers, for tool sources. */
import type * as Effect from "effect/Effect"
import type * as Tool from "effect/ai/Tool"
import * as internal from "./internal/tools.ts"
import type { ToolPolicy, ToolTable } from "./ports/ToolSource.ts"

/** A tool with its handler. */
export interface SourceTool {
  readonly tool: Tool.Any
  /** Runs a call with decoded arguments. A failure becomes a result for the model; a defect fails the turn. */
  readonly run: (params: any, callId: string) => Effect.Effect<unknown, unknown>
  /** The policy of the tool. Default: the default policy of the agent. */
  readonly policy?: ToolPolicy<any> | undefined
}

/**
 * Makes a table of tools. Make a new one only if the tools have changed, because tables are compared by identity.
 *
 * **Errors**: throws `ToolInvalid` for a tool that no session can run, and for two tools with the same name.
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
