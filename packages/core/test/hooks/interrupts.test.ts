/** Hooks on an aborted turn. */
import { assert, describe, it } from "@effect/vitest"
import type * as Hooks from "@spindle/core/Hooks"
import type { ProcessId } from "@spindle/core/Ids"
import { Processes } from "@spindle/core/Processes"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, warningsOf } from "../fixtures/turns.ts"

const withHook = (
  interrupt: Hooks.Hooks<Hooks.HookFailed, Turn>["interrupt"],
  options: SessionHarness.HarnessOptions = {}
) => SessionHarness.make({ ...options, hooks: { interrupt } })

const hanging = Task.make("hanging", Effect.never)

/** Processes that live until they are ended. `ended` are the ids of those that were. */
const makeHost = (before: Effect.Effect<void> = Effect.void) => {
  const running = new Map<string, Deferred.Deferred<{ readonly exitCode: number }>>()
  const ended: Array<string> = []
  const end = (processId: ProcessId) =>
    Effect.suspend(() => {
      const exit = running.get(processId)
      running.delete(processId)
      if (exit === undefined) return Effect.void
      ended.push(processId)
      return Effect.asVoid(Deferred.succeed(exit, { exitCode: 0 }))
    })
  const processes: Processes = {
    start: ({ processId }) =>
      Effect.uninterruptible(
        Effect.map(before, () => {
          const exit = Deferred.makeUnsafe<{ readonly exitCode: number }>()
          running.set(processId, exit)
          const exited = Deferred.await(exit)
          return { processId, pid: 1, output: Stream.empty, exit: exited, gone: Effect.asVoid(exited) }
        })
      ),
    end
  }
  return { processes, running, ended }
}

const startProcess = Effect.flatMap(Turn, (turn) => turn.process({ command: ["true"], cwd: "/" }))

describe("a hook on an abort", () => {
  it.effect("runs once with the reason, after the task and its abort hook, and records before the end", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const harness = yield* withHook((turnId, reason) =>
        Effect.flatMap(Turn, (turn) =>
          Effect.andThen(
            Effect.sync(() => void log.push(`hook ${reason} ${turn.turnId === turnId}`)),
            turn.warn("interrupted")
          )
        )
      )
      const task = Task.make(
        "task",
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push("task"))),
        { abortHook: () => Effect.sync(() => void log.push("abort hook")) }
      )
      const { outcome } = yield* harness.session.start(task)
      yield* harness.session.abort()
      yield* harness.session.abort()
      assert.strictEqual((yield* outcome)._tag, "Aborted")
      assert.deepStrictEqual(log, ["task", "abort hook", "hook Interrupted true"])
      assert.deepStrictEqual(harness.tags().slice(-1), ["TurnAborted"])
      assert.include(harness.tags(), "Warning")
    })
  )

  it.effect("gets each reason: of a replacement, a bound and a close", () =>
    Effect.gen(function* () {
      const reasons: Array<string> = []
      const scope = yield* Scope.make()
      const harness = yield* Effect.provideService(
        withHook((_, reason) => Effect.sync(() => void reasons.push(reason)), { config: { turnDuration: "1 minute" } }),
        Scope.Scope,
        scope
      )
      yield* harness.session.start(hanging)
      yield* harness.session.start(hanging)
      yield* TestClock.adjust("1 minute")
      yield* harness.session.awaitIdle
      yield* harness.session.start(hanging)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(reasons, ["Replaced", "Deadline", "Shutdown"])
    })
  )

  it.effect("does not run for a turn that completes or fails", () =>
    Effect.gen(function* () {
      const harness = yield* withHook(() => Effect.die("must not run"), { script: [[ScriptedModel.text("done")]] })
      yield* harness.run("go")
      const { outcome } = yield* harness.session.start(Task.make("failing", Effect.fail("no")))
      yield* outcome
      assert.notInclude(harness.tags(), "Warning")
    })
  )

  for (const [how, hang, stragglers] of [
    ["hangs", Effect.never, []],
    ["ignores interruptions", Effect.uninterruptible(Effect.never), [{ kind: "hook", name: "interrupt" }]]
  ] as const) {
    it.effect(`I3 I8 that ${how} ends at its limit, and the next turn works`, () =>
      Effect.gen(function* () {
        const harness = yield* withHook(() => hang, {
          config: { interruptHookLimit: "3 seconds" },
          script: [[ScriptedModel.text("fine")]]
        })
        const { outcome } = yield* harness.session.start(hanging)
        yield* harness.session.abort()
        yield* TestClock.adjust("2999 millis")
        assert.notInclude(harness.tags(), "TurnAborted")
        yield* TestClock.adjust("1 milli")
        yield* outcome
        assert.deepStrictEqual(abortedOf(harness.events).stragglers, stragglers)
        assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
      })
    )
  }

  it.effect("P5 I8 that dies is a warning, and the next turn works", () =>
    Effect.gen(function* () {
      const harness = yield* withHook(() => Effect.die(new Error("a bug")), { script: [[ScriptedModel.text("fine")]] })
      const { outcome } = yield* harness.session.start(hanging)
      yield* harness.session.abort()
      yield* outcome
      const warnings = warningsOf(harness.records())
      assert.deepStrictEqual(warnings, ["the hook interrupt failed: a bug"])
      assert.strictEqual((yield* harness.run("next"))._tag, "TurnCompleted")
    })
  )

  it.effect("I2 asks nothing", () =>
    Effect.gen(function* () {
      const left = yield* Deferred.make<void>()
      const harness = yield* withHook(() =>
        Effect.flatMap(Turn, (turn) =>
          Effect.ensuring(Effect.asVoid(turn.ask({ kind: "command", payload: {} })), Deferred.succeed(left, undefined))
        )
      )
      const { outcome } = yield* harness.session.start(hanging)
      yield* harness.session.abort()
      yield* Deferred.await(left)
      yield* outcome
      assert.notInclude(harness.tags(), "QuestionOpened")
    })
  )
})

