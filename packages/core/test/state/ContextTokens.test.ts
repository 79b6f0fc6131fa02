import { assert, describe, it } from "@effect/vitest"
import * as ContextTokens from "@spindle/core/ContextTokens"
import type { Item } from "@spindle/core/Item"
import type { NewRecord } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import { Schema } from "effect"
import * as Records from "../fixtures/records.ts"

const { recorded, replaced, rolledBack, said, started, turnStarted, user } = Records
const turnId = Records.turn("t")
const requestId = Records.modelRequest("r")
const requested = (aside?: true): NewRecord => ({
  _tag: "ModelRequested",
  turnId,
  requestId,
  attempt: 1,
  provider: "p",
  model: "m",
  ...(aside && { aside })
})
const responded = (total: number, estimated?: true): NewRecord => ({
  _tag: "ModelResponded",
  turnId,
  requestId,
  finish: "stop",
  usage: { input: total, cachedInput: 0, output: 0, reasoning: 0, total },
  ...(estimated && { estimated })
})
const tokensOf = (...records: ReadonlyArray<NewRecord>) =>
  ContextTokens.of(SessionState.fold(Records.numbered([started, turnStarted("t"), ...records])))
const item = (tokens: number): Item => said("x".repeat(4 * tokens))

describe("ContextTokens", () => {
  it("are estimated before the first report", () => {
    assert.strictEqual(tokensOf(), 0)
    assert.strictEqual(tokensOf(recorded("t", item(100)), recorded("t", item(20))), 120)
    assert.strictEqual(tokensOf(recorded("t", item(100)), requested(), responded(130, true)), 100)
  })

  it("are those reported for what the provider has seen, and scaled estimates for the rest", () => {
    const seen = [recorded("t", item(100)), requested(), recorded("t", item(20)), responded(180)]
    assert.strictEqual(tokensOf(...seen), 180)
    assert.strictEqual(tokensOf(...seen, recorded("t", item(10))), 195)
  })

  it("are scaled within limits: a report counts instructions and tools too", () => {
    const { greatest, least } = ContextTokens.scaleLimits
    const after = (total: number) => [recorded("t", item(10)), requested(), responded(total), recorded("t", item(100))]
    assert.strictEqual(tokensOf(...after(9_000)), 9_000 + greatest * 100)
    assert.strictEqual(tokensOf(...after(1)), 1 + least * 100)
  })

  it("are estimates again for a history that was replaced or rolled back, with the last scale", () => {
    const seen = [recorded("t", item(100)), requested(), responded(150)]
    assert.strictEqual(tokensOf(...seen, replaced("t", [item(40)])), 60)
    const first = [recorded("t", user("hello", "s")), Records.completed("t"), turnStarted("u")]
    const second = [recorded("u", user("x".repeat(400), "s2")), recorded("u", item(100))]
    const measured = [
      { ...requested(), turnId: Records.turn("u") },
      { ...responded(303), turnId: Records.turn("u") }
    ] as ReadonlyArray<NewRecord>
    const back = [...first, ...second, ...measured, Records.completed("u"), rolledBack(1)]
    assert.strictEqual(tokensOf(...back), 3)
  })

  it("ignore a request that is aside, and one that cost nothing", () => {
    const seen = [recorded("t", item(100)), requested(), responded(150)]
    assert.strictEqual(tokensOf(...seen, requested(true), responded(7_000)), 150)
    assert.strictEqual(tokensOf(...seen, requested(), responded(0)), 150)
  })

  it.prop(
    "never fall when the history grows",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))).check(Schema.isMaxLength(12))],
    ([sizes]) => {
      const records = sizes.flatMap((size, index) =>
        index % 3 === 2 ? [requested(), responded(size + 1)] : [recorded("t", item(size))]
      )
      let last: { readonly tokens: number; readonly isReport: boolean } = { tokens: 0, isReport: false }
      for (let count = 0; count <= records.length; count++) {
        const tokens = tokensOf(...records.slice(0, count))
        const isReport = records[count - 1]?._tag === "ModelResponded"
        if (!isReport) assert.isAtLeast(tokens, last.tokens)
        last = { tokens, isReport }
      }
    },
    { arbitrary: { runs: 200 } }
  )
})
