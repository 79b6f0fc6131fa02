import { assert, describe, it } from "@effect/vitest"
import type { ProcessId, SessionId } from "@spindle/core/Ids"
import { Processes } from "@spindle/core/Processes"
import * as Task from "@spindle/core/Task"
import { type OwnedResource, Turn } from "@spindle/core/Turn"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf } from "../../fixtures/turns.ts"

/** A resource that logs why it was ended. */
const logged = (log: Array<string>, resource: Partial<OwnedResource> & { readonly id: string }): OwnedResource => ({
  kind: "process",
  name: resource.id,
  end: (reason) => Effect.sync(() => void log.push(`${resource.id} ${reason}`)),
  ...resource
})

/** Starts a task that owns resources and hangs. */
const owning = (resources: (log: Array<string>) => ReadonlyArray<OwnedResource>) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const harness = yield* SessionHarness.make()
    const turns: Array<Turn> = []
    const task = Effect.gen(function* () {
      const turn = yield* Turn
      for (const resource of resources(log)) yield* Effect.asVoid(turn.own(resource))
      turns.push(turn)
      return yield* Effect.never
    })
    yield* harness.session.start(Task.make("owning", task))
    return { harness, log, turn: turns[0]! }
  })

describe("a resource of a turn", () => {
  it.effect("I3 X1 is ended by an abort, once", () =>
    Effect.gen(function* () {
      const { harness, log } = yield* owning((to) => [
        logged(to, { id: "a" }),
        logged(to, { id: "b", kind: "delegate" })
      ])
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(log, ["a Interrupted", "b Interrupted"])
      assert.deepStrictEqual(abortedOf(harness.events).stragglers, [])
    })
  )

  it.effect("I3 is named as a straggler if it does not end within the grace period", () =>
    Effect.gen(function* () {
      const { harness } = yield* owning(() => [{ kind: "process", id: "a", name: "make all", end: () => Effect.never }])
      yield* harness.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).stragglers, [{ kind: "process", name: "make all" }])
    })
  )

  it.effect("X1 outlives the turn if it is kept, even if that is decided later, and ends with the session", () =>
    Effect.gen(function* () {
      const log = yield* Effect.scoped(
        Effect.gen(function* () {
          const { harness, log, turn } = yield* owning((to) => [
            logged(to, { id: "a", keep: true }),
            logged(to, { id: "b" }),
            logged(to, { id: "c" })
          ])
          assert.isTrue(yield* turn.keep("b"))
          assert.isFalse(yield* turn.keep("nothing"))
          yield* harness.session.abort()
          yield* harness.session.awaitIdle
          assert.deepStrictEqual(log, ["c Interrupted"])
          return log
        })
      )
      assert.deepStrictEqual(log, ["c Interrupted", "a Shutdown", "b Shutdown"])
    })
  )

  it.effect("X1 does not outlive an abort with the reason Parent, even if it is kept", () =>
    Effect.gen(function* () {
      const { harness, log } = yield* owning((to) => [logged(to, { id: "a", keep: true })])
      yield* harness.session.abort("Parent")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(log, ["a Parent"])
    })
  )

  it.effect("D1 is ended by a turn that returns if it has a drain, which waits for it that long", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness = yield* SessionHarness.make()
      const task = Effect.flatMap(Turn, (turn) =>
        Effect.forEach(
          [
            logged(log, { id: "a" }),
            logged(log, { id: "b", drain: "1 second", end: () => Effect.sleep("2 seconds") }),
            logged(log, { id: "c", drain: "1 second" }),
            logged(log, { id: "d", drain: "1 second", keep: true })
          ],
          turn.own,
          { discard: true }
        )
      )
      const { outcome } = yield* harness.session.start(Task.make("returning", task))
      yield* TestClock.adjust("999 millis")
      assert.notInclude(harness.tags(), "TurnCompleted")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* outcome)._tag, "Completed")
      assert.deepStrictEqual(log, ["c Parent"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* harness.session.processes, [{ processId: "d" as ProcessId, name: "d" }])
    })
  )

  it.effect("is not ended once it has reported its end", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness = yield* SessionHarness.make()
      const task = Effect.gen(function* () {
        const turn = yield* Turn
        yield* yield* turn.own(logged(log, { id: "a" }))
        return yield* Effect.never
      })
      yield* harness.session.start(Task.make("ending", task))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(log, [])
    })
  )
})

describe("a child session of a turn that owns it", () => {
  it.effect("D1 I3 is ended by the turn that starts it, even if an observer aborts the turn at its announcement", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness: SessionHarness.SessionHarness = yield* SessionHarness.make({
        onEvent: (event) => {
          if (event._tag === "DelegateStarted") Effect.runSync(harness.session.abort("Budget"))
        }
      })
      const task = Effect.gen(function* () {
        const turn = yield* Turn
        const end = (reason: string) => Effect.sync(() => void log.push(reason))
        yield* turn.delegate({ delegateId: "child" as SessionId, name: "child", linked: true, end, drain: "1 second" })
        return yield* Effect.never
      })
      yield* harness.session.start(Task.make("parent", task))
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(log, ["Budget"])
    })
  )

  it.effect("D7 is kept if it is not linked, and not ended once its end is recorded", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness = yield* SessionHarness.make()
      const task = Effect.gen(function* () {
        const turn = yield* Turn
        const end = (name: string) => () => Effect.sync(() => void log.push(name))
        const start = (name: string, linked: boolean) =>
          turn.delegate({ delegateId: name as SessionId, name, linked, end: end(name), drain: "1 second" })
        yield* start("detached", false)
        const ended = yield* start("linked", true)
        ended({ status: "completed" })
        return yield* Effect.never
      })
      yield* harness.session.start(Task.make("parent", task))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(log, [])
      assert.deepStrictEqual<unknown>(abortedOf(harness.events).keptDelegates, ["detached"])
    })
  )
})

