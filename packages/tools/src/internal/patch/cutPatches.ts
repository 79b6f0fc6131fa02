/**
 * Concludes the patches of commands that have ended in the middle of one: in the clean-up of the turn after an abort,
 * and before the next patch or command of the session.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Semaphore from "effect/Semaphore"
import type { ProcessId } from "@spindle/core/Ids"
import type { Process } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"

/** The record of the commands that run. */
export interface CutPatches {
  /**
   * Concludes the patches in a directory when this command is gone. An abort of the turn waits for that, unless the
   * returned effect has run.
   */
  readonly watch: (directory: string, process: Process) => Effect.Effect<Effect.Effect<void>, never, Turn>
  /** Concludes the patches in a directory that are cut now. */
  readonly conclude: (directory: string) => Effect.Effect<void>
}

/** The time that a patch waits until no process of a command that has ended is alive. */
const limit = "2 seconds"

/**
 * Makes a record without commands. `recover` concludes the patches in a directory that `gone` commands were writing,
 * and returns whether patches are left there.
 */
export const make = Effect.fnUntraced(function* (
  recover: (directory: string, gone: ReadonlySet<ProcessId>) => Effect.Effect<boolean>
) {
  const fibers = yield* FiberSet.make()
  const lock = yield* Semaphore.make(1)
  /** The commands that have ended and may still have living processes, each with the end of its watch. */
  const ending = new Map<ProcessId, Deferred.Deferred<void>>()
  const run = (directory: string, ...gone: ReadonlyArray<ProcessId>) =>
    lock.withPermits(1)(recover(directory, new Set(gone)))
  const cutPatches: CutPatches = {
    watch: Effect.fnUntraced(function* (directory, { exit, gone, processId }) {
      const turn = yield* Turn
      const done = yield* Deferred.make<void>()
      const concluded = exit.pipe(
        Effect.andThen(Effect.sync(() => ending.set(processId, done))),
        Effect.andThen(gone),
        Effect.andThen(run(directory, processId))
      )
      const finish = Effect.sync(() => {
        ending.delete(processId)
        Deferred.doneUnsafe(done, Effect.void)
      })
      yield* FiberSet.run(fibers, Effect.ensuring(concluded, finish))
      return yield* turn.onAbort({ kind: "cleanup", name: "apply_patch", run: () => Deferred.await(done) })
    }),
    conclude: Effect.fnUntraced(function* (directory) {
      if (!(yield* run(directory))) return
      const waits = Array.from(ending.values(), (done) => Deferred.await(done))
      yield* Effect.timeoutOption(Effect.all(waits, { concurrency: "unbounded" }), limit)
    })
  }
  return cutPatches
})
