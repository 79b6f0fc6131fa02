import { assert, describe, it } from "@effect/vitest"
import type { AbortReason } from "@spindle/core/Outcome"
import * as Op from "@spindle/core/Op"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Queue } from "effect"
import { TestClock } from "effect/testing"
import { heldAt } from "./fixtures/journals.ts"
import { abortedOf, assertTurns, itemsOf, markersOf, terminals, turnTags } from "./fixtures/turns.ts"

const hung = Effect.uninterruptible(Effect.never)
const waiting = Task.make("waiting", Effect.never)
const quick = Task.make("quick", Effect.succeed("done"))
const reasons: ReadonlyArray<AbortReason> = ["Interrupted", "Replaced", "Deadline", "Budget", "Parent", "Shutdown"]

/** Makes a harness and lets its clock run once, so that the first sleep of a test may be that of a clean-up. */
const make = (options?: SessionHarness.HarnessOptions) =>
  Effect.andThen(TestClock.adjust(0), SessionHarness.make(options))

describe("abort", () => {
  it.effect("I1 returns at once, true for the running turn and false if none runs, and the turn is then aborted", () =>
    Effect.gen(function* () {
      const h = yield* make()
      assert.isFalse(yield* h.session.abort())
      const running = yield* h.session.start(Task.make("deaf", hung))
      assert.isTrue(yield* h.session.abort("Deadline"))
      // the reply did not wait for anything to end
      assert.strictEqual((yield* h.session.snapshot).status, "aborting")
      assert.lengthOf(terminals(h.events), 0)
      yield* TestClock.adjust("100 millis")
      assert.strictEqual((yield* running.outcome)._tag, "Aborted")
      assert.isFalse(yield* h.session.abort())
      assert.deepStrictEqual(turnTags(h.records()), ["TurnStarted deaf", "TurnAborted Deadline"])
    })
  )

  it.effect("I1 a task that returns a result within the grace period is still aborted", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const task = Task.make(
        "signalled",
        Effect.flatMap(Turn, (turn) => Effect.as(turn.aborting, "a result")),
        { onAbort: "signal" }
      )
      const running = yield* h.session.start(task)
      yield* h.session.abort()
      assert.deepStrictEqual(yield* running.outcome, { _tag: "Aborted", reason: "Interrupted", stragglers: [] })
      assert.isUndefined(abortedOf(h.events).lastMessage)
    })
  )

  it.effect("I1 returns false while a turn is settling, and the turn keeps its end", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("TurnCompleted")
      const h = yield* make({ journal })
      const running = yield* h.session.start(quick)
      yield* reached
      assert.strictEqual((yield* h.session.snapshot).status, "settling")
      assert.isFalse(yield* h.session.abort())
      yield* open
      assert.deepStrictEqual(yield* running.outcome, { _tag: "Completed", value: "done" })
    })
  )

  it.effect("I1 many concurrent aborts all return, one of them true, and write one terminal event", () =>
    Effect.gen(function* () {
      const h = yield* make()
      yield* h.session.start(Task.make("deaf", hung))
      const answers = yield* Effect.forEach(
        Array.from({ length: 50 }),
        (_, index) =>
          index % 2 === 0 ? h.session.abort() : Effect.andThen(Effect.yieldNow, h.session.abort("Budget")),
        { concurrency: "unbounded" }
      )
      const receipt = yield* h.session.submit(Op.interrupt)
      assert.strictEqual(receipt._tag, "Accepted")
      assert.lengthOf(answers, 50)
      assert.lengthOf(answers.filter(Boolean), 1)
      yield* TestClock.adjust("1 second")
      yield* h.session.awaitIdle
      assert.lengthOf(terminals(h.events), 1)
      assert.strictEqual(abortedOf(h.events).reason, "Interrupted")
    })
  )

  it.effect("I1 a second abort never reaches the next turn", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("TurnAborted")
      const h = yield* make({ journal })
      yield* h.session.start(waiting)
      assert.isTrue(yield* h.session.abort())
      yield* reached
      const next = yield* Effect.forkChild(h.session.start(quick), { startImmediately: true })
      assert.isFalse(yield* h.session.abort())
      const interrupt = yield* Effect.forkChild(h.session.submit(Op.interrupt), { startImmediately: true })
      yield* open
      assert.strictEqual((yield* Fiber.join(interrupt))._tag, "Accepted")
      assert.deepStrictEqual(yield* (yield* Fiber.join(next)).outcome, { _tag: "Completed", value: "done" })
    })
  )

  it.effect("I2 interrupts the task at once, and ends as soon as the task does", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const task = Task.make(
        "slow",
        Effect.onInterrupt(Effect.never, () => Effect.sleep("30 millis"))
      )
      yield* h.session.start(task)
      yield* TestClock.adjust("1 minute")
      yield* h.session.abort()
      yield* TestClock.adjust("29 millis")
      assert.lengthOf(terminals(h.events), 0)
      yield* TestClock.adjust("1 millis")
      yield* h.session.awaitIdle
      const { at, requestedAt, stragglers } = abortedOf(h.events)
      assert.deepStrictEqual([requestedAt, at, stragglers], [60_000, 60_030, []])
    })
  )

  it.effect("I2 the grace period is 100 ms by default and configurable; with 0 the abort does not wait", () =>
    Effect.gen(function* () {
      for (const [config, millis] of [
        [{}, 100],
        [{ grace: "1 second" }, 1_000],
        [{ grace: 0 }, 0]
      ] as const) {
        const h = yield* make({ config })
        yield* h.session.start(Task.make("deaf", hung))
        yield* h.session.abort()
        if (millis > 0) {
          yield* TestClock.adjust(millis - 1)
          assert.lengthOf(terminals(h.events), 0)
          yield* TestClock.adjust(1)
        }
        yield* h.session.awaitIdle
        const { at, requestedAt } = abortedOf(h.events)
        assert.strictEqual(at - requestedAt, millis)
      }
    })
  )

  it.effect("I2 a signalled task sees the reason, and is interrupted after the grace period", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const seen: Array<unknown> = []
      const task = Task.make(
        "signalled",
        Effect.gen(function* () {
          const turn = yield* Turn
          seen.push(yield* turn.abortReason)
          seen.push(yield* turn.aborting)
          seen.push(yield* turn.abortReason)
          return yield* Effect.onInterrupt(Effect.never, () => Effect.sync(() => void seen.push("interrupted")))
        }),
        { onAbort: "signal" }
      )
      yield* h.session.start(task)
      yield* h.session.abort("Budget")
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(seen, [undefined, "Budget", "Budget"])
      yield* TestClock.adjust("1 millis")
      yield* h.session.awaitIdle
      assert.strictEqual(seen.at(-1), "interrupted")
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [])
    })
  )

  it.effect("I2 no wake-up is lost, wherever the abort falls between the steps of a task", () =>
    Effect.gen(function* () {
      for (const onAbort of ["interrupt", "signal"] as const) {
        for (let steps = 0; steps < 12; steps++) {
          const h = yield* make()
          const step = Effect.andThen(Effect.yieldNow, Effect.yieldNow)
          const task = Task.make(
            "steps",
            Effect.flatMap(Turn, (turn) =>
              Effect.andThen(Effect.andThen(turn.say("one"), step), Effect.andThen(turn.flush, Effect.as(step, "done")))
            ),
            { onAbort }
          )
          const running = yield* h.session.start(task)
          for (let count = 0; count < steps; count++) yield* Effect.yieldNow
          const hit = yield* h.session.abort()
          const outcome = yield* running.outcome
          assert.strictEqual(outcome._tag, hit ? "Aborted" : "Completed")
          assertTurns(h.events)
        }
      }
    })
  )
})

