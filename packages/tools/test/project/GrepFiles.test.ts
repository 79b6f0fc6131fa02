import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { Turn } from "@spindle/core"
import { Processes } from "@spindle/core/Processes"
import { CommandEnvironment, ProjectTools } from "../../src/index.ts"
import * as GrepFiles from "../../src/project/GrepFiles.ts"
import { carriersOf, directory } from "../host.ts"
import { host, makeTurn } from "../turn.ts"

const programOf = (name: string): string | undefined =>
  process.env["PATH"]!.split(":")
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path))

const hasRipgrep = programOf("rg") !== undefined

/** A directory in which git is the only program: a host may have rg next to it. */
const onlyGit = mkdtempSync(join(tmpdir(), "spindle-git-"))
symlinkSync(programOf("git")!, join(onlyGit, "git"))
afterAll(() => rmSync(onlyGit, { recursive: true }))

/** The programs that are found: the directories of `PATH`. */
const engines: { readonly [name: string]: { readonly path: string; readonly isRepository: boolean } } = {
  "git grep": { path: onlyGit, isRepository: true },
  "a walk": { path: onlyGit, isRepository: false },
  "a walk without git": { path: "/no/such/directory", isRepository: true },
  ...(hasRipgrep && {
    rg: { path: process.env["PATH"]!, isRepository: true },
    "rg outside a repository": { path: process.env["PATH"]!, isRepository: false }
  })
}

const search = Effect.fnUntraced(function* (cwd: string, params: GrepFiles.Parameters) {
  const { turn } = yield* makeTurn
  const members = { ...turn, endProcess: () => Effect.void }
  return yield* Effect.provideService(GrepFiles.run(params, "c1", { cwd, node: process.execPath }), Turn.Turn, members)
})

/** A host that finds its programs in these directories. */
const hostWith = (path: string) =>
  Layer.provideMerge(
    host,
    Layer.succeed(CommandEnvironment.HostVariables, () => ({ ...process.env, PATH: path }))
  )

const files: { readonly [name: string]: string } = {
  ".gitignore": "ignored\n*.log\n!kept.log\n",
  "old.ts": "one needle\n",
  "new.js": "no\nneedle 42\n",
  "sub/deep.tsx": "a needle\n",
  "sub/.gitignore": "local.ts\n",
  "sub/local.ts": "needle\n",
  "ignored/x.ts": "needle\n",
  "a.log": "needle\n",
  "kept.log": "needle\n",
  "binary.ts": "needle\0\n",
  "with space.ts": "needle\n"
}

const project = (isRepository: boolean) =>
  Effect.map(directory, (cwd) => {
    if (isRepository) execFileSync("git", ["init", "-q"], { cwd })
    Object.entries(files).forEach(([name, content], index) => {
      mkdirSync(dirname(join(cwd, name)), { recursive: true })
      writeFileSync(join(cwd, name), content)
      utimesSync(join(cwd, name), 1_000 + index, 1_000 + index)
    })
    return cwd
  })

for (const [engine, { isRepository, path }] of Object.entries(engines)) {
  // a directory of temporary files may be inside a repository
  describe(`grep_files with ${engine}`, () => {
    const grep = (cwd: string, params: GrepFiles.Parameters) =>
      Effect.map(search(cwd, params), (text) => text.split("\n").map((line) => line.replace(`${cwd}/`, "")))
    const refusal = (cwd: string, params: GrepFiles.Parameters) =>
      Effect.map(Effect.flip(search(cwd, params)), ({ message }) => message)

    it.live("finds files that are not ignored, the latest first", () =>
      Effect.gen(function* () {
        const cwd = yield* project(isRepository)
        const all = ["with space.ts", "kept.log", "sub/deep.tsx", "new.js", "old.ts"]
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle" }), all)
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", include: "*.{ts,tsx}" }), [
          "with space.ts",
          "sub/deep.tsx",
          "old.ts"
        ])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", include: "sub/**" }), ["sub/deep.tsx"])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "^needle [0-9]+$" }), ["new.js"])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", path: "sub" }), ["sub/deep.tsx"])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", path: "old.ts" }), ["old.ts"])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "absent" }), ["No matches found."])
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", limit: 1 }), [
          "with space.ts",
          "There are more files. Use a narrower pattern, include or path."
        ])
      }).pipe(Effect.provide(hostWith(path)))
    )

    it.live("refuses a pattern that is none, and a path that does not exist", () =>
      Effect.gen(function* () {
        const cwd = yield* project(isRepository)
        assert.match(yield* refusal(cwd, { pattern: "needle(" }), /^cannot search \.: .*(parenthesis|group|unclosed)/is)
        assert.strictEqual(yield* refusal(cwd, { pattern: "" }), "cannot search .: the pattern is empty")
        assert.strictEqual(yield* refusal(cwd, { pattern: "a\0" }), "cannot search .: the pattern has a NUL character")
        const none = { pattern: "x", path: "none" }
        assert.strictEqual(yield* refusal(cwd, none), "cannot search none: it does not exist")
        const limit = { pattern: "x", limit: 0 }
        assert.strictEqual(yield* refusal(cwd, limit), "cannot search .: limit must be a whole number from 1")
        const include = { pattern: "x", include: "{a,b}".repeat(500) }
        assert.strictEqual(yield* refusal(cwd, include), "cannot search .: include is longer than 1000 characters")
        // what looks like an option is a pattern, and what looks like a pattern is a path
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "--files" }), ["No matches found."])
        mkdirSync(join(cwd, ":!x"))
        writeFileSync(join(cwd, ":!x/-f"), "needle\n")
        assert.deepStrictEqual(yield* grep(cwd, { pattern: "needle", path: ":!x/-f" }), [":!x/-f"])
      }).pipe(Effect.provide(hostWith(path)))
    )
  })
}

describe("grep_files", () => {
  it.skipIf(hasRipgrep)("is not tried with rg here, because rg is not installed", () => undefined)

  it.live("ends its process when it is interrupted", () =>
    Effect.gen(function* () {
      const cwd = yield* directory
      // in place of the program that searches
      const program = join(cwd, "rg")
      writeFileSync(program, "#!/bin/sh\necho started\nexec sleep 600\n")
      chmodSync(program, 0o755)
      const { started, turn } = yield* makeTurn
      const processes = yield* Processes
      const hasStarted = yield* Deferred.make<void>()
      const running = yield* GrepFiles.run({ pattern: "x" }, "c1", { cwd, node: process.execPath }).pipe(
        Effect.provideService(Turn.Turn, {
          ...turn,
          process: (spec) =>
            Effect.map(turn.process(spec), (process) => ({
              ...process,
              output: Stream.tap(process.output, () => Deferred.succeed(hasStarted, undefined))
            })),
          endProcess: (id) => processes.end(id, 200)
        }),
        Effect.provideService(CommandEnvironment.HostVariables, () => ({ ...process.env, PATH: cwd })),
        Effect.forkChild({ startImmediately: true })
      )
      yield* Deferred.await(hasStarted)
      yield* Fiber.interrupt(running)
      assert.strictEqual(started.length, 1)
      assert.deepStrictEqual(carriersOf(started[0]!), [])
    }).pipe(Effect.provide(host))
  )

  it("needs no approval, and is a search to people", () => {
    const { approval, concurrency, display, mutates } = ProjectTools.policies.grep_files
    assert.deepStrictEqual([approval, concurrency, mutates], ["allow", "parallel", false])
    assert.deepStrictEqual(display?.({ pattern: "x" }, {}), { _tag: "Search", query: "x", path: "." })
  })
})
