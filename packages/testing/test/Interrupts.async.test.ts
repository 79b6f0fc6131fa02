import { assert, describe, it } from "@effect/vitest"
import { setImmediate } from "node:timers"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as Simulation from "@spindle/testing/Simulation"

/** Sends a request of three promise continuations. The count of pending requests stays if it is interrupted. */
const requesting =
  (isSafe: boolean): Interrupts.Program<number, never> =>
  (stage) =>
    Effect.gen(function* () {
      let pending = 0
      const start = Effect.sync(() => void pending++)
      const end = Effect.sync(() => void pending--)
      const response = Effect.promise(async () => {
        await undefined
        await new Promise<void>((resolve) => queueMicrotask(resolve))
        return new Promise<void>((resolve) => process.nextTick(resolve))
      })
      yield* stage.attack(
        isSafe
          ? Effect.acquireUseRelease(
              start,
              () => response,
              () => end
            )
          : Effect.andThen(start, Effect.andThen(response, end))
      )
      return pending
    })

const isIdle = { invariant: (pending: number) => pending === 0 }

/** A program that waits for something outside the microtask queue, after a promise of the queue. */
const leaving =
  (wait: () => Promise<unknown>): Interrupts.Program<void, never> =>
  (stage) =>
    Effect.asVoid(
      stage.attack(
        Effect.promise(async () => {
          await undefined
          await wait()
        })
      )
    )