describe("a task that does not end", () => {
  it.effect(
    "I3 the turn settles whatever the task does: uninterruptible, hung finalizer, full queue, endless promise",
    () =>
      Effect.gen(function* () {
        const full = yield* Queue.bounded<number>(1)
        yield* Queue.offer(full, 1)
        const promise = Effect.promise(() => new Promise<never>(() => {}))
        // it would take processor time for as long as the tests run
        let isBusy = true
        yield* Effect.addFinalizer(() => Effect.sync(() => void (isBusy = false)))
        const tasks: ReadonlyArray<readonly [string, Effect.Effect<unknown>]> = [
          ["uninterruptible", hung],
          ["hung clean-up", Effect.onInterrupt(Effect.never, () => Effect.never)],
          [
            "hung finalizer",
            Effect.acquireUseRelease(
              Effect.void,
              () => Effect.never,
              () => Effect.never
            )
          ],
          ["full queue", Effect.uninterruptible(Queue.offer(full, 2))],
          ["promise", Effect.uninterruptible(promise)],
          ["busy", Effect.uninterruptible(Effect.repeat(Effect.yieldNow, { while: () => isBusy }))]
        ]
        for (const [name, effect] of tasks) {
          const h = yield* make()
          yield* h.session.start(Task.make(name, effect))
          yield* h.session.abort()
          yield* TestClock.adjust("100 millis")
          yield* h.session.awaitIdle
          assert.deepStrictEqual(abortedOf(h.events).stragglers, [{ kind: "task", name }])
          const next = yield* h.session.start(quick)
          assert.strictEqual((yield* next.outcome)._tag, "Completed")
        }
        // an interruptible promise is abandoned at once, so it is not a straggler
        const h = yield* make()
        yield* h.session.start(Task.make("left", promise))
        yield* h.session.abort()
        yield* h.session.awaitIdle
        assert.deepStrictEqual(abortedOf(h.events).stragglers, [])
      })
  )

  it.effect("I3 a hung finalizer does not delay the terminal event beyond the grace period", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const task = Task.make(
        "hung",
        Effect.andThen(
          Effect.addFinalizer(() => Effect.never),
          Effect.never
        )
      )
      yield* h.session.start(task)
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      const { at, requestedAt, stragglers } = abortedOf(h.events)
      assert.strictEqual(at - requestedAt, 100)
      assert.deepStrictEqual(stragglers, [{ kind: "task", name: "hung" }])
    })
  )

  it.effect(
    "I3 task and clean-ups end concurrently within one grace period, and each late end is a session event",
    () =>
      Effect.gen(function* () {
        const h = yield* make()
        const task = Task.make(
          "deaf",
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* Effect.asVoid(turn.onAbort({ kind: "cleanup", name: "quick", run: () => Effect.sleep("80 millis") }))
            yield* Effect.asVoid(
              turn.onAbort({ kind: "process", name: "make all", run: () => Effect.sleep("2 seconds") })
            )
            const removed = yield* turn.onAbort({ kind: "cleanup", name: "removed", run: () => Effect.never })
            yield* removed
            return yield* Effect.onInterrupt(Effect.never, () => Effect.sleep("1 second"))
          })
        )
        const { turnId } = yield* h.session.start(task)
        yield* h.session.abort()
        yield* TestClock.adjust("100 millis")
        yield* h.session.awaitIdle
        assert.deepStrictEqual(abortedOf(h.events).stragglers, [
          { kind: "task", name: "deaf" },
          { kind: "process", name: "make all" }
        ])
        yield* TestClock.adjust("2 seconds")
        const ends = h.events.flatMap((event) =>
          event._tag === "StragglerEnded" ? [[event.straggler.name, event.ofTurn === turnId, event.afterMillis]] : []
        )
        assert.deepStrictEqual(ends, [
          ["deaf", true, 1_000],
          ["make all", true, 2_000]
        ])
      })
  )
})

