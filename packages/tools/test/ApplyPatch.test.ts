import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { stat } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem, Layer, Logger, PlatformError } from "effect"
import { Local, Turn } from "@spindle/core"
import type { CallDetail } from "@spindle/core/Display"
import { ApplyPatch, CodingTools } from "../src/index.ts"
import { contents } from "./patch/cutPatches.ts"
import { directory, host } from "./host.ts"

/** A new directory with these files. */
const tree = (files: { readonly [path: string]: string }) =>
  Effect.map(directory, (root) => {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(root, path, ".."), { recursive: true })
      writeFileSync(join(root, path), content)
    }
    return root
  })

const patch = (...lines: ReadonlyArray<string>) => ["*** Begin Patch", ...lines, "*** End Patch", ""].join("\n")

/** Runs patches as calls of a turn, and keeps what they report. */
const recording = (options: ApplyPatch.Options) => {
  const details: Array<CallDetail> = []
  const notes: Array<unknown> = []
  const turn = {
    locals: new Local.Locals(),
    turnId: "turn",
    detail: (_: string, detail: CallDetail) => Effect.sync(() => void details.push(detail)),
    note: (_: unknown, note: unknown) => Effect.sync(() => void notes.push(note))
  }
  const run = (...lines: ReadonlyArray<string>) =>
    Effect.provideService(ApplyPatch.run(patch(...lines), "call", options), Turn.Turn, turn as unknown as Turn.Turn)
  return { details, notes, run }
}

type Operation = "open" | "writeAll" | "truncate" | "rename" | "makeDirectory" | "lstat"

/** A file system whose operations of one kind fail as `isFaulty` says, which gets their number. */
const failing = (operation: Operation, isFaulty: (count: number) => boolean) =>
  Layer.provideMerge(
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fileSystem): FileSystem.FileSystem => {
        let count = 0
        const faulty = <Args extends ReadonlyArray<any>, A, R>(
          name: Operation,
          run: (...args: Args) => Effect.Effect<A, PlatformError.PlatformError, R>
        ) => {
          const error = PlatformError.systemError({ _tag: "WriteZero", module: "FileSystem", method: name })
          return (...args: Args) =>
            Effect.suspend(() => (name === operation && isFaulty(count++) ? Effect.fail(error) : run(...args)))
        }
        return {
          ...fileSystem,
          lstat: faulty("lstat", fileSystem.lstat),
          rename: faulty("rename", fileSystem.rename),
          makeDirectory: faulty("makeDirectory", fileSystem.makeDirectory),
          open: faulty("open", (...args) =>
            Effect.map(
              fileSystem.open(...args),
              (file): FileSystem.File =>
                new Proxy(file, {
                  get: (target: any, name) =>
                    name === "writeAll" || name === "truncate"
                      ? faulty(name, (...values) => target[name](...values))
                      : target[name]
                })
            )
          )
        }
      })
    ),
    NodeServices.layer
  )

/** The reason for which a patch is refused, after a check that nothing has changed. */
const refusalOf = Effect.fnUntraced(function* (root: string, input: string) {
  const before = contents(root)
  const failure = yield* Effect.flip(ApplyPatch.apply(input, { cwd: root }))
  assert.deepStrictEqual(contents(root), before)
  return failure.detail
})

