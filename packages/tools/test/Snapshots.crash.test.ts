/** An undo whose program dies, or whose disk is full, at every write: nothing is left half restored. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { Snapshots } from "../src/index.ts"
import { directory } from "./host.ts"
import { tree } from "./repositories.ts"
import { cases, leftovers, owner, prepare, store } from "./explore/restorations.ts"

/** The program that undoes and dies, as one file, so that it starts quickly. */
const child = Effect.gen(function* () {
  const outfile = join(yield* directory, "child.mjs")
  yield* Effect.promise(() =>
    build({
      entryPoints: [join(import.meta.dirname, "undoChild.ts")],
      outfile,
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["spindle-source"],
      banner: { js: 'import { createRequire } from "node:module";const require = createRequire(import.meta.url);' },
      logLevel: "silent"
    })
  )
  return outfile
})

describe("an undo", () => {
  // each process takes its time: the test below stops at every write, in this one
  it.live(
    "J1 S12 whose process gets SIGKILL at each third write is finished or rolled back at the next start",
    () =>
      Effect.gen(function* () {
        const program = yield* child
        const { after, before, home, top } = yield* prepare
        const results = new Set<string | undefined>()
        for (let at = 0; ; at += 3) {
          const { signal, status, stderr } = spawnSync(process.execPath, [program, home, owner, String(at)], {
            encoding: "utf8"
          })
          assert.isTrue(signal === "SIGKILL" || status === 0, stderr)
          yield* Effect.gen(function* () {
            const snapshots = yield* Snapshots.Snapshots
            const recovered = yield* snapshots.recover(owner)
            results.add(recovered?.result)
            assert.deepStrictEqual(leftovers(top), [], `killed at write ${at}`)
            const isUndone = status === 0 || recovered?.result === "finished"
            assert.deepStrictEqual(tree(top), isUndone ? before : after, `killed at write ${at}`)
            if (!isUndone) return
            yield* snapshots.restore(owner, yield* snapshots.plan(owner, { redo: true }), { force: false })
          }).pipe(Effect.provide(store(home)))
          if (status === 0) break
        }
        assert.deepStrictEqual(results, new Set([undefined, "rolledBack", "finished"]))
      }).pipe(Effect.scoped),
    { timeout: 600_000 }
  )

  it.effect("that a crash cuts is finished or rolled back at the next start", () => cases.crashing)

  it.effect("that a crash cuts is recovered before the next snapshot", () => cases.snapshotting)

  it.effect("that a crash cuts leaves alone what the user has changed since", () => cases.changing)

  it.effect("for which the disk is full changes no file", () => cases.filling)
})
