/**
 * A program that undoes the last change and kills itself at one of its writes: `undoChild.ts <home> <owner> <write>`.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem, Layer } from "effect"
import { Git, Snapshots } from "../src/index.ts"

const [home = "", owner = "", last = ""] = process.argv.slice(2)
let left = Number(last)

/** Dies instead of running the operation with the chosen number. */
const before = <A, E, R>(operation: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    if (left-- === 0) process.kill(process.pid, "SIGKILL")
    return operation
  })

const dying = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (real): FileSystem.FileSystem => ({
    ...real,
    makeDirectory: (...args) => before(real.makeDirectory(...args)),
    remove: (...args) => before(real.remove(...args)),
    rename: (...args) => before(real.rename(...args)),
    symlink: (...args) => before(real.symlink(...args)),
    writeFileString: (...args) => before(real.writeFileString(...args)),
    open: (path, options) => (options?.flag === "wx" ? before(real.open(path, options)) : real.open(path, options))
  }))
).pipe(Layer.provide(NodeFileSystem.layer))

const undo = Effect.gen(function* () {
  const snapshots = yield* Snapshots.Snapshots
  yield* snapshots.restore(owner, yield* snapshots.plan(owner, { count: 1 }), { force: false })
})

await Effect.runPromise(
  Effect.provide(
    undo,
    Snapshots.layer({ directory: home }).pipe(
      Layer.provideMerge(Git.layer),
      Layer.provideMerge(Layer.merge(NodeServices.layer, dying))
    )
  )
)
