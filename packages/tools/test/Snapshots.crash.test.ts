/** An undo whose program dies, or whose disk is full, at every write: nothing is left half restored. */
import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { build } from "esbuild"
import { bundleOptions } from "../../core/test/fixtures/bundleOptions.ts"
import { Snapshots } from "../src/index.ts"
import { directory } from "./host.ts"
import { repository, tree, write } from "./repositories.ts"
import { cases, leftovers, owner, prepareOnce, store } from "./explore/restorations.ts"

/** The program that undoes and dies, as one file, so that it starts quickly. */
const bundled = Effect.runSync(
  Effect.cached(
    Effect.promise(() => build({ ...bundleOptions(join(import.meta.dirname, "undoChild.ts")), write: false }))
  )
)

const prepared = prepareOnce()

/** Writes the program into a new directory. */
const child = Effect.gen(function* () {
  const program = join(yield* directory, "child.mjs")
  const { outputFiles } = yield* bundled
  writeFileSync(program, outputFiles[0]!.contents)
  return program
})

describe("an undo", () => {
  // each process takes its time: the test below stops at every write, in this one
  it.live(
    "J1 S12 whose process gets SIGKILL at each third write is finished or rolled back at the next start",
    () =>
      Effect.gen(function* () {
        const program = yield* child
        const { after, before, home, reset, top } = yield* prepared
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
            if (isUndone) yield* reset
          }).pipe(Effect.provide(store(home)))
          if (status === 0) break
        }
        assert.deepStrictEqual(results, new Set([undefined, "rolledBack", "finished"]))
      }).pipe(Effect.scoped),
    { timeout: 600_000 }
  )

  it.effect(
    "that a crash cuts is finished or rolled back at the next start",
    () => Effect.flatMap(prepared, cases.crashing),
    600_000
  )

  it.effect("that a crash cuts is recovered before the next snapshot", () =>
    Effect.flatMap(prepared, cases.snapshotting)
  )

  it.effect(
    "that a crash cuts leaves alone what the user has changed since",
    () => Effect.flatMap(prepared, cases.changing),
    600_000
  )

  it.effect("for which the disk is full changes no file", () => Effect.flatMap(prepared, cases.filling), 600_000)

  // the limit of a file's size is a full disk for large files only, and the program needs no rights for it
  for (const [when, isLargeBefore, error] of [
    ["its files are written", true, /SnapshotFailed: a file could not be read or written: .*EFBIG/],
    ["its snapshot is taken", false, /GitFailed: /]
  ] as const) {
    it.live(
      `S12 for which the system has no space when ${when} changes no file`,
      () =>
        Effect.gen(function* () {
          const program = yield* child
          const large = randomBytes(131_072).toString("base64")
          const top = yield* repository({ "changed.txt": isLargeBefore ? large : "one\n" })
          const home = yield* directory
          const snapshots = yield* Effect.provide(Snapshots.Snapshots, store(home))
          const { id } = yield* snapshots.begin(owner, top)
          write(top, "changed.txt", "two\n")
          yield* snapshots.complete(owner, id)
          if (!isLargeBefore) write(top, "later.txt", large)
          const after = tree(top)
          const limited = ["-c", 'trap "" XFSZ; ulimit -f 32; exec "$@"', "sh", process.execPath]
          const { signal, status, stderr } = spawnSync("sh", [...limited, program, home, owner, "-1"], {
            encoding: "utf8"
          })
          assert.deepStrictEqual([signal, status], [null, 1], stderr)
          assert.match(stderr, error)
          assert.deepStrictEqual(tree(top), after)
          assert.deepStrictEqual(leftovers(top), [])
          assert.isUndefined(yield* snapshots.recover(owner))
          yield* snapshots.restore(owner, yield* snapshots.plan(owner, { count: 1 }), { force: false })
          assert.strictEqual(readFileSync(join(top, "changed.txt"), "utf8"), isLargeBefore ? large : "one\n")
        }).pipe(Effect.scoped),
      600_000
    )
  }
})
