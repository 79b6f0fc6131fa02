/** Commands in the sandbox of this host (contract X1). */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Stream } from "effect"
import { Processes } from "@spindle/core/Processes"
import { Sandbox, SandboxEscapes, SandboxPolicy } from "../../src/index.ts"
import * as LeftProcesses from "../../src/internal/leftProcesses.ts"
import { carriersOf, directory, directoryIn } from "../host.ts"
import { canLimitProcesses, confined, hostWith, run, shell, titled, whySkipped } from "./host.ts"

const workspace = (cwd: string, part: Partial<typeof SandboxPolicy.WorkspaceWrite.Type> = {}) =>
  SandboxPolicy.confine({
    _tag: "WorkspaceWrite",
    roots: [cwd],
    scratch: [],
    protectedPaths: [],
    network: false,
    ...part
  })

const readOnly = SandboxPolicy.confine(SandboxPolicy.readOnly)

const memory = "/dev/shm"

/** Waits until a process has printed something, and returns what it has printed. */
const says = (output: Stream.Stream<Uint8Array>, text: string) =>
  output.pipe(
    Stream.decodeText,
    Stream.scan(
      () => "",
      (all, piece) => all + piece
    ),
    Stream.takeUntil((all) => all.includes(text)),
    Stream.runFold(
      () => "",
      (_, all) => all
    )
  )

describe("a host without a sandbox", () => {
  const refusal = (programs: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const failed = yield* Effect.flip(readOnly(shell("echo x > made", cwd)))
      const { available } = yield* Sandbox.Sandbox
      const unavailable = yield* Effect.flip(available)
      assert.strictEqual(failed.detail, unavailable.message)
      assert.deepStrictEqual(readdirSync(cwd), [])
      return unavailable
    }).pipe(Effect.provide(hostWith(programs)))

  it.live("names the program that is missing, and runs nothing", () =>
    Effect.gen(function* () {
      const { detail, reason } = yield* refusal(["/nowhere/bwrap"])
      assert.deepStrictEqual([reason, detail], ["NoProgram", "bubblewrap (bwrap) is not installed"])
    })
  )

  it.live("repeats what the host said when it refuses namespaces, and runs nothing", () =>
    Effect.gen(function* () {
      const program = join(yield* directory, "bwrap")
      writeFileSync(
        program,
        "#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n"
      )
      chmodSync(program, 0o755)
      const { detail, reason } = yield* refusal([program])
      assert.strictEqual(reason, "Refused")
      assert.include(detail, "bwrap: Creating new namespace failed: Operation not permitted")
    })
  )

  it.live("runs commands that need no sandbox", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      assert.deepStrictEqual(yield* run("echo ran", cwd), { exitCode: 0, output: "ran" })
    }).pipe(Effect.provide(hostWith(["/nowhere/bwrap"])))
  )

  it.live("says that there is none for another system or processor", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const other = Sandbox.layer({ platform: "linux", architecture: "riscv64" }).pipe(Layer.provide(confined))
      const failed = yield* readOnly(shell("true", cwd)).pipe(Effect.flip, Effect.provide(other))
      assert.strictEqual(failed.detail, "commands cannot be sandboxed: there is no sandbox for linux on riscv64")
    }).pipe(Effect.provide(confined))
  )
})

describe("isLikelyDenied", () => {
  const rows: ReadonlyArray<readonly [exit: number | null, output: string, isDenied: boolean]> = [
    [1, "touch: cannot touch 'a': Read-only file system", true],
    [1, "Error: EROFS: read-only file system, open 'a'", true],
    [1, "PermissionError: [Errno 1] Operation not permitted", true],
    [128, "fatal: unable to access 'https://host/': Could not resolve host: host", true],
    [1, "connect: Network is unreachable", true],
    [1, "getaddrinfo EAI_AGAIN registry", true],
    [159, "", true],
    [0, "grep found: Operation not permitted", false],
    [1, "1 test failed", false],
    [127, "sh: nosuch: command not found", false],
    [null, "Operation not permitted", false]
  ]
  for (const [exitCode, output, isDenied] of rows) {
    it(`${isDenied ? "recognises" : "does not take for a denial"} exit ${exitCode} with "${output}"`, () =>
      assert.strictEqual(Sandbox.isLikelyDenied({ exitCode }, output), isDenied))
  }

  it("recognises the signal of a refused system call", () =>
    assert.isTrue(Sandbox.isLikelyDenied({ exitCode: null, signal: "SIGSYS" }, "")))
})

