/**
 * The surroundings of the model in the turns of this application: the instructions of the person and the project, the
 * environment, and the skills.
 */
import * as Path from "node:path"
import { Fragments } from "@spindle/core/Fragments"
import { type TurnContext, valueInTurn } from "@spindle/core/TurnContext"
import { nameOf } from "@spindle/tools/ApprovalPolicy"
import * as ExecCommand from "@spindle/tools/ExecCommand"
import type { Sandbox } from "@spindle/tools/Sandbox"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as CodingAgent from "./CodingAgent.ts"
import * as Instructions from "./Instructions.ts"
import * as Machine from "./Machine.ts"
import type * as Settings from "./Settings.ts"
import { networkIn } from "./settings/sandbox.ts"
import * as TurnContexts from "./settings/TurnContexts.ts"
import * as Skills from "./Skills.ts"

/** Returns the places of the instructions and the skills of a turn. They belong to the directory in which its calls start. */
export const placesOf =
  (settings: Settings.Settings, cwd: string) =>
  (context: TurnContext): Skills.Places => ({
    home: settings.configDirectory,
    cwd: TurnContexts.directoryIn(cwd)(context),
    disabledSkills: settings.disabledSkills,
    ...settings.projectDoc
  })

/** Provides the fragments. */
export const layer = ({
  cwd,
  settings
}: CodingAgent.Options): Layer.Layer<never, never, FileSystem.FileSystem | Sandbox> =>
  Layer.effect(
    Fragments,
    Effect.gen(function* () {
      const shell = yield* ExecCommand.defaultShell
      const timeZone = yield* Machine.timeZoneOf(Machine.host.env)
      const context = yield* Effect.context<Sandbox | FileSystem.FileSystem>()
      const places = placesOf(settings, cwd)
      const make = Instructions.make({
        places,
        further: Effect.map(Effect.flatMap(valueInTurn(places), Skills.read), Skills.fragmentsOf),
        environment: (now, context) => {
          const current = TurnContexts.settingsIn(settings, context)
          return [
            ["cwd", TurnContexts.directoryIn(cwd)(context)],
            ["approval_policy", nameOf(current.approvalPolicy)],
            ["sandbox_mode", current.sandboxMode],
            ...Instructions.networkOf(networkIn(current.sandboxMode, current.sandbox)),
            ["shell", Path.basename(shell)],
            ...Instructions.dateOf(now, timeZone)
          ]
        }
      })
      const prepare = CodingAgent.prepareTurn(settings)
      return (known) => Effect.provideContext(Effect.andThen(prepare, make(known)), context)
    })
  )
