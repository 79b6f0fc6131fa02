/** Snapshots and undo over real git repositories. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer } from "effect"
import { Git, Snapshots } from "../src/index.ts"
import { directory } from "./host.ts"
import { git, gitState, repository, snapshots, tree, write } from "./repositories.ts"

const owner = "session"

/** Runs a change of the files between its two snapshots. */
const change = (top: string, edit: () => void) =>
  Effect.gen(function* () {
    const store = yield* Snapshots.Snapshots
    const { id } = yield* store.begin(owner, top)
    edit()
    return yield* store.complete(owner, id)
  })

/** Takes the last changes back. */
const undo = (wanted: { readonly count: number } | { readonly redo: true } = { count: 1 }, force = false) =>
  Effect.gen(function* () {
    const store = yield* Snapshots.Snapshots
    return yield* store.restore(owner, yield* store.plan(owner, wanted), { force })
  })

const files = {
  "kept.txt": "kept\n",
  "changed.txt": "one\n",
  "removed.txt": "removed\n",
  "folder/deep.txt": "deep\n",
  "data.bin": new Uint8Array([0, 255, 10, 13, 0]),
  ".gitignore": "*.log\nbuild/\n"
}

const edit = (top: string) => {
  writeFileSync(join(top, "changed.txt"), "two\n")
  rmSync(join(top, "removed.txt"))
  rmSync(join(top, "folder"), { recursive: true })
  writeFileSync(join(top, "folder"), "now a file\n")
  writeFileSync(join(top, "data.bin"), new Uint8Array([1, 2, 3]))
  chmodSync(join(top, "kept.txt"), 0o755)
  write(top, "new/in/here.txt", "new\n")
  write(top, 'unusual "name"\n\t\u00e9.txt', "unusual\n")
  symlinkSync("kept.txt", join(top, "link"))
}

describe("layerConfig", () => {
  it.live("keeps snapshots in the directory that the configuration names", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      const home = join(yield* directory, "configured")
      const layer = Snapshots.layerConfig({ directory: Config.String("SNAPSHOTS") }).pipe(
        Layer.provide(Git.layer),
        Layer.provide(NodeServices.layer)
      )
      yield* change(top, () => edit(top)).pipe(
        Effect.provide(layer),
        Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env: { SNAPSHOTS: home } }))
      )
      assert.isTrue(existsSync(home))
    }).pipe(Effect.scoped)
  )
})