describe.skipIf(whySkipped !== undefined)(titled("a confined command"), () => {
  it.live("has its exit code, output, directory and standard input as without a sandbox", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const script = "pwd; cat; echo error >&2; exit 3"
      assert.deepStrictEqual(yield* readOnly(run(script, cwd)), { exitCode: 3, output: `${cwd}\nerror` })
      assert.deepStrictEqual((yield* readOnly(run("kill -TERM $$", cwd))).exitCode, 143)
      assert.deepStrictEqual((yield* readOnly(run("/no/such/program", cwd))).exitCode, 127)
    }).pipe(Effect.provide(confined))
  )

  it.live("writes where its policy allows it, and nowhere in read-only mode", () =>
    Effect.gen(function* () {
      const [cwd, other] = [yield* directory, yield* directory]
      assert.strictEqual((yield* workspace(cwd)(run("echo x > made", cwd))).exitCode, 0)
      assert.include((yield* workspace(cwd)(run(`echo x > ${other}/made`, cwd))).output, "Read-only file system")
      assert.strictEqual((yield* workspace(cwd, { scratch: [other] })(run(`echo x > ${other}/made`, cwd))).exitCode, 0)
      assert.include((yield* readOnly(run("echo x > made2", cwd))).output, "Read-only file system")
      assert.deepStrictEqual([readdirSync(cwd), readdirSync(other)], [["made"], ["made"]])
    }).pipe(Effect.provide(confined))
  )

  it.live.skipIf(!existsSync(memory))("works in a directory of shared memory as in any other", () =>
    Effect.gen(function* () {
      const cwd = yield* directoryIn(memory)
      mkdirSync(join(cwd, "sub"))
      writeFileSync(join(cwd, "file"), "text")
      const read = run("cat ../file", join(cwd, "sub"))
      assert.deepStrictEqual(yield* readOnly(read), { exitCode: 0, output: "text" })
      assert.include((yield* readOnly(run("echo x > made", cwd))).output, "Read-only file system")
      assert.strictEqual((yield* workspace(cwd)(run("echo x > made", cwd))).exitCode, 0)
      assert.deepStrictEqual(readdirSync(cwd), ["file", "made", "sub"])
    }).pipe(Effect.provide(confined))
  )

  it.live("writes through a root that is a symbolic link, and leaves out a root that does not exist", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const [real, link] = [join(cwd, "real"), join(cwd, "link")]
      mkdirSync(real)
      symlinkSync(real, link)
      const narrow = workspace(link, { roots: [link, join(cwd, "missing")] })
      assert.strictEqual((yield* narrow(run("echo x > made", link))).exitCode, 0)
      assert.deepStrictEqual(readdirSync(real), ["made"])
    }).pipe(Effect.provide(confined))
  )

  it.live("cannot write protected paths, even below a directory that it moves away", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "a/home"), { recursive: true })
      const narrow = workspace(cwd, { protectedPaths: [join(cwd, "a/home")] })
      assert.include((yield* narrow(run("echo x > a/home/config.toml", cwd))).output, "Read-only file system")
      assert.include((yield* narrow(run("mv a b", cwd))).output, "busy")
      assert.deepStrictEqual([readdirSync(cwd), readdirSync(join(cwd, "a/home"))], [["a"], []])
    }).pipe(Effect.provide(confined))
  )

  it.live("cannot make protected paths that do not exist, nor the directories that they would be in", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "a"))
      symlinkSync("a", join(cwd, "link"))
      const protectedPaths = ["home", "b/c/home", "link/home", "../outside"].map((path) => `${cwd}/${path}`)
      const narrow = workspace(cwd, { protectedPaths })
      for (const path of ["home", "b/c/home", "a/home", "link/home"]) {
        const { exitCode, output } = yield* narrow(run(`mkdir -p ${path} && echo x > ${path}/config.toml`, cwd))
        assert.notStrictEqual(exitCode, 0)
        assert.include(output, "Read-only file system", path)
      }
      assert.strictEqual((yield* narrow(run("echo x > a/other", cwd))).exitCode, 0)
      assert.deepStrictEqual(readdirSync(cwd).sort(), ["a", "link"])
      assert.deepStrictEqual(readdirSync(join(cwd, "a")), ["other"])
    }).pipe(Effect.provide(confined))
  )

  it.live("cannot write the repository that a worktree belongs to", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "main/store/worktrees/tree"), { recursive: true })
      mkdirSync(join(cwd, "tree"))
      writeFileSync(join(cwd, "tree/.git"), "gitdir: ../main/store/worktrees/tree\n")
      writeFileSync(join(cwd, "main/store/worktrees/tree/commondir"), "../..\n")
      const { output } = yield* workspace(cwd)(run("echo x > main/store/config; echo x > tree/.git; rm tree/.git", cwd))
      assert.strictEqual(output.split("Read-only file system").length, 3, output)
      assert.isTrue(existsSync(join(cwd, "tree/.git")))
      assert.isFalse(existsSync(join(cwd, "main/store/config")))
    }).pipe(Effect.provide(confined))
  )

  it.live("starts if another program has removed a repository since it was found", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, "gone/sub/.git"), { recursive: true })
      writeFileSync(join(cwd, "gone/sub/.git/HEAD"), "ref: refs/heads/main\n")
      const program = join(yield* directory, "bwrap")
      const removal = `case "$*" in *gone/sub/.git*) rm -r "${join(cwd, "gone")}" ;; esac`
      writeFileSync(program, `#!/bin/sh\n${removal}\nexec bwrap "$@"\n`)
      chmodSync(program, 0o755)
      const ran = yield* workspace(cwd)(run("echo x > made", cwd)).pipe(Effect.provide(hostWith([program])))
      assert.deepStrictEqual(ran, { exitCode: 0, output: "" })
      assert.deepStrictEqual(readdirSync(cwd), ["made"])
    })
  )

  it.live("does not start in a root with a link that no mount can protect", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      symlinkSync("elsewhere", join(cwd, ".codex"))
      const failed = yield* Effect.flip(workspace(cwd)(shell("true", cwd)))
      assert.include(failed.detail, ".codex is a symbolic link")
      assert.deepStrictEqual(readdirSync(cwd), [".codex"])
    }).pipe(Effect.provide(confined))
  )

  it.live("keeps an empty folder and one that a person has filled meanwhile", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, ".agents"))
      const process = yield* workspace(cwd)(shell("echo ready; sleep 1000", cwd))
      yield* says(process.output, "ready")
      assert.deepStrictEqual(readdirSync(cwd).sort(), [".agents", ".codex", ".git", ".spindle"])
      writeFileSync(join(cwd, ".codex/config.toml"), "x")
      yield* (yield* Processes).end(process.processId, 0)
      assert.deepStrictEqual(readdirSync(cwd).sort(), [".agents", ".codex"])
      assert.strictEqual(readFileSync(join(cwd, ".codex/config.toml"), "utf8"), "x")
    }).pipe(Effect.provide(confined))
  )

  it.live("shares folders with other commands, which the last one removes", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const narrow = workspace(cwd)
      const first = yield* narrow(shell("echo ready; sleep 1000", cwd))
      const second = yield* narrow(shell("echo ready; sleep 1000", cwd))
      yield* Effect.forEach([first, second], ({ output }) => says(output, "ready"))
      yield* (yield* Processes).end(first.processId, 0)
      assert.deepStrictEqual(readdirSync(cwd).sort(), [".agents", ".codex", ".git", ".spindle"])
      assert.include((yield* narrow(run("echo x > .git/config", cwd))).output, "Read-only file system")
      yield* (yield* Processes).end(second.processId, 0)
      assert.deepStrictEqual(readdirSync(cwd), [])
    }).pipe(Effect.provide(confined))
  )

  it.live("removes the folders that a killed program has left", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      mkdirSync(join(cwd, ".codex/spindle-99999999-old"), { recursive: true })
      chmodSync(join(cwd, ".codex"), 0o1755)
      assert.strictEqual((yield* workspace(cwd)(run("true", cwd))).exitCode, 0)
      assert.deepStrictEqual(readdirSync(cwd), [])
    }).pipe(Effect.provide(confined))
  )

  it.live.skipIf(!canLimitProcesses)(
    `starts no more processes than its policy allows${canLimitProcesses ? "" : " (skipped: root, and no control group)"}`,
    () =>
      Effect.gen(function* () {
        const cwd = yield* directory
        const script = "i=0; while [ $i -lt 150 ]; do sleep 1000 & i=$((i + 1)); done; echo all"
        const limited = yield* workspace(cwd, { processes: 100 })(run(script, cwd))
        assert.match(limited.output, /cannot fork|resource temporarily unavailable/i)
        assert.notInclude(limited.output, "all")
        assert.deepStrictEqual((yield* workspace(cwd, { processes: 1_000 })(run(script, cwd))).output, "all")
      }).pipe(Effect.provide(confined))
  )

  it.live("X1 cleans up when it is asked to end", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const script = 'trap "echo cleaned > made; exit 7" TERM; echo ready; while :; do sleep 0.01; done'
      const process = yield* workspace(cwd)(shell(script, cwd))
      yield* says(process.output, "ready")
      yield* (yield* Processes).end(process.processId, 60_000)
      assert.deepStrictEqual(yield* process.exit, { exitCode: 7 })
      assert.strictEqual(readFileSync(join(cwd, "made"), "utf8"), "cleaned\n")
    }).pipe(Effect.provide(confined))
  )

  it.live("shows to the program outside which of its processes has ended, as long as it lives", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const own = 'read -r line < /proc/self/stat; echo "$line"'
      const script = `cat /proc/self/stat; ${own}; readlink /proc/self/ns/pid; echo ready; exec sleep 1000`
      const process = yield* readOnly(shell(script, cwd))
      const [ended = "", living = "", space] = (yield* says(process.output, "ready")).split("\n")
      const { hasEnded, mark = "" } = yield* LeftProcesses.make(yield* FileSystem.FileSystem)
      const [boot] = mark.split("/")
      const markOf = (stat: string) => [boot, space, stat.split(" ")[0], stat.split(" ")[21]].join("/")
      assert.isTrue(yield* hasEnded(markOf(ended)))
      assert.isFalse(yield* hasEnded(markOf(living)))
      yield* (yield* Processes).end(process.processId, 0)
      assert.notStrictEqual(yield* hasEnded(markOf(living)), false)
    }).pipe(Effect.provide(confined))
  )

  it.live("X1 is killed with everything that it started when it does not end", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      const script = 'trap "" TERM; (sleep 1000) & (setsid sleep 1000) & echo ready; while :; do sleep 0.01; done'
      const process = yield* readOnly(shell(script, cwd))
      yield* says(process.output, "ready")
      yield* (yield* Processes).end(process.processId, 10)
      assert.deepStrictEqual(carriersOf(process.processId), [])
    }).pipe(Effect.provide(confined))
  )
})

describe.skipIf(whySkipped !== undefined)(titled("the sandbox of this host"), () => {
  it.live(
    "X1 holds against every way out, and leaves no file and no process",
    () =>
      Effect.gen(function* () {
        const escapes = yield* SandboxEscapes.run({ platform: process.platform, tag: `spindle-test-${process.pid}` })
        assert.isAbove(escapes.length, 30)
        const open = escapes.filter(({ held }) => !held).map(({ name }) => name)
        assert.deepStrictEqual(open, canLimitProcesses ? [] : ["start more processes than the limit"])
      }).pipe(Effect.provide(confined)),
    600_000
  )
})
