import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  allowed,
  command,
  events,
  journalLines,
  journals,
  processesOf,
  recordsOf,
  run,
  sessionOf,
  start,
  eventually,
  type World,
  world
} from "../fixtures/program.ts"

const killAndResume = Effect.fnUntraced(function* (
  at: World,
  ready: (stdout: string) => boolean | Effect.Effect<unknown>
) {
  const program = yield* start(at, ["exec", "--json", ...allowed, "the first prompt"])
  yield* eventually(() => program.stdout().includes("thread.started") && ready(program.stdout()) !== false)
  yield* program.kill("SIGKILL")
  const killed = yield* program.ended
  assert.strictEqual(killed.signal, "SIGKILL")
  const id = sessionOf(killed)
  const [file = ""] = journals(at.home)
  const before = journalLines(file)
  yield* at.server.load({})
  const again = yield* run(at, ["exec", "--json", ...allowed, "resume", id, "the second prompt"])
  assert.strictEqual(again.code, 0, again.stderr)
  const after = journalLines(journals(at.home)[0]!)
  return { again, before, after, killed, input: at.server.requests.at(-1)!.body.input as ReadonlyArray<any> }
})

/** Everything that the program printed before it was killed is in its journal, and the journal only grew. */
const losesNothing = ({ after, before, killed }: Effect.Success<ReturnType<typeof killAndResume>>): void => {
  assert.deepStrictEqual(after.slice(0, before.length), before)
  const printed = events({ stdout: killed.stdout.slice(0, killed.stdout.lastIndexOf("\n") + 1) })
  const texts = printed.flatMap(({ item, type }) =>
    type === "item.completed" && item.text !== undefined ? [item.text] : []
  )
  for (const text of texts) assert.include(before.join("\n"), JSON.stringify(text).slice(1, -1))
}

describe("after SIGKILL", () => {
  it.live.each([0, 3, 10, 30])(
    "J1 a turn that was killed %i ms after it began to stream continues with everything it had printed",
    (delay) =>
      Effect.gen(function* () {
        const many = Array.from({ length: 40 }, (_, index) => [{ text: `answer ${index}` }, { delay: 1 }]).flat()
        const at = yield* world({ turns: [{ events: [...many, { hang: true as const }] }] })
        let from: number | undefined
        const seen = yield* killAndResume(at, (stdout) => {
          if (from === undefined && stdout.includes("answer 0")) from = performance.now()
          return from !== undefined && performance.now() - from >= delay
        })
        losesNothing(seen)
        assert.include(JSON.stringify(seen.input), "the first prompt")
        assert.include(JSON.stringify(seen.input), "answer 0")
        assert.include(JSON.stringify(seen.input), "the second prompt")
      })
  )

  it.live("J8 a command that was killed with its host is unknown, is not run again, and is reported as unknown", () =>
    Effect.gen(function* () {
      const seconds = `${process.pid}.25`
      const at = yield* world({ turns: [{ events: [command(`echo x >> ran; sleep ${seconds}`)] }] })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const pid of processesOf(seconds)) process.kill(pid, "SIGKILL")
        })
      )
      const seen = yield* killAndResume(at, () => processesOf(seconds).length > 0)
      losesNothing(seen)
      assert.strictEqual(Fs.readFileSync(Path.join(at.cwd, "ran"), "utf8"), "x\n")
      const output = seen.input.find((item) => item.type === "function_call_output")
      assert.strictEqual(output.call_id, "c1")
      const result = seen.after.map((line) => JSON.parse(line)).find(({ item }) => item?._tag === "ToolResult")
      assert.strictEqual(result.item.status, "unknown")
      const lost = events(seen.again).find(({ item }) => item?.type === "error")
      assert.match(lost.item.message, /^spindle was killed while `.*` ran; its result is unknown$/)
      assert.isTrue(seen.after.some((line) => line.includes('"crashed":true')))
    })
  )

  it.live("X3 the next start of the program, in any directory, ends the processes that were left", () =>
    Effect.gen(function* () {
      const seconds = `${process.pid}.26`
      const script = `setsid sleep ${seconds} & trap '' TERM; sleep ${seconds}`
      const at = yield* world({ turns: [{ events: [command(script)] }] })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const pid of processesOf(seconds)) process.kill(pid, "SIGKILL")
        })
      )
      const program = yield* start(at, ["exec", "--json", ...allowed, "run it"])
      assert.isTrue(yield* eventually(() => processesOf(seconds).length === 2))
      const other = yield* world()
      yield* run(other, ["exec", "--json", "hello"])
      assert.lengthOf(processesOf(seconds), 2, "the host lives, and so do its processes")
      yield* program.kill("SIGKILL")
      yield* program.ended
      // a program of another test may start now, and end them as well
      yield* run(other, ["exec", "--json", "hello again"])
      assert.lengthOf(processesOf(seconds), 0)
    })
  )

  it.live("X3 a resume records that the processes which were left have ended", () =>
    Effect.gen(function* () {
      const seconds = `${process.pid}.27`
      const at = yield* world({ turns: [{ events: [command(`exec sleep ${seconds}`)] }] })
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const pid of processesOf(seconds)) process.kill(pid, "SIGKILL")
        })
      )
      const { after, before } = yield* killAndResume(at, () => processesOf(seconds).length > 0)
      const tagsOf = (lines: ReadonlyArray<string>) => lines.map((line) => JSON.parse(line)._tag)
      assert.include(tagsOf(before), "ProcessStarted")
      assert.notInclude(tagsOf(before), "ProcessEnded")
      assert.include(tagsOf(after), "ProcessEnded")
      assert.lengthOf(processesOf(seconds), 0)
    })
  )

  it.live("J1 a prompt that was acknowledged and not started is carried by the next resume", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const id = sessionOf(yield* run(at, ["exec", "--json", "one"]))
      const [file = ""] = journals(at.home)
      const records = recordsOf(file)
      const accepted = records.find(({ _tag }) => _tag === "InputAccepted")
      const waiting = {
        ...accepted,
        seq: records.length,
        submissionId: "waits",
        input: [{ _tag: "Text", text: "two" }]
      }
      Fs.appendFileSync(file, `${JSON.stringify(waiting)}\n`)
      const again = yield* run(at, ["exec", "--json", "resume", id, "three"])
      assert.strictEqual(again.code, 0)
      assert.lengthOf(
        events(again).filter(({ type }) => type === "turn.completed"),
        2
      )
      const [, second, third] = at.server.requests.map(({ body }) => JSON.stringify(body.input))
      assert.notInclude(second, '"three"')
      assert.include(second, '"two"')
      assert.include(third, '"three"')
    })
  )
})

