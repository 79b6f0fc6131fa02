import { assert, describe, it } from "@effect/vitest"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Interrupts from "@spindle/testing/Interrupts"

/** A worker that takes messages and notes them. Messages that it did not take must still be in the queue. */
const worker = (
  loop: (queue: Queue.Queue<number, Cause.Done>, seen: Array<number>) => Effect.Effect<unknown, Cause.Done>
): Interrupts.Exploration<ReadonlyArray<number>, unknown> => ({
  actions: [["interrupt"]],
  law: (exit) =>
    exit._tag === "Success" && exit.value.join() === "1,2,3" ? undefined : `lost a message: ${JSON.stringify(exit)}`,
  program: (stage) =>
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<number, Cause.Done>(8)
      const seen: Array<number> = []
      const running = yield* Effect.forkChild(Effect.ignore(Effect.forever(loop(queue, seen))))
      yield* stage.arm({ interrupt: Fiber.interrupt(running) })
      for (const message of [1, 2, 3]) yield* Queue.offer(queue, message)
      yield* Effect.sleep(10)
      yield* stage.disarm
      yield* Queue.end(queue)
      yield* Fiber.interrupt(running)
      return [...seen, ...(yield* Queue.collect(queue))]
    })
})

const naive = worker((queue, seen) =>
  Effect.flatMap(Queue.take(queue), (message) =>
    Effect.andThen(
      Effect.sleep(1),
      Effect.sync(() => seen.push(message))
    )
  )
)

const handedOver = worker((queue, seen) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.andThen(restore(Queue.peek(queue)), Queue.take(queue)), (message) =>
      Effect.andThen(
        Effect.sleep(1),
        Effect.sync(() => seen.push(message))
      )
    )
  )
)

const ends = (program: Interrupts.Exploration<unknown, unknown>["program"]): Interrupts.Report =>
  Interrupts.explore({ program, law: () => undefined, actions: [], maxSteps: 1_000 })

describe("explore", () => {
  it("finds the message that a worker loses between taking and noting", () => {
    const report = Interrupts.explore(naive)
    const [first] = report.violations
    assert.match(first!.law, /lost a message/)
    assert.match(Interrupts.replay(naive, first!.decisions)!, /lost a message/)
    assert.match(
      Interrupts.format(report),
      /Interrupts\.replay\(exploration, \{"mode":"(before|during)","at":\[\["interrupt",\d+\]\]/
    )
  })

  it("shrinks two interruptions to the one that matters", () => {
    const report = Interrupts.explore({ ...naive, actions: [["interrupt", "interrupt"]], modes: ["before"] })
    assert.isAbove(report.violations.length, 100)
    assert.lengthOf(report.smallest[0]!.decisions.at, 1)
  })

  it("finds nothing when taking and noting are one step", () => {
    const report = Interrupts.explore({ ...handedOver, seeds: [0, 1, 2, 3] })
    assert.deepStrictEqual(report.violations, [])
    assert.isAbove(report.points, 4 * report.steps)
  })

  it("states how many steps it left out when it samples them", () => {
    const complete = Interrupts.explore({ ...handedOver, modes: ["before"] })
    assert.strictEqual(complete.leftOutCount, 0)
    assert.notInclude(Interrupts.format(complete), "left out")
    const sampled = Interrupts.explore({ ...handedOver, modes: ["before"], maxRuns: 7 })
    assert.strictEqual(sampled.leftOutCount, complete.steps - 7)
    assert.include(Interrupts.format(sampled), `${sampled.leftOutCount} left out (the steps were sampled)`)
    const actions = [["interrupt", "interrupt"]]
    const pairs = Interrupts.explore({ ...handedOver, actions, modes: ["before"], maxRuns: 50 })
    const all = (complete.steps * (complete.steps + 1)) / 2
    assert.isAtLeast(pairs.leftOutCount, all - 50)
    assert.isBelow(pairs.leftOutCount, all)
  })

  it("stops at its time limit, and says so", () => {
    const report = Interrupts.explore({ ...handedOver, timeLimit: 0 })
    assert.isTrue(report.isTimedOut)
    assert.strictEqual(report.points, 0)
    assert.strictEqual(report.leftOutCount, 2 * report.steps)
    assert.include(Interrupts.format(report), "left out (the time limit was reached)")
  })

  it("stops at the violation that it was asked for, and says so", () => {
    const complete = Interrupts.explore({ ...naive, maxShrinks: 0 })
    const report = Interrupts.explore({
      ...naive,
      maxShrinks: 0,
      until: ({ decisions }) => decisions.mode === "before"
    })
    assert.isTrue(report.isFound)
    assert.deepStrictEqual(report.violations, complete.violations.slice(0, 1))
    assert.strictEqual(report.points + report.leftOutCount, complete.points)
    assert.include(Interrupts.format(report), "left out (the fault was found)")
    assert.isFalse(Interrupts.explore({ ...naive, maxShrinks: 0, until: () => false }).isFound)
  })

  it("keeps the operations before the first action, and lists them when asked for", () => {
    const report = Interrupts.explore(naive)
    const [{ actions, trace }] = report.smallest as [Interrupts.Smallest]
    assert.isAbove(trace.length, 0)
    assert.match(trace.at(-1)!, /^fiber \d+ \S/)
    assert.include(trace.at(-1)!, actions[0]!.operation)
    assert.notInclude(Interrupts.format(report), trace.at(-1)!)
    assert.include(Interrupts.format(report, { trace: true }), `    ${trace.at(-1)}\n  interrupt at step`)
  })

  it("names a deadlock, a livelock and a leaked fiber", () => {
    const deadlock = ends(() => Effect.never)
    assert.match(deadlock.violations[0]!.law, /^deadlock/)
    const livelock = ends(() => Effect.forever(Effect.yieldNow))
    assert.match(livelock.violations[0]!.law, /^livelock/)
    const leak = ends(() => Effect.asVoid(Effect.forkDetach(Effect.never)))
    assert.match(leak.violations[0]!.law, /^leaked fibers: 1/)
  })

  it("throws for an action that the program does not arm", () => {
    assert.throws(
      () => Interrupts.explore({ ...naive, actions: [["interupt"]] }),
      /there is no action interupt: the program armed interrupt/
    )
  })

  it("names a program that does not repeat itself", () => {
    let runs = 0
    const report = ends(() => Effect.forEach(Array.from({ length: ++runs }), () => Effect.yieldNow))
    assert.match(report.violations[0]!.law, /^not deterministic/)
  })

  it("runs two actions at every pair of steps, the second also inside the first", () => {
    const pairs: Array<string> = []
    const report = Interrupts.explore({
      actions: [["first", "second"]],
      modes: ["before"],
      law: () => undefined,
      program: (stage) =>
        Effect.gen(function* () {
          const seen: Array<string> = []
          yield* stage.arm({
            first: Effect.sync(() => seen.push("first")),
            second: Effect.sync(() => seen.push("second"))
          })
          for (let step = 0; step < 3; step++) yield* Effect.yieldNow
          yield* stage.disarm
          if (seen.length === 2) pairs.push(seen.join())
        })
    })
    assert.isAbove(report.points, 10)
    assert.strictEqual(pairs.length, report.points)
    assert.deepStrictEqual(new Set(pairs), new Set(["first,second", "second,first"]))
  })
})
