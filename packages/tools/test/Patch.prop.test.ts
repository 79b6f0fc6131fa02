import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { Patch } from "../src/index.ts"
import { Edits, hunksOf, joined, linesOf, small } from "./edits.ts"

const patchOf = (hunks: ReadonlyArray<string>) =>
  Result.getOrThrow(Patch.parse(["*** Begin Patch", "*** Update File: f", ...hunks, "*** End Patch"].join("\n")))

/** Applies a unified diff by its line numbers alone. */
const applyByNumbers = (content: string, diff: ReadonlyArray<string>): string => {
  const old = content === "" ? [] : content.replace(/\n$/, "").split("\n")
  const result: Array<string> = []
  let position = 0
  for (const line of diff) {
    const numbers = /^@@ -(\d+)(?:,(\d+))? \+(\d+)/.exec(line)
    if (numbers !== null) {
      const start = Number(numbers[1]) - (numbers[2] === "0" ? 0 : 1)
      while (position < start) result.push(old[position++]!)
    } else if (line.startsWith("+")) result.push(line.slice(1))
    else {
      assert.strictEqual(old[position], line.slice(1))
      position++
      if (line.startsWith(" ")) result.push(line.slice(1))
    }
  }
  result.push(...old.slice(position))
  return joined(result, content.endsWith("\n"))
}

describe("plan", () => {
  it.effect.prop(
    "a patch that is written from edits of a file applies to exactly the edited file",
    [Edits, small(3), Schema.Boolean],
    ([edits, context, isClosed]) =>
      Effect.gen(function* () {
        const lines = linesOf(edits)
        const hunks = hunksOf(lines, context)
        if (hunks.length === 0) return
        const before = joined(
          lines.map((line) => line.text),
          isClosed
        )
        const wanted = joined(
          lines.flatMap((line) => (line.isRemoved ? line.added : [...line.added, line.text])),
          isClosed
        )
        const plan = yield* Patch.plan(patchOf(hunks), { read: () => Effect.succeed(before) })
        assert.strictEqual(plan.files[0]!.after, wanted)
        assert.strictEqual(applyByNumbers(before, plan.changes[0]!.diff), wanted)
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop("a patch of which one line is changed does not apply", [Edits, small(100)], ([edits, choice]) =>
    Effect.gen(function* () {
      const lines = linesOf(edits)
      const hunks = hunksOf(lines, 1)
      const old = hunks.flatMap((line, index) => (line.startsWith("+") || line.startsWith("@@") ? [] : [index]))
      if (old.length === 0) return
      const broken = hunks.with(old[choice % old.length]!, `${hunks[old[choice % old.length]!]} broken`)
      const before = joined(
        lines.map((line) => line.text),
        true
      )
      const error = yield* Effect.flip(Patch.plan(patchOf(broken), { read: () => Effect.succeed(before) }))
      assert.include(error.message, "broken")
    })
  )

  it.effect.prop(
    "any text is a patch or a typed failure",
    [
      Schema.Array(
        Schema.Literals([
          "*** Begin Patch",
          "*** End Patch",
          "*** Add File: a",
          "*** Update File: b",
          "*** Delete File: c",
          "*** Move to: d",
          "*** End of File",
          "@@",
          "@@ x",
          "+x",
          "-x",
          " x",
          "x",
          "",
          "EOF",
          "```"
        ])
      )
    ],
    ([lines]) =>
      Effect.sync(() => {
        const result = Patch.parse(["*** Begin Patch", ...lines, "*** End Patch"].join("\n"))
        if (Result.isSuccess(result)) assert.isAbove(Patch.changes(result.success).length, 0)
      })
  )
})
