import { assert, describe, it } from "@effect/vitest"
import * as Ignored from "../../src/internal/snapshots/ignoredPaths.ts"

const made = (path: string) => ({ path, from: undefined, to: "content" })
const removed = (path: string) => ({ path, from: "content", to: undefined })
const none = Ignored.cut([])

describe("S12 the ignored paths among the differences of two trees", () => {
  it("are the new ones that were ignored before, and the missing ones that are ignored after", () => {
    const ignored = Ignored.cut(["a.log", "build/", "deep/down/"])
    const paths = ["a.log", "build/a", "build/b/c", "deep/down/a", "b.log", "builds/a", "deep/a"]
    assert.deepStrictEqual(Ignored.among(paths.map(made), ignored, none), paths.slice(0, 4))
    assert.deepStrictEqual(Ignored.among(paths.map(removed), none, ignored), paths.slice(0, 4))
    assert.deepStrictEqual(Ignored.among(paths.map(removed), ignored, none), [])
    assert.deepStrictEqual(Ignored.among([{ path: "a.log", from: "one", to: "two" }], ignored, ignored), [])
  })

  it("are all new ones after a change of the rules, if not all ignored paths are known", () => {
    const many = Ignored.cut(Array.from({ length: 2_001 }, (_, index) => `${index}.log`))
    const changed = { path: "sub/.gitignore", from: "one", to: "two" }
    for (const before of [many, undefined]) {
      assert.deepStrictEqual(Ignored.among([made("a"), removed("b"), changed], before, none), ["a"])
      assert.deepStrictEqual(Ignored.among([made("a"), made("b.gitignore")], before, none), [])
    }
  })
})

describe("the entries of ls-files", () => {
  it("are captured or untracked, each once, and of a directory and its content the content", () => {
    const entries = ["? build/", "? sub/", "? sub/.env", "H kept.log", "M both.log", "M both.log", "S skipped.log"]
    assert.deepStrictEqual(Ignored.parse(entries), {
      captured: ["both.log", "kept.log", "skipped.log"],
      untracked: ["build/", "sub/.env"]
    })
  })
})
