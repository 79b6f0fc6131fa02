/**
 * The model of the provider `scripted`: the script of the demo, served by this process over loopback HTTP.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Help from "../args/Help.ts"
import { reasonOf } from "../output/failures.ts"
import { CliError } from "./CliError.ts"
import * as DemoScript from "./DemoScript.ts"

/**
 * Serves the script until the scope closes, and returns its base URL. The server is loaded only here. `paced` slows the
 * model down for a person who watches. **Errors**: `CliError` if the server cannot listen.
 */
export const serve = (options: { readonly paced: boolean }): Effect.Effect<string, CliError, Scope.Scope> =>
  Effect.gen(function* () {
    const ResponsesServer = yield* Effect.promise(() => import("@spindle/testing/ResponsesServer"))
    const { baseUrl } = yield* ResponsesServer.fromFunction((body) => DemoScript.turnOf(body, options))
    return baseUrl
  }).pipe(
    Effect.mapError(
      ({ cause }) =>
        new CliError({
          detail: `the scripted model cannot listen on 127.0.0.1: ${reasonOf(cause)}`,
          exitCode: Help.exitCodes.failed
        })
    )
  )