describe("a damaged journal", () => {
  const damageAndResume = Effect.fnUntraced(function* (damage: (bytes: Buffer) => Buffer) {
    const at = yield* world({ turns: [{ events: [{ text: "kept" }] }] })
    const id = sessionOf(yield* run(at, ["exec", "--json", "first prompt"]))
    const [file = ""] = journals(at.home)
    const bytes = damage(Fs.readFileSync(file))
    Fs.writeFileSync(file, bytes)
    const shown = yield* run(at, ["sessions", "show", id])
    assert.strictEqual(shown.code, 0)
    assert.deepStrictEqual(Fs.readFileSync(file), bytes)
    const again = yield* run(at, ["exec", "resume", id, "second prompt"])
    assert.strictEqual(again.code, 0, again.stderr)
    return { again, bytes, shown, file, input: JSON.stringify(at.server.requests.at(-1)!.body.input) }
  })

  it.live("J1 with a torn last line continues, says what was cut, and keeps it next to the journal", () =>
    Effect.gen(function* () {
      const torn = '{"_tag":"ItemRecor'
      const { again, file, shown } = yield* damageAndResume((bytes) => Buffer.concat([bytes, Buffer.from(torn)]))
      assert.match(shown.stderr, /^spindle: the last \d+ bytes of the journal cannot be read; they are not shown\n$/)
      const [, cutBytes, cut = ""] =
        /^! the journal was damaged: its last (\d+) bytes are kept in (\S+)$/m.exec(again.stderr) ?? []
      assert.deepStrictEqual([Fs.readFileSync(cut, "utf8"), Number(cutBytes)], [torn, torn.length])
      const records = recordsOf(file)
      assert.deepStrictEqual(
        records.map(({ seq }) => seq),
        records.map((_, index) => index)
      )
    })
  )

  it.live("J1 with garbage in its middle keeps every record, and says how much is not readable", () =>
    Effect.gen(function* () {
      const garbage = "\x00\x01garbage\n"
      const { again, bytes, file, input, shown } = yield* damageAndResume((whole) => {
        const at = whole.indexOf("\n", whole.indexOf("\n") + 1) + 1
        return Buffer.concat([whole.subarray(0, at), Buffer.from(garbage), whole.subarray(at)])
      })
      const damage = `the journal is damaged: ${garbage.length} bytes between its records are not readable`
      assert.strictEqual(shown.stderr, `spindle: ${damage}\n`)
      assert.include(again.stderr, `! ${damage}\n`)
      for (const text of ["first prompt", "kept", "second prompt"]) assert.include(input, text)
      assert.deepStrictEqual(Fs.readFileSync(file).subarray(0, bytes.length), bytes)
    })
  )
})

describe("two processes", () => {
  it.live("J2 the second one that wants a session gets one line that names the first, and exits with 1", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "here" }, { gate: "go" }] }] })
      const first = yield* start(at, ["exec", "--json", "go"])
      yield* first.says("agent_message")
      const id = sessionOf({ stdout: first.stdout().split("\n")[0]! })
      const second = yield* run(at, ["exec", "--json", "resume", id, "me too"])
      assert.deepStrictEqual(
        [second.code, second.stdout, second.stderr],
        [1, "", `spindle: session ${id} is being written by process ${first.pid}\n`]
      )
      assert.include((yield* run(at, ["sessions", "list"])).stdout, id)
      yield* at.server.openGate("go")
      assert.strictEqual((yield* first.ended).code, 0)
      assert.strictEqual((yield* run(at, ["exec", "resume", id, "now"])).code, 0)
    })
  )

  it.live("J2 J5 a writer that finds another file in the place of its file fails, says so, and exits with 1", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "here" }, { gate: "go" }] }] })
      const program = yield* start(at, ["exec", "--json", "go"])
      yield* program.says("agent_message")
      const [file = ""] = journals(at.home)
      Fs.renameSync(file, `${file}.away`)
      Fs.copyFileSync(`${file}.away`, file)
      yield* at.server.openGate("go")
      const ended = yield* program.ended
      assert.strictEqual(ended.code, 1)
      assert.match(ended.stderr, /^spindle: cannot save the session in .+: .+\n$/)
      assert.deepStrictEqual(
        events(ended)
          .slice(-2)
          .map(({ type }) => type),
        ["error", "turn.failed"]
      )
    })
  )
})
