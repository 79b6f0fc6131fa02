import { assert, describe, it } from "@effect/vitest"
import type { ProcessId, SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { Processes } from "@spindle/core/Processes"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"
import { numbered, startedAs } from "../../fixtures/records.ts"
import { abortedOf } from "../../fixtures/turns.ts"

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
          // as the port demands: an interruption during the start ends the process
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
  it.effect("X1 leaves no process alive that is recorded as ended, at whatever step it comes", () =>
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
            // for the steps before the turn has started
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

const endedOf = (events: ReadonlyArray<SessionEvent>) =>
  events.flatMap((event) => (event._tag === "ProcessEnded" ? [event.processId] : []))

describe("ending processes of a session", () => {
  /** A session whose turn has started two processes, the first of which is kept, and hangs. */
  const makeTwo = Effect.gen(function* () {
    const { processes, running } = makeHost(Effect.void)
    const h = yield* SessionHarness.make({})
    const ids: Array<ProcessId> = []
    const started = yield* Deferred.make<void>()
    const task = Task.make(
      "starts",
      Effect.gen(function* () {
        for (const keep of [true, false]) ids.push((yield* startProcess(keep)).processId)
        yield* Deferred.succeed(started, undefined)
        return yield* Effect.never
      })
    )
    yield* Effect.provideService(h.session.start(task), Processes, processes)
    yield* Deferred.await(started)
    return { h, ids, running }
  })
  it.effect("X1 an operation ends one process, and another those that outlive their turn", () =>
    Effect.gen(function* () {
      const { h, ids, running } = yield* makeTwo
      assert.strictEqual((yield* h.session.submit(Op.endProcess(ids[1])))._tag, "Accepted")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(endedOf(h.events), [ids[1]])
      assert.deepStrictEqual([...running.keys()], [ids[0]])
      assert.strictEqual((yield* h.session.submit(Op.endProcess()))._tag, "Accepted")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(endedOf(h.events), [ids[1], ids[0]])
      assert.deepStrictEqual(yield* h.session.processes, [])
    })
  )

  it.effect("X1 a process that its turn ends is spared when those that outlive it are ended", () =>
    Effect.gen(function* () {
      const { h, ids, running } = yield* makeTwo
      yield* h.session.submit(Op.endProcess())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([...running.keys()], [ids[1]])
    })
  )

  it.effect("an operation for a process that is unknown or has ended is rejected", () =>
    Effect.gen(function* () {
      const { h, ids } = yield* makeTwo
      yield* h.session.submit(Op.endProcess(ids[0]))
      yield* TestClock.adjust("1 millis")
      for (const processId of [ids[0]!, "other" as ProcessId]) {
        const receipt = yield* h.session.submit(Op.endProcess(processId))
        assert.deepStrictEqual(receipt._tag === "Rejected" && receipt.reason, { _tag: "UnknownProcess", processId })
      }
    })
  )

  it.effect("I5 X1 an abort names a process that was kept later, only while it lives", () =>
    Effect.gen(function* () {
      for (const lives of [true, false]) {
        const { processes } = makeHost(Effect.void)
        const h = yield* SessionHarness.make({})
        const started = yield* Deferred.make<ProcessId>()
        const task = Task.make(
          "keeps",
          Effect.gen(function* () {
            const turn = yield* Turn
            const { processId } = yield* startProcess(false)
            assert.isTrue(yield* turn.keep(processId))
            yield* Deferred.succeed(started, processId)
            return yield* Effect.never
          })
        )
        yield* Effect.provideService(h.session.start(task), Processes, processes)
        const processId = yield* Deferred.await(started)
        if (!lives) {
          yield* processes.end(processId, 0)
          yield* TestClock.adjust("1 millis")
        }
        yield* h.session.abort()
        yield* h.session.awaitIdle
        const aborted = abortedOf(h.events)
        assert.deepStrictEqual(aborted.keptProcesses, lives ? [processId] : [])
        const marker = h.events.flatMap((event) =>
          event._tag === "ItemRecorded" && event.item._tag === "UserMessage" && event.item.fragment !== undefined
            ? [JSON.stringify(event.item.content)]
            : []
        )
        assert.strictEqual(
          marker.some((text) => text.includes("sleep 9")),
          lives
        )
      }
    })
  )
})

describe("a session that is resumed after its host was killed", () => {
  it.effect("X3 ends the processes that the journal does not record as ended, and records that", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const ended: Array<string> = []
      const processes: Processes = {
        start: () => Effect.die("nothing starts"),
        end: (processId) => (processId === "stubborn" ? Effect.never : Effect.sync(() => void ended.push(processId)))
      }
      const started = (processId: string) =>
        ({
          _tag: "ProcessStarted",
          processId: processId as ProcessId,
          command: ["sleep", "9"],
          cwd: "/",
          keep: true
        }) as const
      yield* Effect.scoped(
        Effect.flatMap(journal.open("left" as SessionId, "create"), (writer) =>
          writer.append(
            numbered([
              startedAs("left" as SessionId),
              started("one"),
              started("two"),
              started("stubborn"),
              { _tag: "ProcessEnded", processId: "one" as ProcessId, exitCode: 0 }
            ])
          )
        )
      )
      const opening = yield* SessionHarness.make({ journal, resume: "left" as SessionId }).pipe(
        Effect.provideService(Processes, processes),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("2 seconds")
      const h = yield* Fiber.join(opening)
      assert.deepStrictEqual(ended, ["two"])
      const { records } = yield* journal.load("left" as SessionId)
      assert.deepStrictEqual(endedOf(records), ["one", "two"])
      assert.isTrue(records.some((record) => record._tag === "Warning" && record.message.includes("stubborn")))
      assert.strictEqual((yield* h.session.snapshot).status, "idle")
    })
  )
})
