/**
 * A program that runs tasks, and kills itself once a record of each is on the disk: `child.ts <directory> ...`. A directory is named
 * `<record, from 0>/<scenario>`. It writes the name of each directory whose scenario ended before, with the number of records of its task, one a line.
 */
import { writeSync } from "node:fs"
import { basename, dirname } from "node:path"
import { Journal } from "@spindle/core/Journal"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Effect, Semaphore } from "effect"
import * as Killed from "./sessions.ts"

const directories = process.argv.slice(2)
let running = directories.length

/** As many tasks run at the same time; one that has stopped counts no more. */
const permits = Semaphore.makeUnsafe(6)

/** One task less runs. */
const stop = (): void => {
  Effect.runSync(permits.release(1))
  if (--running > 0) return
  process.kill(process.pid, "SIGKILL")
  // nothing may happen between the signal and the end
  for (;;);
}

/** Writes one record at a time, and nothing after record `last` of the task. Counts its records. */
const stopping = (journal: Journal, begins: (record: JournalRecord) => boolean, last: number) => {
  let count: number | undefined
  const seen = (record: JournalRecord): Effect.Effect<void> => {
    if (count === undefined && !begins(record)) return Effect.void
    const at = count ?? 0
    count = at + 1
    return at < last ? Effect.void : Effect.andThen(Effect.sync(stop), Effect.never)
  }
  const stoppingJournal: Journal = {
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
  return { journal: stoppingJournal, count: () => count ?? 0 }
}

const run = (directory: string) =>
  Effect.gen(function* () {
    const scenario = Killed.scenarios[basename(directory)]!
    yield* permits.take(1)
    const { count, journal } = stopping(yield* Journal, scenario.begins, Number(basename(dirname(directory))))
    const { session } = yield* Effect.provideService(Killed.open(scenario, { directory, journal }), Journal, journal)
    for (const op of scenario.before) {
      yield* session.submit(op)
      yield* session.awaitIdle
    }
    for (const op of scenario.ops) yield* session.submit(op)
    yield* session.awaitIdle
    writeSync(1, `${directory} ${count()}\n`)
    stop()
  }).pipe(Effect.scoped, Effect.provide([Killed.snapshotsOf(directory), Killed.journalsOf(directory)]))

await Effect.runPromise(Effect.forEach(directories, run, { concurrency: "unbounded", discard: true }))
