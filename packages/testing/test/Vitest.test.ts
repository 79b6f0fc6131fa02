import { assert, describe, it as plain } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Ref from "effect/Ref"
import * as Vitest from "@spindle/testing/Vitest"
import type * as Interrupts from "@spindle/testing/Interrupts"

const it = Vitest.extend(plain)

const lending =
  (isSafe: boolean): Interrupts.Program<number, never> =>
  (stage) =>
    Effect.gen(function* () {
      const free = yield* Ref.make(1)
      const take = Ref.update(free, (count) => count - 1)
      const give = Ref.update(free, (count) => count + 1)
      const use = Effect.sleep(10)
      const lend = isSafe
        ? Effect.acquireUseRelease(
            take,
            () => use,
            () => give
          )
        : Effect.andThen(take, Effect.ensuring(use, give))
      yield* stage.attack(lend)
      return yield* Ref.get(free)
    })

const isBack = { invariant: (free: number) => free === 1 }

it.interrupts("a permit is released", lending(true), isBack)

it.simulate(
  "a permit is given back in any schedule",
  Effect.suspend(() => Effect.succeed(1)),
  { ...isBack, runs: 50 }
)

it.simulate("a permit is given back in all schedules", Effect.succeed(1), { ...isBack, isExhaustive: true })

describe("extend", () => {
  it("keeps the other properties of the it", () => {
    assert.strictEqual(it.effect, plain.effect)
    assert.isFunction(it.skip)
  })

  /** An `it` that keeps its tests by the method that registered them. */
  const fakeIt = () => {
    const tests: Array<readonly [how: string, name: string, run: () => void, timeout: number | undefined]> = []
    const register =
      (how: string): Vitest.Register =>
      (name, run, timeout) =>
        void tests.push([how, name, run, timeout])
    return {
      tests,
      it: Vitest.extend(Object.assign(register("it"), { only: register("only"), skip: register("skip") }))
    }
  }

  it("registers through only and skip, and once for each case", () => {
    const fake = fakeIt()
    fake.it.interrupts.only("only this", lending(true), isBack)
    fake.it.interrupts.skip("not this", lending(false), isBack)
    fake.it.interrupts.each([true, false])("safe: %s", lending, (isSafe) => ({ ...isBack, timeout: isSafe ? 1 : 2 }))
    fake.it.simulate.skip("nor this", Effect.succeed(1), {})
    const usual = 20_000 * Math.max(1, Vitest.factor())
    assert.deepStrictEqual(
      fake.tests.map(([how, name, , timeout]) => [how, name, timeout]),
      [
        ["only", "only this", usual],
        ["skip", "not this", usual],
        ["it", "safe: true", 1],
        ["it", "safe: false", 2],
        ["skip", "nor this", usual]
      ]
    )
  })

  it("repeats one run with the replay option that the report prints", () => {
    const fake = fakeIt()
    fake.it.interrupts("lends", lending(false), { ...isBack, timeout: 60_000 })
    let message = ""
    try {
      fake.tests[0]![2]()
    } catch (error) {
      message = String(error)
    }
    const [, printed] = /replay: (\{.*\})$/m.exec(message)!
    let runs = 0
    const counted: Interrupts.Program<number, never> = (stage) => {
      runs++
      return lending(false)(stage)
    }
    fake.it.interrupts("again", counted, { ...isBack, replay: JSON.parse(printed!) })
    assert.throws(fake.tests[1]![2], /the invariant is broken: 0/)
    assert.strictEqual(runs, 1)
  })

  it("explores programs that await promises with isAsync, and repeats one run", async () => {
    const tests: Array<() => void | Promise<void>> = []
    const fake = Vitest.extend((_: string, run: () => void | Promise<void>) => void tests.push(run))
    const awaiting =
      (isSafe: boolean): Interrupts.Program<number, never> =>
      (stage) =>
        Effect.andThen(
          Effect.promise(() => Promise.resolve()),
          lending(isSafe)(stage)
        )
    fake.interrupts("is safe", awaiting(true), { ...isBack, isAsync: true })
    fake.interrupts("is not", awaiting(false), { ...isBack, isAsync: true })
    await tests[0]!()
    const error = await Promise.resolve(tests[1]!()).then(
      () => undefined,
      (reason: unknown) => String(reason)
    )
    const [, printed] = /replay: (\{.*\})$/m.exec(error!)!
    fake.interrupts("again", awaiting(false), { ...isBack, isAsync: true, replay: JSON.parse(printed!) })
    fake.simulate(
      "ends",
      Effect.promise(() => new Promise(() => {})),
      { isAsync: true, runs: 10 }
    )
    for (const [index, message] of [
      [2, /the invariant is broken: 0/],
      [3, /left the simulation at PROMISE/]
    ] as const) {
      const failed = await Promise.resolve(tests[index]!()).catch(String)
      assert.match(String(failed), message)
    }
  })

  it("fails when the time limit leaves steps out", () => {
    const fake = fakeIt()
    fake.it.interrupts("too long", lending(true), { ...isBack, timeout: 0 })
    assert.throws(fake.tests[0]![2], /the time limit was reached before all steps were explored/)
  })

  it("fails with the law, the step, the seed and the line that repeats it", () => {
    const registered: Array<() => void> = []
    const fake = Vitest.extend((_: string, run: () => void) => void registered.push(run))
    fake.interrupts("lends", lending(false), isBack)
    fake.simulate("ends", Effect.never, { runs: 10 })
    assert.throws(
      registered[0]!,
      /the invariant is broken: 0[\s\S]*interrupt at step \d+[\s\S]*Interrupts\.replay\(.*"seed":0/
    )
    assert.throws(registered[1]!, /deadlock[\s\S]*Simulation\.replay\(.*"seed":0/)
  })

  it("fails when no point was visited, or not all schedules were run", () => {
    assert.throws(() => Vitest.checkInterrupts(() => Effect.void, {}), /no point was visited/)
    const three = Effect.all([Effect.yieldNow, Effect.yieldNow, Effect.yieldNow], { concurrency: 3 })
    assert.throws(() => Vitest.checkSimulation(three, { isExhaustive: true, maxRuns: 2 }), /not all schedules/)
  })
})
