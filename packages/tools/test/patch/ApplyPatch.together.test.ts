/** Patches of several agents at the same time. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Deferred, Effect, Exit, Fiber, FileSystem, Layer } from "effect"
import { ApplyPatch } from "../../src/index.ts"
import { directory } from "../host.ts"

const change = (line: number) =>
  ["*** Begin Patch", "*** Update File: a", "@@", `-old ${line}`, `+new ${line}`, "*** End Patch"].join("\n")

const numbers = Array.from({ length: 10 }, (_, index) => index)
const content = (word: string) => numbers.map((line) => `${word} ${line}\n`).join("")

const apply = (cwd: string, line: number) => ApplyPatch.apply(change(line), { cwd })

/** A file system whose first write to a file waits at a gate. */
const makeGate = Effect.gen(function* () {
  const [isWriting, gate] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (fileSystem): FileSystem.FileSystem => ({
      ...fileSystem,
      open: (path, options) =>
        options?.flag !== "r+"
          ? fileSystem.open(path, options)
          : Effect.map(
              fileSystem.open(path, options),
              (file): FileSystem.File =>
                new Proxy(file, {
                  get: (target: any, name) => {
                    if (name !== "writeAll") return target[name]
                    return (bytes: Uint8Array) =>
                      Deferred.succeed(isWriting, undefined).pipe(
                        Effect.andThen(Deferred.await(gate)),
                        Effect.andThen(target.writeAll(bytes))
                      )
                  }
                })
            )
    }))
  )
  return { layer, isWriting: Deferred.await(isWriting), open: Deferred.succeed(gate, undefined) }
})

describe("patches of one file at the same time", () => {
  it.live("are all applied", () =>
    Effect.gen(function* () {
      const root = yield* directory
      for (let round = 0; round < 10; round++) {
        writeFileSync(join(root, "a"), content("old"))
        yield* Effect.forEach(numbers, (line) => apply(root, line), { concurrency: "unbounded" })
        assert.strictEqual(readFileSync(join(root, "a"), "utf8"), content("new"))
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("can be interrupted while they wait, and the next one is applied", () =>
    Effect.gen(function* () {
      const root = yield* directory
      writeFileSync(join(root, "a"), content("old"))
      const { isWriting, layer, open } = yield* makeGate
      const first = yield* Effect.forkChild(Effect.provide(apply(root, 0), layer))
      yield* isWriting
      const waiting = yield* Effect.forkChild(apply(root, 1), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
      yield* open
      yield* Fiber.join(first)
      yield* apply(root, 2)
      const expected = content("old").replace("old 0", "new 0").replace("old 2", "new 2")
      assert.strictEqual(readFileSync(join(root, "a"), "utf8"), expected)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("do not wait for one that has failed", () =>
    Effect.gen(function* () {
      const root = yield* directory
      writeFileSync(join(root, "a"), content("old"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(apply(root, 99))))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(ApplyPatch.apply("no patch", { cwd: root }))))
      yield* apply(root, 0)
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
