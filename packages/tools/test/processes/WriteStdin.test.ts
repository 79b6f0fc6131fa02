import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { type Ids, Local, Turn } from "@spindle/core"
import { type Process, Processes } from "@spindle/core/Processes"
import type { TurnContext } from "@spindle/core/TurnContext"
import { TestClock } from "effect/testing"
import { CodingTools, Commands, ExecCommand, type ToolFailure, WriteStdin } from "../../src/index.ts"
import { carriersOf, directory } from "../host.ts"
import { host, makeTurn, sessionId } from "../turn.ts"

/** The tools in one turn of one session. */
const makeTools = Effect.gen(function* () {
  const cwd = yield* directory
  const { turn, ...seen } = yield* makeTurn
  const inTurn = Effect.provideService(Turn.Turn, turn)
  return {
    ...seen,
    exec: (params: ExecCommand.Parameters) => inTurn(ExecCommand.run(params, "call", { cwd, shell: "/bin/bash" })),
    write: (params: WriteStdin.Parameters) => inTurn(WriteStdin.run(params, "call"))
  }
})

/** The session ID that a result names. */
const numberOf = (text: string) => Number(/^Process running with session ID (\d+)$/m.exec(text)?.[1])

const outputOf = (text: string) => text.slice(text.indexOf("Output:\n") + 8)

/** Writes to a command and reads until its output has a text. */
const until = Effect.fnUntraced(function* (
  write: (params: WriteStdin.Parameters) => Effect.Effect<string, ToolFailure, Commands.Commands>,
  { chars, first, word }: { readonly first: string; readonly chars: string; readonly word: string }
) {
  const session_id = numberOf(first)
  let output = outputOf(first) + outputOf(yield* write({ session_id, chars }))
  while (!output.includes(word)) output += outputOf(yield* write({ session_id, chars: "\n" }))
})