/** Processes of a host whose starts wait for a gate. */
const slowHost = Effect.map(Deferred.make<void>(), (gate) => {
  const ended: Array<ProcessId> = []
  const exits = new Map<ProcessId, Deferred.Deferred<void>>()
  const service: Processes = {
    start: ({ processId }) => {
      const exit = Deferred.makeUnsafe<void>()
      exits.set(processId, exit)
      const process = {
        processId,
        pid: 1,
        output: Stream.empty,
        exit: Effect.as(Deferred.await(exit), { exitCode: 0 }),
        gone: Effect.never
      }
      return Effect.as(Deferred.await(gate), process)
    },
    end: (processId) => Effect.sync(() => void ended.push(processId))
  }
  return { ended, exits, service, open: Deferred.succeed(gate, undefined) }
})

describe("a process of a turn", () => {
  it.effect("X1 whose start was under way when its turn returned is ended", () =>
    Effect.gen(function* () {
      const host = yield* slowHost
      const harness = yield* SessionHarness.make()
      const starting = yield* Deferred.make<Fiber.Fiber<unknown, unknown>>()
      const task = Effect.gen(function* () {
        const turn = yield* Turn
        const fiber = yield* Effect.forkDetach(turn.process({ command: ["late"], cwd: "/" }), {
          startImmediately: true
        })
        yield* Deferred.succeed(starting, fiber)
      })
      yield* Effect.provideService(harness.session.start(Task.make("leaving", task)), Processes, host.service)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(host.ended, [])
      yield* host.open
      yield* Fiber.await(yield* Deferred.await(starting))
      assert.deepStrictEqual(host.ended, [...host.exits.keys()])
    })
  )

  it.effect("X1 whose start was interrupted is ended before its end is recorded", () =>
    Effect.gen(function* () {
      const host = yield* slowHost
      const harness = yield* SessionHarness.make()
      const task = Effect.flatMap(Turn, (turn) => turn.process({ command: ["late"], cwd: "/" }))
      yield* Effect.provideService(harness.session.start(Task.make("starting", task)), Processes, host.service)
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(host.ended, [...host.exits.keys()])
      assert.lengthOf(
        harness.records().filter((record) => record._tag === "ProcessEnded"),
        1
      )
    })
  )

  it.effect("I5 X1 is named by an abort if it was kept, is alive, and belongs to the turn", () =>
    Effect.gen(function* () {
      const host = yield* slowHost
      yield* host.open
      const harness = yield* SessionHarness.make()
      const start = (command: string, keep: boolean) =>
        Effect.flatMap(Turn, (turn) => turn.process({ command: [command], cwd: "/", keep }))
      const run = <A, E>(task: Effect.Effect<A, E, Turn | Processes>) =>
        Effect.provideService(harness.session.start(Task.make("running", task)), Processes, host.service)
      yield* run(start("earlier", true))
      yield* harness.session.awaitIdle
      const started = yield* Deferred.make<ReadonlyArray<ProcessId>>()
      yield* run(
        Effect.gen(function* () {
          const all = yield* Effect.forEach(["alive", "exited"], (command) => start(command, true))
          yield* Deferred.succeed(
            started,
            all.map(({ processId }) => processId)
          )
          return yield* Effect.never
        })
      )
      const [alive, exited] = yield* Deferred.await(started)
      yield* Deferred.succeed(host.exits.get(exited!)!, undefined)
      yield* harness.awaitEvent(SessionHarness.hasTag("ProcessEnded"))
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).keptProcesses, [alive!])
      const { items } = yield* harness.session.snapshot
      const marker = JSON.stringify(items.at(-1))
      assert.include(marker, "Still running: alive (pid 1).")
    })
  )
})

describe("a task that fails with an error that cannot be read", () => {
  class Unreadable extends Error {
    readonly _tag = "Unreadable"
    override get message(): string {
      throw new TypeError("nothing to read")
    }
  }
  const untagged = {
    get _tag(): string {
      throw new TypeError("no tag")
    }
  }

  it.effect.each([new Unreadable(), untagged])("S2 S5 I8 fails its turn and leaves the session usable", (error) =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make()
      const { outcome } = yield* harness.session.start(Task.make("failing", Effect.fail(error)))
      assert.strictEqual((yield* outcome)._tag, "Failed")
      const next = yield* harness.session.start(Task.make("next", Effect.succeed("fine")))
      assert.strictEqual((yield* next.outcome)._tag, "Completed")
      assert.include(harness.tags(), "TurnFailed")
    })
  )

  it.effect("S2 S5 is a defect of the task if its tool result is not JSON", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make()
      const task = Effect.gen(function* () {
        const turn = yield* Turn
        const call = yield* turn.record({ _tag: "ToolCall", callId: "c" as never, name: "count", params: {} })
        if (call._tag === "ToolCall") yield* turn.finish(call, "completed", 10n)
      })
      const { outcome } = yield* harness.session.start(Task.make("failing", task))
      assert.strictEqual((yield* outcome)._tag, "Failed")
      const ended = yield* harness.session.snapshot
      assert.isTrue(ended.items.some((item) => item._tag === "ToolResult" && item.status === "failed"))
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(harness.session.awaitIdle)))
    })
  )
})
