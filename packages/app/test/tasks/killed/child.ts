/**
 * A program that runs tasks concurrently, and kills itself once a record of each is on the disk:
 * `child.ts <record, from 0> <directory of a scenario> ...`. It writes the names of the scenarios that ended before, one a line.
 */
import { writeSync } from "node:fs"
import { basename } from "node:path"
import { Journal } from "@spindle/core/Journal"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Effect } from "effect"
import * as Killed from "./sessions.ts"

const [last = "", ...directories] = process.argv.slice(2)
let running = directories.length

/** One task less runs. */
const stop = (): void => {
  if (--running > 0) return
  process.kill(process.pid, "SIGKILL")
  // nothing may happen between the signal and the end
  for (;;);
}

/** Writes one record at a time, and nothing after the one that was asked for. */
const stopping = (journal: Journal, begins: (record: JournalRecord) => boolean): Journal => {
  let left: number | undefined
  const seen = (record: JournalRecord): Effect.Effect<void> => {
    if (left === undefined && begins(record)) left = Number(last)
    if (left === undefined || left-- > 0) return Effect.void
    return Effect.andThen(Effect.sync(stop), Effect.never)
  }
  return {
    ...journal,
    open: (sessionId, mode) =>
      Effect.map(journal.open(sessionId, mode), (writer) => ({
        ...writer,
        append: (records) =>
          Effect.forEach(
            records,
            (record) =>
              Effect.andThen(
                writer.append([record]),
                Effect.suspend(() => seen(record))
              ),
            { discard: true }
          )
      }))
  }
}

const run = (directory: string) =>
  Effect.gen(function* () {
    const name = basename(directory)
    const scenario = Killed.scenarios[name]!
    const journal = stopping(yield* Journal, scenario.begins)
    const { session } = yield* Effect.provideService(Killed.open(scenario, { directory, journal }), Journal, journal)
    for (const op of scenario.before) {
      yield* session.submit(op)
      yield* session.awaitIdle
    }
    for (const op of scenario.ops) yield* session.submit(op)
    yield* session.awaitIdle
    writeSync(1, `${name}\n`)
    stop()
  }).pipe(Effect.scoped, Effect.provide([Killed.snapshotsOf(directory), Killed.journalsOf(directory)]))

await Effect.runPromise(Effect.forEach(directories, run, { concurrency: "unbounded", discard: true }))
