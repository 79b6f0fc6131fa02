import { assert, describe, it } from "@effect/vitest"
import type { SessionId, TurnId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as Task from "@spindle/core/Task"
import * as TokenUsage from "@spindle/core/TokenUsage"
import { Turn } from "@spindle/core/Turn"
import * as SessionLogs from "@spindle/telemetry/SessionLogs"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import { warningsOf } from "../../core/test/fixtures/turns.ts"
import { cleanAbort } from "../../core/test/fixtures/records.ts"

/** Collects the log lines of sessions: level, text and the names of the annotations. */
const collecting = Effect.sync(() => {
  const lines: Array<string> = []
  const logger = Logger.make(({ fiber, logLevel, message }) => {
    const annotations = Object.keys(fiber.getRef(References.CurrentLogAnnotations)).sort()
    lines.push(`${logLevel} ${String(message)} [${annotations.join(", ")}]`)
  })
  const layer = Logger.layer([logger])
  const make = (options: Harness.HarnessOptions) =>
    Harness.make(options).pipe(Effect.provide(SessionLogs.layer, { local: true }), Effect.provide(layer))
  return { lines, layer, make }
})

describe("log lines of sessions", () => {
  it.effect("I3 are an abort, what is still ending, and its end, each with session and turn", () =>
    Effect.gen(function* () {
      const { lines, make } = yield* collecting
      const h = yield* make({})
      const open = yield* Deferred.make<void>()
      const deaf = Task.make("deaf", Effect.uninterruptible(Deferred.await(open)))
      yield* h.session.start(deaf)
      yield* h.session.submit(Op.interrupt)
      yield* TestClock.adjust("1 second")
      yield* h.session.awaitIdle
      yield* Deferred.succeed(open, undefined)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(lines, [
        "Info the turn was aborted: Interrupted [session, turn]",
        "Warn still ending when the turn settled: task deaf [session, turn]",
        "Info ended 1000 ms after the abort: task deaf [session, turn]"
      ])
    })
  )

  it.effect("S5 are a hook that fails, and a turn that fails", () =>
    Effect.gen(function* () {
      const { lines, make } = yield* collecting
      const h = yield* make({
        script: [[Model.text("one")], [Model.fail("Unauthorized")]],
        hooks: { stop: () => Effect.die(new Error("broken")) }
      })
      yield* h.run("one")
      yield* h.run("two")
      assert.deepStrictEqual(lines, [
        "Warn the hook stop failed: broken [session, turn]",
        "Warn the turn failed: ModelFailed: scripted Unauthorized [session, turn]"
      ])
    })
  )

  it.effect("I4 are a clean-up and an abort hook that die, and a hook that is cut off", () =>
    Effect.gen(function* () {
      const { lines, make } = yield* collecting
      const h = yield* make({})
      const tidy = { kind: "cleanup", name: "tidy", run: () => Effect.die(new Error("broken tidy")) } as const
      const tidying = Effect.flatMap(Turn, (turn) => Effect.andThen(turn.onAbort(tidy), Effect.never))
      const tasks = [
        Task.make("tidies", tidying),
        Task.make("dies", Effect.never, { abortHook: () => Effect.die(new Error("broken hook")) }),
        Task.make("hangs", Effect.never, { abortHook: () => Effect.never, abortHookLimit: "50 millis" })
      ]
      for (const task of tasks) {
        yield* h.session.start(task)
        yield* h.session.submit(Op.interrupt)
        yield* TestClock.adjust("1 second")
        yield* h.session.awaitIdle
      }
      const expected = [
        "the clean-up tidy failed: broken tidy",
        "dies abort hook failed: broken hook",
        "hangs abort hook failed: it was cut off after 50ms"
      ]
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("Warn")),
        expected.map((line) => `Warn ${line} [session, turn]`)
      )
      const recorded = warningsOf(h.records())
      assert.deepStrictEqual(recorded, expected)
    })
  )

  it.effect("J3 J5 are the end of a turn that a crash cut, with its turn, and a session that failed", () =>
    Effect.gen(function* () {
      const { lines, layer } = yield* collecting
      const { onEvent } = yield* Effect.provide(SessionLogs.make, layer)
      const sessionId = "s1" as SessionId
      const aborted = {
        ...cleanAbort,
        turnId: "t1" as TurnId,
        usage: TokenUsage.zero,
        crashed: true,
        seq: 2,
        at: 0
      } as const
      onEvent(sessionId, aborted)
      onEvent(sessionId, { _tag: "SessionFailed", sessionId, message: "the disk is full" })
      assert.deepStrictEqual(lines, [
        "Info the turn was aborted: Crashed [session, turn]",
        "Error the session failed: the disk is full [session]"
      ])
    })
  )

  it.effect("are none of a turn that completes", () =>
    Effect.gen(function* () {
      const { lines, make } = yield* collecting
      const h = yield* make({ script: [[Model.text("one")]] })
      yield* h.run("one")
      assert.deepStrictEqual(lines, [])
    })
  )
})
