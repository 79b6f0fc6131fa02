import { assert, describe, it } from "@effect/vitest"
import * as Cells from "../../src/internal/project/cells.ts"

const lineCount = (text: string) => text.split("\n").length

describe("a cell", () => {
  it("declares its variables, functions, classes and imports globally", () => {
    const source = `import a, { b as c } from "x"
import * as d from "y"
const { e, f: [g, ...h], i = 1 } = {}; let j, k = 2
function l() {}
class M {}
l()`
    const { code, names } = Cells.rewriteUnsafe(source)
    assert.deepStrictEqual(names, ["a", "c", "d", "e", "g", "h", "i", "j", "k", "l", "M"])
    assert.include(code, 'await import("x")')
    assert.include(code, "return (l()")
    assert.doesNotThrow(() => new Function(`return ${code}`))
  })

  it("keeps the numbers of its lines up to the last declaration", () => {
    const source = "import {\n  a\n} from 'x'\n\nnull.x"
    const { code } = Cells.rewriteUnsafe(source)
    assert.strictEqual(lineCount(code.slice(0, code.indexOf("null.x"))), 5)
  })

  it("is refused if it is no JavaScript, or exports", () => {
    for (const source of ["let broken = ;", "export const a = 1", "export default 1", "return 1", "{"]) {
      assert.throws(() => Cells.rewriteUnsafe(source), SyntaxError)
    }
    for (const source of ["", "// only a comment", "{ a: 1 }", "if (true) { var b = 1 }"]) {
      assert.doesNotThrow(() => new Function(`return ${Cells.rewriteUnsafe(source).code}`))
    }
  })
})
