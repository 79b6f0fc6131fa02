import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem, Layer, PlatformError } from "effect"
import { Turn } from "@spindle/core"
import type { CallDetail } from "@spindle/core/Display"
import { ApplyPatch } from "../src/index.ts"
import { directory } from "./host.ts"

/** A new directory with these files. */
const tree = (files: { readonly [path: string]: string }) =>
  Effect.map(directory, (root) => {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(join(root, path, ".."), { recursive: true })
      writeFileSync(join(root, path), content)
    }
    return root
  })

/** Everything below a directory: contents, modes, links. */
const snapshot = (root: string): { readonly [path: string]: string } =>
  Object.fromEntries(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .map((entry): readonly [string, string] => {
        const path = join(entry.parentPath, entry.name)
        const name = path.slice(root.length + 1)
        if (entry.isSymbolicLink()) return [name, `-> ${readlinkSync(path)}`]
        if (entry.isDirectory()) return [name, "directory"]
        return [name, `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, "latin1")}`]
      })
      .sort()
  )

const patch = (...lines: ReadonlyArray<string>) => ["*** Begin Patch", ...lines, "*** End Patch", ""].join("\n")

/** A file system of which one operation on one path fails. */
const failing = (operation: "rename" | "writeFile", isFaulty: (path: string, count: number) => boolean) =>
  Layer.provideMerge(
    Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (fileSystem): FileSystem.FileSystem => {
        let count = 0
        const fault = (path: string) =>
          Effect.suspend(() =>
            isFaulty(path, count++)
              ? Effect.fail(
                  PlatformError.systemError({
                    _tag: "WriteZero",
                    module: "FileSystem",
                    method: operation,
                    pathOrDescriptor: path
                  })
                )
              : Effect.void
          )
        return operation === "rename"
          ? { ...fileSystem, rename: (from, to) => Effect.andThen(fault(to), fileSystem.rename(from, to)) }
          : {
              ...fileSystem,
              writeFile: (path, data, options) => Effect.andThen(fault(path), fileSystem.writeFile(path, data, options))
            }
      })
    ),
    NodeServices.layer
  )

/** The reason for which a patch is refused, after a check that nothing has changed. */
const refusalOf = Effect.fnUntraced(function* (root: string, input: string) {
  const before = snapshot(root)
  const failure = yield* Effect.flip(ApplyPatch.apply(input, { cwd: root }))
  assert.deepStrictEqual(snapshot(root), before)
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
      assert.deepStrictEqual(snapshot(root), {
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
      assert.deepStrictEqual(snapshot(root), { a: "644 new\n" })
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

  it.live("what is no patch, no file, no text or nowhere is refused with its reason", () =>
    Effect.gen(function* () {
      const root = yield* tree({ "dir/a": "x\n" })
      writeFileSync(join(root, "binary"), Uint8Array.of(0xff, 0xfe))
      assert.include(yield* refusalOf(root, "hello"), 'a patch begins with "*** Begin Patch"')
      assert.include(yield* refusalOf(root, patch("*** Update File: dir", "@@", "-x")), "dir: cannot be read")
      assert.include(
        yield* refusalOf(root, patch("*** Update File: binary", "@@", "-x")),
        "binary: is not a text in UTF-8"
      )
      assert.include(yield* refusalOf(root, patch("*** Update File: none", "@@", "-x")), "no such file to update")
      assert.include(yield* refusalOf(root, patch("*** Add File: dir/a", "+x")), "exists already")
      assert.include(
        (yield* Effect.flip(ApplyPatch.apply(patch("*** Add File: a", "+x"), { cwd: join(root, "none") }))).detail,
        "there is no working directory"
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("no path leaves the working directory, whatever it is called and wherever links lead", () =>
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
      assert.deepStrictEqual(snapshot(outside), { secret: "644 s\n" })

      yield* ApplyPatch.apply(patch("*** Update File: inner", "@@", "-x", "+y", "*** Delete File: file-link"), {
        cwd: root
      })
      assert.deepStrictEqual(snapshot(root), {
        a: "644 y\n",
        inner: `-> ${root}/a`,
        link: `-> ${outside}`,
        "link/secret": "644 s\n"
      })
      assert.deepStrictEqual(snapshot(outside), { secret: "644 s\n" })
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("a call reports the changes that were made as unified diffs, and none when it is refused", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "one\ntwo\n", old: "x\ny\n", b: "z\n" })
      const details: Array<CallDetail> = []
      const turn = { detail: (_: string, detail: CallDetail) => Effect.sync(() => void details.push(detail)) }
      const run = (...lines: ReadonlyArray<string>) =>
        ApplyPatch.run(patch(...lines), "call", { cwd: root }).pipe(
          Effect.provideService(Turn.Turn, turn as unknown as Turn.Turn)
        )
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
      assert.deepStrictEqual(ApplyPatch.display(patch(...all)), {
        _tag: "Patch",
        changes: [
          { path: "a", change: "update", diff: "@@\n-two\n+2" },
          { path: "old", change: "delete" },
          { path: "new", change: "add", diff: "@@ -0,0 +1 @@\n+n" },
          { path: "b", change: "update", movePath: "c" }
        ]
      })
      assert.deepStrictEqual(ApplyPatch.display("no"), { _tag: "Patch", changes: [] })
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

  for (const [operation, total] of [
    ["writeFile", 3],
    ["rename", 5]
  ] as const) {
    for (let at = 0; at < total; at++) {
      it.live(`a failure of ${operation} number ${at} leaves the tree as it was`, () =>
        Effect.gen(function* () {
          const root = yield* tree({ a: "1\n", b: "2\n", d: "4\n" })
          const before = snapshot(root)
          const failure = yield* Effect.flip(ApplyPatch.apply(wide, { cwd: root })).pipe(
            Effect.provide(failing(operation, (_, count) => count === at))
          )
          assert.include(failure.detail, "Every file is as it was before.")
          assert.deepStrictEqual(snapshot(root), before)
        })
      )
    }
  }

  it.live("the failures above are all there are", () =>
    Effect.gen(function* () {
      const counts: Array<string> = []
      for (const operation of ["writeFile", "rename"] as const) {
        const root = yield* tree({ a: "1\n", b: "2\n", d: "4\n" })
        let calls = 0
        yield* ApplyPatch.apply(wide, { cwd: root }).pipe(
          Effect.provide(
            failing(operation, (_, count) => {
              calls = count + 1
              return false
            })
          )
        )
        counts.push(`${operation} ${calls}`)
        assert.deepStrictEqual(Object.keys(snapshot(root)), ["a", "e", "new", "new/c"])
      }
      assert.deepStrictEqual(counts, ["writeFile 3", "rename 5"])
    })
  )

  it.live("what cannot be put back is named, and its content is kept", () =>
    Effect.gen(function* () {
      const root = yield* tree({ a: "1\n", b: "2\n", d: "4\n" })
      // the third rename fails, and so does every one that would put something back
      const failure = yield* Effect.flip(ApplyPatch.apply(wide, { cwd: root })).pipe(
        Effect.provide(failing("rename", (_, count) => count >= 2))
      )
      assert.include(failure.detail, "not everything could be put back")
      const kept = /b \(kept as (.+?)\)/.exec(failure.detail)![1]!
      assert.strictEqual(readFileSync(kept, "utf8"), "2\n")
    })
  )
})
