import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { Patch, TurnDiff } from "../src/index.ts"

/** Applies patches to files in memory, one after another, and returns the diff of all. */
const diffOf = (files: { readonly [path: string]: string }, ...patches: ReadonlyArray<ReadonlyArray<string>>) => {
  const tracker = TurnDiff.makeTracker()
  const present = new Map(Object.entries(files))
  for (const lines of patches) {
    const patch = Result.getOrThrow(Patch.parse(["*** Begin Patch", ...lines, "*** End Patch"].join("\n")))
    const plan = Effect.runSync(Patch.plan(patch, { read: (path) => Effect.succeed(present.get(path)) }))
    for (const { after, path } of plan.files) {
      if (after === undefined) present.delete(path)
      else present.set(path, after)
    }
    tracker.add(plan.files)
  }
  return tracker.diff()
}

const text = (...lines: ReadonlyArray<string | ReadonlyArray<string>>) =>
  lines
    .flat()
    .map((line) => `${line}\n`)
    .join("")

describe("the diff of a turn", () => {
  it("has each kind of change, with the headers of git", () => {
    assert.deepStrictEqual(
      diffOf(
        { a: "1\n2\n", gone: "x\n", old: "m\nn\n" },
        ["*** Update File: a", "@@", "-2", "+two", "*** Add File: sub/new", "+n"],
        ["*** Delete File: gone", "*** Update File: old", "*** Move to: moved", "@@", "-n", "+N"]
      ),
      {
        diff: text(
          ["diff --git a/a b/a", "--- a/a", "+++ b/a", "@@ -1,2 +1,2 @@", " 1", "-2", "+two"],
          ["diff --git a/sub/new b/sub/new", "new file", "--- /dev/null", "+++ b/sub/new", "@@ -0,0 +1 @@", "+n"],
          ["diff --git a/old b/moved", "rename from old", "rename to moved", "--- a/old", "+++ b/moved"],
          ["@@ -1,2 +1,2 @@", " m", "-n", "+N"],
          ["diff --git a/gone b/gone", "deleted file", "--- a/gone", "+++ /dev/null", "@@ -1 +0,0 @@", "-x"]
        )
      }
    )
  })

  it("joins the changes of one file, and is empty when they are taken back", () => {
    const change = (from: string, to: string) => ["*** Update File: a", "@@", `-${from}`, `+${to}`]
    assert.strictEqual(
      diffOf({ a: "1\n" }, change("1", "2"), change("2", "3")).diff,
      text("diff --git a/a b/a", "--- a/a", "+++ b/a", "@@ -1 +1 @@", "-1", "+3")
    )
    assert.strictEqual(diffOf({ a: "1\n" }, change("1", "2"), change("2", "1")).diff, "")
    assert.strictEqual(diffOf({}, ["*** Add File: n", "+n"], ["*** Delete File: n"]).diff, "")
    assert.strictEqual(diffOf({ a: "1\n" }, ["*** Delete File: a"], ["*** Add File: a", "+1"]).diff, "")
  })

  it("follows a file that is moved more than once, and back", () => {
    const move = (from: string, to: string) => [`*** Update File: ${from}`, `*** Move to: ${to}`]
    assert.strictEqual(
      diffOf({ a: "1\n" }, move("a", "b"), move("b", "c")).diff,
      text("diff --git a/a b/c", "rename from a", "rename to c")
    )
    assert.strictEqual(diffOf({ a: "1\n" }, move("a", "b"), move("b", "a")).diff, "")
    assert.strictEqual(
      diffOf({ a: "1\n" }, move("a", "b"), ["*** Add File: a", "+2"]).diff,
      text(
        ["diff --git a/b b/b", "new file", "--- /dev/null", "+++ b/b", "@@ -0,0 +1 @@", "+1"],
        ["diff --git a/a b/a", "--- a/a", "+++ b/a", "@@ -1 +1 @@", "-1", "+2"]
      )
    )
  })

  it("marks the end of a file without a newline", () => {
    assert.include(diffOf({ a: "1" }, ["*** Update File: a", "@@", "-1", "+2"]).diff, "\\ No newline at end of file")
  })

  it("of a change of very many lines is made without looking for the smallest, and is cut", () => {
    const old = Array.from({ length: 20_000 }, (_, index) => `old line ${index}`)
    const change = ["*** Update File: a", "@@", ...old.map((line) => `-${line}`), ...old.map((line) => `+new ${line}`)]
    const { diff, isCut } = diffOf({ a: text(...old) }, change)
    assert.isTrue(isCut)
    assert.strictEqual(diff.length, TurnDiff.maxLength)
  })
})
