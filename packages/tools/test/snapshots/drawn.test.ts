/** Undos of drawn turns: whatever a turn does to files, links, directories and ignore rules. */
import { chmodSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, it } from "@effect/vitest"
import * as Vitest from "@spindle/testing/Vitest"
import { Effect, Schema } from "effect"
import { Snapshots } from "../../src/index.ts"
import { git, repository, snapshots, tree } from "../repositories.ts"

const Name = Schema.Literals([
  "a",
  "b",
  "d",
  "d/a",
  "d/b.log",
  "d/e",
  "d/e/c",
  "d/e/f/g",
  "x.log",
  "y",
  "y/z",
  "y/w.log"
])
const Pattern = Schema.Literals(["*.log", "d/", "/a", "!x.log", "b", "y", "e/", "*", "!d", "f/"])
const Write = Schema.TaggedStruct("Write", { path: Name, content: Schema.Literals(["1\n", "2\n", "3\n"]) })
/** A change of the working tree. One that is not possible does nothing. */
const Edit = Schema.Union([
  Write,
  Write,
  Schema.TaggedStruct("Remove", { path: Name }),
  Schema.TaggedStruct("Link", { path: Name, target: Name }),
  Schema.TaggedStruct("Mode", { path: Name, mode: Schema.Literals([0o644, 0o755]) }),
  Schema.TaggedStruct("Ignore", {
    directory: Schema.Literals([".", "d"]),
    patterns: Schema.Array(Pattern).check(Schema.isMaxLength(2))
  }),
  Schema.TaggedStruct("Track", { path: Name })
])
const Edits = Schema.Array(Edit).check(Schema.isMaxLength(8))

const typeOf = (path: string) => {
  try {
    const info = lstatSync(path)
    return info.isDirectory() ? "directory" : info.isFile() ? "file" : "link"
  } catch {
    return undefined
  }
}

/** Makes the directories above a path, in place of what is there, and removes what is at the path. */
const makePlace = (top: string, path: string): string => {
  const parents: Array<string> = []
  for (let one = dirname(path); one !== "."; one = dirname(one)) parents.unshift(one)
  for (const one of parents.map((parent) => join(top, parent))) {
    if (typeOf(one) !== "directory") rmSync(one, { force: true })
    mkdirSync(one, { recursive: true })
  }
  const target = join(top, path)
  rmSync(target, { recursive: true, force: true })
  return target
}

const apply = (top: string, edit: typeof Edit.Type): void => {
  switch (edit._tag) {
    case "Write":
      return writeFileSync(makePlace(top, edit.path), edit.content)
    case "Remove":
      return void makePlace(top, edit.path)
    case "Link":
      return symlinkSync(edit.target, makePlace(top, edit.path))
    case "Mode":
      if (typeOf(join(top, edit.path)) === "file") chmodSync(join(top, edit.path), edit.mode)
      return
    case "Ignore": {
      if (typeOf(join(top, edit.directory)) !== "directory") return
      const file = join(top, edit.directory, ".gitignore")
      return edit.patterns.length === 0 ? rmSync(file, { force: true }) : writeFileSync(file, edit.patterns.join("\n"))
    }
    case "Track":
      if (typeOf(join(top, edit.path)) === "file") git(top, "add", "-f", edit.path)
  }
}

const ignored = (top: string): ReadonlySet<string> =>
  new Set(git(top, "ls-files", "-z", "-o", "-i", "--exclude-standard").split("\0"))

const owner = "drawn"

it.effect.prop(
  "S12 an undo of any turn restores every file that git does not ignore, or changes nothing",
  [Edits, Edits, Edits],
  ([committed, own, ofTurn]) =>
    Effect.gen(function* () {
      const top = yield* repository({ "kept.txt": "kept\n" })
      const applyAll = (edits: typeof Edits.Type) => edits.forEach((edit) => apply(top, edit))
      applyAll(committed)
      git(top, "add", "-A")
      git(top, "commit", "-q", "--allow-empty", "-m", "drawn")
      applyAll(own)
      const store = yield* Snapshots.Snapshots
      const before = { files: tree(top), ignored: ignored(top) }
      const { id } = yield* store.begin(owner, top)
      applyAll(ofTurn)
      const after = { files: tree(top), ignored: ignored(top) }
      yield* store.complete(owner, id)
      const plan = yield* store.plan(owner, { count: 1 })
      const restored = yield* Effect.result(store.restore(owner, plan, { force: false }))
      const now = tree(top)
      if (restored._tag === "Failure") return assert.deepStrictEqual(now, after.files, restored.failure.message)
      const untouched = new Set(plan.untouched.map(({ path }) => path))
      for (const path of new Set([...Object.keys(before.files), ...Object.keys(now)])) {
        const isOfTurn = now[path] === after.files[path]
        const mayStay =
          untouched.has(path) || before.ignored.has(path) || (after.ignored.has(path) && !(path in before.files))
        if (now[path] !== before.files[path]) assert.isTrue(mayStay && isOfTurn, `${path} is not restored`)
      }
    }).pipe(Effect.provide(snapshots()), Effect.scoped),
  { arbitrary: { runs: Math.ceil(30 * Vitest.factor()), seed: Vitest.seed() } }
)
