/**
 * The program: reads the command line, runs the command, exits.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Arguments from "./Arguments.ts"
import * as Help from "./Help.ts"
import * as Interrupts from "./Interrupts.ts"
import { version } from "./Version.ts"

const program: Effect.Effect<number> = Effect.sync(() => {
  const parsed = Arguments.parse(process.argv.slice(2))
  if (Result.isFailure(parsed)) {
    process.stderr.write(`spindle: ${parsed.failure.message}\n`)
    return Help.exitCodes.usage
  }
  const command = parsed.success
  switch (command._tag) {
    case "Help":
      process.stdout.write(Help.text(command.topic))
      return Help.exitCodes.ok
    case "Version":
      process.stdout.write(`spindle ${version}\n`)
      return Help.exitCodes.ok
    default:
      process.stderr.write(`spindle: ${command._tag} is not wired yet\n`)
      return Help.exitCodes.failed
  }
})

Interrupts.run(program, {
  onInterrupt: () => Effect.void,
  killNow: () => undefined,
  onDefect: (cause) => process.stderr.write(`spindle: ${String(cause)}\n`)
})
