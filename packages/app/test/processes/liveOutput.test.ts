/** The output of commands that another program asks for. */
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { ProcessId } from "@spindle/core/Ids"
import { type Command, Commands } from "@spindle/tools/Commands"
import { Deferred, Effect, Exit, Fiber, Logger, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as LiveOutput from "../../src/processes/liveOutput.ts"
import * as StoredProcesses from "../../src/storage/StoredProcesses.ts"

const home = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "spindle-"))),
  (path) => Effect.sync(() => Fs.rmSync(path, { recursive: true, force: true }))
)

/** Commands of which each has printed a text. */
const printing = (outputs: { readonly [processId: string]: string }) => {
  const find: Commands["find"] = (processId) => {
    const text = outputs[processId]
    return Effect.succeed(text === undefined ? undefined : ({ tail: () => text } as Command))
  }
  return Effect.provideService(Commands, { find } as Commands)
}

const tail = (at: string, processId: string) => StoredProcesses.tail(at, ProcessId.make(processId))

const socketsIn = (at: string) => Fs.readdirSync(Path.join(at, "commands")).filter((name) => name.endsWith(".sock"))

describe("the output of a command that runs", () => {
  it.live("is that of the program which runs it, for each of several programs", () =>
    Effect.gen(function* () {
      const at = yield* home
      yield* printing({ one: "a\nü\n", empty: "" })(LiveOutput.serve(at))
      yield* printing({ two: "b" })(LiveOutput.serve(at))
      assert.deepStrictEqual(yield* Effect.forEach(["one", "two", "empty", "three"], (id) => tail(at, id)), [
        "a\nü\n",
        "b",
        "",
        undefined
      ])
    })
  )

  it.live("is that of no program where none runs, or those that ran were killed", () =>
    Effect.gen(function* () {
      const at = yield* home
      assert.isUndefined(yield* tail(at, "one"))
      const scope = yield* Scope.make()
      yield* Scope.provide(printing({ one: "a" })(LiveOutput.serve(at)), scope)
      const [socket = ""] = socketsIn(at)
      assert.strictEqual(Fs.statSync(Path.join(at, "commands")).mode & 0o777, 0o700)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(socketsIn(at), [])
      // a socket on which no program listens
      const dead = Path.join(at, "commands", socket.replace(/^\d+/, "4194305"))
      Fs.writeFileSync(dead, "")
      assert.isUndefined(yield* tail(at, "one"))
      yield* printing({ one: "a" })(LiveOutput.serve(at))
      assert.isFalse(Fs.existsSync(dead))
      assert.strictEqual(yield* tail(at, "one"), "a")
    })
  )

  it.live("is that of a program with the pid of one that was killed, next to a program whose pid is not visible", () =>
    Effect.gen(function* () {
      const at = yield* home
      const directory = Path.join(at, "commands")
      Fs.mkdirSync(directory)
      const left = Array.from({ length: 50 }, (_, index) => Path.join(directory, `${process.pid}-${index}.sock`))
      for (const path of left) Fs.writeFileSync(path, "")
      const listening = Path.join(directory, "4194305-1.sock")
      const other = yield* Effect.acquireRelease(
        Effect.sync(() => Net.createServer((client) => client.on("error", () => undefined).end("+b"))),
        (server) => Effect.sync(() => server.close())
      )
      yield* Effect.callback<void>((resume) => void other.listen(listening, () => resume(Effect.void)))
      yield* printing({})(LiveOutput.serve(at))
      assert.deepStrictEqual(
        left.filter((path) => Fs.existsSync(path)),
        []
      )
      assert.lengthOf(socketsIn(at), 2)
      assert.strictEqual(yield* tail(at, "one"), "b")
    })
  )

  it.effect("is that of no program if the reply does not end in time", () =>
    Effect.gen(function* () {
      const at = yield* home
      const directory = Path.join(at, "commands")
      Fs.mkdirSync(directory)
      const requested = yield* Deferred.make<void>()
      const server = yield* Effect.acquireRelease(
        Effect.sync(() =>
          Net.createServer((client) => {
            client.on("error", () => undefined)
            const more = setInterval(() => client.write("b"), 100)
            client.on("close", () => clearInterval(more))
            client.write("+b")
            client.on("data", () => Deferred.doneUnsafe(requested, Effect.void))
          })
        ),
        (server) => Effect.sync(() => server.close())
      )
      const path = Path.join(directory, "1-1.sock")
      yield* Effect.callback<void>((resume) => void server.listen(path, () => resume(Effect.void)))
      const reading = yield* Effect.forkChild(tail(at, "one"), { startImmediately: true })
      yield* Deferred.await(requested)
      yield* TestClock.adjust(5_000)
      assert.isUndefined(yield* Fiber.join(reading))
    })
  )

  it.live("is complete, whatever its size", () =>
    Effect.gen(function* () {
      const at = yield* home
      const text = "é\n".repeat(200_000)
      yield* printing({ one: text })(LiveOutput.serve(at))
      assert.strictEqual(yield* tail(at, "one"), text)
    })
  )

  it.live("is not sent for a request that does not end, nor kept from the next one", () =>
    Effect.gen(function* () {
      const at = yield* home
      yield* printing({ one: "a" })(LiveOutput.serve(at))
      const [socket = ""] = socketsIn(at)
      const closed = yield* Deferred.make<string>()
      const client = Net.connect(Path.join(at, "commands", socket), () => client.write("x".repeat(1_000)))
      let received = ""
      client.on("data", (bytes) => (received += bytes.toString()))
      client.on("error", () => undefined)
      client.on("close", () => Deferred.doneUnsafe(closed, Effect.succeed(received)))
      assert.strictEqual(yield* Deferred.await(closed), "")
      assert.strictEqual(yield* tail(at, "one"), "a")
    })
  )

  it.live("is that of no program where a file is in the place of its directory", () =>
    Effect.gen(function* () {
      const at = yield* home
      Fs.writeFileSync(Path.join(at, "commands"), "")
      yield* printing({ one: "a" })(LiveOutput.serve(at))
      assert.isUndefined(yield* tail(at, "one"))
    })
  )

  it.live("cannot be asked for below a home whose path is too long, which keeps no session from opening", () =>
    Effect.gen(function* () {
      const at = Path.join(yield* home, "x".repeat(100))
      const logged: Array<unknown> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push([logLevel, String(message)]))
      yield* printing({ one: "a" })(LiveOutput.serve(at)).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(References.MinimumLogLevel, "All")
      )
      assert.match(String(logged), /^Debug,no program can read the output of commands: /)
      assert.isUndefined(yield* tail(at, "one"))
    })
  )
})
