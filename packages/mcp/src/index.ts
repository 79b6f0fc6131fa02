/**
 * MCP servers for sessions. Each module is a namespace; see the README for where to begin.
 */
export * as Grants from "./Grants.ts"
export * as Login from "./Login.ts"
export * as McpFailed from "./McpFailed.ts"
export * as McpServer from "./McpServer.ts"
export * as McpServers from "./McpServers.ts"
export * as McpTools from "./McpTools.ts"
export * as ServerConfig from "./ServerConfig.ts"
export * as TurnHeaders from "./TurnHeaders.ts"
