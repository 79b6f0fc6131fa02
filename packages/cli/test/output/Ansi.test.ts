import { assert, describe, it } from "@effect/vitest"
import * as Ansi from "../../src/output/Ansi.ts"

describe("visible", () => {
  it("passes no control sequence, however it is cut into pieces", () => {
    assert.strictEqual(Ansi.toVisible("a\x1b[31mb\x1b]0;title\x07c"), "a␛[31mb␛]0;title␇c")
    assert.strictEqual(["\x1b", "[2J"].map(Ansi.toVisible).join(""), "␛[2J")
    assert.strictEqual(Ansi.toVisible("\x9b31m\x7f\r\b"), "\\u{9b}31m␡␍␈")
  })

  it("shows marks that reorder or hide text, and keeps tabs and line breaks", () => {
    assert.strictEqual(Ansi.toVisible("rm \u202etxt.cod\u2066 \u200b"), "rm \\u{202e}txt.cod\\u{2066} \\u{200b}")
    assert.strictEqual(Ansi.toVisible("a\tb\r\nc 👩‍👧 é"), "a\tb\nc 👩‍👧 é")
  })
})

describe("outputLine", () => {
  it("keeps what a terminal would have left of a line", () => {
    assert.strictEqual(Ansi.outputLine("10 %\r50 %\r100 %\r"), "100 %")
    assert.strictEqual(Ansi.outputLine("\x1b[32m✔\x1b[39m ok\x1b]8;;http://x\x07"), "✔ ok")
    assert.strictEqual(Ansi.outputLine("a\x1b"), "a␛")
  })
})

describe("a line of very many carriage returns", () => {
  it("is shown in time that is linear in it, and without those at its end", () => {
    const many = "\r".repeat(1_000_000)
    assert.strictEqual(Ansi.outputLine(`a${many}b`), "b")
    assert.strictEqual(Ansi.outputLine(`a\rb${many}`), "b")
    assert.strictEqual(Ansi.outputLine(many), "")
  })
})

describe("width and fit", () => {
  it("count columns", () => {
    assert.deepStrictEqual(["abc", "日本", "é", "e\u0301", "✅"].map(Ansi.width), [3, 4, 1, 1, 2])
    assert.strictEqual(Ansi.fit("日本語", 6), "日本語")
    assert.strictEqual(Ansi.fit("日本語", 5), "日本…")
    assert.strictEqual(Ansi.fit("abcdef", 4), "abc…")
  })
})

describe("usesColor", () => {
  it("follows the flag, NO_COLOR, and the terminal", () => {
    assert.isTrue(Ansi.usesColor("auto", true, {}))
    assert.isFalse(Ansi.usesColor("auto", false, {}))
    assert.isFalse(Ansi.usesColor("auto", true, { NO_COLOR: "1" }))
    assert.isTrue(Ansi.usesColor("auto", true, { NO_COLOR: "" }))
    assert.isFalse(Ansi.usesColor("auto", true, { TERM: "dumb" }))
    assert.isTrue(Ansi.usesColor("always", false, { NO_COLOR: "1" }))
    assert.isFalse(Ansi.usesColor("never", true, {}))
  })
})

describe("characters that show nothing", () => {
  const hidden = {
    tag: 0xe0041,
    "cancel tag": 0xe007f,
    "soft hyphen": 0xad,
    "hangul filler": 0x3164,
    "choseong filler": 0x115f,
    "jungseong filler": 0x1160,
    "halfwidth filler": 0xffa0,
    "grapheme joiner": 0x34f,
    "braille blank": 0x2800,
    "vowel separator": 0x180e,
    "variation selector": 0xfe0f,
    "variation selector 17": 0xe0100,
    "interlinear anchor": 0xfff9,
    "inherent vowel": 0x17b4,
    "zero width space": 0x200b,
    "zero width joiner": 0x200d,
    "word joiner": 0x2060,
    "right-to-left override": 0x202e,
    "byte order mark": 0xfeff
  }
  it.each(Object.entries(hidden))("are shown by number: %s", (_, code) => {
    const text = `x${String.fromCodePoint(code)}y`
    const shown = `x\\u{${code.toString(16)}}y`
    assert.deepStrictEqual([Ansi.toVisible(text), Ansi.toExact(text)], [shown, shown])
  })

  it("are left alone inside an emoji, except in what a person decides about", () => {
    for (const text of ["⚠\ufe0f", "👩\u200d💻", "1\ufe0f\u20e3", "naïve", "日本語", "e\u0301", "grüße 👍"]) {
      assert.strictEqual(Ansi.toVisible(text), text)
    }
    assert.strictEqual(Ansi.toExact("⚠\ufe0f"), "⚠\\u{fe0f}")
    assert.strictEqual(Ansi.toExact("a\u00a0b\ud83dc"), "a\\u{a0}b\\u{d83d}c")
    assert.strictEqual(Ansi.toExact("naïve 日本語 👍\n\t"), "naïve 日本語 👍\n\t")
  })

  it("stay in the text for a program, without control characters", () => {
    assert.strictEqual(Ansi.escapeControls("a\u200fb\x1b[2J\x9b\r\n\t"), "a\u200fb\u241b[2J\\u{9b}\r\n\t")
  })
})
