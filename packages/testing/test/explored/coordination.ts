/** Semaphore, Queue and PubSub under the explorer. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as PubSub from "effect/PubSub"
import * as Queue from "effect/Queue"
import * as Semaphore from "effect/Semaphore"
import { type Piece, piece } from "./piece.ts"

const drainInto = (log: Array<number>) => (message: number) => Effect.sync(() => void log.push(message))

const withPermits = piece(
  ["Semaphore", "`withPermits(2)` that waits for a holder of one", "both permits are free"],
  (stage) =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      const holder = yield* Effect.forkChild(semaphore.withPermit(Effect.sleep(10)))
      yield* Effect.sleep(5)
      yield* stage.attack(semaphore.withPermits(2)(Effect.sleep(10)))
      yield* Fiber.await(holder)
      return yield* semaphore.takeIfAvailable(2)
    }),
  { invariant: (isFree) => isFree || "a permit is lost" }
)

const takeScoped = piece(
  ["Semaphore", "`takeScoped(2)` that waits for a holder of one", "both permits are free"],
  (stage) =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(2)
      const holder = yield* Effect.forkChild(semaphore.withPermit(Effect.sleep(10)))
      yield* Effect.sleep(5)
      yield* stage.attack(Effect.scoped(Effect.andThen(semaphore.takeScoped(2), Effect.sleep(10))))
      yield* Fiber.await(holder)
      return yield* semaphore.takeIfAvailable(2)
    }),
  { invariant: (isFree) => isFree || "a permit is lost" }
)

const takeByHand = piece(
  ["Semaphore", "`take(1)`, then `release(1)` in `Effect.ensuring`", "the permit is free"],
  (stage) =>
    Effect.gen(function* () {
      const semaphore = yield* Semaphore.make(1)
      yield* stage.attack(Effect.andThen(semaphore.take(1), Effect.ensuring(Effect.sleep(10), semaphore.release(1))))
      return yield* semaphore.takeIfAvailable(1)
    }),
  { invariant: (isFree) => isFree || "a permit is lost" }
)

const offering = piece(
  ["Queue", "`offer` of three messages to a queue of one", "what was accepted arrives, once and in order"],
  (stage) =>
    Effect.gen(function* () {
      const queue = yield* Queue.bounded<number>(1)
      const accepted: Array<number> = []
      const received: Array<number> = []
      const consumer = yield* Effect.forkChild(
        Effect.forever(Effect.andThen(Effect.sleep(3), Effect.flatMap(Queue.take(queue), drainInto(received))))
      )
      yield* stage.attack(
        Effect.forEach([1, 2, 3], (message) =>
          Effect.map(Queue.offer(queue, message), (isAccepted) => isAccepted && void accepted.push(message))
        )
      )
      yield* Effect.sleep("1 minute")
      yield* Fiber.interrupt(consumer)
      return { accepted, received }
    }),
  {
    // the last offer may have been accepted although its fiber was interrupted before it could note that
    invariant: ({ accepted, received }) =>
      ([0, 1].includes(received.length - accepted.length) &&
        received.every((message, index) => message === index + 1)) ||
      `accepted ${accepted}, received ${received}`
  }
)

const taking = piece(
  [
    "Queue",
    "`peek`, then `take` and a note without an interruption in between",
    "no message is lost, none is seen twice"
  ],
  (stage) =>
    Effect.gen(function* () {
      const queue = yield* Queue.unbounded<number>()
      const received: Array<number> = []
      // taken and noted in one uninterruptible step: what is explored is the queue
      const consume = Effect.forever(
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(restore(Queue.peek(queue)), () => Effect.flatMap(Queue.take(queue), drainInto(received)))
        )
      )
      const victim = yield* stage.victim(consume)
      for (const message of [1, 2, 3]) yield* Effect.andThen(Effect.sleep(1), Queue.offer(queue, message))
      yield* Effect.sleep("1 minute")
      yield* stage.disarm
      yield* Fiber.interrupt(victim)
      return [...received, ...(yield* Queue.clear(queue))]
    }),
  { invariant: (all) => all.join() === "1,2,3" || `received ${all}` }
)

const takenThenHandled = piece(
  ["Queue", "`take`, then the message is handled", "no message is lost"],
  (stage) =>
    Effect.gen(function* () {
      const queue = yield* Queue.unbounded<number>()
      const handled: Array<number> = []
      yield* Queue.offer(queue, 1)
      yield* stage.attack(Effect.flatMap(Queue.take(queue), drainInto(handled)))
      return [...handled, ...(yield* Queue.clear(queue))]
    }),
  { invariant: (all) => all.length === 1 || "the message is lost" }
)

const publishing = piece(
  ["PubSub", "`publish` of three messages to two subscribers, with room for one", "both receive the same, in order"],
  (stage) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pubsub = yield* PubSub.bounded<number>(1)
        const logs: readonly [Array<number>, Array<number>] = [[], []]
        const consumers: Array<Fiber.Fiber<never>> = []
        for (const log of logs) {
          const subscription = yield* PubSub.subscribe(pubsub)
          const take = Effect.andThen(Effect.sleep(3), Effect.flatMap(PubSub.take(subscription), drainInto(log)))
          consumers.push(yield* Effect.forkChild(Effect.forever(take)))
        }
        yield* stage.attack(Effect.forEach([1, 2, 3], (message) => PubSub.publish(pubsub, message)))
        yield* Effect.sleep("1 minute")
        yield* Fiber.interruptAll(consumers)
        return logs
      })
    ),
  {
    invariant: ([one, other]) =>
      (one.join() === other.join() && one.every((message, index) => message === index + 1)) || `${one} and ${other}`
  }
)

const subscribing = piece(
  ["PubSub", "one of two subscribers", "the other receives all, and the publisher does not wait for it"],
  (stage) =>
    Effect.scoped(
      Effect.gen(function* () {
        const pubsub = yield* PubSub.bounded<number>(1)
        const log: Array<number> = []
        const subscription = yield* PubSub.subscribe(pubsub)
        const consumer = yield* Effect.forkChild(
          Effect.forever(Effect.flatMap(PubSub.take(subscription), drainInto(log)))
        )
        const victim = yield* stage.victim(
          Effect.scoped(Effect.flatMap(PubSub.subscribe(pubsub), (own) => Effect.forever(PubSub.take(own))))
        )
        yield* Effect.sleep(1)
        yield* Effect.forEach([1, 2, 3], (message) => PubSub.publish(pubsub, message))
        yield* Effect.sleep("1 minute")
        yield* stage.disarm
        yield* Fiber.interruptAll([victim, consumer])
        return log
      })
    ),
  { invariant: (log) => log.join() === "1,2,3" || `received ${log}` }
)

/** Explorations of the tools that coordinate fibers. */
export const coordination: ReadonlyArray<Piece> = [
  withPermits,
  takeScoped,
  takeByHand,
  offering,
  taking,
  takenThenHandled,
  publishing,
  subscribing
]
