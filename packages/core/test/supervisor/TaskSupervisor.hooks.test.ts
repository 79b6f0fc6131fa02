import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, bench, hook, hung } from "../fixtures/supervisor.ts"

describe("abort hook", () => {
  it.effect("runs after the task has ended, with the reason, and before the job is settled", () =>
    Effect.gen(function* () {
      const { log, start, supervisor } = yield* bench
      start(
        "job",
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push("task ends"))),
        {
          abortHooks: [hook((reason) => Effect.sync(() => void log.push(`hook ${reason}`)))]
        }
      )
      supervisor.abort("Parent")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log.slice(1), ["task ends", "hook Parent", "job Aborted", "job freed"])
    })
  )

  it.effect("runs after a task that does not end has been fenced", () =>
    Effect.gen(function* () {
      const { slots, start, supervisor } = yield* bench
      const fenced: Array<boolean> = []
      start("job", hung, { abortHooks: [hook(() => Effect.sync(() => void fenced.push(slots[0]!.isFenced())))] })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(fenced, [true])
    })
  )

  it.effect("is waited for up to its limit, then interrupted, and named if it keeps running", () =>
    Effect.gen(function* () {
      const { ended, start, supervisor } = yield* bench
      let interrupted = false
      start("polite", Effect.never, {
        abortHooks: [hook(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true))))]
      })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("29 millis")
      assert.lengthOf(ended, 0)
      yield* TestClock.adjust("1 millis")
      yield* supervisor.awaitIdle
      assert.isTrue(interrupted)
      start("rude", Effect.never, { abortHooks: [hook(() => hung)] })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("30 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(
        ended.map(abortedOf).map((one) => one.stragglers),
        [[], [{ kind: "hook", name: "hook" }]]
      )
    })
  )

  it.effect("runs after the hooks before it, each within its own limit", () =>
    Effect.gen(function* () {
      const { ended, log, start, supervisor } = yield* bench
      const logs = (name: string) => Effect.sync(() => void log.push(name))
      start("job", Effect.never, {
        abortHooks: [
          hook(() => Effect.andThen(logs("first"), hung), "first"),
          { ...hook(() => Effect.andThen(logs("second"), hung), "second"), limit: "50 millis" },
          hook(() => logs("third"), "third")
        ]
      })
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("29 millis")
      assert.deepStrictEqual(log.slice(1), ["first"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(log.slice(1), ["first", "second"])
      yield* TestClock.adjust("50 millis")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log.slice(1), ["first", "second", "third", "job Aborted", "job freed"])
      assert.deepStrictEqual(
        abortedOf(ended[0]).stragglers.map(({ name }) => name),
        ["first", "second"]
      )
    })
  )

  it.effect(
    "is followed by the clean-ups that wait for it, which are named if they take longer than another grace period",
    () =>
      Effect.gen(function* () {
        const { ended, log, slots, start, supervisor } = yield* bench
        const clean = (name: string, run: Effect.Effect<void> = Effect.void, afterHook = true) =>
          slots.at(-1)!.onAbort({
            kind: "cleanup",
            name,
            afterHook,
            run: () =>
              Effect.andThen(
                run,
                Effect.sync(() => void log.push(name))
              )
          })
        const waiting = Effect.andThen(
          Effect.sleep("10 millis"),
          Effect.sync(() => {
            log.push("hook")
            clean("added by the hook")
          })
        )
        start("job", Effect.never, { abortHooks: [hook(() => waiting)] })
        clean("late")
        clean("first", Effect.void, false)
        clean("hung", hung)
        supervisor.abort("Interrupted")
        yield* TestClock.adjust("109 millis")
        assert.deepStrictEqual(log.slice(1), ["first", "hook", "late", "added by the hook"])
        assert.lengthOf(ended, 0)
        yield* TestClock.adjust("1 millis")
        yield* supervisor.awaitIdle
        assert.deepStrictEqual(abortedOf(ended[0]).stragglers, [{ kind: "cleanup", name: "hung" }])
      })
  )

  it.effect("does not keep clean-ups from running if it takes all of its limit, or does not exist", () =>
    Effect.gen(function* () {
      const { log, slots, start, supervisor } = yield* bench
      const clean = (name: string) =>
        slots
          .at(-1)!
          .onAbort({ kind: "cleanup", name, afterHook: true, run: () => Effect.sync(() => void log.push(name)) })
      start("job", Effect.never, { abortHooks: [hook(() => Effect.never)] })
      clean("after a hook that hangs")
      supervisor.abort("Interrupted")
      yield* TestClock.adjust("100 millis")
      yield* supervisor.awaitIdle
      start("other", Effect.never)
      clean("without a hook")
      supervisor.abort("Interrupted")
      yield* supervisor.awaitIdle
      start("third", Effect.void)
      clean("of a job that returns")
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(
        log.filter((one) => /^(after|without|of) a/.test(one)),
        ["after a hook that hangs", "without a hook"]
      )
    })
  )

  it.effect("does not run if the task returns", () =>
    Effect.gen(function* () {
      const { log, start, supervisor } = yield* bench
      start("job", Effect.void, { abortHooks: [hook(() => Effect.die("must not run"))] })
      yield* supervisor.awaitIdle
      assert.deepStrictEqual(log, ["job registered", "job Completed", "job freed"])
    })
  )
})
