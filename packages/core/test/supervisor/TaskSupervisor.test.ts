import { assert, describe, it } from "@effect/vitest"
import type { AbortReason } from "@spindle/core/Outcome"
import * as TaskSupervisor from "@spindle/core/TaskSupervisor"
import { Cause, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, bench, hook, hung } from "../fixtures/supervisor.ts"

describe("start", () => {
  it.effect("S6 a job is registered before its task runs", () =>
    Effect.gen(function* () {
      const { log, start, supervisor } = yield* bench
      start(
        "job",
        Effect.sync(() => void log.push("job runs"))
      )
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log, ["job registered", "job runs", "job Completed", "job freed"])
    })
  )

  it.effect("S6 a task that ends before start returns is settled with its own value", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      assert.isTrue(start("job", Effect.succeed(7)))
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(ended, [{ _tag: "Completed", value: 7 }])
    })
  )

  it.effect("S6 a task that aborts its own slot in its first step is already registered", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      const answers: Array<boolean> = []
      start(
        "job",
        Effect.andThen(
          Effect.sync(() => void answers.push(supervisor.abort("Interrupted"), supervisor.abort("Budget"))),
          Effect.never
        )
      )
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(answers, [true, false])
      assert.strictEqual(abortedOf(ended[0]).reason, "Interrupted")
      assert.lengthOf(ended, 1)
    })
  )

  it.effect("returns false if the slot is taken, and the job is neither registered nor run", () =>
    Effect.gen(function* () {
      const { log, start, supervisor } = yield* bench
      start("first", Effect.never)
      assert.isFalse(start("second", Effect.die("must not run")))
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log, ["first registered", "first Aborted", "first freed"])
    })
  )

  it.effect("the slot stays taken until settle has ended", () =>
    Effect.gen(function* () {
      const { start, supervisor } = yield* bench
      const settling = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      start("first", Effect.void, {
        settle: () => Effect.andThen(Deferred.succeed(settling, undefined), Deferred.await(release))
      })
      yield* Deferred.await(settling)
      assert.deepStrictEqual(supervisor.state(), { _tag: "Settling" })
      assert.isFalse(start("second", Effect.void))
      yield* Deferred.succeed(release, undefined)
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(supervisor.state(), TaskSupervisor.idle)
      assert.isTrue(start("third", Effect.void))
    })
  )

  it.effect("freed may start the next job, and callers that wait for the slot wait for that job too", () =>
    Effect.gen(function* () {
      const { log, start, supervisor } = yield* bench
      start("first", Effect.void, { onFree: () => void start("second", Effect.yieldNow) })
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log, [
        "first registered",
        "first Completed",
        "second registered",
        "second Completed",
        "second freed"
      ])
    })
  )
})

describe("how a job ends", () => {
  it.effect("a typed failure and a defect end as failed with their cause", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      start("fails", Effect.fail("no"))
      yield* supervisor.awaitIdle
      start("dies", Effect.die("bug"))
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(ended, [
        { _tag: "Failed", cause: Cause.fail("no") },
        { _tag: "Failed", cause: Cause.die("bug") }
      ])
    })
  )

  it.effect("a task that interrupts itself is aborted, with its clean-ups and its hook, and not failed", () =>
    Effect.gen(function* () {
      const { cleanup, ended, log, slots, start, supervisor } = yield* bench
      const go = yield* Deferred.make<void>()
      start("job", Effect.andThen(Deferred.await(go), Effect.interrupt), {
        abortHooks: [hook((reason) => Effect.sync(() => void log.push(`hook ${reason}`)))]
      })
      cleanup(slots[0]!, "clean", (reason) => Effect.sync(() => void log.push(`clean ${reason}`)))
      yield* Deferred.succeed(go, undefined)
      yield* supervisor.awaitIdle
      assert.strictEqual(abortedOf(ended[0]).reason, "Interrupted")
      assert.deepStrictEqual(log.slice(1), ["clean Interrupted", "hook Interrupted", "job Aborted", "job freed"])
    })
  )

  it.effect("a failure of the owner ends the job as failed, and the task is fenced and interrupted", () =>
    Effect.gen(function* () {
      const { ended, slots, start, supervisor } = yield* bench
      let interrupted = false
      start(
        "job",
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true)))
      )
      supervisor.fail(Cause.fail("disk"))
      assert.isTrue(slots[0]!.isFenced())
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(ended, [{ _tag: "Failed", cause: Cause.fail("disk") }])
      assert.isTrue(interrupted)
    })
  )

  it.effect("a failure of the owner wins over an abort that has begun", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      start("job", hung)
      assert.isTrue(supervisor.abort("Interrupted"))
      supervisor.fail(Cause.fail("disk"))
      assert.isFalse(supervisor.abort("Interrupted"))
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(ended, [{ _tag: "Failed", cause: Cause.fail("disk") }])
    })
  )

  it.effect("a failure of the owner changes nothing without a job, or while one settles", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      supervisor.fail(Cause.fail("disk"))
      assert.deepStrictEqual(supervisor.state(), TaskSupervisor.idle)
      start("job", Effect.succeed(1), {
        settle: (how) =>
          Effect.sync(() => {
            supervisor.fail(Cause.fail("disk"))
            ended.push(how)
          })
      })
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(ended, [{ _tag: "Completed", value: 1 }])
    })
  )
})

