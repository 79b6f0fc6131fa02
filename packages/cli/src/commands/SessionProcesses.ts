/**
 * `spindle sessions processes`: lists, tails and ends the processes of a session, even if no program runs the session.
 * The journal is only read: the program that runs the session records the end of a process.
 */
import * as Machine from "@spindle/app/Machine"
import * as StoredProcesses from "@spindle/app/StoredProcesses"
import * as StoredSessions from "@spindle/app/StoredSessions"
import { Processes } from "@spindle/core/Processes"
import type { JournalFailed, SessionNotFound } from "@spindle/core/SessionError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Help from "../args/Help.ts"
import * as Ansi from "../output/Ansi.ts"
import * as Log from "../output/Log.ts"
import { CliError } from "./CliError.ts"
import * as Platform from "./Platform.ts"

/** The time that a process has to end before it is killed. */
const graceMillis = 500

/** An action on the processes of a session: list them, print the output of one, or end some. */
export interface Options {
  readonly home: string
  readonly id: string
  readonly json: boolean
  /** The process whose output is printed: its id, or the beginning of it. */
  readonly tail: string | undefined
  /** The process to end: its id, or the beginning of it, or `all`. */
  readonly end: string | undefined
}

/** Runs the command. **Errors**: `CliError` if no living process, or more than one, has an id that begins as given. */
export const run = (
  options: Options
): Effect.Effect<number, CliError | SessionNotFound | JournalFailed | StoredSessions.SessionAmbiguous> =>
  Effect.gen(function* () {
    const living = yield* StoredProcesses.listLiving(yield* StoredSessions.find(options.id))
    if (options.end !== undefined) {
      const ending = options.end === "all" ? living : [yield* findIn(living, options.end)]
      const { end } = yield* Processes
      yield* Effect.forEach(ending, ({ processId }) => end(processId, graceMillis), { concurrency: "unbounded" })
      for (const { processId } of ending) process.stdout.write(`ended ${Ansi.toVisible(processId)}\n`)
    } else if (options.tail !== undefined) {
      const { output, processId } = yield* findIn(living, options.tail)
      const live = yield* StoredProcesses.tail(options.home, processId)
      if (live === undefined) Log.say("this is only what the agent has read")
      process.stdout.write(printable(live ?? output))
    } else {
      for (const one of living) process.stdout.write(options.json ? `${JSON.stringify(one)}\n` : lineOf(one))
      if (living.length === 0 && !options.json) process.stdout.write("no processes\n")
    }
    return Help.exitCodes.ok
  }).pipe(
    Effect.provide(Layer.merge(Platform.journals(options.home), Layer.provide(Machine.processes, Platform.machine)))
  )

const findIn = (
  living: ReadonlyArray<StoredProcesses.StoredProcess>,
  prefix: string
): Effect.Effect<StoredProcesses.StoredProcess, CliError> => {
  const found = living.filter(({ processId }) => processId.startsWith(prefix))
  if (found.length === 1) return Effect.succeed(found[0]!)
  const detail =
    found.length === 0
      ? `the session has no running process ${prefix}`
      : `${found.length} processes have an id that begins with ${prefix}; give more of it`
  return Effect.fail(new CliError({ detail, exitCode: Help.exitCodes.failed }))
}

/** Returns the output of a process: unchanged for a pipe, and for a terminal as lines that cannot steer it. */
const printable = (output: string): string => {
  const text = output === "" || output.endsWith("\n") ? output : `${output}\n`
  return process.stdout.isTTY ? text.split("\n").map(Ansi.outputLine).join("\n") : text
}

const lineOf = ({ cwd, processId, startedAt, title }: StoredProcesses.StoredProcess): string => {
  const when = new Date(startedAt).toISOString()
  // one line each: a command line may have several
  return `${[processId, when, cwd, title.trim().replaceAll(/\s+/g, " ")].map(Ansi.toVisible).join("  ")}\n`
}
