import { assert, describe, it } from "@effect/vitest"
import * as Output from "../../src/view/Output.ts"

const all = (...pieces: ReadonlyArray<readonly [offset: number, text: string]>) =>
  pieces.reduce((output, [offset, text]) => Output.add(output, { offset, text }), Output.empty)

describe("add", () => {
  it("takes pieces that overlap what came before only once", () => {
    assert.strictEqual(Output.textOf(all([0, "ab"], [0, "abc"], [2, "cd"])), "abcd")
  })

  it("counts text that was lost between two pieces", () => {
    assert.strictEqual(Output.textOf(all([0, "ab"], [5, "f"])), "ab\n[3 bytes of the output are left out here]\nf")
  })

  it("keeps the head and the tail of a long text, however it is cut into pieces", () => {
    const text = Array.from({ length: 400_000 }, (_, index) => `${index}\n`).join("")
    const cut = (size: number) => {
      let output = Output.empty
      for (let offset = 0; offset < text.length; offset += size) {
        output = Output.add(output, { offset, text: text.slice(offset, offset + size) })
      }
      return Output.textOf(output)
    }
    const expected = cut(text.length)
    assert.isTrue(expected.startsWith("0\n1\n") && expected.endsWith("399998\n399999\n"))
    assert.isBelow(expected.length, (1 << 20) + 100)
    for (const size of [1_000, 65_537, 1 << 20]) assert.strictEqual(cut(size), expected)
  })
})