describe("an undo", () => {
  it.effect("restores every file exactly, and touches nothing of git", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      write(top, "untracked.txt", "mine\n")
      write(top, "private.txt", "mine\n", 0o600)
      write(top, "noise.log", "ignored\n")
      write(top, "build/out.js", "ignored\n")
      symlinkSync("untracked.txt", join(top, "old link"))
      git(top, "add", "untracked.txt")
      writeFileSync(join(top, "untracked.txt"), "mine, staged and changed\n")
      const before = { files: tree(top), git: gitState(top) }
      yield* change(top, () => {
        edit(top)
        rmSync(join(top, "untracked.txt"))
        rmSync(join(top, "old link"))
        writeFileSync(join(top, "noise.log"), "more\n")
        write(top, "build/more.js", "ignored\n")
      })
      const after = tree(top)
      yield* undo()
      assert.deepStrictEqual(tree(top), {
        ...before.files,
        // what git ignores is not restored and not removed
        "build/more.js": after["build/more.js"]!,
        "noise.log": after["noise.log"]!
      })
      assert.deepStrictEqual(gitState(top), before.git)
      yield* undo({ redo: true })
      assert.deepStrictEqual(tree(top), after)
      assert.deepStrictEqual(gitState(top), before.git)
      yield* undo()
      assert.strictEqual(tree(top)["changed.txt"], before.files["changed.txt"])
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("takes back several changes at once", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      const states = [tree(top)]
      for (const content of ["two\n", "three\n", "four\n"]) {
        yield* change(top, () => {
          writeFileSync(join(top, "changed.txt"), content)
          write(top, `made by ${content.trim()}`, content)
        })
        states.push(tree(top))
      }
      yield* undo({ count: 2 })
      assert.deepStrictEqual(tree(top), states[1])
      yield* undo()
      assert.deepStrictEqual(tree(top), states[0])
      assert.strictEqual((yield* Effect.flip(undo()))._tag, "NothingToUndo")
      yield* undo({ redo: true })
      assert.deepStrictEqual(tree(top), states[1])
      yield* undo({ redo: true })
      assert.deepStrictEqual(tree(top), states[3])
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("keeps what the user has changed since, and refuses what both have changed", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      yield* change(top, () => edit(top))
      writeFileSync(join(top, "changed.txt"), "by the user\n")
      writeFileSync(join(top, "other.txt"), "by the user\n")
      writeFileSync(join(top, ".gitignore"), "*.log\n")
      const before = tree(top)
      const error = yield* Effect.flip(undo())
      assert.strictEqual(error.message, "nothing was restored: changed.txt was changed since")
      assert.deepStrictEqual(tree(top), before)
      yield* undo({ count: 1 }, true)
      const after = tree(top)
      assert.strictEqual(readFileSync(join(top, "changed.txt"), "utf8"), "one\n")
      assert.strictEqual(after["other.txt"], before["other.txt"])
      assert.strictEqual(after[".gitignore"], before[".gitignore"])
      assert.strictEqual(readFileSync(join(top, "folder/deep.txt"), "utf8"), "deep\n")
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("S12 keeps the ignored files of the user after a turn that changes what is ignored", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ...files, ".gitignore": "*.log\nbuild/\n/sub/.env\n" })
      const mine = { "noise.log": "mine\n", "build/out.js": "mine\n", "sub/.env": "mine\n", "new/deep/a.log": "mine\n" }
      for (const [path, content] of Object.entries(mine)) write(top, path, content)
      const before = tree(top)
      for (const ignored of [undefined, "*.tmp\n", "*.log\n"]) {
        yield* change(top, () => {
          if (ignored === undefined) rmSync(join(top, ".gitignore"))
          else writeFileSync(join(top, ".gitignore"), ignored)
          write(top, "made.txt", "of the turn\n")
          write(top, "sub/made.txt", "of the turn\n")
          write(top, "new/deep/made.txt", "of the turn\n")
        })
        yield* undo()
        assert.deepStrictEqual(tree(top), before)
        yield* undo({ redo: true })
        for (const path of Object.keys(mine)) assert.strictEqual(tree(top)[path], before[path])
        assert.isTrue(existsSync(join(top, "made.txt")))
        yield* undo()
        assert.deepStrictEqual(tree(top), before)
      }
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("S12 is complete for the other files if a turn makes git ignore one", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      write(top, "notes.txt", "mine\n")
      const before = tree(top)
      yield* change(top, () => {
        write(top, ".gitignore", "notes.txt\n")
        writeFileSync(join(top, "changed.txt"), "two\n")
        writeFileSync(join(top, "notes.txt"), "of the turn\n")
      })
      const plan = yield* (yield* Snapshots.Snapshots).plan(owner, { count: 1 })
      assert.deepStrictEqual(plan.untouched, [{ path: "notes.txt", detail: "was ignored by git" }])
      const after = tree(top)
      yield* undo()
      assert.deepStrictEqual(tree(top), { ...before, "notes.txt": after["notes.txt"]! })
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("S12 restores a directory that became a link, and a link that became a directory", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ...files, "folder/more/deeper.txt": "deeper\n", "other/deep.txt": "other\n" })
      symlinkSync("other", join(top, "link"))
      const before = tree(top)
      yield* change(top, () => {
        rmSync(join(top, "folder"), { recursive: true })
        symlinkSync("other", join(top, "folder"))
        rmSync(join(top, "link"))
        write(top, "link/made/here.txt", "of the turn\n")
      })
      const after = tree(top)
      yield* undo()
      assert.deepStrictEqual(tree(top), before)
      yield* undo({ redo: true })
      assert.deepStrictEqual(tree(top), after)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("S12 puts a file where a turn has left empty directories", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      const before = tree(top)
      yield* change(top, () => {
        rmSync(join(top, "changed.txt"))
        write(top, "changed.txt/made.txt", "of the turn\n")
        mkdirSync(join(top, "changed.txt/empty/more"), { recursive: true })
      })
      yield* undo()
      assert.deepStrictEqual(tree(top), before)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("S12 changes nothing where an ignored file is in the way of a directory", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ...files, "folder/sub/deep.txt": "deep\n" })
      yield* change(top, () => {
        writeFileSync(join(top, "changed.txt"), "two\n")
        rmSync(join(top, "folder/sub"), { recursive: true })
        write(top, "folder/sub", "ignored\n")
        write(top, ".gitignore", "sub\n")
      })
      const before = tree(top)
      const { message } = yield* Effect.flip(undo())
      assert.strictEqual(message, "folder/sub exists, and is ignored or was left out of the snapshot")
      assert.deepStrictEqual(tree(top), before)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("refuses a file that was changed between two turns", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      yield* change(top, () => writeFileSync(join(top, "changed.txt"), "two\n"))
      writeFileSync(join(top, "changed.txt"), "by the user\n")
      yield* change(top, () => writeFileSync(join(top, "changed.txt"), "three\n"))
      assert.strictEqual((yield* Effect.flip(undo({ count: 2 })))._tag, "UndoConflict")
      yield* undo()
      assert.strictEqual(readFileSync(join(top, "changed.txt"), "utf8"), "by the user\n")
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("refuses to restore a file where a file of the user is in the way", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      yield* change(top, () => rmSync(join(top, "removed.txt")))
      write(top, "removed.txt/mine.log", "ignored, and in the way\n")
      const before = tree(top)
      assert.strictEqual((yield* Effect.flip(undo({ count: 1 }, true)))._tag, "SnapshotFailed")
      assert.deepStrictEqual(tree(top), before)
      write(top, "removed.txt/mine.txt", "in the way\n")
      assert.strictEqual((yield* Effect.flip(undo()))._tag, "UndoConflict")
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("needs force for a change whose end was never captured", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      const store = yield* Snapshots.Snapshots
      yield* store.begin(owner, top)
      writeFileSync(join(top, "changed.txt"), "two\n")
      const plan = yield* store.plan(owner, { count: 1 })
      assert.deepStrictEqual(
        plan.conflicts.map(({ path }) => path),
        ["changed.txt"]
      )
      yield* store.restore(owner, plan, { force: true })
      assert.strictEqual(readFileSync(join(top, "changed.txt"), "utf8"), "one\n")
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )
})

/** An undo in a repository that a function prepares, in the directory that it returns. */
const works = (name: string, prepare: (top: string) => string) =>
  it.effect(`works ${name}`, () =>
    Effect.gen(function* () {
      const cwd = prepare(yield* repository(files))
      const top = git(cwd, "rev-parse", "--show-toplevel").trim()
      const before = { files: tree(top), git: gitState(top) }
      yield* change(cwd, () => edit(top))
      yield* undo()
      assert.deepStrictEqual(tree(top), before.files)
      assert.deepStrictEqual(gitState(top), before.git)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

describe("a snapshot", () => {
  works("in a subdirectory", (top) => join(top, "folder"))
  works("with a detached HEAD", (top) => {
    git(top, "checkout", "-q", "--detach")
    return top
  })
  works("in a working tree of its own", (top) => {
    const other = join(mkdtempSync(join(tmpdir(), "spindle-")), "tree")
    git(top, "worktree", "add", "-q", other)
    return other
  })
  works("without a commit", (top) => {
    rmSync(join(top, ".git"), { recursive: true })
    git(top, "init", "-q")
    return top
  })
  works("in the middle of a merge", (top) => {
    const commitOf = (branch: string) => {
      writeFileSync(join(top, "changed.txt"), `${branch}\n`)
      git(top, "mv", "kept.txt", `${branch}.txt`)
      git(top, "commit", "-qam", branch)
    }
    git(top, "checkout", "-qb", "other")
    commitOf("theirs")
    git(top, "checkout", "-q", "main")
    commitOf("ours")
    assert.throws(() => git(top, "merge", "other"))
    // both sides have renamed it: as their common ancestor has it, git does not list it as modified
    writeFileSync(join(top, "kept.txt"), files["kept.txt"])
    return top
  })
  works("after a rename", (top) => {
    git(top, "mv", "kept.txt", "moved.txt")
    writeFileSync(join(top, "kept.txt"), "again\n")
    return top
  })
  works("where git converts line ends", (top) => {
    write(top, ".gitattributes", "*.txt text eol=crlf\n")
    writeFileSync(join(top, "changed.txt"), "mixed\r\nline\nends\r\n")
    git(top, "add", "-A")
    return top
  })
  works("with a split index", (top) => {
    git(top, "config", "core.splitIndex", "true")
    git(top, "update-index", "--split-index")
    writeFileSync(join(top, "changed.txt"), "staged\n")
    git(top, "add", "-A")
    return top
  })
  works("with core.autocrlf", (top) => {
    git(top, "config", "core.autocrlf", "true")
    writeFileSync(join(top, "changed.txt"), "crlf\r\n")
    git(top, "add", "-A")
    return top
  })
  works("with a submodule and a repository in it", (top) => {
    const other = join(top, "../", `sub-${top.split("-").at(-1)}`)
    git(top, "clone", "-q", top, other)
    git(top, "submodule", "add", "-q", other, "sub")
    git(top, "commit", "-qm", "with a submodule")
    git(join(top, "sub"), "commit", "-q", "--allow-empty", "-m", "moved")
    mkdirSync(join(top, "nested"))
    git(join(top, "nested"), "init", "-q")
    write(top, "nested/file", "of another repository\n")
    return top
  })

  it.effect("has tracked files that git ignores, and an undo keeps those that git does not look at", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ...files, "assumed.txt": "of git\n", "skipped.txt": "of git\n" })
      const contentsOf = (...names: ReadonlyArray<string>) => names.map((name) => readFileSync(join(top, name), "utf8"))
      git(top, "update-index", "--assume-unchanged", "assumed.txt")
      git(top, "update-index", "--skip-worktree", "skipped.txt")
      write(top, ".gitignore", "*.log\nassumed.txt\nskipped.txt\n")
      write(top, "early.log", "of git\n")
      git(top, "add", "-f", "early.log")
      for (const name of ["assumed.txt", "skipped.txt", "early.log"]) write(top, name, "of the user\n")
      yield* change(top, () => {
        writeFileSync(join(top, "early.log"), "of the turn\n")
        write(top, "late.log", "of the turn\n")
        git(top, "add", "-f", "late.log")
      })
      yield* change(top, () => writeFileSync(join(top, "late.log"), "of the next turn\n"))
      yield* undo()
      assert.deepStrictEqual(contentsOf("early.log", "late.log"), ["of the turn\n", "of the turn\n"])
      yield* undo()
      assert.isFalse(existsSync(join(top, "late.log")))
      const kept = contentsOf("early.log", "assumed.txt", "skipped.txt")
      assert.deepStrictEqual(kept, ["of the user\n", "of the user\n", "of the user\n"])
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("leaves out what is too large or too much, and an undo keeps it", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      write(top, "big.bin", new Uint8Array(2_000))
      const { before } = yield* change(top, () => {
        writeFileSync(join(top, "big.bin"), "small now\n")
        for (const name of ["a", "b", "c"]) write(top, name, name)
      })
      assert.deepStrictEqual(before.leftOut, [{ path: "big.bin", reason: "large" }])
      assert.strictEqual(Snapshots.describeLeftOut(before), "an undo of this turn will not restore big.bin (too large)")
      yield* undo()
      assert.strictEqual(readFileSync(join(top, "big.bin"), "utf8"), "small now\n")
    }).pipe(Effect.provide(snapshots({ fileBytes: 1_000 })), Effect.scoped)
  )

  it.effect("leaves out files beyond the limits of their number and bytes", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      for (const name of ["a", "b", "c", "d"]) write(top, name, "x".repeat(10))
      const store = yield* Snapshots.Snapshots
      const { before } = yield* store.begin(owner, top)
      assert.deepStrictEqual(
        before.leftOut.map(({ reason }) => reason),
        ["many", "many"]
      )
    }).pipe(Effect.provide(snapshots({ files: 3, totalBytes: 25 })), Effect.scoped)
  )

  it.effect("runs no program that the repository names", () =>
    Effect.gen(function* () {
      const top = yield* repository({ ...files, "a.x": "one\n", ".gitattributes": "*.x filter=f diff=t\n" })
      const ran = join(top, ".git/ran")
      const program = join(top, ".git/program")
      writeFileSync(program, `#!/bin/sh\necho "$0 $*" >> '${ran}'\ncat\n`, { mode: 0o755 })
      for (const name of ["core.fsmonitor", "filter.f.clean", "filter.f.smudge", "diff.external", "core.pager"]) {
        git(top, "config", name, `${program} ${name}`)
      }
      git(top, "config", "filter.f.required", "true")
      for (const hook of ["post-index-change", "pre-commit", "post-checkout", "reference-transaction"]) {
        write(top, `.git/hooks/${hook}`, `#!/bin/sh\necho ${hook} >> '${ran}'\n`, 0o755)
      }
      const before = tree(top)
      yield* change(top, () => {
        edit(top)
        writeFileSync(join(top, "a.x"), "two\n")
      })
      yield* undo()
      assert.deepStrictEqual(tree(top), before)
      assert.throws(() => readFileSync(ran), /ENOENT/)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("fails by name outside a repository and in a bare one", () =>
    Effect.gen(function* () {
      const store = yield* Snapshots.Snapshots
      const outside = mkdtempSync(join(tmpdir(), "spindle-"))
      assert.include((yield* Effect.flip(store.begin(owner, outside))).message, "is not in a git repository")
      git(outside, "init", "-q", "--bare")
      assert.include((yield* Effect.flip(store.begin(owner, outside))).message, "is in a bare git repository")
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )

  it.effect("is collected with its owner", () =>
    Effect.gen(function* () {
      const top = yield* repository(files)
      const store = yield* Snapshots.Snapshots
      yield* store.begin("kept/session", top)
      yield* store.begin(owner, top)
      yield* store.collect((one) => one === "kept/session")
      assert.strictEqual((yield* store.list(owner)).length, 0)
      assert.strictEqual((yield* store.list("kept/session")).length, 1)
    }).pipe(Effect.provide(snapshots()), Effect.scoped)
  )
})
