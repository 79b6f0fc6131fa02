/** An undo whose program dies, or whose disk is full, at every write: nothing is left half restored. */
import { spawnSync } from "node:child_process"
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Option, PlatformError } from "effect"
import { build } from "esbuild"
import { Git, Snapshots } from "../src/index.ts"
import { directory } from "./host.ts"
import { repository, tree, write } from "./repositories.ts"

const owner = "session"

/** What happens at a write: nothing, the death of the program from then on, or one failure. */
type Fault = { readonly at: number; readonly kind: "death" | "full" }

/** Operations that change the disk. */
const writes = ["makeDirectory", "remove", "rename", "symlink", "writeFileString"] as const

/** The files of this host with a fault at one write. */
const faulty = (fault: Fault) => {
  let count = 0
  const full = PlatformError.systemError({ _tag: "WriteZero", module: "FileSystem", method: "write" })
  const before = <A, E, R>(operation: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | PlatformError.PlatformError, R> => {
      const index = count++
      if (fault.kind === "death" && index >= fault.at) return Effect.die("the program died")
      return fault.kind === "full" && index === fault.at ? Effect.fail(full) : operation
    })
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (real) => {
      const wrapped = { ...real } as unknown as Record<
        string,
        (...args: ReadonlyArray<unknown>) => Effect.Effect<unknown>
      >
      for (const name of writes) {
        const operation = (real as unknown as typeof wrapped)[name]!
        wrapped[name] = (...args) => before(operation(...args)) as Effect.Effect<unknown>
      }
      const opened: typeof real.open = (path, options) => {
        const open = real.open(path, options)
        return options?.flag === "wx" ? (before(open) as typeof open) : open
      }
      return { ...(wrapped as unknown as typeof real), open: opened }
    })
  ).pipe(Layer.provide(NodeFileSystem.layer))
  return { layer, count: () => count }
}

const store = (home: string, files?: Layer.Layer<FileSystem.FileSystem>) => {
  const services = files === undefined ? NodeServices.layer : Layer.merge(NodeServices.layer, files)
  return Snapshots.layer({ directory: home }).pipe(Layer.provideMerge(Git.layer), Layer.provideMerge(services))
}

const undo = Effect.gen(function* () {
  const snapshots = yield* Snapshots.Snapshots
  return yield* snapshots.restore(owner, yield* snapshots.plan(owner, { count: 1 }), { force: false })
})

const prepare = Effect.gen(function* () {
  const top = yield* repository({ "changed.txt": "one\n", "removed/deep.txt": "removed\n" })
  const home = yield* directory
  const before = tree(top)
  yield* Effect.gen(function* () {
    const snapshots = yield* Snapshots.Snapshots
    const { id } = yield* snapshots.begin(owner, top)
    writeFileSync(join(top, "changed.txt"), "two\n")
    chmodSync(join(top, "changed.txt"), 0o755)
    rmSync(join(top, "removed"), { recursive: true })
    write(top, "new/file.txt", "new\n")
    yield* snapshots.complete(owner, id)
  }).pipe(Effect.provide(store(home)))
  return { top, home, before, after: tree(top) }
})

const leftovers = (top: string) =>
  readdirSync(top, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith("~"))

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

  it.effect("that a crash cuts is finished or rolled back at the next start", () =>
    Effect.gen(function* () {
      const { after, before, home, top } = yield* prepare
      const results = new Set<string | undefined>()
      for (let at = 0; ; at++) {
        const { layer } = faulty({ at, kind: "death" })
        const exit = yield* Effect.exit(Effect.provide(undo, store(home, layer)))
        const recovered = yield* Effect.gen(function* () {
          const snapshots = yield* Snapshots.Snapshots
          const found = yield* snapshots.recover(owner)
          assert.strictEqual(yield* snapshots.recover(owner), undefined)
          return found
        }).pipe(Effect.provide(store(home)))
        results.add(recovered?.result)
        assert.deepStrictEqual(leftovers(top), [], `a crash at write ${at}`)
        const isUndone = Exit.isSuccess(exit) || recovered?.result === "finished"
        assert.deepStrictEqual(tree(top), isUndone ? before : after, `a crash at write ${at}`)
        if (Exit.isSuccess(exit)) break
        if (!isUndone) continue
        yield* Effect.gen(function* () {
          const snapshots = yield* Snapshots.Snapshots
          yield* snapshots.restore(owner, yield* snapshots.plan(owner, { redo: true }), { force: false })
        }).pipe(Effect.provide(store(home)))
        assert.deepStrictEqual(tree(top), after)
      }
      assert.deepStrictEqual(results, new Set([undefined, "rolledBack", "finished"]))
    }).pipe(Effect.scoped)
  )

  it.effect("that a crash cuts is recovered before the next snapshot", () =>
    Effect.gen(function* () {
      const { home, top } = yield* prepare
      const snapshotAfter = (fault: Fault) =>
        Effect.gen(function* () {
          yield* Effect.exit(Effect.provide(undo, store(home, faulty(fault).layer)))
          yield* Effect.gen(function* () {
            const snapshots = yield* Snapshots.Snapshots
            const { before } = yield* snapshots.begin(owner, top)
            assert.strictEqual(yield* snapshots.recover(owner), undefined)
            assert.deepStrictEqual(before.leftOut, [])
          }).pipe(Effect.provide(store(home)))
          assert.deepStrictEqual(leftovers(top), [])
        })
      for (const at of [4, 8, 12]) yield* snapshotAfter({ at, kind: "death" })
    }).pipe(Effect.scoped)
  )

  it.effect("for which the disk is full changes no file", () =>
    Effect.gen(function* () {
      const { after, before, home, top } = yield* prepare
      for (let at = 0; ; at++) {
        const { layer } = faulty({ at, kind: "full" })
        const exit = yield* Effect.exit(Effect.provide(undo, store(home, layer)))
        const recovered = yield* Effect.provide(
          Effect.flatMap(Snapshots.Snapshots, (snapshots) => snapshots.recover(owner)),
          store(home)
        )
        assert.deepStrictEqual(leftovers(top), [])
        if (Exit.isSuccess(exit) || recovered?.result === "finished") {
          assert.deepStrictEqual(tree(top), before)
          break
        }
        assert.strictEqual(Option.getOrThrow(Exit.findErrorOption(exit))._tag, "SnapshotFailed")
        assert.deepStrictEqual(tree(top), after, `a full disk at write ${at}`)
      }
    }).pipe(Effect.scoped)
  )
})