describe("finalizers", () => {
  it.effect("I4 each registered finalizer starts exactly once, wherever the interruption lands", () =>
    Effect.gen(function* () {
      for (const onAbort of ["interrupt", "signal"] as const) {
        for (let steps = 0; steps < 14; steps++) {
          const h = yield* make()
          const registered: Array<number> = []
          const started: Array<number> = []
          const acquire = (index: number) =>
            Effect.acquireRelease(
              Effect.sync(() => void registered.push(index)),
              () =>
                Effect.andThen(
                  Effect.sync(() => void started.push(index)),
                  Effect.yieldNow
                )
            )
          const task = Task.make(
            "acquires",
            Effect.forEach([0, 1, 2, 3], (index) => Effect.andThen(Effect.yieldNow, acquire(index))),
            { onAbort }
          )
          const running = yield* h.session.start(task)
          for (let count = 0; count < steps; count++) yield* Effect.yieldNow
          yield* h.session.abort()
          yield* running.outcome
          assert.deepStrictEqual(started.toSorted(), registered, `${onAbort} after ${steps}`)
        }
      }
    })
  )

  it.effect("I4 may still record, and their records come before the terminal event", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const task = Task.make(
        "records",
        Effect.flatMap(Turn, (turn) => Effect.onInterrupt(Effect.never, () => turn.say("cleaned up")))
      )
      yield* h.session.start(task)
      yield* h.session.abort("Deadline")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(abortedOf(h.events).lastMessage, "cleaned up")
      assertTurns(h.events)
    })
  )
})

describe("the history after an abort", () => {
  it.effect("I5 I6 I7 keeps what was shown, gives the open call a result, and ends with the marker", () =>
    Effect.gen(function* () {
      const h = yield* make({
        script: [
          [
            ScriptedModel.call("wait", {}, "a"),
            ScriptedModel.pieces("half "),
            ScriptedModel.gate("half"),
            ScriptedModel.hang
          ]
        ],
        tools: { wait: { run: () => Effect.never } }
      })
      yield* h.submit("hi")
      yield* h.model.awaitGate("half")
      yield* h.session.abort()
      yield* h.session.awaitIdle
      const items = itemsOf(h.events)
      assert.deepStrictEqual(
        items.map((item) => item._tag),
        ["UserMessage", "ToolCall", "AssistantMessage", "ToolResult", "UserMessage"]
      )
      assert.lengthOf(markersOf(items), 1)
      assertTurns(h.events)
    })
  )
})

