import { assert, describe, it } from "@effect/vitest"
import { JournalFailed } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import type { SessionId } from "@spindle/core/Ids"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Data, Deferred, Effect, Exit, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { journalWith } from "./fixtures/journals.ts"
import { assertTurns, terminals, turnTags } from "./fixtures/turns.ts"

const say = (text: string) =>
  Task.make(
    "say",
    Effect.andThen(Turn, (turn) => turn.say(text))
  )
const waiting = Task.make("waiting", Effect.never)
const disk = new JournalFailed({ sessionId: "s" as SessionId, operation: "append", detail: "disk full" })
const lastOf = (events: ReadonlyArray<SessionEvent>) => terminals(events).at(-1)!

describe("turns", () => {
  it.effect("S1 concurrent starts from many fibers run one turn at a time", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      let running = 0
      let most = 0
      const task = Task.make(
        "counted",
        Effect.acquireUseRelease(
          Effect.sync(() => void (most = Math.max(most, ++running))),
          () => Effect.yieldNow,
          () => Effect.sync(() => void running--)
        )
      )
      const turns = yield* Effect.forEach(Array.from({ length: 20 }), () => h.session.start(task), {
        concurrency: "unbounded"
      })
      yield* Effect.forEach(turns, (turn) => turn.outcome)
      yield* h.session.awaitIdle
      assert.strictEqual(most, 1)
      assertTurns(h.events)
      assert.lengthOf(terminals(h.events), 20)
    })
  )

  it.effect(
    "S2 each turn has one terminal record, whether it completes, fails or is aborted, and nothing comes after it",
    () =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make({ script: [[ScriptedModel.text("hello")]] })
        yield* h.run("hi")
        yield* (yield* h.session.start(Task.make("fails", Effect.fail("no")))).outcome
        yield* (yield* h.session.start(Task.make("dies", Effect.die("bug")))).outcome
        yield* h.session.start(waiting)
        yield* h.session.abort()
        yield* h.session.awaitIdle
        assert.deepStrictEqual(
          terminals(h.events).map((one) => one._tag),
          ["TurnCompleted", "TurnFailed", "TurnFailed", "TurnAborted"]
        )
        assertTurns(h.events)
      })
  )

  it.effect("S2 what a child fiber of a task does after the end has no effect", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const go = yield* Deferred.make<void>()
      const late = yield* Deferred.make<Fiber.Fiber<void>>()
      const task = Task.make(
        "leaves a child",
        Effect.gen(function* () {
          const turn = yield* Turn
          const child = yield* Effect.forkDetach(Effect.andThen(Deferred.await(go), turn.say("too late")))
          yield* Deferred.succeed(late, child)
        })
      )
      yield* (yield* h.session.start(task)).outcome
      const count = h.events.length
      yield* Deferred.succeed(go, undefined)
      const exit = yield* Fiber.await(yield* Deferred.await(late))
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.lengthOf(h.events, count)
      assert.lengthOf((yield* h.session.snapshot).items, 0)
    })
  )

  it.effect("S3 every kind of task emits TurnStarted first, with its kind, before anything else", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: [[ScriptedModel.text("hello")]] })
      yield* h.submit("hi")
      yield* h.session.awaitIdle
      for (const kind of ["undo", "compact", "my own"]) {
        const task = Task.make(
          kind,
          Effect.andThen(Turn, (turn) => turn.warn(`${kind} works`))
        )
        yield* (yield* h.session.start(task)).outcome
      }
      assert.deepStrictEqual(turnTags(h.records()), [
        "TurnStarted regular",
        "TurnCompleted",
        "TurnStarted undo",
        "TurnCompleted",
        "TurnStarted compact",
        "TurnCompleted",
        "TurnStarted my own",
        "TurnCompleted"
      ])
      const own = h.records().slice(h.records().findIndex((one) => one._tag === "TurnStarted" && one.kind === "my own"))
      assert.deepStrictEqual(
        own.map((one) => one._tag),
        ["TurnStarted", "Warning", "TurnCompleted"]
      )
    })
  )

  it.effect("S4 a start replaces the running turn: the old turn is aborted as Replaced before the new one starts", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const old = yield* h.session.start(waiting)
      const fresh = yield* h.session.start(Task.make("fresh", Effect.succeed("done")))
      assert.deepStrictEqual(yield* old.outcome, { _tag: "Aborted", reason: "Replaced", stragglers: [] })
      assert.deepStrictEqual(yield* fresh.outcome, { _tag: "Completed", value: "done" })
      assert.deepStrictEqual(turnTags(h.records()), [
        "TurnStarted waiting",
        "TurnAborted Replaced",
        "TurnStarted fresh",
        "TurnCompleted"
      ])
      assertTurns(h.events)
    })
  )

  it.effect("S4 a task that does not end is replaced after the grace period", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(Task.make("deaf", Effect.uninterruptible(Effect.never)))
      const starting = yield* Effect.forkChild(h.session.start(say("hi")), { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      yield* (yield* Fiber.join(starting)).outcome
      assert.deepStrictEqual(turnTags(h.records()), [
        "TurnStarted deaf",
        "TurnAborted Replaced",
        "TurnStarted say",
        "TurnCompleted"
      ])
    })
  )

  it.effect("S4 awaitIdle also waits for a replacement", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(waiting)
      const idle = yield* Effect.forkChild(h.session.awaitIdle, { startImmediately: true })
      yield* h.session.start(waiting)
      yield* Effect.yieldNow
      assert.isUndefined(idle.pollUnsafe())
      yield* h.session.abort()
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(idle)))
    })
  )

  it.effect("S4 a caller that stops waiting for its start does not stop the start", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(Task.make("deaf", Effect.uninterruptible(Effect.never)))
      const starting = yield* Effect.forkChild(h.session.start(say("hi")), { startImmediately: true })
      yield* Fiber.interrupt(starting)
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      assert.strictEqual(turnTags(h.records()).at(-2), "TurnStarted say")
    })
  )
})

