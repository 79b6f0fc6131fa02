import { assert, describe, it } from "@effect/vitest"
import * as TokenUsage from "@spindle/core/TokenUsage"
import { pipe } from "effect"

const large = { input: 10, cachedInput: 4, output: 6, reasoning: 2, total: 16 }
const small = { input: 3, cachedInput: 5, output: 1, reasoning: 0, total: 4 }
const difference = { input: 7, cachedInput: 0, output: 5, reasoning: 2, total: 12 }

describe("TokenUsage", () => {
  it("adds and subtracts field by field, and not below 0", () => {
    assert.deepStrictEqual(TokenUsage.add(large, small), {
      input: 13,
      cachedInput: 9,
      output: 7,
      reasoning: 2,
      total: 20
    })
    assert.deepStrictEqual(TokenUsage.subtract(large, small), difference)
  })

  it("subtracts its argument in a pipe", () => {
    assert.deepStrictEqual(pipe(large, TokenUsage.subtract(small)), difference)
    assert.deepStrictEqual(pipe(TokenUsage.zero, TokenUsage.add(small)), small)
  })
})
