import { assert, describe, it } from "@effect/vitest"
import { Processes } from "@spindle/core/Processes"
import { SessionObserver, type SessionSignal } from "@spindle/core/SessionObserver"
import * as Op from "@spindle/core/Op"
import { QuestionId, SessionId } from "@spindle/core/Ids"
import { JournalFailed, SessionClosed } from "@spindle/core/SessionError"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Scheduler, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { journalWith } from "./fixtures/journals.ts"
import { abortedOf, assertTurns, turnTags } from "./fixtures/turns.ts"

/** Runs an effect that makes a session under a scheduler that remembers every fiber it ran, except the caller's. */
const trackFibers = Effect.fnUntraced(function* <A, E, R>(effect: Effect.Effect<A, E, R>) {
  yield* TestClock.adjust(0)
  const inner = yield* Scheduler.Scheduler
  const self = yield* Effect.fiber
  const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  const scheduler: Scheduler.Scheduler = {
    executionMode: inner.executionMode,
    makeDispatcher: () => inner.makeDispatcher(),
    shouldYield: (fiber) => {
      if (fiber.id !== self.id) fibers.add(fiber)
      return inner.shouldYield(fiber)
    }
  }
  const made = yield* Effect.provideService(effect, Scheduler.Scheduler, scheduler)
  const live = () => [...fibers].filter((fiber) => fiber.pollUnsafe() === undefined).length
  return { made, live, seen: () => fibers.size }
})

/** A session under test in a scope that the test closes. */
const closable = Effect.fnUntraced(function* (options: SessionHarness.HarnessOptions = {}) {
  const scope = yield* Scope.make()
  const journal = options.journal ?? (yield* SessionHarness.memoryJournal)
  const make = Effect.provideService(SessionHarness.make({ ...options, journal }), Scope.Scope, scope)
  const { live, made, seen } = yield* trackFibers(make)
  return { h: made, journal, live, seen, close: Scope.close(scope, Exit.void) }
})

const hung = Effect.uninterruptible(Effect.never)