describe("a command that still runs when its call returns", () => {
  it.live("9.1 has a session ID, is kept, and a later call returns the rest of its output and its end", () =>
    Effect.gen(function* () {
      const { exec, kept, started, write } = yield* makeTools
      const first = yield* exec({ cmd: "read line; echo got $line; exit 3", tty: true, yield_time_ms: 1 })
      const session_id = numberOf(first)
      assert.isAtLeast(session_id, 1_000)
      assert.isAtMost(session_id, 99_999)
      assert.deepStrictEqual(kept, started)
      const second = yield* write({ session_id, chars: "it\n", yield_time_ms: 30_000 })
      assert.include(second, "Process exited with code 3\n")
      assert.include(second, "got it")
      const third = yield* Effect.flip(write({ session_id }))
      assert.strictEqual(third.detail, `There is no running command with session ID ${session_id}.`)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("9.1 a shell keeps its variables between calls, and another shell does not see them", () =>
    Effect.gen(function* () {
      const { exec, write } = yield* makeTools
      const shell = { cmd: "exec bash --norc --noprofile -i", login: false, tty: true, yield_time_ms: 1 }
      const one = yield* exec(shell)
      const other = yield* exec(shell)
      yield* write({ session_id: numberOf(one), chars: "KEPT=value\n" })
      yield* until(write, { first: one, chars: 'echo "[$KEPT]"\n', word: "[value]" })
      yield* until(write, { first: other, chars: 'echo "[$KEPT]"\n', word: "[]" })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("\\u0003 interrupts it on a terminal, and ends it where there is none", () =>
    Effect.gen(function* () {
      const { exec, started, write } = yield* makeTools
      const cmd = "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done"
      const onTerminal = yield* exec({ cmd, login: false, tty: true, yield_time_ms: 1 })
      yield* until(write, { first: onTerminal, chars: "\n", word: "ready" })
      const text = yield* write({ session_id: numberOf(onTerminal), chars: "\u0003", yield_time_ms: 30_000 })
      assert.include(text, "Process exited with code 7\n")
      assert.include(text, "interrupted")
      const onPipes = yield* exec({ cmd: "exec sleep 300", login: false, yield_time_ms: 1 })
      const ended = yield* write({ session_id: numberOf(onPipes), chars: "\u0003", yield_time_ms: 30_000 })
      assert.include(ended, "Process ended by signal SIGTERM")
      assert.deepStrictEqual(started.flatMap(carriersOf), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("input for a command without input is refused", () =>
    Effect.gen(function* () {
      const { exec, write } = yield* makeTools
      const first = yield* exec({ cmd: "exec sleep 300", login: false, yield_time_ms: 1 })
      const failure = yield* Effect.flip(write({ session_id: numberOf(first), chars: "text" }))
      assert.strictEqual(failure.detail, "The command has no input. Start it with tty to write to it; \\u0003 ends it.")
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a command that runs longer than its limit is ended after its call has returned", () =>
    Effect.gen(function* () {
      const { exec, started, write } = yield* makeTools
      const first = yield* exec({ cmd: "exec sleep 300", login: false, yield_time_ms: 1, timeout_ms: 400 })
      const text = yield* write({ session_id: numberOf(first), yield_time_ms: 300_000 })
      assert.include(text, "Process was ended because it ran longer than its limit of 400 ms")
      assert.deepStrictEqual(started.flatMap(carriersOf), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

/** A process that ends when its gate opens, and prints the texts that are pushed. */
const makeProcess = Effect.gen(function* () {
  const exit = yield* Deferred.make<{ readonly exitCode: number }>()
  const process: Process = {
    processId: `p-${Math.random()}` as Ids.ProcessId,
    pid: 1,
    output: Stream.drain(Stream.fromEffect(Deferred.await(exit))),
    exit: Deferred.await(exit),
    gone: Effect.asVoid(Deferred.await(exit))
  }
  return { process, exit }
})

/** Processes that only count how they are ended. */
const makeEnds = () => {
  const ended: Array<string> = []
  const layer = Commands.layer.pipe(
    Layer.provide(
      Layer.succeed(Processes, {
        start: () => Effect.die("no process"),
        end: (id) => Effect.sync(() => void ended.push(id))
      })
    )
  )
  return { ended, layer }
}

const about = { command: "make", cwd: "/" }

describe("Commands", () => {
  it.effect("9.1 the 65th command of a session removes the least recently used, one that has ended first", () =>
    Effect.gen(function* () {
      const { ended, layer } = makeEnds()
      yield* Effect.gen(function* () {
        const commands = yield* Commands.Commands
        const session = { sessionId, scope: Effect.scope } as unknown as Turn.TurnSession
        const add = Effect.gen(function* () {
          const { exit, process } = yield* makeProcess
          const command = yield* commands.start(process, about)
          const { count, number } = yield* commands.add(session, command)
          return { command, count, exit, number, processId: process.processId }
        })
        const all = yield* Effect.all(Array.from({ length: 64 }, () => add))
        assert.deepStrictEqual(
          all.map(({ count }) => count),
          Array.from({ length: 64 }, (_, index) => index + 1)
        )
        // the first is used, and one of the last 8 and one in the middle have ended
        yield* commands.use(sessionId, all[0]!.number)
        for (const index of [30, 60]) {
          yield* Deferred.succeed(all[index]!.exit, { exitCode: 0 })
          yield* all[index]!.command.ended
        }
        const numbers = Effect.map(commands.list(sessionId), (list) => list.map(({ number }) => number))
        yield* add
        assert.notInclude(yield* numbers, all[30]!.number)
        assert.deepStrictEqual(ended, [])
        yield* add
        assert.notInclude(yield* numbers, all[1]!.number)
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(ended, [all[1]!.processId])
        assert.includeMembers([...(yield* numbers)], [all[0]!.number, all[60]!.number])
        assert.lengthOf(yield* numbers, 64)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped)
  )

  it.effect("the commands of a session are forgotten when it closes, and those of another stay", () =>
    Effect.gen(function* () {
      const commands = yield* Commands.Commands
      const scope = yield* Scope.make()
      const { process } = yield* makeProcess
      const command = yield* commands.start(process, about)
      const sessionOf = (id: string, of: Scope.Scope) =>
        ({ sessionId: id as Ids.SessionId, scope: Effect.succeed(of) }) as unknown as Turn.TurnSession
      yield* commands.add(sessionOf("one", scope), command)
      yield* commands.add(sessionOf("two", yield* Effect.scope), command)
      yield* Scope.close(scope, Exit.void)
      assert.lengthOf(yield* commands.list("one" as Ids.SessionId), 0)
      assert.lengthOf(yield* commands.list("two" as Ids.SessionId), 1)
    }).pipe(Effect.scoped, Effect.provide(makeEnds().layer))
  )

  it.effect("a command is found by its process until it has ended", () =>
    Effect.gen(function* () {
      const commands = yield* Commands.Commands
      const { exit, process } = yield* makeProcess
      const command = yield* commands.start(process, about)
      assert.strictEqual(yield* commands.find(process.processId), command)
      assert.isUndefined(yield* commands.find("another" as Ids.ProcessId))
      yield* Deferred.succeed(exit, { exitCode: 0 })
      yield* command.ended
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(yield* commands.find(process.processId))
    }).pipe(Effect.provide(makeEnds().layer))
  )

  it.effect("a turn that refuses output does not end the reader of its command", () =>
    Effect.gen(function* () {
      const commands = yield* Commands.Commands
      const { exit, process } = yield* makeProcess
      const command = yield* commands.start(
        { ...process, output: Stream.fromIterable([Uint8Array.of(97), Uint8Array.of(98)]) },
        about
      )
      yield* Deferred.succeed(exit, { exitCode: 0 })
      yield* command.publishDuring(() => Effect.interrupt, command.ended)
      assert.strictEqual(command.tail(), "ab")
    }).pipe(Effect.scoped, Effect.provide(makeEnds().layer))
  )
})

describe("the times of calls", () => {
  it.effect("9.1 exec_command waits 250 ms to 30 s, a poll 5 s to 300 s, and a call that writes 250 ms to 30 s", () =>
    Effect.gen(function* () {
      const { process } = yield* makeProcess
      const sent: Array<number> = []
      const input = {
        isTerminal: true,
        write: (bytes: Uint8Array) => Effect.sync(() => void sent.push(bytes.length)),
        close: Effect.void,
        resize: () => Effect.void
      }
      const scope = yield* Effect.scope
      let waiting = yield* Deferred.make<void>()
      const turn = {
        sessionId,
        session: { sessionId, scope: Effect.succeed(scope), locals: new Local.Locals() },
        locals: new Local.Locals(),
        process: () => Effect.succeed({ ...process, input }),
        keep: () => Effect.succeed(true),
        // the call looks at files of the host before it waits, which the clock of the test does not move
        detail: () => Effect.asVoid(Deferred.succeed(waiting, undefined)),
        output: () => Effect.void
      } as unknown as Turn.Turn
      /** How many milliseconds a call takes. */
      const millisOf = Effect.fnUntraced(function* <A, E, R>(call: Effect.Effect<A, E, R>) {
        waiting = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        yield* Deferred.await(waiting)
        let millis = 0
        for (; fiber.pollUnsafe() === undefined; millis += 50) yield* TestClock.adjust("50 millis")
        return { millis, text: String(yield* Fiber.join(fiber)) }
      })
      const cwd = yield* directory
      const exec = (params: Partial<ExecCommand.Parameters>) =>
        millisOf(ExecCommand.run({ cmd: "make", ...params }, "call", { cwd, shell: "/bin/sh" }))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* exec({})).millis, 10_000)
        assert.strictEqual((yield* exec({ yield_time_ms: 1 })).millis, 250)
        const { millis, text } = yield* exec({ yield_time_ms: 1e9 })
        assert.strictEqual(millis, 30_000)
        const session_id = numberOf(text)
        const write = (params: Partial<WriteStdin.Parameters>, options: WriteStdin.Options = {}) =>
          Effect.map(millisOf(WriteStdin.run({ session_id, ...params }, "call", options)), (call) => call.millis)
        assert.strictEqual(yield* write({}), 5_000)
        assert.strictEqual(yield* write({ yield_time_ms: 1 }), 5_000)
        assert.strictEqual(yield* write({ yield_time_ms: 1e9 }), 300_000)
        assert.strictEqual(yield* write({ yield_time_ms: 1e9 }, { maxPoll: "400 seconds" }), 400_000)
        assert.strictEqual(yield* write({ yield_time_ms: 1e9 }, { maxPoll: 1 }), 5_000)
        assert.strictEqual(yield* write({ chars: "x" }), 250)
        assert.strictEqual(yield* write({ chars: "x", yield_time_ms: 1e9 }), 30_000)
        assert.deepStrictEqual(sent, [1, 1])
      }).pipe(Effect.provideService(Turn.Turn, turn))
    }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Commands.layer, host)))
  )
})

describe("the policy of write_stdin", () => {
  it("waiting and interrupting need no approval, and writing needs that of a command", () => {
    const { write_stdin } = CodingTools.policies({ approval: "ask", cwd: "/" })
    const approve = write_stdin.approval as (params: WriteStdin.Parameters, context: TurnContext) => string
    assert.strictEqual(approve({ session_id: 1 }, {}), "allow")
    assert.strictEqual(approve({ session_id: 1, chars: "\u0003" }, {}), "allow")
    assert.strictEqual(approve({ session_id: 1, chars: "rm -r .\n" }, {}), "ask")
    assert.deepStrictEqual(write_stdin.payload!({ session_id: 1, chars: "x" }, {}), { sessionId: 1, input: "x" })
  })
})
