import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import { SingleShotGen } from "effect/Utils"
import * as Interrupts from "@spindle/testing/Interrupts"

/** Something that is shown while it works; the flag stays if it is interrupted in between. */
const showing: Interrupts.Program<number, never> = (stage) =>
  Effect.gen(function* () {
    let shown = 0
    const work = Effect.fn("work")(function* () {
      shown++
      yield* Effect.sleep(5)
      shown--
    })
    yield* stage.attack(Effect.andThen(Effect.sleep(1), work()))
    return shown
  })

const isHidden = { invariant: (shown: number) => shown === 0 }

/** Breaks when one action comes and then another. */
const armed: Interrupts.Program<ReadonlyArray<string>, never> = (stage) =>
  Effect.gen(function* () {
    const seen: Array<string> = []
    yield* stage.arm({ a: Effect.sync(() => seen.push("a")), b: Effect.sync(() => seen.push("b")) })
    for (let step = 0; step < 20; step++) yield* Effect.sleep(1)
    yield* stage.disarm
    return seen
  })

describe("the smallest case", () => {
  it("is the earliest step, with the position of the fiber and a line that repeats it", () => {
    const report = Interrupts.explore(showing, isHidden)
    assert.isAbove(report.violations.length, 1)
    assert.lengthOf(report.smallest, 1)
    const [smallest] = report.smallest as [Interrupts.Smallest]
    const before = report.violations.filter(({ decisions }) => decisions.mode === "before")
    const earliest = Math.min(...before.map(({ decisions }) => decisions.at[0]![1]))
    assert.deepStrictEqual(smallest.decisions.at, [["interrupt", earliest]])
    assert.strictEqual(smallest.decisions.mode, "before")
    assert.strictEqual(smallest.count, report.violations.length)
    const text = Interrupts.format(report)
    assert.match(text, /interrupt at step \d+, before it: fiber 1 /)
    assert.match(text, /in work \(.*Interrupts\.shrinking\.test\.ts:\d+:\d+\)/)
    assert.match(text, /schedule: in order of arrival/)
    const line = /Interrupts\.replay\(exploration, (.*)\)$/m.exec(text)![1]!
    assert.strictEqual(Interrupts.replay(showing, isHidden, JSON.parse(line)), smallest.law)
  })

  it("names the place of a fiber without Effect.fn, by the line that it yielded last", () => {
    const { next } = SingleShotGen.prototype
    const report = Interrupts.explore(
      (stage) =>
        Effect.gen(function* () {
          let shown = 0
          yield* stage.attack(
            Effect.gen(function* () {
              shown++
              yield* Effect.sleep(5)
              shown--
            })
          )
          return shown
        }),
      isHidden
    )
    assert.match(Interrupts.format(report), /fiber 1 after .*, yielded at .*Interrupts\.shrinking\.test\.ts:\d+:\d+/)
    assert.strictEqual(SingleShotGen.prototype.next, next)
    const stuck = Interrupts.explore(
      () =>
        Effect.gen(function* () {
          return yield* Effect.never
        }),
      {}
    )
    assert.match(stuck.violations[0]!.law, /^deadlock.*yielded at .*Interrupts\.shrinking\.test\.ts:\d+:\d+/)
  })

  it("has no action that does not matter", () => {
    const report = Interrupts.explore(armed, {
      actions: [["a", "b"]],
      maxRuns: 200,
      invariant: (seen) => !seen.includes("b")
    })
    assert.deepStrictEqual(report.smallest[0]?.decisions.at, [["b", 1]])
    const both = Interrupts.explore(armed, {
      actions: Interrupts.pairs(["a"], ["b"]),
      maxRuns: 200,
      invariant: (seen) => seen.join() !== "a,b"
    })
    assert.deepStrictEqual(
      both.smallest[0]?.decisions.at.map(([action]) => action),
      ["a", "b"]
    )
  })

  it("is in order of arrival when the schedule does not matter, and has few choices when it does", () => {
    const drawn = Interrupts.explore(showing, { ...isHidden, seeds: [3] })
    assert.deepStrictEqual(drawn.smallest[0]?.decisions.choices, [])
    assert.strictEqual(drawn.smallest[0]?.decisions.seed, 0)
    const racing: Interrupts.Program<string, never> = () =>
      Effect.gen(function* () {
        let log = ""
        const note = (text: string) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void (log += text))
          )
        yield* Effect.all(["a", "b", "c"].map(note), { concurrency: 3 })
        return log
      })
    const seeds = Array.from({ length: 20 }, (_, index) => index + 1)
    const raced = Interrupts.explore(racing, { seeds, actions: [], invariant: (log) => log.startsWith("a") })
    assert.isAtMost(raced.smallest[0]!.decisions.choices!.length, 2)
  })

  it("is there for each law by its name", () => {
    const report = Interrupts.explore(armed, {
      actions: [["a"], ["b"]],
      maxRuns: 20,
      laws: {
        L1: (exit) => (exit._tag === "Success" && exit.value.includes("a") ? "there is an a" : undefined),
        L2: (exit) => (exit._tag === "Success" && exit.value.includes("b") ? "there is a b" : undefined)
      }
    })
    assert.deepStrictEqual(
      report.smallest.map(({ law }) => law),
      ["L1: there is an a", "L2: there is a b"]
    )
  })
})

describe("actions", () => {
  it("pairs each with each in both orders, without repeating one", () => {
    assert.deepStrictEqual(Interrupts.pairs(["a"], ["a", "b"]), [
      ["a", "a"],
      ["a", "b"],
      ["b", "a"]
    ])
  })

  it("interrupts any fiber at each step of its life, and finds a fault that only one of them shows", () => {
    const report = Interrupts.explore(
      (stage) =>
        Effect.gen(function* () {
          const latch = yield* Latch.make()
          yield* stage.arm({})
          const calm = yield* Effect.forkChild(Effect.sleep(1))
          const opener = yield* Effect.forkChild(Effect.andThen(Effect.sleep(2), latch.open))
          yield* Effect.timeoutOption(latch.await, 10)
          yield* Fiber.await(calm)
          const exit = yield* Fiber.await(opener)
          yield* stage.disarm
          return exit._tag
        }),
      { actions: [[Interrupts.anyFiber]], invariant: (tag) => tag === "Success" }
    )
    assert.isAbove(report.points, 20)
    assert.match(report.smallest[0]!.decisions.at[0]![0], /^fiber:\d+$/)
  })

  it("names a program that leaves the simulation, at once", () => {
    const report = Interrupts.explore((stage) => stage.attack(Effect.promise(() => Promise.resolve())), {})
    assert.strictEqual(report.smallest[0]?.kind, "left the simulation")
    assert.match(report.smallest[0]!.law, /Interrupts\.shrinking\.test\.ts/)
    assert.isBelow(report.runs, 5)
  })

  it("names another order of the same number of steps as not deterministic", () => {
    let runs = 0
    const report = Interrupts.explore(
      () =>
        Effect.gen(function* () {
          const first = yield* Effect.forkChild(Effect.sleep(++runs % 2 === 0 ? 1 : 2))
          const second = yield* Effect.forkChild(Effect.sleep(runs % 2 === 0 ? 2 : 1))
          yield* Effect.sleep(10)
          yield* Fiber.await(first)
          yield* Fiber.await(second)
        }),
      { actions: [] }
    )
    assert.strictEqual(report.violations[0]?.kind, "not deterministic")
    assert.match(report.violations[0]!.law, /other \d+ steps with the same decisions/)
  })
})
