import * as Fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { command, events, journals, processesOf, run, start, eventually, world } from "../fixtures/program.ts"

const scripted = { env: { OPENAI_API_KEY: undefined, CODEX_API_KEY: undefined } }

/** A world without a configuration. */
const bare = Effect.map(world(), (at) => {
  Fs.rmSync(`${at.home}/config.toml`)
  return at
})

const copyOf = (stderr: string): string => /^A scratch copy of the example project: (\S+)$/m.exec(stderr)![1]!

describe("demo", () => {
  it.live("repairs the example without a key, a network, a terminal or a person, and says who approved", () =>
    Effect.gen(function* () {
      const at = yield* bare
      const { code, stderr, stdout } = yield* run(at, ["demo"], scripted)
      assert.strictEqual(code, 0)
      assert.match(stdout, /^The tests pass now.*\n$/)
      assert.include(stderr, "a scripted model (no key, no network)")
      assert.include(stderr, "no terminal: the demo approves its own commands\n")
      assert.match(stderr, /✗ exit 1 .*[^]*✓ done .*[^]*ℹ fail 0[^]*✓ exit 0 .*[^]*The tests pass now[^]*✓ done · /)
      assert.include(stderr, "HTTP, processes, files and the journal are real")
      const copy = copyOf(stderr)
      assert.include(Fs.readFileSync(`${copy}/src/discount.js`, "utf8"), "Math.round")
      Fs.rmSync(copy, { recursive: true })
      const id = /session (\S+)\n$/.exec(stderr)![1]!
      assert.lengthOf(journals(at.home), 1)
      const show = yield* run(at, ["sessions", "show", id])
      assert.include(show.stdout, "The tests pass now")
    })
  )

  it.live("asks its script over HTTP, and says in one line that it cannot be served, before there is a session", () =>
    Effect.gen(function* () {
      const at = yield* bare
      // a host that gives no TCP port; the lease of a session listens elsewhere
      const refusing = `import net from "node:net"
        const listen = net.Server.prototype.listen
        net.Server.prototype.listen = function (...args) {
          if (args[0] !== 0) return listen.apply(this, args)
          process.nextTick(() => this.emit("error", new Error("listen EPERM")))
          return this
        }`
      const preload = `--import=data:text/javascript,${encodeURIComponent(refusing)}`
      const { code, stderr, stdout } = yield* run(at, ["demo"], { env: { ...scripted.env, NODE_OPTIONS: preload } })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.match(stderr, /\nspindle: the scripted model cannot listen on 127\.0\.0\.1: listen EPERM\n$/)
      assert.lengthOf(journals(at.home), 0)
      Fs.rmSync(copyOf(stderr), { recursive: true })
    })
  )

  it.live("refuses what another model asks for if there is no terminal, and tells the model", () =>
    Effect.gen(function* () {
      const at = yield* world({
        turns: [{ events: [command("touch invented")] }, { events: [{ text: "Then I cannot." }] }]
      })
      const { code, stderr } = yield* run(at, ["demo"], scripted)
      const copy = copyOf(stderr)
      assert.strictEqual(code, 3)
      assert.include(
        stderr,
        "no terminal to ask at: commands and patches are refused (--dangerously-bypass-approvals-and-sandbox runs"
      )
      assert.notInclude(stderr, "approves")
      assert.isFalse(Fs.existsSync(`${copy}/invented`))
      const [, second] = at.server.requests
      const { output } = second!.body.input.find((one: any) => one.type === "function_call_output")
      assert.strictEqual(output, "rejected: no terminal to ask at (--dangerously-bypass-approvals-and-sandbox runs it)")
      Fs.rmSync(copy, { recursive: true })
    })
  )

  it.live("leaves its model to the configuration when there is one", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "I looked at it." }] }] })
      const { code, stderr, stdout } = yield* run(at, ["demo"], scripted)
      assert.deepStrictEqual([code, stdout], [0, "I looked at it.\n"])
      assert.include(stderr, "the model gpt-test")
      assert.lengthOf(at.server.requests, 1)
      Fs.rmSync(copyOf(stderr), { recursive: true })
    })
  )

  it.live("X2 continues after a Ctrl-C where it was, as any session does", () =>
    Effect.gen(function* () {
      const at = yield* bare
      const program = yield* start(at, ["demo"], scripted)
      yield* program.says("Now the tests")
      yield* program.kill("SIGINT")
      const ended = yield* program.ended
      assert.strictEqual(ended.code, 130)
      const copy = copyOf(ended.stderr)
      assert.isTrue(yield* eventually(() => processesOf("--test-reporter=spec").length === 0))
      const id = /resume: spindle exec resume (\S+)/.exec(ended.stderr)![1]!
      const again = yield* run(
        at,
        [
          "exec",
          "--json",
          "-s",
          "danger-full-access",
          "-C",
          copy,
          "-c",
          "model_provider=scripted",
          "resume",
          id,
          "go on"
        ],
        scripted
      )
      assert.strictEqual(again.code, 0, again.stderr)
      assert.match(events(again).at(-2).item.text, /^The tests pass now/)
      Fs.rmSync(copy, { recursive: true })
    })
  )
})
