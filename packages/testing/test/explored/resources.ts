/** Pool and RcMap under the explorer. */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pool from "effect/Pool"
import * as RcMap from "effect/RcMap"
import type * as Scope from "effect/Scope"
import { type Piece, piece } from "./piece.ts"

/** A resource that takes a millisecond to acquire and to release. */
const counted = () => {
  const counts = { acquired: 0, released: 0 }
  const acquire = Effect.acquireRelease(
    Effect.andThen(
      Effect.sleep(1),
      Effect.sync(() => ++counts.acquired)
    ),
    () =>
      Effect.andThen(
        Effect.sleep(1),
        Effect.sync(() => void counts.released++)
      )
  )
  return { counts, acquire }
}

const isReleased = ({ acquired, released }: { readonly acquired: number; readonly released: number }) =>
  acquired === released || `${acquired} acquired, ${released} released`

const borrowing = (name: string, borrow: (pool: Pool.Pool<number>) => Effect.Effect<unknown>) =>
  piece(
    ["Pool", `${name} of a pool of two, next to another borrower`, "two can be borrowed again, and all are released"],
    (stage) =>
      Effect.gen(function* () {
        const { acquire, counts } = counted()
        const lent = yield* Effect.scoped(
          Effect.gen(function* () {
            const pool = yield* Pool.make({ acquire, size: 2 })
            const other = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Pool.get(pool), Effect.sleep(5))))
            yield* stage.attack(borrow(pool))
            yield* Fiber.await(other)
            return yield* Effect.scoped(Effect.all([Pool.get(pool), Pool.get(pool)]))
          })
        )
        return { ...counts, lent }
      }),
    { invariant: ({ lent, ...counts }) => (new Set(lent).size === 2 ? isReleased(counts) : "one item is lent twice") }
  )

const waitingForAnItem = piece(
  ["Pool", "`get` that waits for the one item", "it can be borrowed again, and is released"],
  (stage) =>
    Effect.gen(function* () {
      const { acquire, counts } = counted()
      const lent = yield* Effect.scoped(
        Effect.gen(function* () {
          const pool = yield* Pool.make({ acquire, size: 1 })
          const other = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Pool.get(pool), Effect.sleep(5))))
          yield* Effect.sleep(2)
          yield* stage.attack(Effect.scoped(Effect.andThen(Pool.get(pool), Effect.sleep(1))))
          yield* Fiber.await(other)
          return yield* Effect.scoped(Effect.timeoutOption(Pool.get(pool), "1 minute"))
        })
      )
      return { ...counts, lent: lent._tag }
    }),
  { invariant: ({ lent, ...counts }) => (lent === "Some" ? isReleased(counts) : "the item is lost") }
)

const sharing = piece(
  ["RcMap", "one of two users of a key", "one resource at a time, released after its last user"],
  (stage) =>
    Effect.gen(function* () {
      const { acquire, counts } = counted()
      let highest = 0
      const use = (map: RcMap.RcMap<string, number>, millis: number) =>
        Effect.scoped(
          Effect.andThen(
            RcMap.get(map, "key"),
            Effect.andThen(
              Effect.sync(() => void (highest = Math.max(highest, counts.acquired - counts.released))),
              Effect.sleep(millis)
            )
          )
        )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const map = yield* RcMap.make<string, number, never, Scope.Scope>({
            lookup: () => acquire,
            idleTimeToLive: "1 second"
          })
          const other = yield* Effect.forkChild(use(map, 5))
          yield* stage.attack(use(map, 10))
          yield* Fiber.await(other)
          yield* Effect.sleep("10 seconds")
          highest = Math.max(highest, counts.acquired === counts.released ? 0 : 99)
        })
      )
      return { ...counts, highest }
    }),
  {
    invariant: ({ highest, ...counts }) =>
      highest === 99 ? "an idle resource is kept" : highest > 1 ? `${highest} at once` : isReleased(counts)
  }
)

const lookingUp = piece(
  ["RcMap", "the user that acquires, while another waits for the same key", "the other gets it"],
  (stage) =>
    Effect.gen(function* () {
      const { acquire, counts } = counted()
      const used = yield* Effect.scoped(
        Effect.gen(function* () {
          const map = yield* RcMap.make<string, number, never, Scope.Scope>({ lookup: () => acquire })
          const use = Effect.scoped(Effect.andThen(RcMap.get(map, "key"), Effect.sleep(1)))
          const victim = yield* stage.victim(use)
          const other = yield* Effect.forkChild(use)
          const exit = yield* Fiber.await(other)
          yield* Fiber.await(victim)
          yield* stage.disarm
          return exit._tag
        })
      )
      return { ...counts, used }
    }),
  { invariant: ({ used, ...counts }) => (used === "Success" ? isReleased(counts) : "the other user failed") }
)

/** Explorations of the tools that share resources. */
export const resources: ReadonlyArray<Piece> = [
  borrowing("`get`", (pool) => Effect.scoped(Effect.andThen(Pool.get(pool), Effect.sleep(3)))),
  borrowing("`use`", (pool) => Pool.use(pool, () => Effect.sleep(3))),
  waitingForAnItem,
  sharing,
  lookingUp
]
