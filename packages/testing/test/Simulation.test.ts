import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Faults from "@spindle/testing/Faults"
import * as Simulation from "@spindle/testing/Simulation"

/** Two fibers that read, give way, and write: one of the additions may be lost. */
const counting = (isSafe: boolean) =>
  Effect.gen(function* () {
    let count = 0
    const add = Effect.gen(function* () {
      const read = count
      if (!isSafe) yield* Effect.sleep(0)
      count = (isSafe ? count : read) + 1
    })
    const one = yield* Effect.forkChild(add)
    const other = yield* Effect.forkChild(add)
    yield* Fiber.await(one)
    yield* Fiber.await(other)
    return count
  })

/** Writes three times; a write may fail or hang. */
const writing = Effect.gen(function* () {
  const write = Effect.flatMap(Faults.at("disk", ["fail", "hang"]), (fault) =>
    fault === "hang" ? Effect.never : fault === "fail" ? Effect.fail("no space") : Effect.sleep(1)
  )
  for (let count = 0; count < 3; count++) yield* write
})

const isFine = {
  laws: { D1: (exit: { readonly _tag: string }) => (exit._tag === "Success" ? undefined : "it failed") }
}

describe("run", () => {
  it("gives the same run for the same seed, and draws numbers from it", () => {
    const program = Effect.andThen(writing, Random.next)
    for (const seed of [1, 2, 3, 4, 5]) {
      assert.deepStrictEqual(Simulation.run(seed, program), Simulation.run(seed, program))
    }
    const values = [1, 2, 3, 4].map((seed) => JSON.stringify(Simulation.run(seed, Random.next).exit))
    assert.strictEqual(new Set(values).size, 4)
  })

  it("lets days pass at once", () => {
    assert.strictEqual(Simulation.run(0, Effect.sleep("23 hours")).millis, 23 * 3_600_000)
  })

  it("repeats a run from its choices", () => {
    const seeds = Array.from({ length: 50 }, (_, index) => index + 1)
    const found = seeds
      .map((seed) => Simulation.run(seed, writing, isFine))
      .find(({ finding }) => finding?.kind === "law")!
    const again = Simulation.replay(writing, isFine, { choices: found.choices })
    assert.deepStrictEqual([again.exit, again.steps, again.faults], [found.exit, found.steps, found.faults])
  })

  it("has no faults outside a simulation, nor with seed 0", async () => {
    await Effect.runPromise(writing)
    assert.deepStrictEqual(Simulation.run(0, writing, { faultRate: 1 }).faults, [])
    assert.deepStrictEqual(Simulation.run(1, writing, { faultRate: 0 }).faults, [])
  })
})

describe("findings", () => {
  const kindOf = (program: Effect.Effect<unknown, unknown>, options: Simulation.Options<unknown, unknown> = {}) =>
    Simulation.run(0, program, options).finding?.kind

  it("names a deadlock, and the fibers that wait in it", () => {
    const stuck = Effect.withSpan(Effect.flatMap(Deferred.make<void>(), Deferred.await), "waiting for a friend")
    const { finding } = Simulation.run(0, stuck)
    assert.strictEqual(finding?.kind, "deadlock")
    assert.match(finding!.law, /fiber 0 waits, in waiting for a friend/)
  })

  it("names a livelock", () => {
    assert.strictEqual(kindOf(Effect.forever(Effect.yieldNow), { maxSteps: 1_000 }), "livelock")
  })

  it("names an unbounded wait, with and without a timer", () => {
    assert.strictEqual(kindOf(Effect.sleep(Infinity)), "unbounded wait")
    assert.strictEqual(kindOf(Effect.forever(Effect.sleep("1 minute"))), "unbounded wait")
    assert.strictEqual(kindOf(Effect.sleep("3 seconds"), { maxDuration: "1 second" }), undefined)
  })

  it("names a leaked fiber, and interrupts it afterwards", () => {
    let released = 0
    const leaking = Effect.forkDetach(Effect.onInterrupt(Effect.never, () => Effect.sync(() => void released++)))
    assert.strictEqual(kindOf(leaking), "leaked fiber")
    assert.isAbove(released, 0)
  })

  it("names where a program leaves the simulation, and never passes it", () => {
    const outside = Effect.promise(() => new Promise<void>((resolve) => setTimeout(resolve, 1)))
    const { finding } = Simulation.run(0, outside)
    assert.strictEqual(finding?.kind, "left the simulation")
    assert.match(finding!.law, /^left the simulation at Timeout.*Simulation\.test\.ts:\d+:\d+.*fiber 0 waits/)
    const report = Simulation.explore(outside, { runs: 100 })
    assert.strictEqual(report.runs, 2)
    assert.lengthOf(report.smallest, 1)
  })

  it("names the resource that a deadlocked program started outside", () => {
    const signalled = Effect.flatMap(Deferred.make<void>(), (done) => {
      setTimeout(() => Deferred.doneUnsafe(done, Effect.void), 1)
      return Deferred.await(done)
    })
    assert.match(Simulation.run(0, signalled).finding!.law, /^deadlock.*outside the simulation it began Timeout/)
  })

  it("names a program that does not repeat itself", () => {
    let runs = 0
    const other = Effect.suspend(() => Effect.forEach(Array.from({ length: ++runs }), () => Effect.yieldNow))
    assert.strictEqual(Simulation.explore(other).violations[0]?.kind, "not deterministic")
  })
})

