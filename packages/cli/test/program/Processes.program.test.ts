import * as Fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  events,
  eventually,
  journals,
  processesOf,
  recordsOf,
  run,
  sessionOf,
  start,
  world
} from "../fixtures/program.ts"

describe("spindle sessions processes", () => {
  it.live("lists, tails and ends a command in the background while its session runs", () =>
    Effect.gen(function* () {
      const seconds = `${process.pid}.31`
      const cmd = `echo begun\nuntil [ -e go ]; do sleep 0.05; done; echo later; exec sleep ${seconds}`
      // long enough for the command to print
      const args = { cmd, login: false, yield_time_ms: 5_000 }
      const turns = [{ events: [{ call: "exec_command", args, callId: "c1" }] }, { events: [{ hang: true as const }] }]
      const at = yield* world({ turns })
      const program = yield* start(at, ["exec", "--json", ...allowed, "run it"])
      // the second request has what the command printed
      assert.isTrue(yield* eventually(() => at.server.requests.length === 2))
      const id = sessionOf({ stdout: program.stdout() })
      const [file = ""] = journals(at.home)
      const listed = yield* run(at, ["sessions", "processes", id, "--json"])
      const [only] = events(listed)
      assert.strictEqual(only.title, cmd)
      assert.strictEqual(only.output, "begun\n")
      assert.strictEqual(only.cwd, at.cwd)
      const line = yield* run(at, ["sessions", "processes", id])
      assert.include(line.stdout, `${only.processId}  `)
      assert.match(line.stdout, new RegExp(`echo begun until .*; exec sleep ${seconds}\\n$`))
      const tail = run(at, ["sessions", "processes", id, "--tail", only.processId])
      assert.deepInclude(yield* tail, { code: 0, stdout: "begun\n", stderr: "" })
      // no call reads what comes now
      Fs.writeFileSync(`${at.cwd}/go`, "")
      const later = yield* Effect.repeat(tail, { until: ({ stdout }) => stdout !== "begun\n" })
      assert.strictEqual(later.stdout, "begun\nlater\n")
      const unknown = yield* run(at, ["sessions", "processes", id, "--end", "other"])
      assert.deepStrictEqual([unknown.code, unknown.stderr], [1, "spindle: the session has no running process other\n"])
      assert.lengthOf(processesOf(seconds), 1)
      const ended = yield* run(at, ["sessions", "processes", id, "--end", "all"])
      assert.strictEqual(ended.stdout, `ended ${only.processId}\n`)
      assert.lengthOf(processesOf(seconds), 0)
      const isRecorded = () => recordsOf(file).some(({ _tag }) => _tag === "ProcessEnded")
      assert.isTrue(yield* eventually(isRecorded))
      assert.strictEqual((yield* run(at, ["sessions", "processes", id])).stdout, "no processes\n")
    })
  )

  it.live("the program gives a command a terminal, or says that there is none", () =>
    Effect.gen(function* () {
      const args = { cmd: "test -t 1 && stty size", login: false, tty: true }
      const at = yield* world({
        turns: [{ events: [{ call: "exec_command", args, callId: "c1" }] }, { events: [{ text: "done" }] }]
      })
      const ended = yield* run(at, ["exec", "--json", ...allowed, "run it"])
      // Node warns of an import in a compiled script
      assert.deepStrictEqual([ended.code, ended.stderr], [0, ""])
      const [call] = at.server.requests[1]!.body.input.filter((item: any) => item.type === "function_call_output")
      const isInstalled = Fs.existsSync(new URL("../../../../node_modules/@lydell/node-pty", import.meta.url))
      if (isInstalled) assert.match(call.output, /Output:\n24 80\r\n$/)
      else assert.match(call.output, /^This host has no pseudo terminals /)
    })
  )

  it.live("X1 a command in the background ends with the program", () =>
    Effect.gen(function* () {
      const seconds = `${process.pid}.32`
      const args = { cmd: `exec sleep ${seconds}`, login: false, yield_time_ms: 250 }
      const at = yield* world({
        turns: [{ events: [{ call: "exec_command", args, callId: "c1" }] }, { events: [{ text: "it runs" }] }]
      })
      const ended = yield* run(at, ["exec", "--json", ...allowed, "run it"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      const [call] = at.server.requests[1]!.body.input.filter((item: any) => item.type === "function_call_output")
      assert.match(call.output, /^Process running with session ID \d+$/m)
      assert.lengthOf(processesOf(seconds), 0)
    })
  )
})
