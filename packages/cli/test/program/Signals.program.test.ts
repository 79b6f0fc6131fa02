import { execFileSync } from "node:child_process"
import { closeSync, constants, openSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  command,
  events,
  journals,
  processesOf,
  type Program,
  recordsOf,
  run,
  sessionOf,
  start,
  type StartOptions,
  eventually,
  type World,
  world
} from "../fixtures/program.ts"

let count = 0
/** A number of seconds that no other process sleeps for. Who still does when the test is over is killed. */
const uniqueSeconds = Effect.acquireRelease(
  Effect.sync(() => `${process.pid}${(count += 1)}.5`),
  (seconds) =>
    Effect.sync(() => {
      for (const pid of processesOf(seconds)) process.kill(pid, "SIGKILL")
    })
)

/** A command with a grandchild and a daemon, which says when all are there. */
const family = (seconds: string, before = "") =>
  command(`${before}sleep ${seconds} & setsid sleep ${seconds} & sleep 0; echo ready; sleep ${seconds}`)

/** Sends a signal, waits until no process of these sleeps is left, and returns the end of the program. */
const stopped = Effect.fnUntraced(function* (program: Program, signal: NodeJS.Signals, seconds: string) {
  yield* program.kill(signal)
  // contract X1
  assert.isTrue(yield* eventually(() => processesOf(seconds).length === 0))
  return yield* program.ended
})

/** Sends a signal and returns the end of the program. Without the signal it would run longer than a test may. */
const killed = (program: Program, signal: NodeJS.Signals) => Effect.andThen(program.kill(signal), program.ended)

const resumedInput = Effect.fnUntraced(function* (at: World, id: string) {
  const again = yield* run(at, ["exec", "--json", "resume", id, "go on"])
  assert.strictEqual(again.code, 0)
  return at.server.requests.at(-1)!.body.input as ReadonlyArray<any>
})

/** Opens a named pipe for writing, which fails until a reader has opened it. */
const openedWriter = (path: string) => {
  let descriptor: number | undefined
  return {
    isOpen: () => {
      try {
        descriptor ??= openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
      } catch {
        // not yet
      }
      return descriptor !== undefined
    },
    close: () => {
      if (descriptor !== undefined) closeSync(descriptor)
    }
  }
}

