/** `spindle features`: lists the features that can be switched on and off. */
import * as Settings from "@spindle/app/Settings"
import * as Effect from "effect/Effect"
import * as Help from "../args/Help.ts"
import * as Log from "../output/Log.ts"

/** The places of the configuration, the features that the command line switches, and the form of the list. */
export type Options = Parameters<typeof Settings.features>[0] & { readonly json: boolean }

/** Lists the features, one a line. Problems with switched features are written to standard error. */
export const list = Effect.fnUntraced(function* ({ json, ...sources }: Options) {
  const { all, unknown, warnings } = yield* Settings.features(sources)
  const width = Math.max(...all.map(({ name }) => name.length))
  for (const { isEnabled, name, stage, summary } of all) {
    const line = json
      ? JSON.stringify({ name, stage, enabled: isEnabled, summary })
      : `${name.padEnd(width)}  ${stage.padEnd(12)}  ${String(isEnabled).padEnd(5)}  ${summary}`
    process.stdout.write(`${line}\n`)
  }
  for (const warning of warnings) Log.say(warning)
  if (unknown.length > 0) Log.say(`unknown features: ${unknown.join(", ")}`)
  return Help.exitCodes.ok
})
