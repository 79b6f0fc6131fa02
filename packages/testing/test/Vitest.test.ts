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

it.interrupts("a permit is given back", lending(true), isBack)

it.simulate(
  "a permit is given back in any schedule",
  Effect.suspend(() => Effect.succeed(1)),
  { ...isBack, runs: 50 }
)

it.simulate("a permit is given back in all schedules", Effect.succeed(1), { ...isBack, isExhaustive: true })

describe("extend", () => {
  it("keeps what the it has", () => {
    assert.strictEqual(it.effect, plain.effect)
    assert.isFunction(it.skip)
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