describe("explore", () => {
  it("finds a lost addition only where there is one", () => {
    assert.isAbove(
      Simulation.explore(counting(false), { runs: 50, invariant: (count) => count === 2 }).violations.length,
      0
    )
    assert.deepStrictEqual(
      Simulation.explore(counting(true), { runs: 50, invariant: (count) => count === 2 }).violations,
      []
    )
  })

  it("shrinks each fault to the one choice that matters, and prints the line that repeats it", () => {
    const report = Simulation.explore(writing, { ...isFine, runs: 200 })
    assert.deepStrictEqual(report.smallest.map(({ kind }) => kind).sort(), ["deadlock", "law"])
    for (const { decisions, faults, kind } of report.smallest) {
      assert.lengthOf(decisions.choices!, 1)
      assert.lengthOf(faults, 1)
      assert.strictEqual(Simulation.replay(writing, isFine, decisions).finding?.kind, kind)
    }
    const text = Simulation.format(report)
    assert.match(text, /faults: disk: fail/)
    assert.match(text, /Simulation\.replay\(program, options, \{.*"choices":\[\["fault",\d,1\]\]\}\)/)
  })
})

describe("exhaustive", () => {
  it("runs all orders of a small program, once each", () => {
    const orders = new Set<string>()
    const three = Effect.suspend(() => {
      const log: Array<number> = []
      const note = (id: number) =>
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => void log.push(id))
        )
      return Effect.as(Effect.all([1, 2, 3].map(note), { concurrency: 3 }), log)
    })
    const report = Simulation.exhaustive(three, {
      invariant: (log) => {
        orders.add(log.join())
        return log.length === 3
      }
    })
    assert.isTrue(report.isComplete)
    assert.strictEqual(orders.size, 6)
    assert.deepStrictEqual(report.violations, [])
  })

  it("finds every fault when one may happen, and says when the runs did not suffice", () => {
    const report = Simulation.exhaustive(writing, { ...isFine, faults: 1 })
    assert.isTrue(report.isComplete)
    // three writes that fail, three that hang
    assert.strictEqual(report.violations.length, 6)
    assert.isFalse(Simulation.exhaustive(writing, { ...isFine, faults: 1, maxRuns: 2 }).isComplete)
  })

  it("finds a fault with a preemption that no order of tasks shows", () => {
    let shared = 0
    const add = Effect.suspend(() => {
      const read = shared
      return Effect.andThen(
        Effect.sync(() => {}),
        Effect.sync(() => void (shared = read + 1))
      )
    })
    const both = Effect.suspend(() => {
      shared = 0
      return Effect.andThen(
        Effect.all([add, add], { concurrency: 2 }),
        Effect.sync(() => shared)
      )
    })
    const options = { invariant: (count: number) => count === 2 }
    assert.deepStrictEqual(Simulation.exhaustive(both, options).violations, [])
    const report = Simulation.exhaustive(both, { ...options, preemptions: 1 })
    assert.isTrue(report.isComplete)
    assert.isAbove(report.violations.length, 0)
  })
})