describe("exploreAsync", () => {
  it.effect("finds what an interruption loses while a promise is pending", () =>
    Effect.gen(function* () {
      const report = yield* Interrupts.exploreAsync(requesting(false), isIdle)
      assert.strictEqual(report.smallest[0]?.law, "the invariant is broken: 1")
      const { decisions } = report.smallest[0]!
      assert.strictEqual(
        yield* Interrupts.replayAsync(requesting(false), isIdle, decisions),
        "the invariant is broken: 1"
      )
    })
  )

  it.effect("finds nothing in a program that gives back what it took", () =>
    Effect.gen(function* () {
      const report = yield* Interrupts.exploreAsync(requesting(true), { ...isIdle, seeds: [0, 1, 2] })
      assert.deepStrictEqual(report.violations, [])
      assert.isAbove(report.points, 3 * report.steps)
      assert.strictEqual(report.leftOutCount, 0)
    })
  )

  it("is needed for that: the synchronous mode reports the promise", () => {
    assert.strictEqual(Interrupts.explore(requesting(true), isIdle).violations[0]?.kind, "left the simulation")
  })

  it.effect("takes the same steps as the synchronous mode in a program without promises", () =>
    Effect.gen(function* () {
      const sleeping: Interrupts.Program<number, never> = (stage) =>
        Effect.gen(function* () {
          let shown = 0
          const show = Effect.sync(() => void shown++)
          const hide = Effect.sync(() => void shown--)
          yield* stage.attack(Effect.andThen(show, Effect.andThen(Effect.sleep("1 second"), hide)))
          return shown
        })
      const options = { invariant: (shown: number) => shown === 0, seeds: [0, 1, 2] }
      const both = [Interrupts.explore(sleeping, options), yield* Interrupts.exploreAsync(sleeping, options)]
      const [one, other] = both.map((report) => ({ ...report, durationMillis: 0 }))
      assert.isAbove(one!.violations.length, 0)
      assert.deepStrictEqual(other, one)
    })
  )

  for (const [name, wait, type] of [
    ["a timer", () => new Promise((resolve) => setTimeout(resolve, 0)), "Timeout"],
    ["an immediate", () => new Promise((resolve) => setImmediate(resolve)), "Immediate"],
    ["a file", () => import("node:fs/promises").then(({ stat }) => stat("/")), "FSREQPROMISE"]
  ] as const) {
    it.effect(`names ${name} as leaving the queue, and stops`, () =>
      Effect.gen(function* () {
        const report = yield* Interrupts.exploreAsync(leaving(wait), {})
        assert.strictEqual(report.violations[0]?.kind, "left the simulation")
        assert.match(report.violations[0]!.law, new RegExp(`^left the simulation at ${type} .*Interrupts\\.async`))
        assert.match(report.violations[0]!.law, /fiber 1 waits for it/)
        assert.isBelow(report.runs, 5)
      })
    )
  }

  it.effect("names a promise that nothing settles", () =>
    Effect.gen(function* () {
      const report = yield* Interrupts.exploreAsync(
        leaving(() => new Promise(() => {})),
        {}
      )
      assert.match(report.violations[0]!.law, /^left the simulation at PROMISE/)
    })
  )

  it.effect("names a deadlock after a promise as a deadlock", () =>
    Effect.gen(function* () {
      const stuck: Interrupts.Program<void, never> = () =>
        Effect.andThen(
          Effect.promise(() => Promise.resolve()),
          Effect.flatMap(Deferred.make<void>(), Deferred.await)
        )
      const report = yield* Interrupts.exploreAsync(stuck, {})
      assert.match(report.violations[0]!.law, /^deadlock: /)
      assert.notInclude(report.violations[0]!.law, "outside the simulation")
    })
  )

  it.effect("lets virtual time pass only when the queue is empty", () =>
    Effect.gen(function* () {
      const racing: Interrupts.Program<string, never> = (stage) =>
        Effect.gen(function* () {
          const latch = yield* Latch.make()
          yield* stage.attack(latch.open)
          const chained = async () => {
            for (let left = 200; left > 0; left--) await undefined
            return "promise"
          }
          return yield* Effect.raceFirst(Effect.as(Effect.sleep(1), "clock"), Effect.promise(chained))
        })
      const report = yield* Interrupts.exploreAsync(racing, { invariant: (first) => first === "promise" })
      assert.deepStrictEqual(report.smallest, [])
    })
  )

  it.effect("waits for promises of finalizers of fibers that a run leaves running", () =>
    Effect.gen(function* () {
      let released = 0
      const leaking: Interrupts.Program<void, never> = () =>
        Effect.asVoid(
          Effect.forkDetach(
            Effect.onInterrupt(Effect.never, () =>
              Effect.andThen(
                Effect.promise(() => Promise.resolve()),
                Effect.sync(() => void released++)
              )
            )
          )
        )
      const report = yield* Interrupts.exploreAsync(leaking, { maxShrinks: 0 })
      assert.strictEqual(report.violations[0]?.kind, "leaked fiber")
      assert.isAtLeast(released, 2)
    })
  )

  it.effect("ends between two runs when it is interrupted", () =>
    Effect.gen(function* () {
      let runs = 0
      const fiber: Fiber.Fiber<Interrupts.Report> = yield* Effect.forkChild(
        Interrupts.exploreAsync(requesting(true), {
          law: () => {
            if (++runs === 3) fiber.interruptUnsafe()
            return undefined
          }
        })
      )
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(exit._tag === "Failure")
      assert.strictEqual(runs, 3)
    })
  )
})

describe("Simulation", () => {
  /** Two fibers that read, wait for a promise, and write: one of the additions is lost. */
  const counting = Effect.suspend(() => {
    let count = 0
    const add = Effect.gen(function* () {
      const read = count
      yield* Effect.promise(() => Promise.resolve())
      count = read + 1
    })
    return Effect.andThen(
      Effect.all([add, add], { concurrency: 2 }),
      Effect.sync(() => count)
    )
  })
  const isTwo = { invariant: (count: number) => count === 2 }

  it.effect("explores programs that await promises, and repeats a finding", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.exploreAsync(counting, { ...isTwo, runs: 20 })
      assert.isAbove(report.violations.length, 0)
      const run = yield* Simulation.replayAsync(counting, isTwo, report.smallest[0]!.decisions)
      assert.strictEqual(run.finding?.law, "the invariant is broken: 1")
    })
  )

  it.effect("runs all schedules of them", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.exhaustiveAsync(
        Effect.promise(() => Promise.resolve(2)),
        isTwo
      )
      assert.isTrue(report.isComplete)
      assert.deepStrictEqual(report.violations, [])
    })
  )
})
