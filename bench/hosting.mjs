// How long `open` of an open session takes among many.
import { Agent, Journal, Sessions } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer } from "effect"

const counts = [1, 100, 10_000]
const samples = 20_000
const warmUp = 5_000

const host = Layer.provide(
  Sessions.layer(Agent.make({})),
  Layer.merge(ScriptedModel.make([]).layer, Journal.layerMemory())
)

const percentile = (sorted, share) => sorted[Math.floor(share * (sorted.length - 1))]

/** Opens open sessions, one after the other, and returns the times in microseconds, sorted. */
const measure = (count) =>
  Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    const ids = []
    for (let index = 0; index < count; index++) ids.push((yield* sessions.create()).sessionId)
    const times = new Float64Array(samples)
    for (let index = -warmUp; index < samples; index++) {
      const id = ids[(index + warmUp) % count]
      const from = performance.now()
      yield* sessions.open(id)
      if (index >= 0) times[index] = (performance.now() - from) * 1000
    }
    return times.sort()
  }).pipe(Effect.provide(host))

for (const count of counts) {
  const times = await Effect.runPromise(measure(count))
  const [p50, p99] = [0.5, 0.99].map((share) => percentile(times, share).toFixed(1))
  console.log(`open of an open session among ${String(count).padStart(6)}: p50 ${p50} µs, p99 ${p99} µs`)
}