describe("the end of a turn", () => {
  it.effect("S5 the last message is the result of the task, if that is a string", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* (yield* h.session.start(Task.make("text", Effect.succeed("the result")))).outcome
      yield* (yield* h.session.start(Task.make("nothing", Effect.succeed(undefined)))).outcome
      yield* (yield* h.session.start(Task.make("number", Effect.succeed(7)))).outcome
      assert.deepStrictEqual(
        terminals(h.events).map((one) => one.lastMessage),
        ["the result", undefined, undefined]
      )
    })
  )

  it.effect("S5 the last message is the result of the task's projection", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const task = Task.make("projected", Effect.succeed({ verdict: "fine" }), {
        lastMessage: (value) => value.verdict
      })
      yield* (yield* h.session.start(task)).outcome
      assert.strictEqual(lastOf(h.events).lastMessage, "fine")
    })
  )

  it.effect("S5 a projection that throws fails its turn, and the session continues", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const task = Task.make("broken", Effect.void, {
        lastMessage: () => {
          throw new Error("projection")
        }
      })
      const outcome = yield* (yield* h.session.start(task)).outcome
      assert.strictEqual(outcome._tag, "Failed")
      const last = lastOf(h.events)
      assert.deepStrictEqual(last._tag === "TurnFailed" && last.error, {
        tag: "CallbackFailed",
        message: "the lastMessage function of the task broken failed: projection"
      })
      assert.strictEqual((yield* h.session.snapshot).status, "idle")
    })
  )

  it.effect("S5 without a result the last message is the last assistant message of this turn, however it ends", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const saying = (after: Effect.Effect<unknown, string>) =>
        Task.make(
          "saying",
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* turn.say("first")
            yield* turn.say("second")
            yield* turn.record({ _tag: "DeveloperMessage", text: "not the model's" })
            yield* Effect.asVoid(after)
          })
        )
      yield* (yield* h.session.start(saying(Effect.void))).outcome
      yield* (yield* h.session.start(saying(Effect.fail("no")))).outcome
      const running = yield* h.session.start(saying(Effect.never))
      yield* h.session.abort()
      yield* running.outcome
      yield* (yield* h.session.start(Task.make("silent", Effect.void))).outcome
      assert.deepStrictEqual(
        terminals(h.events).map((one) => one.lastMessage),
        ["second", "second", "second", undefined]
      )
    })
  )

  it.effect("S5 the model's text is the last message of a regular turn", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: [[ScriptedModel.text("one, ", "two")]] })
      const end = yield* h.run("count")
      assert.deepStrictEqual([end._tag, end.lastMessage], ["TurnCompleted", "one, two"])
    })
  )

  it.effect("S5 a typed failure and a defect end as failed with tag and message, and leave the session usable", () =>
    Effect.gen(function* () {
      class Refused extends Data.TaggedError("Refused")<{ readonly message: string }> {}
      const h = yield* SessionHarness.make({ script: [[ScriptedModel.text("still here")]] })
      const causes: ReadonlyArray<Effect.Effect<never, unknown>> = [
        Effect.fail(new Refused({ message: "not today" })),
        Effect.die(new TypeError("bug")),
        Effect.fail("plain"),
        Effect.fail(Object.create(null))
      ]
      for (const cause of causes) {
        const outcome = yield* (yield* h.session.start(Task.make("fails", cause))).outcome
        assert.strictEqual(outcome._tag, "Failed")
        assert.strictEqual((yield* h.session.snapshot).status, "idle")
      }
      const errors = h.events.flatMap((event) => (event._tag === "TurnFailed" ? [event.error] : []))
      assert.deepStrictEqual(errors.slice(0, 3), [
        { tag: "Refused", message: "not today" },
        { tag: "TypeError", message: "bug" },
        { tag: "Defect", message: "plain" }
      ])
      assert.lengthOf(errors, 4)
      assert.strictEqual((yield* h.run("there?")).lastMessage, "still here")
    })
  )

  it.effect(
    "S5 an interruption is not a failure: neither a task that interrupts itself nor a clean-up that dies in an abort",
    () =>
      Effect.gen(function* () {
        const h = yield* SessionHarness.make()
        yield* (yield* h.session.start(Task.make("interrupts itself", Effect.interrupt))).outcome
        const dies = Task.make(
          "dies in its clean-up",
          Effect.onInterrupt(Effect.never, () => Effect.die("bug"))
        )
        const running = yield* h.session.start(dies)
        yield* h.session.abort("Budget")
        assert.deepStrictEqual(yield* running.outcome, { _tag: "Aborted", reason: "Budget", stragglers: [] })
        assert.deepStrictEqual(turnTags(h.records()), [
          "TurnStarted interrupts itself",
          "TurnAborted Interrupted",
          "TurnStarted dies in its clean-up",
          "TurnAborted Budget"
        ])
      })
  )

  it.effect("S6 a task that ends in its first step settles its own turn", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const task = Task.make(
        "quick",
        Effect.map(Turn, (turn) => turn.turnId)
      )
      for (let count = 0; count < 3; count++) {
        const running = yield* h.session.start(task)
        assert.deepStrictEqual(yield* running.outcome, { _tag: "Completed", value: running.turnId })
        assert.strictEqual(lastOf(h.events).turnId, running.turnId)
      }
      assertTurns(h.events)
    })
  )
})

