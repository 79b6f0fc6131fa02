/**
 * The MCP servers of the settings, and the headers that their calls carry.
 */
import * as McpServers from "@spindle/mcp/McpServers"
import * as McpTools from "@spindle/mcp/McpTools"
import { TurnHeaders } from "@spindle/mcp/TurnHeaders"
import * as Git from "@spindle/tools/Git"
import * as Layer from "effect/Layer"
import * as Machine from "../Machine.ts"
import type { Settings } from "../Settings.ts"
import * as TurnContexts from "../settings/TurnContexts.ts"
import * as TurnMetadata from "../TurnMetadata.ts"
import * as McpLogins from "./McpLogins.ts"

/** The settings, the working directory, and the version of the program, which its servers receive. */
export interface Options {
  readonly cwd: string
  readonly settings: Settings
  readonly version: string
}

/** Starts the servers in the background, and provides their tools. */
export const layer = ({ cwd, settings, version }: Options) =>
  McpTools.layer({
    servers: settings.mcpServers,
    approval: (context) => {
      const { approvalPolicy, sandboxMode } = TurnContexts.settingsIn(settings, context)
      return sandboxMode === "danger-full-access" && approvalPolicy !== "untrusted" ? "allow" : "ask"
    }
  }).pipe(
    Layer.provideMerge(
      McpServers.layer({
        variables: Machine.host.env,
        program: { name: "spindle", version },
        grants: McpLogins.grants(settings.home)
      })
    ),
    Layer.merge(
      Layer.provide(Layer.effect(TurnHeaders)(TurnMetadata.make({ cwd, sandbox: settings.sandboxMode })), Git.layer)
    )
  )