describe("signals", () => {
  it.live.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129]
  ] as const)(
    "X2 %s stops a command with its grandchildren and daemons, keeps the session, and exits with %i",
    ([signal, code]) =>
      Effect.gen(function* () {
        const seconds = yield* uniqueSeconds
        const at = yield* world({ turns: [{ events: [family(seconds)] }] })
        const program = yield* start(at, ["exec", "--json", ...allowed, "go"])
        yield* at.server.awaitRequests(1)
        assert.isTrue(yield* eventually(() => processesOf(seconds).length === 3))
        const ended = yield* killed(program, signal)
        assert.deepStrictEqual(processesOf(seconds), [])
        assert.deepStrictEqual([ended.code, ended.signal], [code, null])
        const id = sessionOf(ended)
        assert.strictEqual(ended.stderr, `resume: spindle exec resume ${id}\n`)
        assert.deepStrictEqual(events(ended).at(-1).item.status, "failed")
        const input = yield* resumedInput(at, id)
        const output = input.find((item) => item.type === "function_call_output")
        assert.match(output.output, /aborted by user/)
        assert.include(JSON.stringify(input), "<turn_aborted>")
      })
  )

  it.live("X2 SIGINT while text streams keeps what was shown, and says how to continue", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ endless: "so ", every: 2 }] }] })
      const program = yield* start(at, ["exec", "go"])
      yield* program.says("so so so")
      const ended = yield* killed(program, "SIGINT")
      assert.strictEqual(ended.code, 130)
      const [, text, id] =
        /\n((?:so )+)\n\n■ stopped · .*\nresume: spindle exec resume (\S+)\n$/.exec(ended.stderr) ?? []
      assert.strictEqual(ended.stdout, "")
      assert.strictEqual(yield* at.server.awaitStreamEnd(1), "closed early")
      const input = yield* resumedInput(at, id!)
      const shown = input.find((item) => item.role === "assistant").content[0].text as string
      assert.isTrue(shown.startsWith(text!), `${shown} begins with ${text}`)
    })
  )

  it.live("X2 SIGINT before the model responds ends at once", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ before: 60_000 }] })
      const program = yield* start(at, ["exec", "--json", "go"])
      yield* at.server.awaitRequests(1)
      const ended = yield* killed(program, "SIGINT")
      assert.strictEqual(ended.code, 130)
      assert.deepStrictEqual(
        events(ended).map(({ type }) => type),
        ["thread.started", "turn.started"]
      )
    })
  )

  it.live("X2 SIGINT while it waits to try again ends at once", () =>
    Effect.gen(function* () {
      const at = yield* world({ fallback: { status: 429, headers: { "retry-after": "60" } } })
      const program = yield* start(at, ["exec", "--json", "go"])
      yield* program.says("Reconnecting")
      const ended = yield* killed(program, "SIGINT")
      assert.strictEqual(ended.code, 130)
    })
  )

  it.live("X1 a command that ignores TERM is killed after its grace", () =>
    Effect.gen(function* () {
      const seconds = yield* uniqueSeconds
      const at = yield* world({ turns: [{ events: [family(seconds, "trap '' TERM INT HUP; ")] }] })
      const program = yield* start(at, ["exec", "--json", ...allowed, "go"])
      assert.isTrue(yield* eventually(() => processesOf(seconds).length === 3))
      const ended = yield* stopped(program, "SIGINT", seconds)
      assert.strictEqual(ended.code, 130)
      const [journal] = journals(at.home)
      const aborted = recordsOf(journal!).find(({ _tag }) => _tag === "TurnAborted")
      assert.strictEqual(aborted.stragglers[0].kind, "process")
    })
  )

  it.live.each(["while its turn is being stopped", "after its turn was settled"])(
    "X2 a second SIGINT kills the group of a command that ignores TERM, and exits at once, %s",
    (when) =>
      Effect.gen(function* () {
        const seconds = yield* uniqueSeconds
        const cmd = `trap '' TERM INT HUP; sleep ${seconds} & sleep ${seconds}`
        const call = { call: "exec_command", args: { cmd, login: false }, callId: "c1" }
        const at = yield* world({ turns: [{ events: [call] }] })
        const program = yield* start(at, ["exec", "--json", ...allowed, "go"])
        assert.isTrue(yield* eventually(() => processesOf(seconds).length === 2))
        yield* program.kill("SIGINT")
        // what two key presses are apart at least
        yield* Effect.sleep(60)
        if (when.startsWith("after")) {
          const journal = journals(at.home)[0]!
          assert.isTrue(yield* eventually(() => recordsOf(journal).some(({ _tag }) => _tag === "TurnAborted")))
        }
        const ended = yield* killed(program, "SIGINT")
        assert.deepStrictEqual([ended.code, ended.signal], [130, null])
        // an end in order waits for the grace of the command, and records how it ended
        assert.notInclude(
          recordsOf(journals(at.home)[0]!).map(({ _tag }) => _tag),
          "ProcessEnded"
        )
        assert.isTrue(yield* eventually(() => processesOf(seconds).length === 0))
        yield* resumedInput(at, sessionOf(ended))
      })
  )

  it.live("X1 X2 a second SIGINT kills a daemon that forks and exits all the time", () =>
    Effect.gen(function* () {
      const seconds = yield* uniqueSeconds
      const at = yield* world({
        turns: [{ events: [command(`setsid sh ./again ${seconds} > /dev/null 2>&1 & echo ready; sleep ${seconds}`)] }]
      })
      const script = ["trap '' TERM INT HUP", "sleep 0.1", `[ -e ${at.home} ] && setsid sh "$0" "$1" &`]
      writeFileSync(join(at.cwd, "again"), script.join("\n"))
      const program = yield* start(at, ["exec", "--json", ...allowed, "go"])
      assert.isTrue(yield* eventually(() => processesOf("./again").length > 0))
      yield* program.kill("SIGINT")
      // what two key presses are apart at least
      yield* Effect.sleep(60)
      const ended = yield* killed(program, "SIGINT")
      assert.strictEqual(ended.code, 130)
      // more than one look: a single one can miss a process that is replaced by its child
      assert.isTrue(yield* eventually(() => [1, 2, 3].every(() => processesOf(seconds).length === 0)))
    })
  )

  it.live.each<readonly [string, StartOptions]>([
    ["in a shell", { env: { _: "/usr/bin/nohup" } }],
    // a script that is started by nohup
    ["in a script", { through: ["sh", "-c", "trap '' HUP; \"$@\"; exit $?", "sh"] }],
    // what nohup gives a command whose input was a terminal
    ["through another program", { through: ["sh", "-c", 'exec "$@" 0>/dev/null', "sh"] }]
  ])("X2 SIGHUP does not stop what nohup has started %s", ([, options]) =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "here" }, { gate: "go" }] }] })
      const program = yield* start(at, ["exec", "--json", "go"], options)
      yield* program.says("agent_message")
      yield* program.killGroup("SIGHUP")
      yield* at.server.openGate("go")
      const ended = yield* program.ended
      assert.deepStrictEqual([ended.code, events(ended).at(-1).type], [0, "turn.completed"])
    })
  )

  it.live.each([
    ["--output-schema", "pipe"],
    ["--image", "pipe.png"]
  ])("X2 SIGINT stops the program while it reads a named pipe: %s", ([flag, name]) =>
    Effect.gen(function* () {
      const at = yield* world()
      const path = join(at.cwd, name!)
      execFileSync("mkfifo", [path])
      const program = yield* start(at, ["exec", flag!, path, "go"])
      const writer = openedWriter(path)
      // while it is open, the pipe does not end
      yield* Effect.addFinalizer(() => Effect.sync(writer.close))
      assert.isTrue(yield* eventually(writer.isOpen))
      const ended = yield* killed(program, "SIGINT")
      assert.deepStrictEqual([ended.code, at.server.requests.length], [130, 0])
    })
  )

  it.live("stops in order when the reader of its output has gone", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 1_000 }, () => [{ text: "line" }, { delay: 5 }]).flat()
      const at = yield* world({ turns: [{ events: many }] })
      const program = yield* start(at, ["exec", "--json", "go"])
      yield* program.says("agent_message")
      yield* program.closeStdout
      const ended = yield* program.ended
      assert.strictEqual(ended.code, 141)
      assert.match(ended.stderr, /^resume: spindle exec resume \S{36}\n$/)
      yield* resumedInput(at, ended.stderr.trim().split(" ").at(-1)!)
    })
  )
})