describe("custom tasks", () => {
  it.effect("S5 a task has a typed result, a typed failure and its requirements", () =>
    Effect.gen(function* () {
      class Double extends Context.Service<Double, { readonly of: (n: number) => number }>()("test/Double") {}
      const h = yield* SessionHarness.make()
      const task = (n: number) =>
        Task.make(
          "double",
          Effect.gen(function* () {
            const double = yield* Double
            const turn = yield* Turn
            yield* Effect.addFinalizer(() => turn.warn("scope closed"))
            return n < 0 ? yield* Effect.fail("negative" as const) : double.of(n)
          })
        )
      const start = (n: number) => Effect.provideService(h.session.start(task(n)), Double, { of: (m) => 2 * m })
      assert.deepStrictEqual(yield* (yield* start(21)).outcome, { _tag: "Completed", value: 42 })
      const failed = yield* (yield* start(-1)).outcome
      assert.strictEqual(failed._tag, "Failed")
      assert.lengthOf(
        h.events.filter((event) => event._tag === "Warning"),
        2
      )
      assertTurns(h.events)
    })
  )

  it.effect("S5 a task sees its session, its turn and its input", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const task = Task.make(
        "sees",
        Effect.map(Turn, ({ inputText, sessionId, turnId }) => ({ inputText, sessionId, turnId }))
      )
      const running = yield* h.session.start(task, [{ _tag: "Text", text: "mine" }])
      assert.deepStrictEqual(yield* running.outcome, {
        _tag: "Completed",
        value: { inputText: "mine", sessionId: h.session.sessionId, turnId: running.turnId }
      })
    })
  )
})

