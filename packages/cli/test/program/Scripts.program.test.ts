// The program in scripts: what is on standard output, what is on standard error, and the exit code.
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { allowed, bin, command, events, journals, run, sessionOf, type World, world } from "../fixtures/program.ts"

/** Runs the program with its standard output in an open file. */
const writingTo = (stdout: number, { cwd, env }: World, args: ReadonlyArray<string>) =>
  new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const child = spawn(process.execPath, [bin, ...args], {
      cwd,
      env,
      stdio: ["ignore", stdout, "pipe"],
      detached: true
    })
    let stderr = ""
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.once("close", (code) => resolve({ code, stderr }))
  })

describe("standard input", () => {
  it.live("is added to a prompt as a block, and the program says so", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "fine" }] }] })
      const { code, stderr, stdout } = yield* run(at, ["exec", "review this"], { input: "\ufeff+ a line\n" })
      assert.deepStrictEqual([code, stdout], [0, "fine\n"])
      assert.include(stderr, "spindle: added standard input to the prompt (8 characters)\n")
      const input = JSON.stringify(at.server.requests[0]!.body.input)
      assert.include(input, JSON.stringify("review this\n\n<stdin>\n+ a line\n</stdin>").slice(1, -1))
    })
  )

  it.live("adds nothing if it is empty", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "fine" }] }] })
      const { stderr } = yield* run(at, ["exec", "review this"], { input: " \n" })
      assert.notInclude(stderr, "standard input")
      assert.notInclude(JSON.stringify(at.server.requests[0]!.body.input), "<stdin>")
    })
  )
})

