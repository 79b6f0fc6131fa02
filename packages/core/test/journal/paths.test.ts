import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import { Schema } from "effect"
import * as Paths from "../../src/journal/paths.ts"

const drawn = "0190163d-8694-739b-aea5-966c26f8ad91" as SessionId

describe("paths", () => {
  it.prop("the name of a journal contains its session id, whatever the id looks like", [Schema.String], ([text]) => {
    if (!text.isWellFormed()) return
    const name = Paths.fileName(text as SessionId)
    assert.match(name, /^[^/]*\.jsonl$/)
    assert.strictEqual(Paths.sessionOf(name), text)
    assert.strictEqual(Paths.sessionOf(`2024/06/14/${name}`), text)
  })

  it("a name that is not encoded, or of another kind, belongs to no session", () => {
    for (const name of ["100%.jsonl", "two words.jsonl", "é.jsonl", "%61.jsonl", "a.jsonl.taken", "a.json", "a", ""]) {
      assert.isUndefined(Paths.sessionOf(name), name)
    }
  })

  it("the day is that of the id; an id that does not contain a time has none", () => {
    assert.strictEqual(Paths.dayOf(drawn), "2024/06/14")
    assert.isUndefined(Paths.dayOf("0190163d-8694-439b-aea5-966c26f8ad91" as SessionId))
    assert.isUndefined(Paths.dayOf("a name" as SessionId))
    assert.strictEqual(Paths.dayAt(Date.UTC(1999, 11, 31, 23, 59)), "1999/12/31")
  })

  it("the files of a journal belong to its session and to no other", () => {
    const id = "a.jsonl" as SessionId
    for (const suffix of ["", ".archived", ".fence", ".taken", ".new", ".cut-4-1700000000000"]) {
      const name = Paths.fileName(id) + suffix
      assert.isTrue(Paths.belongsTo(name, id), name)
      assert.isFalse(Paths.belongsTo(name, "a" as SessionId), name)
    }
    for (const suffix of [".notes", ".cut-4", ".fence.jsonl", "x"]) {
      assert.isFalse(Paths.belongsTo(Paths.fileName(id) + suffix, id), suffix)
    }
  })

  it("the files next to a journal have names that no journal has", () => {
    const path = Paths.journalPath("/sessions", "2024/06/14", drawn)
    assert.strictEqual(path, `/sessions/2024/06/14/${drawn}.jsonl`)
    const others = [
      Paths.archivedPath(path),
      Paths.fencePath(path),
      Paths.cutPath(path, { bytes: 3, timeMillis: 7 }),
      Paths.takenPath(path),
      Paths.copyPath(path)
    ]
    assert.strictEqual(new Set(others).size, others.length)
    for (const other of others) {
      assert.isTrue(other.startsWith(`${path}.`))
      assert.isUndefined(Paths.sessionOf(other))
    }
  })

  it("a journal that an earlier version renamed is found under its own path", () => {
    assert.strictEqual(Paths.originalPath("a/b.jsonl"), "a/b.jsonl")
    assert.strictEqual(Paths.originalPath("a/b.jsonl.taken"), "a/b.jsonl")
    assert.strictEqual(Paths.originalPath("a/b.taken"), "a/b.taken")
  })
})
