import { assert, describe, it } from "@effect/vitest"
import { matcher } from "../../src/internal/project/globs.ts"

describe("matcher", () => {
  it("takes braces for alternatives, also in each other and next to each other", () => {
    const matches = matcher("src/{a,{b,c}}.{ts,js}")
    const paths = ["src/a.ts", "src/b.js", "src/c.ts", "src/d.ts", "src/a.md"]
    assert.deepStrictEqual(paths.map(matches), [true, true, true, false, false])
  })

  it("takes the first alternatives of very many, and makes no more of them", () => {
    const many = `{${Array.from({ length: 1_000 }, (_, index) => `a${index}`).join(",")}}`
    const matches = matcher(many.repeat(20))
    assert.isTrue(matches("a0".repeat(20)))
    assert.isFalse(matches("a"))
  })
})
