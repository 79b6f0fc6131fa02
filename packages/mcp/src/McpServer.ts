/** One MCP server, as its users see it. */
import type * as Effect from "effect/Effect"
import type * as McpSchema from "effect/ai/McpSchema"
import type { McpFailed } from "./McpFailed.ts"
import type { ServerConfig } from "./ServerConfig.ts"

/** One server. It starts when it is first requested. After it has ended it is started again, with growing pauses. */
export interface McpServer {
  readonly config: ServerConfig
  /** Waits until the server has started, or has failed to. **Interruption** stops only the wait. */
  readonly started: Effect.Effect<void, McpFailed>
  /**
   * The tools that it offers, in its order; another array after they have changed. Those of a server that is being
   * started again are the last known ones, and a server that has failed has none.
   */
  readonly tools: () => ReadonlyArray<McpSchema.Tool>
  /** Returns the failure of a server that is not started again; undefined for any other. */
  readonly failure: () => McpFailed | undefined
  /**
   * Calls a tool. The tools of `McpTools` call it in their turn; any other caller sends no headers of a turn, and the
   * server can ask it nothing. **Interruption** sends the server one `notifications/cancelled` and does not wait for it
   * (contract M2). A session that the server has ended is started again, and the call is then repeated once.
   */
  readonly callTool: (
    tool: McpSchema.Tool,
    params: { readonly [name: string]: unknown }
  ) => Effect.Effect<McpSchema.CallToolResult, McpFailed>
  readonly listResources: Effect.Effect<ReadonlyArray<McpSchema.Resource>, McpFailed>
  readonly readResource: (uri: string) => Effect.Effect<McpSchema.ReadResourceResult, McpFailed>
  readonly listPrompts: Effect.Effect<ReadonlyArray<McpSchema.Prompt>, McpFailed>
  readonly getPrompt: (
    prompt: McpSchema.Prompt,
    params: { readonly [name: string]: string }
  ) => Effect.Effect<McpSchema.GetPromptResult, McpFailed>
}
