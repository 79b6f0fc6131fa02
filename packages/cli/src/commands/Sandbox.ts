/**
 * `spindle sandbox`: runs one command in the sandbox. `spindle doctor --sandbox`: tries every way out of it.
 */
import * as SandboxCommand from "@spindle/app/SandboxCommand"
import * as Effect from "effect/Effect"
import * as Help from "../args/Help.ts"
import * as Ansi from "../output/Ansi.ts"
import * as Log from "../output/Log.ts"
import * as Platform from "./Platform.ts"

/**
 * Runs a command and returns its exit code. Writes its output to stdout, and the hosts that it was denied to stderr.
 * **Interruption** ends the command.
 */
export const run = (options: Omit<SandboxCommand.Options, "write" | "onDenied">) =>
  SandboxCommand.run({
    ...options,
    write: (bytes) => void process.stdout.write(bytes),
    onDenied: (text) => Log.say(`network proxy: ${text}`)
  }).pipe(Effect.provide(Platform.machine))

/** Prints the result of each attempt, and returns 1 if the sandbox did not hold against one. */
export const check = (home: string) =>
  Effect.map(SandboxCommand.tryEscapes(home), (escapes) => {
    process.stdout.write(table(escapes))
    return escapes.every(({ held }) => held) ? Help.exitCodes.ok : Help.exitCodes.failed
  }).pipe(Effect.provide(Platform.machine))

/** Returns the table of the attempts, with its sum in the last line. */
export const table = (escapes: ReadonlyArray<SandboxCommand.Escape>): string => {
  const width = Math.max(...escapes.map(({ name }) => name.length))
  const lines = escapes.map(({ detail, held, name }) =>
    `${held ? "held" : "OPEN"}  ${name.padEnd(width)}  ${Ansi.toVisible(detail)}`.trimEnd()
  )
  const count = escapes.filter(({ held }) => !held).length
  const sum =
    count === 0
      ? `The sandbox held against ${escapes.length} attempts.`
      : `${count} of ${escapes.length} attempts got out of the sandbox.`
  return [...lines, sum, ""].join("\n")
}
