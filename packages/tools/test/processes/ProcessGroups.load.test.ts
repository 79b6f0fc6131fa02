import { tmpdir } from "node:os"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Stream } from "effect"
import { Processes } from "@spindle/core/Processes"
import { BoundedOutput, Commands } from "../../src/index.ts"
import { carriersOf, newId } from "../host.ts"
import { until } from "../output.ts"
import { host } from "../turn.ts"

const shell = Effect.fnUntraced(function* (script: string) {
  return yield* (yield* Processes).start({ processId: newId(), command: ["bash", "-c", script], cwd: tmpdir() })
})

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** Bytes in use after a collection: the heap, and buffers outside of it. */
const bytesInUse = (): number => {
  collect()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

describe("processes that are hard to end", () => {
  it.live("X1 a process that is stopped ends", () =>
    Effect.gen(function* () {
      const child = yield* shell("sleep 300 & echo ready; kill -STOP $! $$")
      yield* until(child.output, "ready")
      yield* (yield* Processes).end(child.processId, 50)
      assert.deepStrictEqual(carriersOf(child.processId), [])
      assert.strictEqual((yield* child.exit).exitCode, null)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X1 64 processes at once end together", () =>
    Effect.gen(function* () {
      const { end } = yield* Processes
      const all = yield* Effect.forEach(Array.from({ length: 64 }), () => shell("sleep 300 & echo ready; wait"), {
        concurrency: 8
      })
      yield* Effect.forEach(all, ({ output }) => until(output, "ready"), { concurrency: "unbounded" })
      yield* Effect.forEach(all, ({ processId }) => end(processId, 500), { concurrency: "unbounded" })
      assert.deepStrictEqual(
        all.flatMap(({ processId }) => carriersOf(processId)),
        []
      )
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

describe("a command that prints without end", () => {
  it.live("X4 keeps head and tail of its output, and the memory in use does not grow", () =>
    Effect.gen(function* () {
      const commands = yield* Commands.Commands
      const process = yield* shell("echo first; exec yes")
      const [some, enough] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let bytes = 0
      const counted = Stream.tap(process.output, (chunk) => {
        bytes += chunk.length
        if (bytes > 134_217_728) return Deferred.succeed(enough, undefined)
        return bytes > 8_388_608 ? Deferred.succeed(some, undefined) : Effect.void
      })
      const command = yield* commands.start({ ...process, output: counted }, { command: "yes", cwd: "/" })
      yield* Deferred.await(some)
      const before = bytesInUse()
      yield* Deferred.await(enough)
      // an output that is kept would be 120 MB more
      assert.isBelow(bytesInUse() - before, 60_000_000)
      const { head, omittedBytes, tail } = command.peek().toKept()
      assert.match(head, /^first\ny\ny\n/)
      assert.strictEqual(head.length + tail.length, BoundedOutput.defaultLimitBytes)
      assert.isAbove(omittedBytes, 120_000_000)
      yield* command.end
      yield* command.ended
    }).pipe(Effect.provide(host))
  )
})

describe("the output of a command whose descendants hold it open", () => {
  it.live("9.1 ends with the command", () =>
    Effect.gen(function* () {
      const commands = yield* Commands.Commands
      const process = yield* shell("echo text; sleep 300 & exit 0")
      const command = yield* commands.start(process, { command: "sleep", cwd: "/" })
      assert.deepStrictEqual(yield* command.ended, { exit: { exitCode: 0 } })
      assert.strictEqual(command.tail(), "text\n")
      yield* command.end
      assert.deepStrictEqual(carriersOf(process.processId), [])
    }).pipe(Effect.provide(host))
  )
})