describe("abort", () => {
  it.effect("I1 only the abort that moves the slot from running to aborting returns true, and its reason stays", () =>
    Effect.gen(function* () {
      const { ended, slots, start, supervisor } = yield* bench
      assert.isFalse(supervisor.abort("Interrupted"))
      start("job", hung)
      assert.deepStrictEqual([supervisor.abort("Deadline"), supervisor.abort("Interrupted")], [true, false])
      assert.deepStrictEqual(supervisor.state(), { _tag: "Aborting", reason: "Deadline" })
      assert.strictEqual(slots[0]!.reason(), "Deadline")
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      assert.strictEqual(abortedOf(ended[0]).reason, "Deadline")
      assert.isFalse(supervisor.abort("Interrupted"))
    })
  )

  it.effect("I1 a value that the task returns within the grace period does not undo the abort", () =>
    Effect.gen(function* () {
      const { ended, slots, start, supervisor } = yield* bench
      start(
        "job",
        Effect.suspend(() => Effect.as(slots[0]!.aborting, "value")),
        { onAbort: "signal" }
      )
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [])
    })
  )

  it.effect("I2 an aborted task that ends sooner ends the abort sooner", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      start(
        "job",
        Effect.onInterrupt(Effect.never, () => Effect.sleep("40 millis"))
      )
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("39 millis")
      assert.lengthOf(ended, 0)
      yield* TestClock.adjust("1 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [])
    })
  )

  it.effect("I2 a signalled task sees the reason, and is interrupted after the grace period and not before", () =>
    Effect.gen(function* () {
      const { ended, slots, start, supervisor } = yield* bench
      const seen: Array<string> = []
      start(
        "job",
        Effect.suspend(() => slots[0]!.aborting).pipe(
          Effect.tap((reason) => Effect.sync(() => void seen.push(reason))),
          Effect.andThen(Effect.never),
          Effect.onInterrupt(() => Effect.sync(() => void seen.push("interrupted")))
        ),
        { onAbort: "signal" }
      )
      supervisor.abort("Budget")
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(seen, ["Budget"])
      yield* TestClock.adjust("1 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(seen, ["Budget", "interrupted"])
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [])
    })
  )

  it.effect("I2 a grace period of zero does not wait", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      start("job", hung, { grace: 0 })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust(0)
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [{ kind: "task", name: "job" }])
    })
  )

  it.effect("I3 a task that never ends is a straggler after the grace period, fenced before it is settled", () =>
    Effect.gen(function* () {
      const { ended, late, slots, start, supervisor } = yield* bench
      const fenced: Array<boolean> = []
      start("job", hung, {
        settle: (how) =>
          Effect.sync(() => {
            ended.push(how)
            fenced.push(slots[0]!.isFenced())
          })
      })
      yield* TestClock.adjust("5 seconds")
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("99 millis")
      assert.isFalse(slots[0]!.isFenced())
      assert.lengthOf(ended, 0)
      yield* TestClock.adjust("1 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(fenced, [true])
      assert.deepStrictEqual(abortedOf(ended[0]), {
        _tag: "Aborted",
        reason: "Interrupted",
        requestedAt: 5_000,
        stragglers: [{ kind: "task", name: "job" }]
      })
      assert.deepStrictEqual(late, [])
    })
  )

  it.effect("I3 the end of a straggler is reported once, with the time since the abort", () =>
    Effect.gen(function* () {
      const { late, start, supervisor } = yield* bench
      const release = yield* Deferred.make<void>()
      start("job", Effect.uninterruptible(Deferred.await(release)))
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      start("next", Effect.never)
      yield* TestClock.adjust("400 millis")
      yield* Deferred.succeed(release, undefined)
      assert.deepStrictEqual(late, [{ straggler: { kind: "task", name: "job" }, afterMillis: 500 }])
      assert.deepStrictEqual(supervisor.state(), { _tag: "Running" })
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      assert.lengthOf(late, 1)
    })
  )

  it.effect("I3 task and clean-ups share one grace period, run concurrently, and each that is late is named", () =>
    Effect.gen(function* () {
      const { cleanup, ended, slots, start, supervisor } = yield* bench
      start(
        "job",
        Effect.onInterrupt(Effect.never, () => Effect.sleep("90 millis"))
      )
      cleanup(slots[0]!, "quick", () => Effect.sleep("90 millis"))
      cleanup(slots[0]!, "slow", () => Effect.sleep("1 second"))
      slots[0]!.onAbort({ kind: "process", name: "sleep 9", run: () => Effect.never })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [
        { kind: "cleanup", name: "slow" },
        { kind: "process", name: "sleep 9" }
      ])
    })
  )

  it.effect(
    "I4 a finalizer starts once, whether the interruption finds the task working or at the end of the grace period",
    () =>
      Effect.gen(function* () {
        const { slots, start, supervisor } = yield* bench
        let runs = 0
        const task = Effect.scoped(
          Effect.andThen(
            Effect.addFinalizer(() => Effect.sync(() => void runs++)),
            Effect.never
          )
        )
        start("interrupted", task)
        supervisor.abort("Interrupted")
        yield* supervisor.awaitIdle
        assert.strictEqual(runs, 1)
        start("signalled", task, { onAbort: "signal" })
        supervisor.abort("Interrupted")
        yield* TestClock.adjust("1 second")
        yield* supervisor.awaitIdle
        assert.strictEqual(runs, 2)
        assert.lengthOf(slots, 2)
      })
  )
})