describe("standard output", () => {
  it.live("shows output in full where there is no terminal", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [command("seq 1000")] }, { events: [{ text: "done" }] }] })
      const { stderr, stdout } = yield* run(at, ["exec", ...allowed, "count"])
      assert.strictEqual(stdout, "done\n")
      for (let line = 1; line <= 1_000; line++) assert.include(stderr, `\n  ${line}\n`)
    })
  )

  it.live("and standard error have no control characters of a server", () =>
    Effect.gen(function* () {
      const evil = "\u001b]0;x\u0007\u001b[2J\u009b0m"
      const at = yield* world({
        turns: [{ events: [{ text: `a${evil}` }] }, { status: 400, body: { error: { message: `b${evil}` } } }]
      })
      for (const args of [
        ["exec", "go"],
        ["exec", "--json", "go"],
        ["exec", evil]
      ]) {
        const { stderr, stdout } = yield* run(at, args)
        // oxlint-disable-next-line no-control-regex
        assert.notMatch(stderr + stdout, /[\u001b\u009b\u0007]/)
      }
    })
  )

  it.live("has no line of a log, whatever is logged", () =>
    Effect.gen(function* () {
      const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
      const logging = `setTimeout(() => { console.log("from the console"); console.info("and more") }, 0)`
      const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(logging)}` }
      const ended = yield* run(at, ["exec", "--json", "go"], { env })
      assert.strictEqual(ended.code, 0)
      assert.strictEqual(events(ended).at(-1).type, "turn.completed")
      assert.include(ended.stderr, "from the console\nand more\n")
    })
  )

  it.live.each([{ args: ["exec", "go"] }, { args: ["exec", "--json", "go"] }, { args: ["--help"] }])(
    "that is full: one sentence with the reason, exit code 1, and the session is kept: $args",
    ({ args }) =>
      Effect.gen(function* () {
        const at = yield* world({ turns: [{ events: [{ text: "done" }] }] })
        const full = Fs.openSync("/dev/full", "w")
        const ended = yield* Effect.promise(() => writingTo(full, at, args))
        Fs.closeSync(full)
        assert.strictEqual(ended.code, 1, ended.stderr)
        assert.match(ended.stderr, /spindle: cannot write to standard output: no space left on the disk\n/)
        if (args[0] === "exec") assert.lengthOf(journals(at.home), 1)
      })
  )
})

describe("sessions of another program or directory", () => {
  it.live("with CODEX_HOME: its configuration is read, and its sessions are neither listed, resumed nor changed", () =>
    Effect.gen(function* () {
      const at = yield* world({ fallback: { events: [{ text: "done" }] } })
      const rollout = Path.join(at.home, "sessions/2026/01/01/rollout-2026-01-01T00-00-00-01a1fd5c.jsonl")
      Fs.mkdirSync(Path.dirname(rollout), { recursive: true })
      Fs.writeFileSync(rollout, '{"type":"session_meta"}\n')
      const { SPINDLE_HOME: _, ...rest } = at.env
      const codex = { cwd: at.cwd, env: { ...rest, CODEX_HOME: at.home } }
      assert.strictEqual((yield* run(codex, ["sessions", "list"])).stdout, "no sessions yet\n")
      assert.strictEqual((yield* run(codex, ["exec", "resume", "--last", "go"])).code, 1)
      const ended = yield* run(codex, ["exec", "--json", "go"])
      assert.strictEqual(ended.code, 0, ended.stderr)
      assert.deepStrictEqual(journals(at.home), [rollout])
      assert.strictEqual(Fs.readFileSync(rollout, "utf8"), '{"type":"session_meta"}\n')
      assert.lengthOf(journals(Path.join(at.env["HOME"]!, ".spindle")), 1)
    })
  )

  it.live("--last takes those of the directory, --all any, and an id says where it worked", () =>
    Effect.gen(function* () {
      const at = yield* world({ fallback: { events: [{ text: "done" }] } })
      const elsewhere = Path.join(at.cwd, "elsewhere")
      Fs.mkdirSync(elsewhere)
      const id = sessionOf(yield* run(at, ["exec", "--json", "go"]))
      const there = { ...at, cwd: elsewhere }
      const none = yield* run(there, ["exec", "resume", "--last", "go"])
      assert.deepStrictEqual(
        [none.code, none.stderr],
        [1, `spindle: there is no session of ${elsewhere} to resume (--all: the last one of any directory)\n`]
      )
      const said = `spindle: this session worked in ${at.cwd}; it continues in ${elsewhere}\n`
      for (const which of [["--last", "--all"], [id.slice(0, 13)]]) {
        const again = yield* run(there, ["exec", "--json", "resume", ...which, "go"])
        assert.deepStrictEqual([again.code, sessionOf(again)], [0, id])
        assert.include(again.stderr, said)
      }
    })
  )

  it.live("a home where nothing can be made: one sentence with path and reason", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const home = "/proc/self/home"
      const flags = ["-c", "model_provider=mock", "-c", `model_providers.mock.base_url=${at.server.baseUrl}`]
      const { code, stderr, stdout } = yield* run(at, ["exec", ...flags, "go"], { env: { SPINDLE_HOME: home } })
      assert.deepStrictEqual([code, stdout], [1, ""])
      assert.strictEqual(stderr, `spindle: cannot make the directory ${home}/sessions: no such file or directory\n`)
    })
  )

  it.live.each([
    { args: ["exec", "hi"] },
    { args: ["exec", "resume", "--last", "hi"] },
    { args: ["review", "--uncommitted"] },
    { args: ["undo"] },
    { args: ["trace", "--last"] },
    { args: ["hooks", "list"] },
    { args: ["sandbox", "--", "true"] },
    { args: ["apply-patch", "x"] }
  ])("a working directory that was removed: one sentence, for $args", ({ args }) =>
    Effect.gen(function* () {
      const at = yield* world()
      const through = ["sh", "-c", 'd=$(mktemp -d); cd "$d"; rmdir "$d"; exec "$@"', "sh"]
      const { code, stderr, stdout } = yield* run(at, args, { through })
      assert.deepStrictEqual([code, stdout, at.server.requests.length], [2, "", 0])
      assert.strictEqual(stderr, "spindle: the working directory no longer exists; change to another one\n")
    })
  )

  it.live("a prompt that is refused leaves no session", () =>
    Effect.gen(function* () {
      const at = yield* world()
      const { code } = yield* run(at, ["exec", "-"], { input: "x".repeat(1_048_577) })
      assert.deepStrictEqual([code, journals(at.home)], [1, []])
    })
  )
})
