import { assert, describe, it } from "@effect/vitest"
import * as Ansi from "../../src/output/Ansi.ts"
import * as Wrapping from "../../src/output/wrapping.ts"

/** The same text in pieces of so many characters. */
const inPieces = (text: string, columns: number, size: number): string => {
  const characters = Array.from(text)
  let line = Wrapping.empty
  let written = ""
  for (let at = 0; at < characters.length; at += size) {
    const [next, more] = Wrapping.add(line, characters.slice(at, at + size).join(""), columns)
    line = next
    written += more
  }
  return written + Wrapping.end(line, columns)
}

describe("wrapping", () => {
  it.each([
    ["the quick brown fox jumps", 10, "the quick\nbrown fox\njumps"],
    ["ends just there", 10, "ends just\nthere"],
    ["ten digits 0123456789", 10, "ten digits\n0123456789"],
    ["  - indented words", 12, "  - indented\nwords"],
    ["a\n\nb \n  c", 10, "a\n\nb\n  c"],
    ["a\tb tab", 10, "a\tb\ntab"],
    ["see https://example.com/long here", 10, "see\nhttps://example.com/long here"],
    ["日本語のテキスト", 10, "日本語のテ\nキスト"],
    ["a 👩\u200d💻👩\u200d💻 b", 6, "a 👩\u200d💻\n👩\u200d💻 b"]
  ])("%j in %i columns", (text, columns, expected) => {
    for (const size of [1, 2, 3, 7, text.length]) assert.strictEqual(inPieces(text, columns, size), expected)
    assert.strictEqual(Wrapping.all(text, columns), expected)
  })

  it("cuts a word that is longer than a line, and no character", () => {
    assert.deepStrictEqual(Wrapping.cut("abcdefgh", 3), ["abc", "def", "gh"])
    assert.deepStrictEqual(Wrapping.cut("日本語", 3), ["日", "本", "語"])
    assert.deepStrictEqual(Wrapping.cut("e\u0301e\u0301", 1), ["e\u0301", "e\u0301"])
    assert.deepStrictEqual(Wrapping.cut("", 3), [""])
  })

  it("gives out every word as soon as the next one begins", () => {
    const [line, written] = Wrapping.add(Wrapping.empty, "one two thr", 20)
    assert.strictEqual(written, "one two")
    assert.strictEqual(written + Wrapping.add(line, "ee ", 20)[1], "one two three")
  })

  it("changes nothing but the white space at the ends of lines, and fills no line beyond its end", () => {
    const words = Array.from({ length: 300 }, (_, index) => "abcdefghij".slice(0, 1 + ((index * 7) % 10)))
    const text = words.join(" ")
    for (const columns of [10, 11, 37, 80]) {
      const wrapped = Wrapping.all(text, columns)
      assert.strictEqual(wrapped.replaceAll("\n", " "), text)
      assert.isTrue(wrapped.split("\n").every((line) => Ansi.width(line) <= columns))
    }
  })
})