describe("after an abort", () => {
  it.effect("I8 the next turn runs to completion, whatever the reason and however the task behaves", () =>
    Effect.gen(function* () {
      const h = yield* make({ script: () => [ScriptedModel.text("fine")] })
      const tasks = [
        waiting,
        Task.make("deaf", hung),
        Task.make(
          "dies",
          Effect.onInterrupt(Effect.never, () => Effect.die("bug"))
        ),
        Task.make("signalled", Effect.never, { onAbort: "signal" }),
        Task.make("hung hook", Effect.never, { abortHook: () => hung }),
        Task.make("dying hook", Effect.never, { abortHook: () => Effect.die("bug") })
      ]
      for (const reason of reasons) {
        for (const task of tasks) {
          yield* h.session.start(task)
          assert.isTrue(yield* h.session.abort(reason))
          yield* h.session.abort()
          yield* TestClock.adjust("200 millis")
          yield* h.session.awaitIdle
          assert.strictEqual(h.events.findLast((event) => event._tag === "TurnAborted")?.reason, reason)
          assert.strictEqual((yield* h.run("again"))._tag, "TurnCompleted")
        }
      }
      assertTurns(h.events)
    })
  )

  it.effect("I8 a straggler that ends during the next turn does not affect it", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const release = yield* Deferred.make<void>()
      yield* h.session.start(Task.make("deaf", Effect.uninterruptible(Deferred.await(release))))
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      const answer = yield* Deferred.make<string>()
      const next = yield* h.session.start(Task.make("next", Deferred.await(answer)))
      yield* Deferred.succeed(release, undefined)
      yield* h.awaitEvent(SessionHarness.hasTag("StragglerEnded"))
      assert.strictEqual((yield* h.session.snapshot).status, "running")
      yield* Deferred.succeed(answer, "untouched")
      assert.deepStrictEqual(yield* next.outcome, { _tag: "Completed", value: "untouched" })
      assertTurns(h.events)
    })
  )
})

describe("a task and its own session", () => {
  it.effect("I9 a task can abort its own session, through the session and through its turn", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const answers: Array<boolean> = []
      const aborts = (abort: Effect.Effect<boolean, never, Turn>) =>
        Task.make(
          "aborts",
          Effect.andThen(
            Effect.map(abort, (hit) => void answers.push(hit)),
            Effect.never
          )
        )
      const own = yield* h.session.start(aborts(h.session.abort("Deadline")))
      assert.deepStrictEqual(yield* own.outcome, { _tag: "Aborted", reason: "Deadline", stragglers: [] })
      const turns = yield* h.session.start(aborts(Effect.flatMap(Turn, (turn) => turn.abort("Budget"))))
      assert.deepStrictEqual(yield* turns.outcome, { _tag: "Aborted", reason: "Budget", stragglers: [] })
      assert.deepStrictEqual(answers, [true, true])
    })
  )

  it.effect("I9 a task that starts another one in its own session is replaced by it", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const replaces = Task.make("replaces", Effect.andThen(Effect.orDie(h.session.start(quick)), Effect.never))
      const running = yield* h.session.start(replaces)
      assert.deepStrictEqual(yield* running.outcome, { _tag: "Aborted", reason: "Replaced", stragglers: [] })
      yield* h.session.awaitIdle
      assert.deepStrictEqual(turnTags(h.records()), [
        "TurnStarted replaces",
        "TurnAborted Replaced",
        "TurnStarted quick",
        "TurnCompleted"
      ])
    })
  )

  it.effect("I9 a task can submit to its own session, and the input starts after the task", () =>
    Effect.gen(function* () {
      const h = yield* make({ script: [[ScriptedModel.text("heard")]] })
      const submits = Task.make("submits", Effect.orDie(h.submit("from inside")))
      const running = yield* h.session.start(submits)
      const outcome = yield* running.outcome
      assert.strictEqual(outcome._tag === "Completed" && outcome.value._tag, "Queued")
      yield* h.session.awaitIdle
      assert.strictEqual(terminals(h.events).at(-1)?.lastMessage, "heard")
    })
  )

  it.effect("I9 a task can be aborted while it waits for its own session to be idle", () =>
    Effect.gen(function* () {
      const h = yield* make()
      const waits = yield* h.session.start(Task.make("waits", h.session.awaitIdle))
      assert.isTrue(yield* h.session.abort())
      assert.deepStrictEqual(yield* waits.outcome, { _tag: "Aborted", reason: "Interrupted", stragglers: [] })
      const next = yield* h.session.start(quick)
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(next.outcome)))
    })
  )
})
