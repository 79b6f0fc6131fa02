import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Utf8 } from "../src/index.ts"

const text = (value: string) => value.replaceAll(/[\ud800-\udfff]/g, "\u{1f600}")

describe("makeDecoder", () => {
  it.effect.prop("a text that arrives in any cut is decoded whole", [Schema.String, Schema.Int], ([value, seed]) =>
    Effect.sync(() => {
      const whole = text(`\u{1f600}é\ufeff${value}€`)
      const bytes = Utf8.encode(whole)
      const decoder = Utf8.makeDecoder()
      const step = 1 + (Math.abs(seed) % 5)
      let decoded = ""
      for (let start = 0; start < bytes.length; start += step)
        decoded += decoder.push(bytes.subarray(start, start + step))
      assert.strictEqual(decoded + decoder.end(), whole)
    })
  )

  it("an end inside a character becomes a replacement character", () => {
    const decoder = Utf8.makeDecoder()
    assert.strictEqual(decoder.push(Uint8Array.of(97, 0xe2, 0x82)), "a")
    assert.strictEqual(decoder.end(), "\ufffd")
  })
})

describe("split", () => {
  it.effect.prop(
    "pieces join to the text, none is larger than asked, and none splits a code point",
    [Schema.String, Schema.Int.check(Schema.isBetween({ minimum: 4, maximum: 20 }))],
    ([value, maxBytes]) =>
      Effect.sync(() => {
        const whole = text(value)
        const pieces = Utf8.split(whole, maxBytes)
        assert.strictEqual(pieces.join(""), whole)
        for (const piece of pieces) {
          const bytes = Utf8.encode(piece)
          assert.isAtMost(bytes.length, maxBytes)
          assert.strictEqual(Utf8.decodeStrict(bytes), piece)
          assert.isAbove(piece.length, 0)
        }
      })
  )
})

describe("decodeStrict", () => {
  it("refuses bytes that are not UTF-8 and keeps a byte order mark", () => {
    assert.isUndefined(Utf8.decodeStrict(Uint8Array.of(0xff)))
    assert.strictEqual(Utf8.decodeStrict(Uint8Array.of(0xef, 0xbb, 0xbf, 97)), "\ufeffa")
  })
})
