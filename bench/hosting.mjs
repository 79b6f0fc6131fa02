// How long `open` of an open session takes among many, and what sessions leave in the heap once they are unloaded.
// Needs --expose-gc.
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

const heapUsed = Effect.promise(async () => {
  for (let round = 0; round < 3; round++) {
    gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return process.memoryUsage().heapUsed
})

/** Creates and unloads sessions whose journals are not kept, and returns the growth of the heap in bytes for each. */
const unload = (count) =>
  Effect.gen(function* () {
    const sessions = yield* Sessions.Sessions
    const cycle = Effect.flatMap(sessions.create(), ({ sessionId }) => sessions.close(sessionId))
    const cycles = Effect.forEach(Array.from({ length: count }), () => cycle, { concurrency: 100, discard: true })
    yield* cycles
    const before = yield* heapUsed
    yield* cycles
    return ((yield* heapUsed) - before) / count
  }).pipe(
    Effect.provide(
      Layer.provide(
        Sessions.layer(Agent.make({})),
        Layer.merge(ScriptedModel.make([]).layer, Journal.layerMemory({ retainClosed: false }))
      )
    )
  )

const bytes = await Effect.runPromise(unload(10_000))
console.log(`heap for each of 10000 unloaded sessions: ${bytes.toFixed(1)} bytes`)
