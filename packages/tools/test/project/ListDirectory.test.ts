import { execFileSync } from "node:child_process"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"
import { ProjectTools } from "../../src/index.ts"
import * as ListDirectory from "../../src/project/ListDirectory.ts"
import { directory } from "../host.ts"

const list = (cwd: string, wanted: Partial<ListDirectory.Parameters> = {}) =>
  Effect.provide(ListDirectory.run({ dir_path: ".", ...wanted }, { cwd }), NodeServices.layer)
const refusal = (...args: Parameters<typeof list>) => Effect.map(Effect.flip(list(...args)), ({ message }) => message)

const tree = Effect.map(directory, (cwd) => {
  mkdirSync(join(cwd, "sub/deep"), { recursive: true })
  for (const name of ["b", "a", "sub/c", "sub/deep/d"]) writeFileSync(join(cwd, name), "")
  symlinkSync("sub", join(cwd, "link"))
  execFileSync("mkfifo", [join(cwd, "pipe")])
  return cwd
})

describe("list_dir", () => {
  it.effect("returns sorted entries with their kinds, to a depth, without following links", () =>
    Effect.gen(function* () {
      const cwd = yield* tree
      const shallow = [`${cwd}:`, "a", "b", "link@", "pipe?", "sub/", "  c", "  deep/"]
      assert.deepStrictEqual((yield* list(cwd)).split("\n"), shallow)
      assert.deepStrictEqual((yield* list(cwd, { depth: 3 })).split("\n"), [...shallow, "    d"])
      assert.strictEqual(yield* list(cwd, { dir_path: "sub/deep" }), `${cwd}/sub/deep:\nd`)
    })
  )

  it.effect("returns a page, and says where the next one starts", () =>
    Effect.gen(function* () {
      const cwd = yield* tree
      assert.strictEqual(
        yield* list(cwd, { offset: 2, limit: 2 }),
        `${cwd}:\nb\nlink@\nThere are more entries. Continue with offset 4.`
      )
      assert.strictEqual(yield* list(cwd, { offset: 7, limit: 2 }), `${cwd}:\n  deep/`)
      assert.strictEqual(yield* refusal(cwd, { offset: 8 }), "cannot list .: it has 7 entries, and offset is 8")
    })
  )

  it.effect("refuses what is no directory, and numbers that make no sense", () =>
    Effect.gen(function* () {
      const cwd = yield* tree
      mkdirSync(join(cwd, "empty"))
      assert.strictEqual(yield* list(cwd, { dir_path: "empty" }), `${cwd}/empty is empty.`)
      assert.strictEqual(yield* refusal(cwd, { dir_path: "none" }), "cannot list none: it does not exist")
      assert.strictEqual(yield* refusal(cwd, { dir_path: "a" }), "cannot list a: it is not a directory")
      assert.strictEqual(yield* refusal(cwd, { dir_path: "pipe" }), "cannot list pipe: it is not a directory")
      assert.strictEqual(yield* refusal(cwd, { limit: 0 }), "cannot list .: limit must be a whole number from 1")
      assert.strictEqual(yield* refusal(cwd, { depth: 0.5 }), "cannot list .: depth must be a whole number from 1")
    })
  )

  it("needs no approval, and counts as a directory that was read", () => {
    const { approval, display } = ProjectTools.policies.list_dir
    assert.strictEqual(approval, "allow")
    assert.deepStrictEqual(display?.({ dir_path: "src" }, {}), { _tag: "Read", path: "src" })
  })
})