describe("a journal that fails", () => {
  it.effect(
    "S2 a terminal record that cannot be written: the outcome is failed, the stream ends, the session rejects everything",
    () =>
      Effect.gen(function* () {
        const journal = yield* journalWith((append, records) =>
          records.some((record) => record._tag === "TurnCompleted") ? Effect.fail(disk) : append
        )
        const h = yield* SessionHarness.make({ journal })
        const events = yield* Effect.forkChild(Stream.runCollect(h.session.events()), { startImmediately: true })
        const outcome = yield* (yield* h.session.start(Task.make("quick", Effect.void))).outcome
        assert.strictEqual(outcome._tag, "Failed")
        const error = outcome._tag === "Failed" ? outcome.cause.reasons[0] : undefined
        assert.isTrue(error?._tag === "Fail" && (error.error as unknown) === disk)
        const published = yield* Fiber.join(events)
        assert.strictEqual(published.at(-1)?._tag, "SessionFailed")
        assert.notInclude(
          published.map((event) => event._tag),
          "TurnCompleted"
        )
        const receipt = yield* h.submit("more")
        assert.deepStrictEqual(receipt._tag === "Rejected" && receipt.reason, {
          _tag: "SessionClosed",
          failure: disk.message
        })
        const late = yield* Effect.flip(h.session.start(Task.make("late", Effect.void)))
        assert.strictEqual(late.message, `session ${h.session.sessionId} has failed: ${disk.message}`)
        assert.strictEqual((yield* h.session.snapshot).status, "failed")
        yield* h.session.awaitIdle
      })
  )

  it.effect("S2 a journal that never replies fails at its deadline, and no caller waits forever", () =>
    Effect.gen(function* () {
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "TurnAborted") ? Effect.uninterruptible(Effect.never) : append
      )
      const h = yield* SessionHarness.make({ journal })
      const running = yield* h.session.start(waiting)
      yield* h.session.abort()
      const outcome = yield* Effect.forkChild(running.outcome, { startImmediately: true })
      yield* TestClock.adjust("9999 millis")
      assert.isUndefined(outcome.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(outcome))._tag, "Failed")
      assert.strictEqual(h.events.at(-1)?._tag, "SessionFailed")
      yield* h.session.awaitIdle
    })
  )

  it.effect("S2 a journal that fails in the middle of a turn ends the turn, even if its task hangs", () =>
    Effect.gen(function* () {
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "Warning") ? Effect.fail(disk) : append
      )
      const h = yield* SessionHarness.make({ journal })
      const running = yield* h.session.start(
        Task.make(
          "hangs",
          Effect.andThen(Turn, (turn) => Effect.andThen(turn.warn("x"), Effect.uninterruptible(Effect.never)))
        )
      )
      assert.strictEqual((yield* running.outcome)._tag, "Failed")
      yield* h.session.awaitIdle
    })
  )

  it.effect("J5 a failed write is a typed failure of the submission that needed it, which gets no receipt", () =>
    Effect.gen(function* () {
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "InputAccepted") ? Effect.fail(disk) : append
      )
      const h = yield* SessionHarness.make({ journal, script: [[ScriptedModel.text("never said")]] })
      assert.strictEqual(yield* Effect.flip(h.submit("hi")), disk)
      yield* h.session.awaitIdle
      assert.lengthOf(h.requests, 0)
      assert.deepStrictEqual(
        h.events.map((event) => event._tag),
        ["SessionStarted", "SessionFailed"]
      )
    })
  )

  it.effect("J5 a journal that dies counts as failed, and a task that needed its record is interrupted", () =>
    Effect.gen(function* () {
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "Warning") ? Effect.die("bug") : append
      )
      const h = yield* SessionHarness.make({ journal })
      let interrupted = false
      const task = Task.make(
        "flushes",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* turn.warn("x")
          yield* Effect.onInterrupt(turn.flush, () => Effect.sync(() => void (interrupted = true)))
        })
      )
      const outcome = yield* (yield* h.session.start(task)).outcome
      assert.strictEqual(outcome._tag, "Failed")
      assert.isTrue(interrupted)
      assert.strictEqual(h.events.at(-1)?._tag, "SessionFailed")
    })
  )
})
