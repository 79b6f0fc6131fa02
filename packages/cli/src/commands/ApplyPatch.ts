/**
 * `spindle apply-patch`: applies a patch to the files below the current directory.
 */
import * as PatchCommand from "@spindle/app/PatchCommand"
import * as Effect from "effect/Effect"
import * as Help from "../args/Help.ts"
import { CliError } from "./CliError.ts"
import * as Platform from "./Platform.ts"
import * as Stdin from "./stdin.ts"

/**
 * Applies the patch and prints the list of files. Without a patch it reads standard input. **Errors**: `CliError` with
 * the reason for which the patch was not applied.
 */
export const run = Effect.fnUntraced(function* ({ patch }: { readonly patch: string | undefined }) {
  const input = patch ?? (yield* Stdin.patch)
  const text = yield* PatchCommand.run(input, process.cwd()).pipe(
    Effect.mapError(({ detail }) => new CliError({ detail, exitCode: Help.exitCodes.failed })),
    Effect.provide(Platform.machine)
  )
  process.stdout.write(text)
  return Help.exitCodes.ok
})
