/** The search for repositories, which is complete before each command. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Repositories from "../../src/internal/sandbox/repositories.ts"
import { directory } from "../host.ts"

/** A workspace with these directories, and the paths in it that a search finds. */
const workspaceOf = Effect.fnUntraced(function* (...names: ReadonlyArray<string>) {
  const root = yield* directory
  const make = (name: string) => mkdirSync(join(root, name), { recursive: true })
  names.forEach(make)
  const find = Repositories.find(root, 2).pipe(
    Effect.map((found) => found.map((path) => path.slice(root.length + 1)).toSorted()),
    Effect.provide(NodeServices.layer)
  )
  return { find, make, write: (name: string, text: string) => writeFileSync(join(root, name), text) }
})

describe("the search for repositories", () => {
  it.live("finds those of a directory and of the directories below it, to its depth", () =>
    Effect.gen(function* () {
      const { find } = yield* workspaceOf(".git", "a/b/.git", "a/b/c/.git", "node_modules/x/.git", "plain")
      assert.deepStrictEqual(yield* find, [".git", "a/b/.git"])
    })
  )

  it.live("finds a repository that appears between two searches", () =>
    Effect.gen(function* () {
      const { find, make } = yield* workspaceOf("a/b")
      assert.deepStrictEqual(yield* find, [])
      make("a/b/.git")
      assert.deepStrictEqual(yield* find, ["a/b/.git"])
    })
  )

  it.live("finds a bare repository, and not a directory that has only some of its names", () =>
    Effect.gen(function* () {
      const { find, write } = yield* workspaceOf("bare/objects", "bare/refs", "other/objects", "other/refs")
      write("bare/HEAD", "ref: refs/heads/main\n")
      assert.deepStrictEqual(yield* find, ["bare"])
    })
  )

  it.live("follows the file .git of a worktree to its directory and to the one that it shares", () =>
    Effect.gen(function* () {
      const { find, write } = yield* workspaceOf("tree", "store/worktrees/tree")
      write("tree/.git", "gitdir: ../store/worktrees/tree\n")
      write("store/worktrees/tree/commondir", "../..\n")
      assert.deepStrictEqual(yield* find, ["store", "store/worktrees/tree", "tree/.git"])
    })
  )

  it.live("keeps a file .git that names nothing", () =>
    Effect.gen(function* () {
      const { find, write } = yield* workspaceOf("a")
      write("a/.git", "")
      assert.deepStrictEqual(yield* find, ["a/.git"])
    })
  )
})
