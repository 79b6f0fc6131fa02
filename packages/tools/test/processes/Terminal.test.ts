import { tmpdir } from "node:os"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { Processes, type ProcessSpec } from "@spindle/core/Processes"
import * as Terminal from "../../src/internal/terminal.ts"
import { carriersOf, host, newId } from "../host.ts"
import { readUntil, until } from "../output.ts"

const size = { columns: 90, rows: 30 }

const start = Effect.fnUntraced(function* (script: string, more: Partial<ProcessSpec> = {}) {
  const processId = newId()
  const processes = yield* Processes
  return yield* processes.start({ processId, command: ["bash", "-c", script], cwd: tmpdir(), input: size, ...more })
})

const textOf = (output: Stream.Stream<Uint8Array>) => Stream.mkString(Stream.decodeText(output))
const bytes = (text: string) => new TextEncoder().encode(text)

const hasTerminals = (await Effect.runPromise(Terminal.load)) !== undefined

// skipped where the optional package @lydell/node-pty is not installed
describe.skipIf(!hasTerminals)("a process on a terminal", () => {
  it.live("has a terminal of the given size, leads its own group, and reports its exit code", () =>
    Effect.gen(function* () {
      const child = yield* start("test -t 0 && test -t 1 && stty size; ps -o pgid= -p $$; exit 3")
      const text = yield* textOf(child.output)
      assert.deepStrictEqual(text.trim().split(/\s+/), ["30", "90", String(child.pid)])
      assert.deepStrictEqual(yield* child.exit, { exitCode: 3 })
      assert.isTrue(child.input?.isTerminal)
    }).pipe(Effect.provide(host))
  )

  it.live("reports death by a signal with its name", () =>
    Effect.gen(function* () {
      const child = yield* start("kill -9 $$")
      assert.deepStrictEqual(yield* child.exit, { exitCode: null, signal: "SIGKILL" })
    }).pipe(Effect.provide(host))
  )

  it.live("reads what is written, and its foreground process is notified of a new size", () =>
    Effect.gen(function* () {
      const child = yield* start(
        "trap 'stty size; exit 4' WINCH; read line; echo got $line; while :; do sleep 0.05; done"
      )
      yield* child.input!.write(bytes("héllo\n"))
      const { all } = yield* readUntil(child.output, "got héllo")
      yield* child.input!.resize({ columns: 100, rows: 33 })
      assert.deepStrictEqual(yield* child.exit, { exitCode: 4 })
      assert.include(yield* all, "33 100")
      const failure = yield* Effect.flip(child.input!.write(bytes("late")))
      assert.strictEqual(failure.detail, "it has ended")
      yield* child.input!.resize({ columns: 1, rows: 1 })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("sees the end of its input when that is closed", () =>
    Effect.gen(function* () {
      const child = yield* start("echo ready; cat > /dev/null; echo done")
      yield* until(child.output, "ready")
      yield* child.input!.close
      assert.deepStrictEqual(yield* child.exit, { exitCode: 0 })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a program or a directory that does not exist is a failure", () =>
    Effect.gen(function* () {
      const program = yield* Effect.flip(start("", { command: ["/no/such/program"] }))
      assert.strictEqual(program.detail, "there is no such program")
      const directory = yield* Effect.flip(start("true", { cwd: "/no/such/directory" }))
      assert.strictEqual(directory.detail, "there is no such directory")
    }).pipe(Effect.provide(host))
  )

  it.live("X1 ends with its descendants, those that ignore HUP and TERM included", () =>
    Effect.gen(function* () {
      const child = yield* start("trap '' HUP TERM; setsid sleep 300 & echo ready; sleep 300")
      yield* until(child.output, "ready")
      yield* (yield* Processes).end(child.processId, 50)
      assert.deepStrictEqual(carriersOf(child.processId), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

describe("a process with a pipe as its input", () => {
  it.live("reads what is written until the pipe is closed, and then no more can be written", () =>
    Effect.gen(function* () {
      const child = yield* start("cat; echo end", { input: "pipe" })
      assert.isFalse(child.input?.isTerminal)
      yield* child.input!.write(bytes("one\n"))
      yield* child.input!.write(bytes("two\n"))
      yield* child.input!.close
      assert.strictEqual(yield* textOf(child.output), "one\ntwo\nend\n")
      assert.strictEqual((yield* Effect.flip(child.input!.write(bytes("x")))).detail, "its input was closed")
    }).pipe(Effect.provide(host))
  )

  it.live("X4 input that the process does not read is bounded", () =>
    Effect.gen(function* () {
      const child = yield* start("exec sleep 300", { input: "pipe" })
      const write = child.input!.write(new Uint8Array(300_000))
      const failure = yield* Effect.flip(Effect.forever(write))
      assert.strictEqual(failure.detail, "it does not read the input that it was sent")
      yield* (yield* Processes).end(child.processId, 50)
      yield* child.exit
      assert.strictEqual((yield* Effect.flip(write)).detail, "it has ended")
    }).pipe(Effect.provide(host))
  )
})
