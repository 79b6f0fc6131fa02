import { assert, describe, it } from "@effect/vitest"
import { compare, format } from "./chat/comparison.ts"

describe("one tool call, stopped at each step", () => {
  const rows = compare()
  const [generated, streamed, session] = rows

  it("is lost, or left without a result, by a Chat at some steps", () => {
    assert.isAbove(generated!.lost.length, 0, format(rows))
    assert.isAbove(streamed!.open.length, 0, format(rows))
    assert.deepStrictEqual([...generated!.other, ...streamed!.other], [])
  })

  it("I6 J8 is kept with a result by a session at every step", () => {
    assert.deepStrictEqual([session!.lost, session!.open, session!.other], [[], [], []])
    assert.isAbove(session!.points, 300)
  })
})
