/**
 * Undos whose program dies, or whose disk is full, at every write: nothing is left half restored. The tests run them
 * with the unchanged sources and with each mutant of the restoration.
 */
import { chmodSync, cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert } from "@effect/vitest"
import { Effect, Exit, FileSystem, Layer, Option, PlatformError } from "effect"
import { Git, Snapshots } from "../../src/index.ts"
import { makeRepository, tree, write } from "../repositories.ts"

/** The owner of the snapshots. */
export const owner = "session"

/** A fault at a write: the program dies there, or that write alone fails because the disk is full. */
type Fault = { readonly at: number; readonly kind: "death" | "full" }

/** Operations that change the disk. */
const writes = ["makeDirectory", "remove", "rename", "symlink", "writeFileString"] as const

/** The files of this host with a fault at one write. The first write has the number `count`. */
const faulty = (fault: Fault, count = 0) => {
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

/** Snapshots in a directory, on the files of this host or others. */
export const store = (home: string, files?: Layer.Layer<FileSystem.FileSystem>) => {
  const services = files === undefined ? NodeServices.layer : Layer.merge(NodeServices.layer, files)
  return Snapshots.layer({ directory: home }).pipe(Layer.provideMerge(Git.layer), Layer.provideMerge(services))
}

/** A repository with a change that can be undone, and its snapshots. */
export interface Prepared {
  readonly top: string
  readonly home: string
  /** The files before the change and after it. */
  readonly before: ReturnType<typeof tree>
  readonly after: ReturnType<typeof tree>
  /** The plan of the undo, and the number of writes that planning makes. */
  readonly plan: Snapshots.Plan
  readonly planWrites: number
  /** Puts everything back as it was after the planning, at the same paths: the snapshots name them. */
  readonly reset: Effect.Effect<void>
}

const planUndo = Effect.flatMap(Snapshots.Snapshots, (snapshots) => snapshots.plan(owner, { count: 1 }))

const prepareIn = Effect.fnUntraced(function* (root: string) {
  const place = join(root, "place")
  const [top, home] = [join(place, "top"), join(place, "home")]
  makeRepository(top, { "changed.txt": "one\n", "removed/deep.txt": "removed\n" })
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
  const counting = faulty({ at: Infinity, kind: "death" })
  const plan = yield* Effect.provide(planUndo, store(home, counting.layer))
  const saved = join(root, "saved")
  const copy = (from: string, to: string) => cpSync(from, to, { recursive: true, preserveTimestamps: true })
  copy(place, saved)
  const reset = Effect.sync(() => {
    rmSync(place, { recursive: true })
    copy(saved, place)
  })
  return { top, home, before, after: tree(top), plan, planWrites: counting.count(), reset } satisfies Prepared
})

/** Prepares a repository for the tests of a file, once. */
export const prepareOnce = (): Effect.Effect<Prepared> => {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "spindle-")))
  afterAll(() => rmSync(root, { recursive: true }))
  const prepared = Effect.runSync(Effect.cached(Effect.orDie(prepareIn(root))))
  return Effect.tap(prepared, ({ reset }) => reset)
}

/** Undoes the change of a repository with a fault. The planning has no effect but its writes, so it runs for a fault in them only. */
const undo = ({ home, plan, planWrites }: Prepared, fault: Fault) => {
  const isInPlan = fault.at < planWrites
  const { layer } = faulty(fault, isInPlan ? 0 : planWrites)
  return Effect.gen(function* () {
    const snapshots = yield* Snapshots.Snapshots
    return yield* snapshots.restore(owner, isInPlan ? yield* planUndo : plan, { force: false })
  }).pipe(Effect.provide(store(home, layer)), Effect.exit)
}

/** The files that a restoration has staged and not removed. */
export const leftovers = (top: string) =>
  readdirSync(top, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith("~"))

