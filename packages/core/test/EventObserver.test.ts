import { assert, describe, it } from "@effect/vitest"
import * as EventObserver from "@spindle/core/EventObserver"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Fiber, Logger, pipe } from "effect"
import { TestClock } from "effect/testing"

const tagsOf = (events: ReadonlyArray<SessionEvent>) => events.map(({ _tag }) => _tag)

/** A session after a turn, its events, and an observer that fails, dies, throws and hangs for some of them. */
const make = Effect.gen(function* () {
  const { session } = yield* Harness.make({ script: [[ScriptedModel.text("done")]] })
  yield* session.submit(Op.userInput("hi"))
  yield* session.awaitIdle
  const handled: Array<SessionEvent> = []
  const all: Array<SessionEvent> = []
  const observe = (event: SessionEvent): Effect.Effect<void, "refused"> => {
    all.push(event)
    switch (event._tag) {
      case "SessionStarted":
        return Effect.fail("refused")
      case "InputAccepted":
        return Effect.die(new Error("broken"))
      case "TurnStarted":
        throw new Error("thrown")
      case "ModelRequested":
        return Effect.never
      default:
        return Effect.sync(() => void handled.push(event))
    }
  }
  const started = <A, E>(running: Effect.Effect<A, E>) => Effect.forkChild(running, { startImmediately: true })
  return { all, handled, observe, session, started }
})

describe("an observer that fails", () => {
  it.effect("loses that event and no later one, if it is fail-open", () =>
    Effect.gen(function* () {
      const { all, handled, observe, session, started } = yield* make
      const warnings: Array<unknown> = []
      const logger = Logger.make(({ message }) => void warnings.push(message))
      const observer = pipe(observe, EventObserver.withDeadline("1 second"), EventObserver.failOpen)
      const running = EventObserver.run(session, observer)
      const fiber = yield* started(Effect.provide(running, Logger.layer([logger])))
      yield* TestClock.adjust("1 second")
      const lost = ["SessionStarted", "InputAccepted", "TurnStarted", "ModelRequested"]
      assert.include(tagsOf(handled), "TurnCompleted")
      assert.deepStrictEqual(
        tagsOf(handled),
        tagsOf(all).filter((tag) => !lost.includes(tag))
      )
      assert.deepStrictEqual(warnings.flat(), [
        "an observer failed for SessionStarted: refused",
        "an observer failed for InputAccepted: broken",
        "an observer failed for TurnStarted: thrown",
        "an observer failed for ModelRequested: an observer did not handle ModelRequested 4 within 1s"
      ])
      yield* Fiber.interrupt(fiber)
      // the session did not notice
      assert.strictEqual((yield* session.submit(Op.userInput("again")))._tag, "Started")
    })
  )

  it.effect("ends the run with its error, and the next run continues where the caller says", () =>
    Effect.gen(function* () {
      const { handled, observe, session, started } = yield* make
      assert.strictEqual(yield* Effect.flip(EventObserver.run(session, observe)), "refused")
      for (const from of [1, 2]) {
        const exit = yield* Effect.exit(EventObserver.run(session, observe, { from }))
        assert.isTrue(Exit.hasDies(exit))
      }
      const timed = EventObserver.run(session, EventObserver.withDeadline(observe, "2 seconds"), { from: 3 })
      const fiber = yield* started(Effect.flip(timed))
      yield* TestClock.adjust("2 seconds")
      const error = yield* Fiber.join(fiber)
      assert.deepInclude(error, { _tag: "ObserverTimedOut", event: "ModelRequested", seq: 4, deadlineMillis: 2_000 })
      yield* started(EventObserver.run(session, observe, { from: 5 }))
      yield* Effect.yieldNow
      assert.strictEqual(handled.at(-1)?._tag, "TurnCompleted")
    })
  )

  it.effect("is interrupted with its caller, even if it is fail-open", () =>
    Effect.gen(function* () {
      const { all, session, started } = yield* make
      let isInterrupted = false
      const observer = EventObserver.failOpen((event) => {
        all.push(event)
        return Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (isInterrupted = true)))
      })
      const fiber = yield* started(EventObserver.run(session, observer))
      yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.isTrue(isInterrupted)
      assert.lengthOf(all, 1)
    })
  )

  it.effect("that interrupts itself loses its event, and fails open like one that fails", () =>
    Effect.gen(function* () {
      const { session, started } = yield* make
      const handled: Array<SessionEvent> = []
      const observer = EventObserver.failOpen((event) => {
        handled.push(event)
        return event._tag === "TurnStarted" ? Effect.interrupt : Effect.void
      })
      const fiber = yield* started(EventObserver.run(session, observer))
      yield* Effect.yieldNow
      assert.include(tagsOf(handled), "TurnCompleted")
      yield* Fiber.interrupt(fiber)
    })
  )
})