describe("clean-ups", () => {
  it.effect("each runs once with the reason, except those that were removed", () =>
    Effect.gen(function* () {
      const reasons: ReadonlyArray<AbortReason> = [
        "Interrupted",
        "Replaced",
        "Deadline",
        "Budget",
        "Parent",
        "Shutdown"
      ]
      for (const reason of reasons) {
        const { cleanup, slots, start, supervisor } = yield* bench
        const seen: Array<string> = []
        start("job", Effect.never)
        cleanup(slots[0]!, "first", (why) => Effect.sync(() => void seen.push(`first ${why}`)))
        const takeBack = cleanup(slots[0]!, "gone", (why) => Effect.sync(() => void seen.push(`gone ${why}`)))
        cleanup(slots[0]!, "last", (why) => Effect.sync(() => void seen.push(`last ${why}`)))
        takeBack()
        supervisor.abort(reason)
        yield* supervisor.awaitIdle
        assert.deepStrictEqual(seen, [`first ${reason}`, `last ${reason}`])
      }
    })
  )

  it.effect("do not run if the task returns or fails", () =>
    Effect.gen(function* () {
      for (const run of [Effect.void, Effect.fail("no")]) {
        const { cleanup, slots, start, supervisor } = yield* bench
        const go = yield* Deferred.make<void>()
        start("job", Effect.andThen(Deferred.await(go), run))
        cleanup(slots[0]!, "clean", () => Effect.die("must not run"))
        yield* Deferred.succeed(go, undefined)
        yield* supervisor.awaitIdle
      }
    })
  )

  it.effect("one that is added after the abort starts at once and is waited for", () =>
    Effect.gen(function* () {
      const { cleanup, ended, slots, start, supervisor } = yield* bench
      const seen: Array<string> = []
      start(
        "job",
        Effect.onInterrupt(Effect.never, () =>
          // later than the clean-ups that existed at the abort
          Effect.delay(
            Effect.sync(() => {
              cleanup(slots[0]!, "in time", (why) =>
                Effect.delay(
                  Effect.sync(() => void seen.push(why)),
                  "50 millis"
                )
              )
              cleanup(slots[0]!, "late", () => Effect.never)
            }),
            "10 millis"
          )
        )
      )
      supervisor.abort("Deadline")
      yield* TestClock.adjust("99 millis")
      assert.deepStrictEqual(seen, ["Deadline"])
      assert.lengthOf(ended, 0)
      yield* TestClock.adjust("1 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [{ kind: "cleanup", name: "late" }])
    })
  )

  it.effect("one that throws before it returns an effect delays nothing, and neither does such a hook", () =>
    Effect.gen(function* () {
      const { cleanup, ended, slots, start, supervisor } = yield* bench
      const thrown = (): never => {
        throw new Error("bug")
      }
      start("job", Effect.never, { abortHooks: [hook(thrown)] })
      cleanup(slots[0]!, "throws", thrown)
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [])
    })
  )

  it.effect("one that dies delays nothing and fails nothing", () =>
    Effect.gen(function* () {
      const { cleanup, ended, slots, start, supervisor } = yield* bench
      start("job", Effect.never)
      cleanup(slots[0]!, "dies", () => Effect.die("bug"))
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [])
    })
  )
})

describe("waiting", () => {
  it.effect("awaitIdle returns at once if nothing runs, and interrupting it stops only the wait", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      yield* supervisor.awaitIdle
      start("job", Effect.never)
      const waiter = yield* Effect.forkChild(supervisor.awaitIdle, { startImmediately: true })
      const other = yield* Effect.forkChild(supervisor.awaitIdle, { startImmediately: true })
      yield* Fiber.interrupt(waiter)
      assert.deepStrictEqual(supervisor.state(), { _tag: "Running" })
      assert.lengthOf(ended, 0)
      supervisor.abort("Interrupted")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(other)))
    })
  )
})
