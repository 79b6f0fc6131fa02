/** Patches that name a file in more than one way, or in a way that leads to none. */
import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { ApplyPatch } from "../../src/index.ts"
import { directory } from "../host.ts"

const patch = (...lines: ReadonlyArray<string>) => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n")

/** A directory in which `a` and `b` are one file. */
const linked = Effect.map(directory, (root) => {
  writeFileSync(join(root, "a"), "one\ntwo\n")
  linkSync(join(root, "a"), join(root, "b"))
  return root
})

const refusalOf = (cwd: string, ...lines: ReadonlyArray<string>) =>
  Effect.map(Effect.flip(ApplyPatch.apply(patch(...lines), { cwd })), ({ detail }) => detail)

const read = (root: string, name: string) => readFileSync(join(root, name), "utf8")

const [one, two] = [
  ["@@", "-one", "+1"],
  ["@@", "-two", "+2"]
]

describe("a file with two names", () => {
  it.live("is changed under one of them only, and the patch says so before it changes anything", () =>
    Effect.gen(function* () {
      const root = yield* linked
      const detail = "b: is the same file as a (a hard link): change it under one of its names"
      const both = ["*** Update File: a", ...one, "*** Update File: b", ...two]
      assert.include(yield* refusalOf(root, ...both), detail)
      const moved = ["*** Update File: a", "*** Move to: c", ...one, "*** Update File: b", ...two]
      assert.include(yield* refusalOf(root, ...moved), "is the same file as")
      assert.include(yield* ApplyPatch.check(patch(...both), { cwd: root }), detail)
      assert.deepStrictEqual([read(root, "a"), read(root, "b")], ["one\ntwo\n", "one\ntwo\n"])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is changed under one while the other is removed", () =>
    Effect.gen(function* () {
      const root = yield* linked
      yield* ApplyPatch.apply(patch("*** Update File: a", ...one, "*** Delete File: b"), { cwd: root })
      assert.deepStrictEqual([read(root, "a"), statSync(join(root, "a")).nlink], ["1\ntwo\n", 1])
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.live("is one file in a patch that names it by two paths", () =>
    Effect.gen(function* () {
      const root = yield* linked
      mkdirSync(join(root, "sub"))
      symlinkSync("../a", join(root, "sub/link"))
      const names = ["a", "./a", "sub/../a", "sub/link"]
      const text = yield* ApplyPatch.apply(
        patch(
          "*** Update File: a",
          ...one,
          "*** Update File: sub/link",
          ...two,
          "*** Update File: ./a",
          "@@",
          "-1",
          "+I"
        ),
        { cwd: root }
      )
      assert.include(text, "M a\n")
      assert.deepStrictEqual(
        names.map((name) => read(root, name)),
        Array(4).fill("I\n2\n")
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )
})

describe("a path that leads to no file", () => {
  it.live("is refused with the reason", () =>
    Effect.gen(function* () {
      const root = yield* linked
      symlinkSync("loop", join(root, "loop"))
      assert.include(yield* refusalOf(root, "*** Add File: a/below", "+x"), "a part of its path is not a directory")
      assert.include(yield* refusalOf(root, "*** Add File: loop/x", "+x"), "its symbolic links lead to each other")
      assert.include(yield* refusalOf(root, `*** Add File: ${"x".repeat(300)}`, "+x"), "its name is too long")
      assert.include(yield* refusalOf(root, "*** Add File: x\0y", "+x"), "is not a path")
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
