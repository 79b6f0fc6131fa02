/** The port to git, over real repositories. */
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CommandEnvironment, Git } from "../src/index.ts"
import { directory } from "./host.ts"
import { blobIdOf } from "../src/internal/snapshots/blobId.ts"
import { git, repository, write } from "./repositories.ts"

const layer = Layer.provide(Git.layer, NodeServices.layer)

describe("git", () => {
  it.effect("finds revisions, and names one that it does not know", () =>
    Effect.gen(function* () {
      const top = yield* repository({ "a.txt": "one\n" })
      const first = git(top, "rev-parse", "HEAD").trim()
      git(top, "checkout", "-qb", "other")
      git(top, "commit", "-q", "--allow-empty", "-m", "second")
      assert.strictEqual(yield* Git.commitOf(top, "main"), first)
      assert.strictEqual(yield* Git.mergeBase(top, "HEAD", "main"), first)
      git(top, "checkout", "-q", "--orphan", "unrelated")
      git(top, "commit", "-q", "-m", "third")
      assert.isUndefined(yield* Git.mergeBase(top, "HEAD", "main"))
      for (const revision of ["nope", "--upload-pack", "a.txt"]) {
        const error = yield* Effect.flip(Git.commitOf(top, revision))
        assert.deepStrictEqual([error.problem, error.subject], ["UnknownRevision", revision])
      }
    }).pipe(Effect.provide(layer), Effect.scoped)
  )

  it.effect("writes differences without a program that the repository names", () =>
    Effect.gen(function* () {
      const top = yield* repository({
        "a.x": "one\n",
        ".gitattributes": "*.x filter=f diff=t\n",
        ".gitignore": "*.log\n"
      })
      const ran = join(top, ".git/ran")
      const program = join(top, ".git/program")
      writeFileSync(program, `#!/bin/sh\necho "$*" >> '${ran}'\ncat\n`, { mode: 0o755 })
      for (const name of ["core.fsmonitor", "filter.f.clean", "diff.external", "diff.t.textconv", "core.pager"]) {
        git(top, "config", name, `${program} ${name}`)
      }
      git(top, "config", "filter.f.required", "true")
      // as long as before, so that git has to read it
      write(top, "a.x", "two\n")
      write(top, "b.x", "new\n")
      write(top, "c.log", "ignored\n")
      assert.include(yield* Git.diff(top, ["HEAD", "--"]), "-one\n+two\n")
      assert.include(yield* Git.show(top, "HEAD"), "+one\n")
      assert.deepStrictEqual(yield* Git.untrackedPaths(top), ["b.x"])
      assert.throws(() => readFileSync(ran), /ENOENT/)
    }).pipe(Effect.provide(layer), Effect.scoped)
  )

  it.effect("ignores the variables of git in the environment of the program", () =>
    Effect.gen(function* () {
      const [top, other] = [yield* repository({ "a.txt": "one\n" }), yield* repository({ "b.txt": "one\n" })]
      const found = yield* Git.repositoryOf(top).pipe(
        Effect.provide(layer),
        Effect.provideService(CommandEnvironment.HostVariables, () => ({
          ...process.env,
          GIT_DIR: join(other, ".git"),
          GIT_WORK_TREE: other,
          GIT_INDEX_FILE: join(other, ".git/index")
        }))
      )
      assert.deepStrictEqual([found.top, found.index], [top, join(top, ".git/index")])
    }).pipe(Effect.scoped)
  )

  it.effect("that is not installed is named", () =>
    Effect.gen(function* () {
      const empty = yield* directory
      const error = yield* Effect.flip(Git.repositoryOf(empty)).pipe(
        Effect.provide(layer),
        Effect.provideService(CommandEnvironment.HostVariables, () => ({ PATH: empty }))
      )
      assert.strictEqual(error.message, "cannot run git: there is no program git, or no such directory")
      rmSync(empty, { recursive: true })
    }).pipe(Effect.scoped)
  )
})

it.effect("git and blobIdOf give a content the same id", () =>
  Effect.gen(function* () {
    const one = new TextEncoder().encode("one\n")
    assert.strictEqual(yield* blobIdOf("sha1", one), "5626abf0f72e58d7a153368ba57db4c673c0e171")
    const empty = "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
    assert.strictEqual(yield* blobIdOf("sha256", new Uint8Array(0)), empty)
  })
)