describe("apply", () => {
  it.live("adds, updates, moves and deletes together, and lists what it did", () =>
    Effect.gen(function* () {
      const root = yield* tree({ "a.txt": "one\ntwo\n", "src/b.sh": "x\n", "old.txt": "gone\n" })
      chmodSync(join(root, "src/b.sh"), 0o755)
      const text = yield* ApplyPatch.apply(
        patch(
          "*** Update File: a.txt",
          "@@",
          " one",
          "-two",
          "+2",
          "*** Add File: deep/down/new.txt",
          "+new",
          "*** Delete File: old.txt",
          "*** Update File: src/b.sh",
          "*** Move to: bin/c.sh",
          "@@",
          "-x",
          "+y"
        ),
        { cwd: root }
      )
      assert.strictEqual(
        text,
        "Success. Updated the following files:\nA deep/down/new.txt\nM a.txt\nM bin/c.sh\nD old.txt\n"
      )
      assert.deepStrictEqual(contents(root), {
        "a.txt": "644 one\n2\n",
        bin: "directory",
        "bin/c.sh": "755 y\n",
        deep: "directory",
        "deep/down": "directory",
        "deep/down/new.txt": "644 new\n",
        src: "directory"
      })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a file can be deleted and added anew, and absolute paths inside the directory are fine", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "old\n" })
      yield* ApplyPatch.apply(patch(`*** Delete File: ${root}/a`, "*** Add File: ./a", "+new"), { cwd: root })
      assert.deepStrictEqual(contents(root), { a: "644 new\n" })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a hunk that does not apply leaves the tree byte for byte as it was", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\n", b: "two\r\n", "c/d": "\u0000\u00ff" })
      const detail = yield* refusalOf(
        root,
        patch(
          "*** Update File: a",
          "@@",
          "-one",
          "+1",
          "*** Add File: n/new",
          "+x",
          "*** Delete File: c/d",
          "*** Update File: b",
          "@@",
          "-three"
        )
      )
      assert.strictEqual(
        detail,
        [
          "The patch was not applied, and no file was changed.",
          "b, line 10 of the patch: hunk 1 does not apply: these lines are not in the file",
          "  three",
          "No line of the file is like one of them; read the file again."
        ].join("\n")
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a text that is not a patch, a directory, a binary file and a missing path are refused with the reason", () =>
    Effect.gen(function* () {
      const root = yield* tree({ "dir/a": "x\n" })
      writeFileSync(join(root, "binary"), Uint8Array.of(0xff, 0xfe))
      assert.include(yield* refusalOf(root, "hello"), 'a patch begins with "*** Begin Patch"')
      assert.include(yield* refusalOf(root, patch("*** Update File: dir", "@@", "-x")), "dir: is a directory")
      assert.include(
        yield* refusalOf(root, patch("*** Update File: binary", "@@", "-x")),
        "binary: is not text in UTF-8"
      )
      assert.include(yield* refusalOf(root, patch("*** Update File: none", "@@", "-x")), "no such file to update")
      assert.include(yield* refusalOf(root, patch("*** Add File: dir/a", "+x")), "exists already")
      assert.include(
        (yield* Effect.flip(ApplyPatch.apply(patch("*** Add File: a", "+x"), { cwd: join(root, "none") }))).detail,
        "there is no working directory"
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("no path leaves the working directory, whatever its name and wherever links lead", () =>
    Effect.gen(function* () {
      const outside = yield* tree({ secret: "s\n" })
      const root = yield* tree({ a: "x\n" })
      symlinkSync(outside, join(root, "link"))
      symlinkSync(join(outside, "secret"), join(root, "file-link"))
      symlinkSync(join(root, "a"), join(root, "inner"))
      for (const path of [
        `${outside}/secret`,
        "../secret",
        "a/../../b",
        "link/secret",
        "link/new",
        "file-link",
        ".",
        "/"
      ]) {
        for (const change of [
          [`*** Update File: ${path}`, "@@", "-s", "+t"],
          [`*** Add File: ${path}`, "+t"],
          ["*** Update File: a", `*** Move to: ${path}`]
        ]) {
          assert.include(yield* refusalOf(root, patch(...change)), "is outside the working directory", path)
        }
      }
      assert.include(yield* refusalOf(root, patch("*** Delete File: link/secret")), "is outside the working directory")
      assert.deepStrictEqual(contents(outside), { secret: "644 s\n" })

      yield* ApplyPatch.apply(patch("*** Update File: inner", "@@", "-x", "+y", "*** Delete File: file-link"), {
        cwd: root
      })
      assert.deepStrictEqual(contents(root), {
        a: "644 y\n",
        inner: `-> ${root}/a`,
        link: `-> ${outside}`,
        "link/secret": "644 s\n"
      })
      assert.deepStrictEqual(contents(outside), { secret: "644 s\n" })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a call reports the changes that were made as unified diffs, and none when it is refused", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\ntwo\n", old: "x\ny\n", b: "z\n" })
      const { details, notes, run } = recording({ cwd: root })
      const all = [
        "*** Update File: a",
        "@@",
        "-two",
        "+2",
        "*** Delete File: old",
        "*** Add File: new",
        "+n",
        "*** Update File: b",
        "*** Move to: c"
      ]
      yield* run(...all)
      yield* Effect.flip(run("*** Update File: a", "@@", "-two"))
      assert.strictEqual(notes.length, 1)
      // another name of the same file
      yield* run(
        `*** Update File: ${join(root, "a")}`,
        "@@",
        "-2",
        "+two",
        "*** Delete File: ./new",
        "*** Delete File: c"
      )
      assert.deepStrictEqual(notes[1], {
        diff: [
          ["diff --git a/old b/old", "deleted file", "--- a/old", "+++ /dev/null", "@@ -1,2 +0,0 @@", "-x", "-y"],
          ["diff --git a/b b/b", "deleted file", "--- a/b", "+++ /dev/null", "@@ -1 +0,0 @@", "-z", ""]
        ]
          .flat()
          .join("\n")
      })
      details.pop()
      assert.deepStrictEqual(details, [
        {
          _tag: "Patch",
          changes: [
            { path: "a", change: "update", diff: "@@ -2 +2 @@\n-two\n+2" },
            { path: "old", change: "delete", diff: "@@ -1,2 +0,0 @@\n-x\n-y" },
            { path: "new", change: "add", diff: "@@ -0,0 +1 @@\n+n" },
            { path: "b", change: "update", movePath: "c" }
          ]
        },
        { _tag: "Patch", changes: [] }
      ])
      assert.deepStrictEqual(ApplyPatch.display(patch(...all), { cwd: root }), {
        _tag: "Patch",
        changes: [
          { path: "a", change: "update", diff: "@@\n-two\n+2" },
          { path: "old", change: "delete" },
          { path: "new", change: "add", diff: "@@ -0,0 +1 @@\n+n" },
          { path: "b", change: "update", movePath: "c" }
        ]
      })
      assert.deepStrictEqual(ApplyPatch.display("no", { cwd: root }), { _tag: "Patch", changes: [] })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("resolves relative paths from the directory of a call, and leaves the working directory for none", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "1\n", "sub/a": "1\n" })
      const directory = join(root, "sub")
      const { details, notes, run } = recording({ cwd: root, directory })
      yield* run("*** Update File: a", "@@", "-1", "+2", "*** Add File: ../up", "+u")
      assert.deepStrictEqual(contents(root), { a: "644 1\n", sub: "directory", "sub/a": "644 2\n", up: "644 u\n" })
      assert.deepStrictEqual(
        details.flatMap((detail) => (detail._tag === "Patch" ? detail.changes.map(({ path }) => path) : [])),
        [join(root, "sub/a"), `${root}/sub/../up`]
      )
      assert.include(JSON.stringify(notes), "--- a/sub/a")
      const error = yield* Effect.flip(run("*** Add File: ../../out", "+o"))
      assert.include(error.message, `is outside the working directory ${root}`)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  const wide = patch(
    "*** Update File: a",
    "@@",
    "-1",
    "+one",
    "*** Delete File: b",
    "*** Add File: new/c",
    "+c",
    "*** Update File: d",
    "*** Move to: e",
    "@@",
    "-4",
    "+four"
  )

  for (const [operation, least] of [
    ["open", 20],
    ["writeAll", 5],
    ["truncate", 2],
    ["rename", 3],
    ["makeDirectory", 1],
    ["lstat", 5]
  ] as const) {
    it.live(`a failure of any ${operation} leaves the tree as it was`, () =>
      Effect.gen(function* () {
        const files = { a: "1\n", b: "2\n", d: "4\n" }
        let total = 0
        const all = failing(operation, (count) => {
          total = count + 1
          return false
        })
        yield* Effect.provide(ApplyPatch.apply(wide, { cwd: yield* tree(files) }), all)
        assert.isAtLeast(total, least)
        // the last three directories are opened to remove what is left over, when the patch has been applied
        const count = operation === "open" ? total - 3 : total
        for (let at = 0; at < count; at++) {
          const root = yield* tree(files)
          const before = contents(root)
          const failure = yield* Effect.flip(ApplyPatch.apply(wide, { cwd: root })).pipe(
            Effect.provide(failing(operation, (count) => count === at))
          )
          assert.match(failure.detail, /no file was changed\.|Every file is as it was before\.$/)
          assert.deepStrictEqual(contents(root), before, `${operation} ${at}`)
        }
      })
    )
  }

  it.live("what cannot be restored is named, and its content is kept", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "1\n", b: "2\n", d: "4\n" })
      // the third rename fails, and so does every one that would restore something
      const failure = yield* Effect.flip(ApplyPatch.apply(wide, { cwd: root })).pipe(
        Effect.provide(failing("rename", (count) => count >= 2))
      )
      assert.include(failure.detail, "Not everything could be restored")
      const kept = /b \(kept as (.+?)\)/.exec(failure.detail)![1]!
      assert.strictEqual(readFileSync(kept, "utf8"), "2\n")
    })
  )

  it.live(
    "a file that is changed or moved stays the same file, with its other names, owner, mode and times of birth",
    () =>
      Effect.gen(function* () {
        const root = yield* tree({ a: "one\n", b: "two\n", d: "four\n" })
        linkSync(join(root, "a"), join(root, "other"))
        linkSync(join(root, "b"), join(root, "kept"))
        const isRoot = process.getuid?.() === 0
        if (isRoot) for (const name of ["a", "b"]) chownSync(join(root, name), 1234, 2345)
        chmodSync(join(root, "a"), 0o640)
        chmodSync(join(root, "b"), 0o4755)
        const before = [statSync(join(root, "a")), statSync(join(root, "b"))]
        yield* ApplyPatch.apply(
          patch(
            "*** Update File: a",
            "@@",
            "-one",
            "+1",
            "*** Delete File: d",
            "*** Update File: b",
            "*** Move to: d",
            "@@",
            "-two",
            "+2",
            "*** Add File: b",
            "+new"
          ),
          { cwd: root }
        )
        const after = [statSync(join(root, "a")), statSync(join(root, "d"))]
        for (const key of ["ino", "uid", "gid", "nlink"] as const) {
          assert.deepStrictEqual(
            after.map((stat) => stat[key]),
            before.map((stat) => stat[key]),
            key
          )
        }
        assert.deepStrictEqual(contents(root), {
          a: "640 1\n",
          b: "644 new\n",
          d: "755 2\n",
          kept: "755 2\n",
          other: "640 1\n"
        })
      }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a file that is not regular is refused at once, and never opened", () =>
    Effect.gen(function* () {
      const root = yield* tree({})
      execFileSync("mkfifo", [join(root, "pipe")])
      const server = createServer().listen(join(root, "socket"))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      yield* Effect.callback<void>((resume) => void server.once("listening", () => resume(Effect.void)))
      for (const [path, reason] of [
        ["pipe", "is a named pipe, not a regular file"],
        ["socket", "is a socket, not a regular file"]
      ]) {
        for (const change of [
          [`*** Update File: ${path}`, "@@", "-a", "+b"],
          [`*** Delete File: ${path}`],
          [`*** Add File: ${path}`, "+b"],
          ["*** Add File: new", "+x", "*** Update File: new", `*** Move to: ${path}`]
        ]) {
          const failure = yield* Effect.flip(ApplyPatch.apply(patch(...change), { cwd: root }))
          assert.include(failure.detail, `${path}: ${reason}`)
        }
      }
      assert.deepStrictEqual(readdirSync(root).sort(), ["pipe", "socket"])
      // the pool of threads is free: nothing waits for the other end of the pipe
      yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.promise(() => stat(root)), {
        concurrency: "unbounded"
      })
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )

  it.live("a read-only file is refused, whatever the patch does with it", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\n" })
      chmodSync(join(root, "a"), 0o444)
      for (const change of [
        ["*** Update File: a", "@@", "-one", "+1"],
        ["*** Update File: a", "*** Move to: b"],
        ["*** Delete File: a"]
      ]) {
        assert.include(yield* refusalOf(root, patch(...change)), "a: is read-only")
      }
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live.each([
    { path: "loop", detail: "its symbolic links lead to each other" },
    { path: "a/b", detail: "a part of its path is not a directory" },
    { path: "x".repeat(300), detail: "its name is too long" }
  ])("says in words why a file cannot be reached: $detail", ({ detail, path }) =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\n" })
      symlinkSync("loop", join(root, "loop"))
      const refusal = yield* refusalOf(root, patch(`*** Add File: ${path}`, "+x"))
      assert.include(refusal, `${path}: cannot be reached: ${detail}`)
    }).pipe(Effect.provide(host))
  )

  it.live("a symbolic link is followed to change its file, deleted itself, and otherwise refused", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\n" })
      symlinkSync("a", join(root, "link"))
      symlinkSync("nowhere", join(root, "loose"))
      yield* ApplyPatch.apply(patch("*** Update File: link", "@@", "-one", "+1"), { cwd: root })
      assert.include(
        yield* refusalOf(root, patch("*** Update File: link", "*** Move to: b")),
        "link, line 2 of the patch: is a symbolic link, which a patch cannot move"
      )
      for (const change of [
        ["*** Add File: loose", "+x"],
        ["*** Add File: loose/b", "+x"],
        ["*** Update File: a", "*** Move to: loose"]
      ]) {
        assert.include(yield* refusalOf(root, patch(...change)), "is a symbolic link to a file that does not exist")
      }
      assert.deepStrictEqual(contents(root), { a: "644 1\n", link: "-> a", loose: "-> nowhere" })
      yield* ApplyPatch.apply(patch("*** Delete File: loose", "*** Delete File: link", "*** Add File: link", "+x"), {
        cwd: root
      })
      assert.deepStrictEqual(contents(root), { a: "644 1\n", link: "644 x\n" })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a directory or file that is replaced by a link while the patch runs never leads outside", () =>
    Effect.gen(function* () {
      // the tree changes right before the operation number `at` of one kind
      for (const operation of ["open", "lstat", "rename", "writeAll"] as const) {
        for (const [name, link] of [
          ["sub", "outside"],
          ["sub/a", "outside/a"]
        ] as const) {
          for (let at = 0, total = 1; at < total; at++) {
            const top = yield* tree({
              "root/sub/a": "1\n",
              "root/sub/b": "2\n",
              "outside/a": "1\n",
              "outside/b": "2\n"
            })
            const outside = contents(join(top, "outside"))
            const swap = failing(operation, (count) => {
              total = Math.max(total, count + 1)
              if (count === at) {
                renameSync(join(top, "root", name), join(top, "moved"))
                symlinkSync(join(top, link), join(top, "root", name))
              }
              return false
            })
            const changes = ["*** Update File: sub/a", "@@", "-1", "+one", "*** Add File: sub/c", "+c"]
            yield* ApplyPatch.apply(patch(...changes, "*** Delete File: sub/b"), { cwd: join(top, "root") }).pipe(
              Effect.ignore,
              Effect.provide(Layer.merge(swap, Logger.layer([])))
            )
            assert.deepStrictEqual(contents(join(top, "outside")), outside, `${operation} ${at} ${name}`)
          }
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("a file that another program changes after the patch was checked is left alone", () =>
    Effect.gen(function* () {
      // right before each look at a file
      for (let at = 0; ; at++) {
        const root = yield* tree({ a: "1\n" })
        let total = 0
        const failure = yield* ApplyPatch.apply(patch("*** Update File: a", "@@", "-1", "+one"), { cwd: root }).pipe(
          Effect.flip,
          Effect.provide(
            failing("lstat", (count) => {
              total = count + 1
              if (count === at) writeFileSync(join(root, "a"), "theirs\n")
              return false
            })
          ),
          Effect.orElseSucceed(() => undefined)
        )
        if (at >= total) {
          assert.isAbove(at, 3)
          assert.deepStrictEqual(contents(root), { a: "644 one\n" })
          return
        }
        assert.match(failure!.detail, /does not apply|was changed after the patch was checked/)
        assert.deepStrictEqual(contents(root), { a: "644 theirs\n" }, String(at))
      }
    })
  )

  it.live("the check finds what would fail, and changes nothing", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "1\n" })
      const check = (...lines: ReadonlyArray<string>) => ApplyPatch.check(patch(...lines), { cwd: root })
      const before = contents(root)
      assert.isUndefined(yield* check("*** Update File: a", "@@", "-1", "+2", "*** Add File: deep/b", "+x"))
      assert.include(yield* check("*** Update File: a", "@@", "-2"), "hunk 1 does not apply")
      assert.include(yield* check("*** Add File: ../b", "+x"), "is outside the working directory")
      assert.deepStrictEqual(contents(root), before)
      assert.include(
        yield* ApplyPatch.Check.pipe(
          Effect.flatMap((check) => check("no")),
          Effect.provide(CodingTools.layer({ cwd: root }))
        ),
        "The patch was not applied, and no file was changed."
      )
    }).pipe(Effect.provide(host))
  )
})
