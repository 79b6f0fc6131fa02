import { assert, describe, it } from "@effect/vitest"
import type { Journal } from "@spindle/core/Journal"
import { SessionObserver, type SessionSignal } from "@spindle/core/SessionObserver"
import * as SessionObservers from "@spindle/core/SessionObserver"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { isRecord, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Fiber, Latch, Scope, Stream } from "effect"
import { warningsOf } from "../fixtures/turns.ts"

/** A session whose observer keeps events and signals. */
const observed = Effect.fnUntraced(function* (
  script: Model.Script,
  observer: Partial<SessionObserver> = {},
  journal?: Journal
) {
  const signals: Array<SessionSignal> = []
  const events: Array<SessionEvent> = []
  const h = yield* Effect.scoped(
    Effect.gen(function* () {
      const h = yield* Harness.make({ script, ...(journal === undefined ? {} : { journal }) })
      yield* h.run("hello")
      const { seq } = yield* h.session.snapshot
      const records = yield* h.session.events().pipe(Stream.filter(isRecord), Stream.take(seq), Stream.runCollect)
      return { ...h, published: records }
    })
  ).pipe(
    Effect.provideService(SessionObserver, {
      onEvent: (_, event) => void events.push(event),
      onSignal: (_, signal) => void signals.push(signal),
      ...observer
    })
  )
  return { h, signals, events }
})

describe("the signals of a session", () => {
  it.effect("O2 report a receipt, each batch of a journal that coalesces, and finally the close", () =>
    Effect.gen(function* () {
      const memory = yield* Harness.memoryJournal
      const open: typeof memory.open = (id, mode) =>
        Effect.map(memory.open(id, mode), (writer) => ({ ...writer, coalesces: true }))
      const { h, signals } = yield* observed([[Model.text("hello")]], {}, { ...memory, open })
      assert.deepStrictEqual(signals.at(-1), { _tag: "Closed" })
      const submitted = signals.filter((signal) => signal._tag === "Submitted")
      assert.deepStrictEqual(
        submitted.map(({ op, receipt, rejection }) => [op, receipt, rejection]),
        [["UserInput", "Started", undefined]]
      )
      const written = signals.reduce((sum, one) => sum + (one._tag === "Appended" ? one.recordsCount : 0), 0)
      assert.strictEqual(written, h.records().length)
    })
  )

  it.effect(
    "O2 report how many events wait in memory for subscribers, until they read, leave or the session closes",
    () =>
      Effect.gen(function* () {
        const signals: Array<SessionSignal> = []
        const waiting = () => signals.reduce((sum, one) => sum + (one._tag === "Waiting" ? one.eventsChange : 0), 0)
        const observer: SessionObserver = { onEvent: () => {}, onSignal: (_, signal) => void signals.push(signal) }
        const scope = yield* Scope.make()
        const h = yield* Harness.make({ script: () => [Model.text("fine")] }).pipe(
          Effect.provideService(SessionObserver, observer),
          Effect.provideService(Scope.Scope, scope)
        )
        const gate = yield* Latch.make(true)
        const read = Effect.forkChild(
          Stream.runForEach(h.session.events(), () => gate.await),
          { startImmediately: true }
        )
        const [one, other] = [yield* read, yield* read]
        yield* h.run("hello")
        assert.strictEqual(waiting(), 0)
        for (const text of ["again", "once more"]) {
          yield* gate.close
          const before = h.records().length
          yield* h.run(text)
          // each has taken the first of them
          assert.isAtLeast(waiting(), 2 * (h.records().length - before - 1))
          if (text === "again") {
            yield* gate.open
            yield* Effect.yieldNow
            assert.strictEqual(waiting(), 0)
          }
        }
        const both = waiting()
        yield* Fiber.interrupt(one)
        assert.strictEqual(waiting(), both / 2)
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.interrupt(other)
        assert.deepStrictEqual(signals.at(-1), { _tag: "Closed" })
      })
  )

  it.effect("O2 report a rejection, with its reason", () =>
    Effect.gen(function* () {
      const signals: Array<SessionSignal> = []
      const h = yield* Effect.provideService(Harness.make(), SessionObserver, {
        onEvent: () => {},
        onSignal: (_, signal) => void signals.push(signal)
      })
      yield* h.session.submit(Op.rollback(0))
      const submitted = signals.find((signal) => signal._tag === "Submitted")
      assert.isTrue(submitted?._tag === "Submitted" && submitted.rejection === "InvalidTurnCount")
    })
  )

  it.effect("an observer that throws at every signal still gets every event and signal, and one warning says so", () =>
    Effect.gen(function* () {
      let signals = 0
      const { events, h } = yield* observed([[Model.text("hello")]], {
        onSignal: () => {
          signals++
          throw new Error("broken")
        }
      })
      assert.isAtLeast(signals, 2)
      assert.deepStrictEqual(events.filter(isRecord), h.published)
      const warnings = warningsOf(h.published)
      assert.lengthOf(warnings, 1)
      assert.include(warnings[0]!, "an observer of the session threw")
    })
  )
})

describe("SessionObserver.both", () => {
  const sessionId = "s" as SessionId
  const closed: SessionSignal = { _tag: "Closed" }

  it("calls both, in order, and sends signals to those that want them", () => {
    const calls: Array<string> = []
    const first: SessionObserver = { onEvent: () => void calls.push("first") }
    const second: SessionObserver = {
      onEvent: () => void calls.push("second"),
      onSignal: (_, signal) => void calls.push(`second ${signal._tag}`)
    }
    const both = SessionObservers.both(first, second)!
    both.onEvent(sessionId, { _tag: "SessionFailed", sessionId, message: "" })
    both.onSignal!(sessionId, closed)
    assert.deepStrictEqual(calls, ["first", "second", "second Closed"])
  })

  it("is the only one, or none; and has no signals if neither wants them", () => {
    const one: SessionObserver = { onEvent: () => {} }
    assert.strictEqual(SessionObservers.both(one, undefined), one)
    assert.strictEqual(SessionObservers.both(undefined, one), one)
    assert.isUndefined(SessionObservers.both(undefined, undefined))
    assert.notProperty(SessionObservers.both(one, one)!, "onSignal")
  })

  it("calls the second even if the first throws", () => {
    const seen: Array<string> = []
    const throwing: SessionObserver = {
      onEvent: () => {
        throw new Error("event")
      },
      onSignal: () => {
        throw new Error("signal")
      }
    }
    const second: SessionObserver = {
      onEvent: () => void seen.push("event"),
      onSignal: () => void seen.push("signal")
    }
    const both = SessionObservers.both(throwing, second)!
    assert.throws(() => both.onEvent(sessionId, { _tag: "SessionFailed", sessionId, message: "" }), "event")
    assert.throws(() => both.onSignal!(sessionId, closed), "signal")
    assert.deepStrictEqual(seen, ["event", "signal"])
  })
})
