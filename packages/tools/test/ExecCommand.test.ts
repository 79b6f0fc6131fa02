import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { Agent, Turn } from "@spindle/core"
import type { ToolPolicy } from "@spindle/core/Agent"
import type { CallDetail } from "@spindle/core/Display"
import { ApplyPatch, CodingTools, ExecCommand } from "../src/index.ts"
import { carriersOf, directory } from "./host.ts"
import { host, makeTurn } from "./turn.ts"

const run = Effect.fnUntraced(function* (params: ExecCommand.Parameters, where?: string) {
  const cwd = where ?? (yield* directory)
  const { turn, ...seen } = yield* makeTurn
  const text = yield* ExecCommand.run(params, "call", { cwd, shell: "/bin/bash" }).pipe(
    Effect.provideService(Turn.Turn, turn)
  )
  return { text, ...seen }
})

/** The lines of a result without the time that it took. */
const withoutTime = (text: string) => {
  assert.match(text, /^Wall time: \d+\.\d{4} seconds\n/)
  return text.slice(text.indexOf("\n") + 1)
}

describe("run", () => {
  it.live("returns the exit code and the output, and publishes the output as it arrives", () =>
    Effect.gen(function* () {
      const { pieces, text } = yield* run({ cmd: "echo out-line; echo err-line >&2; exit 3" })
      assert.strictEqual(
        withoutTime(text),
        "Process exited with code 3\nOriginal token count: 5\nOutput:\nout-line\nerr-line\n"
      )
      assert.strictEqual(pieces.join(""), "out-line\nerr-line\n")
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("runs in the given directory, prints plain output, and reports death by a signal", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "sub"))
      const { text } = yield* run({ cmd: "pwd; echo $TERM $NO_COLOR $LANG $PAGER; kill -9 $$", workdir: "sub" }, cwd)
      assert.strictEqual(
        withoutTime(text).replace(/count: \d+/, "count"),
        `Process ended by signal SIGKILL\nOriginal token count\nOutput:\n${cwd}/sub\ndumb 1 C.UTF-8 cat\n`
      )
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a missing directory and a missing shell are failures in words for the model", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const missing = yield* Effect.flip(run({ cmd: "true", workdir: "none" }, cwd))
      assert.strictEqual(missing.detail, `The command was not run: there is no directory ${cwd}/none`)
      const shell = yield* Effect.flip(run({ cmd: "true", shell: "/no/shell" }, cwd))
      assert.strictEqual(shell.detail, `cannot start /no/shell in ${cwd}: there is no such program`)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a missing program, and one that may not be run, are exit codes with what the shell says", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      writeFileSync(join(cwd, "data"), "no program\n", { mode: 0o644 })
      assert.match(
        withoutTime((yield* run({ cmd: "no-such-program", login: false }, cwd)).text),
        /^Process exited with code 127\n[^]*no-such-program[^]*not found/
      )
      const forbidden = withoutTime((yield* run({ cmd: "./data", login: false }, cwd)).text)
      assert.match(forbidden, /^Process exited with code 126\n[^]*[Pp]ermission denied/)
      const shell = yield* Effect.flip(run({ cmd: "true", shell: join(cwd, "data") }, cwd))
      assert.strictEqual(shell.detail, `cannot start ${cwd}/data in ${cwd}: no permission for this program`)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a directory that was removed meanwhile is a failure in words, and harms no command that runs in it", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "sub"))
      const { text } = yield* run({ cmd: "rm -r ../sub; echo still here", workdir: "sub", login: false }, cwd)
      assert.match(withoutTime(text), /^Process exited with code 0\n[^]*still here\n$/)
      const again = yield* Effect.flip(run({ cmd: "true", workdir: "sub" }, cwd))
      assert.strictEqual(again.detail, `The command was not run: there is no directory ${cwd}/sub`)
      const patch = yield* Effect.flip(
        ApplyPatch.apply("*** Begin Patch\n*** Add File: a\n+1\n*** End Patch", { cwd: join(cwd, "sub") })
      )
      assert.include(patch.detail, `${cwd}/sub`)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a command that exceeds its limit is ended with its children, and its output until then is returned", () =>
    Effect.gen(function* () {
      const { started, text } = yield* run({
        cmd: "echo begun; setsid sleep 30 & exec sleep 30",
        login: false,
        timeout_ms: 2_000
      })
      assert.strictEqual(
        withoutTime(text),
        "Process was ended because it ran longer than its limit of 2000 ms\nOriginal token count: 2\nOutput:\nbegun\n"
      )
      assert.deepStrictEqual(carriersOf(started[0]!), [])
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a time limit of zero is none, and an empty shell is the default", () =>
    Effect.gen(function* () {
      for (const params of [{ timeout_ms: 0 }, { timeout_ms: -5 }, { timeout_ms: 1e300 }, { shell: "" }]) {
        const { text } = yield* run({ cmd: "sleep 0.05; echo done", login: false, ...params })
        assert.include(text, "Process exited with code 0")
      }
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("a command that is too long for the host is refused with what to do", () =>
    Effect.gen(function* () {
      const failure = yield* Effect.flip(run({ cmd: `: ${"x".repeat(3_000_000)}` }))
      assert.match(failure.detail, /the command of 30000\d\d bytes is longer than the host allows; put it into a file/)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("X1 an interrupted handler stops waiting at once, and the turn ends the process", () =>
    Effect.gen(function* () {
      const processId = yield* Effect.scoped(
        Effect.gen(function* () {
          const { firstOutput, started, turn } = yield* makeTurn
          const running = yield* ExecCommand.run({ cmd: "echo begun; sleep 30" }, "call", {
            cwd: yield* directory,
            shell: "/bin/bash"
          }).pipe(Effect.provideService(Turn.Turn, turn), Effect.forkChild)
          assert.strictEqual(yield* firstOutput, "begun\n")
          yield* Fiber.interrupt(running)
          assert.isAbove(carriersOf(started[0]!).length, 0)
          return started[0]!
        })
      )
      assert.deepStrictEqual(carriersOf(processId), [])
    }).pipe(Effect.provide(host))
  )

  it.live("X4 of a large output the model gets head and tail, and subscribers all of it in bounded pieces", () =>
    Effect.gen(function* () {
      const { pieces, text } = yield* run({
        cmd: "echo first; for i in {1..60000}; do echo 'zwölf Boxkämpfer jagen'; done; echo last",
        max_output_tokens: 100
      })
      const total = 6 + 60_000 * 25 + 5
      const output = text.slice(text.indexOf("Output:\n") + 8)
      assert.match(output, /^first\nzwölf[^]*\n\[\d+ bytes of the output are left out here\]\n[^]*jagen\nlast\n$/)
      assert.isBelow(Buffer.byteLength(output), 400 + 60)
      const omitted = Number(/\[(\d+) bytes/.exec(output)![1])
      assert.strictEqual(Buffer.byteLength(output.replace(/\n\[\d+ bytes.*\]\n/, "")) + omitted, total)
      assert.include(text, `Original token count: ${Math.ceil(total / 4)}\n`)
      assert.strictEqual(Buffer.byteLength(pieces.join("")), total)
      assert.isAtMost(Math.max(...pieces.map((piece) => Buffer.byteLength(piece))), 8_192)
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("bytes that are not text become replacement characters", () =>
    Effect.gen(function* () {
      const { pieces } = yield* run({ cmd: "printf 'a\\377b\\342\\202'" })
      assert.strictEqual(pieces.join(""), "a\ufffdb\ufffd")
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

/** The last detail that was reported, without the time. */
const detailOf = (details: ReadonlyArray<CallDetail>) => {
  const detail = details.at(-1)
  assert(detail?._tag === "Command")
  assert.isAtLeast(detail.durationMillis, 0)
  return { ...detail, durationMillis: 0 }
}

describe("what people see of a command", () => {
  it("its display is the command line and the absolute directory", () => {
    const { display } = CodingTools.policies({ approval: "ask", cwd: "/work" }).exec_command
    assert.deepStrictEqual(display!({ cmd: "ls", workdir: "sub" }, {}), {
      _tag: "Command",
      command: "ls",
      cwd: "/work/sub"
    })
    assert.deepStrictEqual(display!({ cmd: "ls" }, {}), { _tag: "Command", command: "ls", cwd: "/work" })
  })

  it("A4 A5 starts in the directory of its turn: in what people see, in questions and in what a grant is remembered by", () => {
    const { apply_patch, exec_command } = CodingTools.policies({
      approval: { policy: "untrusted", containment: "missing" },
      cwd: "/work",
      directory: ({ cwd = "/work" }) => cwd
    })
    const [here, there] = [{}, { cwd: "/work/sub" }]
    const pwd = { cmd: "git status" }
    assert.deepInclude(exec_command.display!(pwd, there), { cwd: "/work/sub" })
    assert.deepInclude(exec_command.display!({ ...pwd, workdir: "a" }, there), { cwd: "/work/sub/a" })
    assert.deepInclude(exec_command.payload!(pwd, there), { cwd: "/work/sub" })
    assert.notDeepEqual(exec_command.keys!(pwd, there), exec_command.keys!(pwd, here))
    assert.deepStrictEqual(exec_command.keys!({ ...pwd, workdir: "/work" }, there), exec_command.keys!(pwd, here))
    // another repository may have hooks, so what only reads is asked about elsewhere
    const { approval } = exec_command
    if (typeof approval === "string") return assert.fail("the policy decides")
    assert.deepInclude(approval(pwd, here), { permission: "allow" })
    assert.deepInclude(approval(pwd, there), { permission: "ask" })
    const input = "*** Begin Patch\n*** Update File: a\n*** Move to: /work/b\n*** End Patch"
    const [change] = ["update"] as const
    assert.deepStrictEqual(apply_patch.display!({ input }, there), {
      _tag: "Patch",
      changes: [{ path: "/work/sub/a", change, movePath: "/work/b" }]
    })
    const payload = apply_patch.payload!({ input }, there) as { readonly changes: ReadonlyArray<object> }
    assert.deepInclude(payload.changes[0], { path: "/work/sub/a", movePath: "/work/b" })
  })

  it.live("its detail is the exit code or the signal, and the output", () =>
    Effect.gen(function* () {
      const base = { _tag: "Command", durationMillis: 0 } as const
      const failing = yield* run({ cmd: "echo out; exit 3" })
      assert.deepStrictEqual(detailOf(failing.details.slice(0, 1)), { ...base, exitCode: null, output: "" })
      assert.deepStrictEqual(detailOf(failing.details), { ...base, exitCode: 3, output: "out\n" })
      const killed = yield* run({ cmd: "echo out; kill -9 $$" })
      assert.deepStrictEqual(detailOf(killed.details), { ...base, exitCode: null, signal: "SIGKILL", output: "out\n" })
      const late = yield* run({ cmd: "echo out; exec sleep 30", login: false, timeout_ms: 1_000 })
      assert.deepStrictEqual(detailOf(late.details), {
        ...base,
        exitCode: null,
        signal: "SIGTERM",
        timedOut: true,
        output: "out\n"
      })
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("its detail keeps more of the output than the model asked for", () =>
    Effect.gen(function* () {
      const { details, text } = yield* run({ cmd: "seq 1000", max_output_tokens: 1 })
      assert.include(text, "bytes of the output are left out here")
      assert.strictEqual(detailOf(details).output, Array.from({ length: 1_000 }, (_, i) => `${i + 1}\n`).join(""))
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it.live("an interrupted command has reported its output", () =>
    Effect.gen(function* () {
      const { details, firstOutput, turn } = yield* makeTurn
      const running = yield* ExecCommand.run({ cmd: "echo begun; sleep 30" }, "call", {
        cwd: yield* directory,
        shell: "/bin/bash"
      }).pipe(Effect.provideService(Turn.Turn, turn), Effect.forkChild)
      yield* firstOutput
      yield* Fiber.interrupt(running)
      assert.deepStrictEqual(detailOf(details), {
        _tag: "Command",
        exitCode: null,
        durationMillis: 0,
        output: "begun\n"
      })
    }).pipe(Effect.scoped, Effect.provide(host))
  )
})

describe("commandOf", () => {
  it("takes the shell and the profile as asked", () => {
    assert.deepStrictEqual(ExecCommand.commandOf({ cmd: "ls" }, { shell: "/bin/bash", bin: "/it's/bin" }), [
      "/bin/bash",
      "-lc",
      `export PATH='/it'\\''s/bin':"$PATH"; ls`
    ])
    assert.deepStrictEqual(ExecCommand.commandOf({ cmd: "ls", shell: "fish" }, { shell: "/bin/bash", bin: "/bin" }), [
      "fish",
      "-lc",
      "ls"
    ])
    assert.deepStrictEqual(ExecCommand.commandOf({ cmd: "ls" }, { shell: "/bin/bash" }), ["/bin/bash", "-lc", "ls"])
    assert.deepStrictEqual(ExecCommand.commandOf({ cmd: "ls", shell: "zsh", login: false }, { shell: "/bin/bash" }), [
      "zsh",
      "-c",
      "ls"
    ])
  })
})

describe("CodingTools", () => {
  it.live("an agent with both tools runs them and returns failures as plain text", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      // that this compiles shows that the policies fit the toolkit
      Agent.make({ toolkit: CodingTools.toolkit, approvals: CodingTools.policies({ approval: "ask", cwd }) })
      const { turn } = yield* makeTurn
      yield* Effect.gen(function* () {
        const tools = yield* CodingTools.toolkit
        const call = Effect.fnUntraced(
          function* (name: keyof CodingTools.Tools, params: any) {
            const results = yield* Stream.runCollect(Stream.unwrap(tools.handle(name, params)))
            return String(results.at(-1)?.encodedResult)
          },
          Effect.provideService(Turn.Turn, turn)
        )
        assert.strictEqual(
          yield* call("apply_patch", { input: "*** Begin Patch\n*** Add File: a\n+hello\n*** End Patch" }),
          "Success. Updated the following files:\nA a\n"
        )
        assert.include(yield* call("exec_command", { cmd: "cat a" }), "Output:\nhello\n")
        assert.strictEqual(
          yield* call("exec_command", { cmd: "true", workdir: "none" }),
          `The command was not run: there is no directory ${cwd}/none`
        )
        assert.include(
          yield* call("apply_patch", { input: "no" }),
          "The patch was not applied, and no file was changed.\n"
        )
      }).pipe(Effect.provide(CodingTools.layer({ cwd })))
    }).pipe(Effect.scoped, Effect.provide(host))
  )

  it("a question has the command, or the changes of the patch", () => {
    const { apply_patch, exec_command } = CodingTools.policies({ approval: "ask", cwd: "/work" })
    assert.deepStrictEqual(exec_command.payload!({ cmd: "ls", workdir: "sub", justification: "to look" }, {}), {
      command: "ls",
      cwd: "/work/sub",
      justification: "to look"
    })
    assert.deepStrictEqual(exec_command.payload!({ cmd: "ls", shell: "" }, {}), { command: "ls", cwd: "/work" })
    // another program than the default shell is another question, and no grant for the command covers it
    assert.deepStrictEqual(exec_command.payload!({ cmd: "ls", shell: "/work/evil" }, {}), {
      command: "ls",
      cwd: "/work",
      shell: "/work/evil"
    })
    assert.deepStrictEqual(apply_patch.payload!({ input: "*** Begin Patch\n*** Add File: a\n+x\n*** End Patch" }, {}), {
      changes: [{ path: "a", kind: "add", diff: ["+x"] }]
    })
    assert.deepStrictEqual([exec_command.concurrency, apply_patch.concurrency], ["parallel", "exclusive"])
  })

  it("a command, its input and a patch are decided alike", () => {
    for (const approval of ["ask", "allow"] as const) {
      const { apply_patch, exec_command, write_stdin } = CodingTools.policies({ approval, cwd: "/work" })
      const decide = (policy: ToolPolicy<any>, params: unknown) =>
        typeof policy.approval === "function" ? policy.approval(params, {}) : policy.approval
      assert.strictEqual(decide(exec_command, { cmd: "ls" }), approval)
      assert.strictEqual(decide(write_stdin, { session_id: 1, chars: "ls\n" }), approval)
      assert.strictEqual(decide(apply_patch, { input: "" }), approval)
      // a way out of the sandbox is always asked about
      assert.strictEqual(decide(exec_command, { cmd: "ls", sandbox_permissions: "require_escalated" }), "ask")
    }
  })

  it.effect("the arguments of a command are those that models know", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(Object.keys(ExecCommand.Parameters.fields), [
        "cmd",
        "workdir",
        "shell",
        "login",
        "timeout_ms",
        "max_output_tokens",
        "yield_time_ms",
        "tty",
        "sandbox_permissions",
        "justification"
      ])
      yield* Schema.decodeUnknownEffect(ExecCommand.Parameters)({ cmd: "ls", yield_time_ms: 1_000, tty: true })
    })
  )
})
