import { assert, describe, it } from "@effect/vitest"
import * as Ansi from "../../src/output/Ansi.ts"

describe("visible", () => {
  it("passes no control sequence, however it is cut into pieces", () => {
    assert.strictEqual(Ansi.visible("a\x1b[31mb\x1b]0;title\x07c"), "a␛[31mb␛]0;title␇c")
    assert.strictEqual(["\x1b", "[2J"].map(Ansi.visible).join(""), "␛[2J")
    assert.strictEqual(Ansi.visible("\x9b31m\x7f\r\b"), "\\u{9b}31m␡␍␈")
  })

  it("shows marks that reorder or hide text, and keeps tabs and line breaks", () => {
    assert.strictEqual(Ansi.visible("rm \u202etxt.cod\u2066 \u200b"), "rm \\u{202e}txt.cod\\u{2066} \\u{200b}")
    assert.strictEqual(Ansi.visible("a\tb\r\nc 👩‍👧 é"), "a\tb\nc 👩‍👧 é")
  })
})

describe("outputLine", () => {
  it("keeps what a terminal would have left of a line", () => {
    assert.strictEqual(Ansi.outputLine("10 %\r50 %\r100 %\r"), "100 %")
    assert.strictEqual(Ansi.outputLine("\x1b[32m✔\x1b[39m ok\x1b]8;;http://x\x07"), "✔ ok")
    assert.strictEqual(Ansi.outputLine("a\x1b"), "a␛")
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
