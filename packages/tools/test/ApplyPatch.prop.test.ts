import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Schema } from "effect"
import { ApplyPatch } from "../src/index.ts"
import { Edits, hunksOf, joined, linesOf, small } from "./edits.ts"
import { directory } from "./host.ts"

const contents = (root: string) =>
  readdirSync(root)
    .sort()
    .map((name) => [name, readFileSync(join(root, name), "hex")])

describe("apply", () => {
  it.effect.prop(
    "a patch of random edits gives exactly the edited files, and with one line that is not there it changes no byte",
    [Schema.Array(Edits).check(Schema.isMaxLength(4)), small(3)],
    ([all, context]) =>
      Effect.gen(function* () {
        const root = yield* directory
        const files = all.map((edits, index) => ({ name: `f${index}`, lines: linesOf(edits) }))
        for (const { name, lines } of files)
          writeFileSync(
            join(root, name),
            joined(
              lines.map((line) => line.text),
              true
            )
          )
        const updates = files.flatMap(({ lines, name }) => {
          const hunks = hunksOf(lines, context)
          return hunks.length === 0 ? [] : [`*** Update File: ${name}`, ...hunks]
        })
        const added = ["*** Add File: new", "+new"]
        const patch = (...lines: ReadonlyArray<string>) => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n")
        const before = contents(root)
        const broken = patch(...added, ...updates, "*** Update File: new", "@@", "-none")
        yield* Effect.flip(ApplyPatch.apply(broken, { cwd: root }))
        assert.deepStrictEqual(contents(root), before)

        yield* ApplyPatch.apply(patch(...updates, ...added), { cwd: root })
        for (const { lines, name } of files) {
          const wanted = lines.flatMap((line) => (line.isRemoved ? line.added : [...line.added, line.text]))
          assert.strictEqual(readFileSync(join(root, name), "utf8"), joined(wanted, true))
        }
        assert.strictEqual(contents(root).length, files.length + 1)
      }).pipe(Effect.scoped, Effect.provide(NodeServices.layer)),
    { arbitrary: { runs: 50 } }
  )
})
