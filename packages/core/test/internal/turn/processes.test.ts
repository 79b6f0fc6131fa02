import { assert, describe, it } from "@effect/vitest"
import { Processes } from "@spindle/core/Processes"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"

/** A host whose processes live until they are ended. `before` runs before each start. */
const makeHost = (before: Effect.Effect<void>) => {
  const running = new Map<string, Deferred.Deferred<{ readonly exitCode: number }>>()
  const end = (processId: string) =>
    Effect.suspend(() => {
      const exit = running.get(processId)
      running.delete(processId)
      return exit === undefined ? Effect.void : Deferred.succeed(exit, { exitCode: 0 })
    })
  const processes: Processes = {
    start: ({ processId }) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function* () {
          yield* before
          const ended = Deferred.makeUnsafe<{ readonly exitCode: number }>()
          running.set(processId, ended)
          // as the port demands: an interruption before the answer ends the process
          yield* Effect.onInterrupt(restore(Effect.void), () => end(processId))
          const exit = Deferred.await(ended)
          return { processId, pid: 1, output: Stream.empty, exit, gone: Effect.asVoid(exit) }
        })
      ),
    end
  }
  return { processes, running }
}

const startProcess = (keep: boolean) =>
  Effect.flatMap(Turn, (turn) => turn.process({ command: ["sleep", "9"], cwd: "/", keep }))

describe("a process whose start is under way when its turn ends", () => {
  for (const how of ["completed", "failed", "aborted"] as const) {
    for (const keep of [false, true]) {
      it.effect(`X1 ${how}: it ends as soon as it has started, unless it is kept (${keep})`, () =>
        Effect.gen(function* () {
          const gate = yield* Deferred.make<void>()
          const { processes, running } = makeHost(Deferred.await(gate))
          const h = yield* SessionHarness.make({})
          const started = yield* Deferred.make<void>()
          const task = Task.make(
            "starts",
            Effect.gen(function* () {
              const starting = Effect.ensuring(startProcess(keep), Deferred.succeed(started, undefined))
              yield* Effect.forkDetach(starting, { startImmediately: true })
              const turn = yield* Turn
              yield* turn.flush
              if (how === "failed") return yield* Effect.fail("no")
              return how === "aborted" ? yield* Effect.never : "returned"
            })
          )
          const { outcome } = yield* Effect.provideService(h.session.start(task), Processes, processes)
          yield* TestClock.adjust("10 millis")
          if (how === "aborted") yield* h.session.abort()
          yield* TestClock.adjust("5 seconds")
          assert.strictEqual(
            (yield* outcome)._tag,
            how === "completed" ? "Completed" : how === "failed" ? "Failed" : "Aborted"
          )
          yield* Deferred.succeed(gate, undefined)
          yield* Deferred.await(started)
          yield* TestClock.adjust("1 millis")
          assert.strictEqual(running.size, keep ? 1 : 0)
          assert.lengthOf(yield* h.session.processes, keep ? 1 : 0)
        })
      )
    }
  }
})

describe("an abort that comes while a process starts", () => {
  it.effect("X1 at whatever step: no process lives that is recorded as ended", () =>
    Effect.gen(function* () {
      for (const operations of [3, 5, 8]) {
        for (let steps = 0; steps < 50; steps++) {
          const { processes, running } = makeHost(Effect.yieldNow)
          const task = Task.make("starts", Effect.andThen(startProcess(false), Effect.never))
          yield* Effect.gen(function* () {
            const h = yield* SessionHarness.make({})
            const starting = yield* Effect.forkChild(
              Effect.provideService(h.session.start(task), Processes, processes),
              { startImmediately: true }
            )
            for (let step = 0; step < steps; step++) yield* Effect.yieldNow
            yield* h.session.abort()
            const { outcome } = yield* Fiber.join(starting)
            // for the steps at which the turn had not started
            yield* h.session.abort()
            yield* outcome
            yield* h.session.awaitIdle
            assert.strictEqual(running.size, 0, `${operations} operations, ${steps} steps`)
          }).pipe(Effect.scoped, Effect.provideService(Scheduler.MaxOpsBeforeYield, operations))
        }
      }
    })
  )
})
