/**
 * `spindle hooks`: lists the commands that run as hooks in the current directory, and trusts those of its project.
 */
import * as HookSettings from "@spindle/app/HookSettings"
import type { Settings } from "@spindle/app/Settings"
import * as Effect from "effect/Effect"
import * as Help from "../args/Help.ts"
import * as Log from "../output/Log.ts"
import * as Platform from "./Platform.ts"

/** The places of hooks. */
export interface Options {
  readonly settings: Settings
  readonly cwd: string
}

/** Lists the hooks, one a line, with their files. Problems are written to standard error. */
export const list = ({ cwd, settings }: Options): Effect.Effect<number> =>
  Effect.map(Effect.provide(HookSettings.load(settings, cwd), Platform.machine), ({ handlers, problems, project }) => {
    for (const problem of problems) Log.say(problem)
    const waiting = project === undefined || project.isTrusted ? [] : project.handlers
    const state = settings.features.isEnabled("hooks") ? "runs" : "off"
    for (const handler of handlers) process.stdout.write(lineOf(handler, state))
    for (const handler of waiting) process.stdout.write(lineOf(handler, "not trusted"))
    if (handlers.length + waiting.length === 0) Log.say("no hooks")
    return Help.exitCodes.ok
  })

const lineOf = ({ command, event, matcher, source }: HookSettings.Handler, state: string): string =>
  `${[event, matcher?.source ?? "*", state, command.replaceAll(/\s+/g, " "), source].join("  ")}\n`

/** Trusts the hooks of the project as they are now, and prints the hooks that will run. */
export const trust = ({ cwd, settings }: Options): Effect.Effect<number> =>
  Effect.gen(function* () {
    const { project } = yield* HookSettings.load(settings, cwd)
    if (project === undefined) {
      Log.say("this project has no .spindle/hooks.json")
      return Help.exitCodes.failed
    }
    yield* HookSettings.trust(settings, project)
    for (const handler of project.handlers) process.stdout.write(lineOf(handler, "runs"))
    Log.say(`trusted ${project.file} as it is now; a change needs your trust again`)
    return Help.exitCodes.ok
  }).pipe(Effect.provide(Platform.machine))