describe("closing a session", () => {
  /**
   * Closes a session as soon as its turn has failed because of the journal. An observer may cause the close earlier.
   */
  const closingWhenItFails = (onFailed: (h: SessionHarness.SessionHarness) => Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      let isBroken = false
      const journal = yield* journalWith((append) =>
        isBroken
          ? Effect.fail(new JournalFailed({ sessionId: "s" as SessionId, operation: "append", detail: "disk full" }))
          : append
      )
      const signals: Array<string> = []
      const observer = {
        onEvent: (_: SessionId, event: SessionEvent) => {
          signals.push(event._tag)
          if (event._tag === "SessionFailed") Effect.runFork(onFailed(h))
        },
        onSignal: (_: SessionId, signal: SessionSignal) => void signals.push(signal._tag)
      }
      const { close, h }: Effect.Success<ReturnType<typeof closable>> = yield* Effect.provideService(
        closable({ journal }),
        SessionObserver,
        observer
      )
      const tags: Array<string> = []
      const reading = yield* Effect.forkChild(
        Stream.runForEach(h.session.events(), (event) => Effect.sync(() => void tags.push(event._tag))),
        { startImmediately: true }
      )
      const { outcome } = yield* h.session.start(Task.make("custom", Effect.never))
      const closing = yield* Effect.forkChild(Effect.andThen(outcome, close), { startImmediately: true })
      isBroken = true
      yield* Effect.flip(h.submit("too late"))
      yield* Fiber.join(closing)
      yield* Fiber.join(reading)
      assert.deepStrictEqual(tags, ["SessionStarted", "TurnStarted", "SessionFailed"])
      const ends = signals.filter((tag) => tag === "SessionFailed" || tag === "Closed")
      assert.deepStrictEqual(ends, ["SessionFailed", "Closed"])
    })

  it.effect("S2 hides SessionFailed from a caller that closes it after its turn failed because of the journal", () =>
    closingWhenItFails(() => Effect.void)
  )

  it.effect("S2 hides SessionFailed if an observer stops the turn when it is called", () =>
    closingWhenItFails((h) => h.session.abort())
  )

  it.effect("S7 aborts the active turn as Shutdown and settles it before it returns", () =>
    Effect.gen(function* () {
      const { close, h, live, seen } = yield* closable({
        script: [[ScriptedModel.pieces("half "), ScriptedModel.gate("half"), ScriptedModel.hang]]
      })
      yield* h.submit("hi")
      yield* h.model.awaitGate("half")
      yield* close
      assert.strictEqual(abortedOf(h.events).reason, "Shutdown")
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [])
      assertTurns(h.events)
      assert.strictEqual(h.model.openCount(), 0)
      assert.isAbove(seen(), 2)
      assert.strictEqual(live(), 0)
    })
  )

  it.effect("S7 an idle session closes at once and leaves no fiber", () =>
    Effect.gen(function* () {
      const { close, h, live } = yield* closable({ script: [[ScriptedModel.text("hello")]] })
      yield* h.run("hi")
      assert.strictEqual(live(), 0)
      yield* close
      assert.strictEqual(live(), 0)
      assert.strictEqual((yield* h.session.snapshot).status, "closed")
    })
  )

  it.effect("S7 a tool call, a question and a subscriber leave no fiber either", () =>
    Effect.gen(function* () {
      const { close, h, live } = yield* closable({
        script: [[ScriptedModel.call("wait", {}, "a"), ScriptedModel.call("ask", {}, "b")]],
        tools: { wait: { run: () => Effect.never }, ask: { run: () => Effect.never, policy: { approval: "ask" } } }
      })
      const events = yield* Effect.forkChild(Stream.runCollect(h.session.events()), { startImmediately: true })
      yield* h.submit("hi")
      yield* h.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
      yield* close
      const collected: ReadonlyArray<SessionEvent> = yield* Fiber.join(events)
      assert.strictEqual(collected.at(-1)?._tag, "TurnAborted")
      assert.strictEqual(live(), 0)
      assertTurns(h.events)
    })
  )

  it.effect("S7 returns after the limits even if task, clean-up and hook ignore everything, and names them", () =>
    Effect.gen(function* () {
      const { close, h, live } = yield* closable()
      const deaf = Task.make(
        "deaf",
        Effect.andThen(
          Effect.flatMap(Turn, (turn) => turn.onAbort({ kind: "cleanup", name: "stuck", run: () => hung })),
          hung
        ),
        { abortHook: () => hung }
      )
      yield* h.session.start(deaf)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("199 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [
        { kind: "task", name: "deaf" },
        { kind: "cleanup", name: "stuck" },
        { kind: "hook", name: "deaf abort hook" }
      ])
      assert.strictEqual(live(), 3)
    })
  )

  it.effect("S7 is bounded even if the journal hangs", () =>
    Effect.gen(function* () {
      const journal = yield* journalWith((append, records) =>
        records.some((record) => record._tag === "TurnAborted") ? hung : append
      )
      const { close, h } = yield* closable({ journal })
      yield* h.session.start(Task.make("deaf", hung))
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("10100 millis")
      yield* Fiber.join(closing)
      assert.strictEqual(h.events.at(-1)?._tag, "SessionFailed")
    })
  )

  it.effect("S7 ends every process, including kept ones", () =>
    Effect.gen(function* () {
      const running = new Map<string, Deferred.Deferred<{ readonly exitCode: number }>>()
      const processes: Processes = {
        start: ({ processId }) =>
          Effect.sync(() => {
            const ended = Deferred.makeUnsafe<{ readonly exitCode: number }>()
            running.set(processId, ended)
            const exit = Deferred.await(ended)
            return { processId, pid: 1, output: Stream.empty, exit, gone: Effect.asVoid(exit) }
          }),
        end: (processId) =>
          Effect.suspend(() => {
            const ended = running.get(processId)
            running.delete(processId)
            return ended === undefined ? Effect.void : Deferred.succeed(ended, { exitCode: 0 })
          })
      }
      const { close, h, live } = yield* closable()
      const starts = (keep: boolean, after: Effect.Effect<void>) =>
        Task.make(
          "starts",
          Effect.andThen(
            Effect.flatMap(Turn, (turn) => turn.process({ command: ["sleep", "9"], cwd: "/", keep })),
            after
          )
        )
      const first = yield* Effect.provideService(h.session.start(starts(true, Effect.void)), Processes, processes)
      yield* first.outcome
      assert.strictEqual(running.size, 1)
      yield* Effect.provideService(h.session.start(starts(false, Effect.never)), Processes, processes)
      assert.strictEqual(running.size, 2)
      yield* close
      assert.strictEqual(running.size, 0)
      assert.deepStrictEqual(yield* h.session.processes, [])
      assert.strictEqual(live(), 0)
    })
  )

  it.effect("S7 is delayed by a process that does not end for at most the process deadline", () =>
    Effect.gen(function* () {
      const { close, h } = yield* closable()
      const processes: Processes = {
        start: ({ processId }) =>
          Effect.succeed({ processId, pid: 1, output: Stream.empty, exit: Effect.never, gone: Effect.never }),
        end: () => hung
      }
      const task = Task.make(
        "starts",
        Effect.flatMap(Turn, (turn) => turn.process({ command: ["sleep"], cwd: "/", keep: true }))
      )
      yield* (yield* Effect.provideService(h.session.start(task), Processes, processes)).outcome
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
    })
  )
})

