import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as Interrupts from "@spindle/testing/Interrupts"
import { exploreAll, format } from "./explored/piece.ts"
import { pieces } from "./explored/pieces.ts"

const page = readFileSync(new URL("../../../docs/explored.md", import.meta.url), "utf8")

describe("docs/explored.md", () => {
  for (const [index, one] of pieces.entries()) {
    it.live(`shows what the explorer finds: ${index + 1}. ${one.module}, ${one.program}`, () =>
      Effect.gen(function* () {
        const rows = yield* exploreAll([one])
        const [{ report }] = rows as [(typeof rows)[number]]
        assert.strictEqual(report.leftOutCount, 0)
        assert.isAbove(report.points, 0, Interrupts.format(report))
        assert.include(page, format(rows).split("\n")[2]!)
      })
    )
  }

  it("has no row of something else", () => {
    const modules = new Set(pieces.map(({ module }) => module))
    const rows = page.split("\n").filter((line) => modules.has(line.split("|")[1]?.trim() ?? ""))
    assert.lengthOf(rows, pieces.length)
  })
})
