/**
 * The hooks of the agent: the skills and apps that a prompt names, and the commands that the configuration names.
 */
import * as Hooks from "@spindle/core/Hooks"
import type { Processes } from "@spindle/core/Processes"
import { defaults, SessionConfig } from "@spindle/core/SessionConfig"
import type { McpTools } from "@spindle/mcp/McpTools"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import * as ExecCommand from "@spindle/tools/ExecCommand"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as CodingAgent from "../CodingAgent.ts"
import * as Connectors from "../connectors/Connectors.ts"
import * as HookCommands from "../HookCommands.ts"
import * as Skills from "../Skills.ts"
import * as Surroundings from "../Surroundings.ts"
import * as HookSettings from "./HookSettings.ts"

/** Provides the hooks, and the limit of those that run on an interruption. */
export const layer = ({
  cwd,
  settings
}: CodingAgent.Options): Layer.Layer<never, never, FileSystem.FileSystem | Processes | McpTools> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { features, home, model } = settings
      const found = features.isEnabled("hooks") ? yield* HookSettings.load(settings, cwd) : HookSettings.none
      const approvalPolicy = nameOf(settings.approvalPolicy)
      const shell = yield* ExecCommand.defaultShell
      const places = Surroundings.placesOf(settings, cwd)
      const own = Hooks.combine(Skills.hooks(places), Connectors.hooks)
      if (found.handlers.length === 0 && found.problems.length === 0) return Hooks.layer(own)
      const commands = HookCommands.make({ settings: found, cwd, home, shell, model, approvalPolicy })
      const interruptHookLimit = HookSettings.interruptLimitMillis(found)
      return Layer.merge(
        Hooks.layer(Hooks.combine(own, commands)),
        Layer.succeed(SessionConfig, { ...defaults, interruptHookLimit })
      )
    })
  )