describe("a closed session", () => {
  it.effect("S7 rejects submissions and tasks, and its other members return", () =>
    Effect.gen(function* () {
      const { close, h } = yield* closable()
      const { turnId } = yield* h.session.start(Task.make("waiting", Effect.never))
      yield* close
      const count = h.events.length
      for (const op of [Op.userInput("hi"), Op.interrupt, Op.answer(QuestionId.make("r"), { _tag: "Abort" })]) {
        const receipt = yield* h.session.submit(op)
        assert.deepStrictEqual(receipt._tag === "Rejected" && receipt.reason, { _tag: "SessionClosed" })
      }
      const steered = yield* h.session.steer([{ _tag: "Text", text: "hi" }], turnId)
      assert.strictEqual(steered._tag, "Rejected")
      const refused = yield* Effect.flip(h.session.start(Task.make("late", Effect.die("must not run"))))
      assert.instanceOf(refused, SessionClosed)
      assert.isFalse(yield* h.session.abort())
      yield* h.session.awaitIdle
      assert.lengthOf(h.events, count)
    })
  )

  it.effect("S7 runs no replacement and no queued input that waited when it closed", () =>
    Effect.gen(function* () {
      const { close, h } = yield* closable()
      yield* h.session.start(Task.make("deaf", hung))
      yield* h.submit("queued")
      const starting = yield* Effect.forkChild(Effect.flip(h.session.start(Task.make("late", Effect.void))), {
        startImmediately: true
      })
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      assert.instanceOf(yield* Fiber.join(starting), SessionClosed)
      assert.deepStrictEqual(turnTags(h.records()), ["TurnStarted deaf", "TurnAborted Replaced"])
    })
  )

  it.effect("S7 ends its event streams after everything it published, for subscribers before and after the close", () =>
    Effect.gen(function* () {
      const { close, h } = yield* closable({ script: [[ScriptedModel.text("hello")]] })
      const before = yield* Effect.forkChild(Stream.runCollect(h.session.events()), { startImmediately: true })
      yield* h.run("hi")
      yield* close
      const tags = (events: ReadonlyArray<SessionEvent>) => events.map((event) => event._tag)
      assert.deepStrictEqual(
        tags(yield* Fiber.join(before)).filter((tag) => tag !== "TextDelta"),
        h.tags()
      )
      assert.deepStrictEqual(tags(yield* Stream.runCollect(h.session.events())), h.tags())
    })
  )

  it.effect("S7 releases its lease: the session can be opened again and continues", () =>
    Effect.gen(function* () {
      const { close, h, journal } = yield* closable({
        script: [[ScriptedModel.pieces("half"), ScriptedModel.gate("half"), ScriptedModel.hang]]
      })
      const busy = yield* Effect.flip(Effect.scoped(journal.open(h.session.sessionId, "existing")))
      assert.strictEqual(busy._tag, "SessionBusy")
      yield* h.submit("hi")
      yield* h.model.awaitGate("half")
      yield* close
      const again = yield* SessionHarness.make({
        journal,
        resume: h.session.sessionId,
        script: [[ScriptedModel.text("back")]]
      })
      assert.strictEqual((yield* again.run("more")).lastMessage, "back")
      assertTurns([...h.records(), ...again.records()])
    })
  )

  it.effect("J2 that could not be made releases its journal at once, although its caller's scope stays open", () =>
    Effect.gen(function* () {
      let broken = false
      const journal = yield* journalWith((append) =>
        broken
          ? Effect.fail(new JournalFailed({ sessionId: SessionId.make("s"), operation: "append", detail: "full" }))
          : append
      )
      const first = yield* Scope.make()
      const made = yield* Effect.provideService(SessionHarness.make({ journal }), Scope.Scope, first)
      const resume = made.session.sessionId
      yield* Scope.close(first, Exit.void)
      broken = true
      const failed = yield* Effect.flip(SessionHarness.make({ journal, resume }))
      assert.strictEqual(failed._tag, "JournalFailed")
      broken = false
      const again = yield* SessionHarness.make({ journal, resume, script: [[ScriptedModel.text("back")]] })
      assert.strictEqual((yield* again.run("more")).lastMessage, "back")
    })
  )

  it.effect("S7 a straggler that ends later writes nothing", () =>
    Effect.gen(function* () {
      const { close, h, journal, live } = yield* closable()
      const release = yield* Deferred.make<void>()
      const late = Task.make(
        "late",
        Effect.uninterruptible(
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* Deferred.await(release)
            yield* turn.say("too late")
          })
        )
      )
      yield* h.session.start(late)
      const closing = yield* Effect.forkChild(close, { startImmediately: true })
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(closing)
      const { records } = yield* journal.load(h.session.sessionId)
      assert.strictEqual(records.at(-1)?._tag, "TurnAborted")
      assert.strictEqual(live(), 1)
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual(live(), 0)
      assert.lengthOf((yield* journal.load(h.session.sessionId)).records, records.length)
    })
  )

  it.effect("S7 a task may close its own session: it becomes a straggler, and everything settles", () =>
    Effect.gen(function* () {
      const { close, h } = yield* closable()
      yield* h.session.start(Task.make("closes", Effect.andThen(Effect.yieldNow, close)))
      yield* Effect.yieldNow
      yield* Effect.yieldNow
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      assert.strictEqual(abortedOf(h.events).reason, "Shutdown")
      assert.strictEqual((yield* h.session.snapshot).status, "closed")
    })
  )
})
