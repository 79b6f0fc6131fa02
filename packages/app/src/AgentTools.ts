/**
 * The handlers of the agent's own tools, under the policies of the settings and of each turn.
 */
import * as Path from "node:path"
import type { TurnContext } from "@spindle/core/TurnContext"
import * as CodingTools from "@spindle/tools/CodingTools"
import * as JsRepl from "@spindle/tools/JsRepl"
import * as ProjectTools from "@spindle/tools/ProjectTools"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CodingAgent from "./CodingAgent.ts"
import * as Machine from "./Machine.ts"
import * as PatchCommand from "./PatchCommand.ts"
import * as LiveOutput from "./processes/liveOutput.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"

/** Provides the handlers of `CodingAgent.OwnTools`. */
export const layer = ({ cwd, settings }: CodingAgent.Options) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const limits = yield* CodingAgent.limitsIn({ cwd, settings })
      const { commands: own } = limits({}).sandbox
      const scratch = own._tag === "WorkspaceWrite" ? own.scratch : []
      const commandJournals = yield* Effect.try({
        try: () => PatchCommand.journalsUnsafe(settings.home, scratch),
        catch: (error) => `patches of scripts are not part of the diff of a turn: ${(error as Error).message}`
      }).pipe(Effect.catch((warning) => Effect.as(Effect.logWarning(warning), undefined)))
      const places = { cwd, directory: TurnContexts.directoryIn(cwd) }
      const coding = CodingTools.layer({
        ...places,
        commandJournals,
        approval: (context) => limits(context).approval,
        login: settings.commands.allowsLoginShell,
        maxPoll: settings.commands.maxPollMillis,
        journals: Path.join(settings.home, "patches"),
        bin: PatchCommand.isInstalled(settings.home) ? PatchCommand.directoryOf(settings.home) : undefined,
        sandbox: (context) => limits(context).sandbox
      })
      const sandbox = (context: TurnContext) => limits(context).sandbox.commands
      const looking = { ...places, node: Machine.host.node, sandbox }
      const live = Layer.effectDiscard(LiveOutput.serve(settings.home))
      return Layer.mergeAll(Layer.provideMerge(live, coding), ProjectTools.layer(looking), JsRepl.layer(looking))
    })
  )
