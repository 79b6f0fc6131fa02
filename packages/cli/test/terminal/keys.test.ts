import { assert, describe, it } from "@effect/vitest"
import * as Keys from "../../src/terminal/keys.ts"

describe("split", () => {
  it.each([
    ["abc", ["abc"], ""],
    ["ab\x1b[Dc", ["ab", "\x1b[D", "c"], ""],
    ["\x1b\x1b", ["\x1b"], "\x1b"],
    ["\x1b", [], "\x1b"],
    ["a\x1b[1;", ["a"], "\x1b[1;"],
    ["\x1bOA", ["\x1bOA"], ""],
    ["\x1bn", ["\x1b", "n"], ""]
  ] as const)("%j", (piece, tokens, rest) => {
    assert.deepStrictEqual(Keys.split(piece), { tokens: [...tokens], rest })
  })
})

describe("type", () => {
  it("takes the text around an arrow key, and ends at Escape", () => {
    assert.deepStrictEqual(Keys.type(Keys.empty, "ab\x1b[Dc"), { text: "abc", end: "open" })
    assert.deepStrictEqual(Keys.type(Keys.empty, "ab\x1b"), { text: "ab", end: "left" })
  })
})
