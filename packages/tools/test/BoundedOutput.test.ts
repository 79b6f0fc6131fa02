import { assert, describe, it } from "@effect/vitest"
import { Effect, pipe, Schema } from "effect"
import { BoundedOutput, Utf8 } from "../src/index.ts"

const Bytes = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))
const Limit = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))

/** Cuts bytes into chunks of the given sizes, again and again. */
const chunksOf = (bytes: Uint8Array, cuts: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  for (let start = 0, index = 0; start < bytes.length; index++) {
    const size = cuts.length === 0 ? bytes.length : cuts[index % cuts.length]!
    chunks.push(bytes.slice(start, start + size))
    start += size
  }
  return chunks
}

const keptOf = (bytes: Uint8Array, limitBytes: number, cuts: ReadonlyArray<number>) => {
  const buffer = BoundedOutput.make(limitBytes)
  for (const chunk of chunksOf(bytes, cuts)) buffer.append(chunk)
  assert.strictEqual(buffer.totalBytes(), bytes.length)
  return buffer.toKept()
}

describe("BoundedOutput", () => {
  it.effect.prop(
    "X4 a text keeps its head and tail on character boundaries, and every byte is kept or counted",
    [Schema.String, Limit, Cuts],
    ([text, limitBytes, cuts]) =>
      Effect.sync(() => {
        const whole = text.replaceAll(/[\ud800-\udfff]/g, "\u{1f600}")
        const bytes = Utf8.encode(whole)
        const { head, omittedBytes, tail } = keptOf(bytes, limitBytes, cuts)
        assert.isTrue(whole.startsWith(head))
        assert.isTrue(whole.endsWith(tail))
        const keptBytes = Utf8.encode(head).length + Utf8.encode(tail).length
        assert.strictEqual(keptBytes + omittedBytes, bytes.length)
        assert.isAtMost(keptBytes, Math.max(limitBytes, 0))
        // no more than one cut character on each side
        if (bytes.length > limitBytes) assert.isAtLeast(keptBytes, limitBytes - 6)
        else assert.strictEqual(head, whole)
      })
  )

  it.effect.prop(
    "any bytes in any chunks are kept as in one chunk",
    [Bytes, Limit, Cuts],
    ([bytes, limitBytes, cuts]) =>
      Effect.sync(() => {
        const all = Uint8Array.from(bytes)
        assert.deepStrictEqual(keptOf(all, limitBytes, cuts), keptOf(all, limitBytes, []))
      })
  )

  it.effect.prop(
    "a smaller view is what a smaller buffer would have kept",
    [Bytes, Limit, Limit],
    ([bytes, one, two]) =>
      Effect.sync(() => {
        const buffer = BoundedOutput.make(Math.max(one, two))
        buffer.append(Uint8Array.from(bytes))
        const least = Math.min(one, two)
        assert.deepStrictEqual(buffer.toKept(least), keptOf(Uint8Array.from(bytes), least, []))
        assert.deepStrictEqual(buffer.toKept(100), buffer.toKept())
      })
  )

  it.effect.prop(
    "a value keeps what a buffer keeps, and values that were made from the same one do not change each other",
    [Bytes, Bytes, Limit, Cuts],
    ([bytes, others, limitBytes, cuts]) =>
      Effect.sync(() => {
        const addAll = (value: BoundedOutput.BoundedValue, all: ReadonlyArray<number>) =>
          chunksOf(Uint8Array.from(all), cuts).reduce(BoundedOutput.add, value)
        const value = addAll(BoundedOutput.empty(limitBytes), bytes)
        const expected = keptOf(Uint8Array.from(bytes), limitBytes, [])
        assert.deepStrictEqual(BoundedOutput.toKept(value), expected)
        const [one, other] = [addAll(value, others), addAll(value, others.toReversed())]
        assert.deepStrictEqual(BoundedOutput.toKept(value), expected)
        assert.deepStrictEqual(
          BoundedOutput.toKept(one),
          keptOf(Uint8Array.from([...bytes, ...others]), limitBytes, [])
        )
        assert.deepStrictEqual(
          BoundedOutput.toKept(other),
          keptOf(Uint8Array.from([...bytes, ...others.toReversed()]), limitBytes, [])
        )
      })
  )

  it("counts bytes that were lost, and keeps what comes after them in the tail", () => {
    const value = pipe(
      BoundedOutput.add(BoundedOutput.empty(8), Utf8.encode("ab")),
      BoundedOutput.skip(3),
      BoundedOutput.add(Utf8.encode("cd"))
    )
    assert.deepStrictEqual(BoundedOutput.toKept(value), { head: "ab", tail: "cd", omittedBytes: 3 })
    assert.strictEqual(value.totalBytes, 7)
  })

  it("keeps the first and the last half of a large output", () => {
    const buffer = BoundedOutput.make()
    for (let index = 0; index < 40; index++) buffer.append(new Uint8Array(65_536).fill(97 + (index % 26)))
    const { head, omittedBytes, tail } = buffer.toKept()
    assert.strictEqual(head.length, 524_288)
    assert.strictEqual(tail.length, 524_288)
    assert.strictEqual(omittedBytes, 40 * 65_536 - 1_048_576)
    assert.strictEqual(head[0], "a")
    assert.strictEqual(tail.at(-1), "n")
  })

  it("stays bounded when a byte is appended at a time", () => {
    const buffer = BoundedOutput.make(1_000)
    for (let index = 0; index < 100_000; index++) buffer.append(Uint8Array.of(48 + (index % 10)))
    assert.strictEqual(buffer.toKept().tail.slice(-12), "890123456789")
    assert.strictEqual(buffer.toKept().omittedBytes, 99_000)
  })
})
