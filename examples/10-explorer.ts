// The explorer: interrupts a program at each of its steps, and repeats what it finds. `npx node examples/10-explorer.ts`
import * as Interrupts from "@spindle/testing/Interrupts"
import { Effect, Ref } from "effect"

// moves a coin; interrupted between the two updates, it loses the coin
const losing = (from: Ref.Ref<number>, to: Ref.Ref<number>) =>
  Effect.andThen(
    Ref.update(from, (n) => n - 1),
    Effect.andThen(
      Effect.yieldNow,
      Ref.update(to, (n) => n + 1)
    )
  )

const keeping = (from: Ref.Ref<number>, to: Ref.Ref<number>) => Effect.uninterruptible(losing(from, to))

const coins =
  (move: typeof losing): Interrupts.Program<number, never> =>
  (stage) =>
    Effect.gen(function* () {
      const [from, to] = [yield* Ref.make(1), yield* Ref.make(0)]
      yield* stage.attack(move(from, to))
      return (yield* Ref.get(from)) + (yield* Ref.get(to))
    })

const options = { invariant: (count: number) => count === 1 }

const found = Interrupts.explore(coins(losing), options)
console.log(found.violations.length > 0, found.smallest.length)

// one line repeats the smallest case
console.log(Interrupts.replay({ program: coins(losing), ...options }, found.smallest[0]!.decisions))

console.log(Interrupts.explore(coins(keeping), options).violations.length)
// prints: true 1
// prints: the invariant is broken: 0
// prints: 0
