// What Effect's Ref, Queue and PubSub cost for the steps of a session that run once per event, against plain state.
// In processor time, which a busy machine changes less, the least of nine. The same work with each: publish an event to two readers, keep a state, and hand an event to one reader.
import { Effect, Fiber, PubSub, Queue, Ref, Stream } from "effect"

const events = 100_000
const repeats = 9

const time = async (make) => {
  const nanos = []
  for (let index = 0; index < repeats; index++) {
    const program = await Effect.runPromise(make)
    const from = process.cpuUsage()
    await Effect.runPromise(program)
    const { system, user } = process.cpuUsage(from)
    nanos.push(((user + system) * 1e3) / events)
  }
  return Math.min(...nanos)
}

const loop = (step) =>
  Effect.gen(function* () {
    for (let index = 0; index < events; index++) yield* step(index)
  })

const changes = Array.from({ length: 10 }, (_, index) => index)

const state = {
  "ten changes of a field in one step": Effect.sync(() => {
    let current = 0
    return loop((index) =>
      Effect.sync(() => {
        for (const change of changes) current += index + change
      })
    )
  }),
  "ten of Ref.update": Effect.map(Ref.make(0), (ref) =>
    loop((index) =>
      Effect.forEach(changes, (change) => Ref.update(ref, (current) => current + index + change), { discard: true })
    )
  )
}

const oneReader = {
  "an array and a waiting reader": Effect.sync(() => {
    let pending = []
    let seen = 0
    const drain = () => {
      seen += pending.length
      pending = []
    }
    return loop((index) =>
      Effect.sync(() => {
        pending.push(index)
        if (pending.length === 64) drain()
      })
    )
  }),
  "Queue.bounded, offer and takeAll": Effect.map(Queue.bounded(512), (queue) =>
    loop((index) =>
      index % 64 === 63 ? Effect.andThen(Queue.offer(queue, index), Queue.takeAll(queue)) : Queue.offer(queue, index)
    )
  ),
  "Queue.bounded, offer and take by another fiber": Effect.map(Queue.bounded(512), (queue) =>
    Effect.gen(function* () {
      const reader = yield* Effect.forkChild(loop(() => Queue.take(queue)))
      yield* loop((index) => Queue.offer(queue, index))
      yield* Fiber.join(reader)
    })
  )
}

const twoReaders = {
  "two arrays and waiting readers": Effect.sync(() => {
    const readers = [[], []]
    return loop((index) =>
      Effect.sync(() => {
        for (const pending of readers) if (pending.push(index) === 64) pending.length = 0
      })
    )
  }),
  "PubSub.bounded, two subscribers": Effect.map(PubSub.bounded(512), (pubsub) =>
    Effect.gen(function* () {
      const read = Stream.fromPubSub(pubsub).pipe(Stream.take(events), Stream.runDrain)
      const readers = yield* Effect.forEach([0, 1], () => Effect.forkChild(read, { startImmediately: true }))
      yield* loop((index) => PubSub.publish(pubsub, index))
      yield* Fiber.joinAll(readers)
    })
  )
}

for (const [group, ways] of Object.entries({
  "keep a state": state,
  "hand to one reader": oneReader,
  "publish to two readers": twoReaders
})) {
  for (const [name, make] of Object.entries(ways)) {
    console.log(`${group}: ${name.padEnd(48)} ${String(Math.round(await time(make))).padStart(7)} ns an event`)
  }
}
