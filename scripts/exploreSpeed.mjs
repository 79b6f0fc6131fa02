// `npm run explore:speed`: runs per second of the explorer in both modes. One program, a message that is handed over through a queue under a timeout, is
// explored in turns: synchronously, asynchronously, and asynchronously with a promise where it slept. Prints the best of some rounds, which disturbs least.
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Interrupts from "../packages/testing/src/Interrupts.ts"

const rounds = 5

const handingOver = (save) => (stage) =>
  Effect.gen(function* () {
    const messages = yield* Queue.bounded(8)
    const saved = []
    const work = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        yield* restore(Queue.peek(messages))
        const message = yield* Queue.take(messages)
        yield* save
        saved.push(message)
      })
    )
    const worker = yield* stage.victim(Effect.forever(work))
    yield* Queue.offerAll(messages, ["a", "b", "c"])
    yield* Effect.sleep("10 seconds")
    yield* stage.disarm
    yield* Fiber.interrupt(worker)
    return [...saved, ...(yield* Queue.clear(messages))].join("")
  })

const sleeping = handingOver(Effect.sleep("1 second"))
const awaiting = handingOver(Effect.promise(() => Promise.resolve()))
const options = { invariant: (messages) => messages === "abc", seeds: [0, 1, 2, 3] }
const modes = [
  ["synchronous", () => Promise.resolve(Interrupts.explore(sleeping, options))],
  ["asynchronous", () => Effect.runPromise(Interrupts.exploreAsync(sleeping, options))],
  ["asynchronous, with promises", () => Effect.runPromise(Interrupts.exploreAsync(awaiting, options))]
]

const best = new Map()
for (let round = 0; round < rounds; round++) {
  for (const [name, explore] of modes) {
    const { durationMillis, runs, steps, violations } = await explore()
    if (violations.length > 0) throw new Error(`${name}: ${violations[0].law}`)
    const perSecond = (runs / durationMillis) * 1_000
    if (perSecond > (best.get(name)?.perSecond ?? 0)) best.set(name, { perSecond, runs, steps })
  }
}
console.log(`${"mode".padEnd(30)}${"steps".padStart(8)}${"runs".padStart(8)}${"runs/s".padStart(9)}`)
for (const [name, { perSecond, runs, steps }] of best) {
  console.log(
    `${name.padEnd(30)}${`${steps}`.padStart(8)}${`${runs}`.padStart(8)}${`${Math.round(perSecond)}`.padStart(9)}`
  )
}
