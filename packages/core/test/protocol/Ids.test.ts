import { assert, describe, it } from "@effect/vitest"
import { IdGenerator, sequential, uuidV7 } from "@spindle/core/Ids"
import { Effect, Schema } from "effect"

describe("uuidV7", () => {
  const form = /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/

  it("has the form of RFC 9562 and begins with its time", () => {
    for (const time of [0, 1, 1_718_360_049_300, 2 ** 48 - 1]) {
      const id = uuidV7(time)
      assert.match(id, form)
      assert.strictEqual(Number.parseInt(id.slice(0, 13).replace("-", ""), 16), time)
    }
  })

  it("is new each time, even when the pool of random bytes is drawn again", () => {
    const ids = Array.from({ length: 10_000 }, () => uuidV7(1_718_360_049_300))
    assert.strictEqual(new Set(ids).size, ids.length)
    for (const id of ids) assert.match(id, form)
  })

  it.prop(
    "sorts by time",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 ** 48 - 1 })))],
    ([times]) => {
      const sorted = [...new Set(times)].sort((a, b) => a - b)
      const ids = sorted.map(uuidV7)
      assert.deepStrictEqual([...ids].sort(), ids)
    }
  )
})

describe("IdGenerator", () => {
  it.effect("draws UUIDs by default; a sequential generator counts", () =>
    Effect.gen(function* () {
      assert.match((yield* IdGenerator).next(0), /^00000000-0000-7/)
      const counting = yield* Effect.provideService(Effect.service(IdGenerator), IdGenerator, sequential("id"))
      assert.deepStrictEqual([counting.next(0), counting.next(0), counting.next(9)], ["id-0", "id-1", "id-2"])
    })
  )
})