/** A crash at every write is finished or rolled back at the next start. */
const crashing = Effect.fnUntraced(function* (prepared: Prepared) {
  const { after, before, home, reset, top } = prepared
  const results = new Set<string | undefined>()
  const redone = new Set<string>()
  for (let at = 0; ; at++) {
    const exit = yield* undo(prepared, { at, kind: "death" })
    const recovered = yield* Effect.gen(function* () {
      const snapshots = yield* Snapshots.Snapshots
      const found = yield* snapshots.recover(owner)
      assert.strictEqual(yield* snapshots.recover(owner), undefined, "S12 recovered twice")
      return found
    }).pipe(Effect.provide(store(home)))
    results.add(recovered?.result)
    assert.deepStrictEqual(leftovers(top), [], `S12 left over after a crash at write ${at}`)
    const isUndone = Exit.isSuccess(exit) || recovered?.result === "finished"
    assert.deepStrictEqual(tree(top), isUndone ? before : after, `S12 half restored after a crash at write ${at}`)
    if (Exit.isSuccess(exit)) break
    if (!isUndone) continue
    // a redo reads the stored changes and the files, so it runs once for each state of them
    const state = JSON.stringify(tree(home), (path, content: unknown) =>
      path.endsWith("/index") ? undefined : content
    )
    if (!redone.has(state)) {
      redone.add(state)
      yield* Effect.gen(function* () {
        const snapshots = yield* Snapshots.Snapshots
        yield* snapshots.restore(owner, yield* snapshots.plan(owner, { redo: true }), { force: false })
      }).pipe(Effect.provide(store(home)))
      assert.deepStrictEqual(tree(top), after)
    }
    yield* reset
  }
  assert.deepStrictEqual(results, new Set([undefined, "rolledBack", "finished"]))
})

/** A crash is recovered before the next snapshot is taken. */
const snapshotting = Effect.fnUntraced(function* (prepared: Prepared) {
  const { home, reset, top } = prepared
  for (const at of [4, 8, 12]) {
    yield* undo(prepared, { at, kind: "death" })
    yield* Effect.gen(function* () {
      const snapshots = yield* Snapshots.Snapshots
      const { before } = yield* snapshots.begin(owner, top)
      assert.strictEqual(yield* snapshots.recover(owner), undefined, "S12 recovered twice")
      assert.deepStrictEqual(before.leftOut, [])
    }).pipe(Effect.provide(store(home)))
    assert.deepStrictEqual(leftovers(top), [], "S12 left over")
    yield* reset
  }
})

/** A full disk, at every write, changes no file. */
const filling = Effect.fnUntraced(function* (prepared: Prepared) {
  const { after, before, home, top } = prepared
  for (let at = 0; ; at++) {
    const exit = yield* undo(prepared, { at, kind: "full" })
    assert.deepStrictEqual(leftovers(top), [], `S12 left over by a full disk at write ${at}`)
    const recovered = yield* Effect.provide(
      Effect.flatMap(Snapshots.Snapshots, (snapshots) => snapshots.recover(owner)),
      store(home)
    )
    if (Exit.isSuccess(exit) || recovered?.result === "finished") {
      assert.deepStrictEqual(tree(top), before)
      break
    }
    assert.strictEqual(Option.getOrThrow(Exit.findErrorOption(exit))._tag, "SnapshotFailed")
    assert.deepStrictEqual(tree(top), after, `S12 half restored by a full disk at write ${at}`)
  }
})

/** A file that the user changes after a crash keeps its content. */
const changing = Effect.fnUntraced(function* (prepared: Prepared) {
  const { before, home, top } = prepared
  let isFinished = false
  for (let at = 0; !isFinished; at++) {
    yield* undo(prepared, { at, kind: "death" })
    const isMoving = tree(top)["changed.txt"] !== before["changed.txt"] && leftovers(top).length > 0
    if (isMoving) writeFileSync(join(top, "changed.txt"), "of the user\n")
    yield* Effect.gen(function* () {
      const snapshots = yield* Snapshots.Snapshots
      const recovered = yield* snapshots.recover(owner)
      isFinished = recovered?.result === "finished"
      if (isMoving) {
        assert.strictEqual(
          readFileSync(join(top, "changed.txt"), "utf8"),
          "of the user\n",
          `S12 overwritten at write ${at}`
        )
      }
      if (isFinished) assert.deepStrictEqual(recovered?.untouched, ["changed.txt"])
    }).pipe(Effect.provide(store(home)))
    if (isMoving && !isFinished) writeFileSync(join(top, "changed.txt"), "two\n", { mode: 0o755 })
  }
})

/** The explorations by name. */
export const cases = { crashing, snapshotting, filling, changing }