describe("a process of a hook on an abort", () => {
  it.effect("X1 X3 is recorded before it starts, and ends with the hook", () =>
    Effect.gen(function* () {
      const { ended, processes, running } = makeHost()
      const harness = yield* withHook(() =>
        Effect.orDie(Effect.provideService(Effect.asVoid(startProcess), Processes, processes))
      )
      const { outcome } = yield* harness.session.start(hanging)
      yield* harness.session.abort()
      yield* outcome
      assert.lengthOf(ended, 1)
      assert.strictEqual(running.size, 0)
      const tags = harness.tags()
      assert.isBelow(tags.indexOf("ProcessStarted"), tags.indexOf("TurnAborted"))
      assert.isFalse(abortedOf(harness.events).stragglers.some(({ kind }) => kind === "process"))
    })
  )

  it.effect("X1 ends with the turn if the hook does not end", () =>
    Effect.gen(function* () {
      const { ended, processes } = makeHost()
      const harness = yield* withHook(() =>
        Effect.orDie(
          Effect.provideService(
            Effect.uninterruptible(Effect.andThen(startProcess, Effect.never)),
            Processes,
            processes
          )
        )
      )
      const { outcome } = yield* harness.session.start(hanging)
      yield* harness.session.abort()
      yield* TestClock.adjust("999 millis")
      assert.deepStrictEqual(ended, [])
      yield* TestClock.adjust("1 milli")
      yield* outcome
      yield* TestClock.adjust("1 milli")
      assert.lengthOf(ended, 1)
    })
  )

  it.effect("X1 ends at once if it starts while the turn settles", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const { ended, processes } = makeHost(Deferred.await(release))
      const harness = yield* withHook(() =>
        Effect.orDie(Effect.provideService(Effect.asVoid(startProcess), Processes, processes))
      )
      const { outcome } = yield* harness.session.start(hanging)
      yield* harness.session.abort()
      yield* TestClock.adjust("1 second")
      yield* outcome
      assert.deepStrictEqual(ended, [])
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust("1 milli")
      assert.lengthOf(ended, 1)
    })
  )
})
