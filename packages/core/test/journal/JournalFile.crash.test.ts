import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as RecordCodec from "@spindle/core/RecordCodec"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Effect, Schema } from "effect"
import * as Trials from "../crash/trials.ts"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import { journalOf, numbered, sessionId, startedAs, warning } from "../fixtures/records.ts"

const bytesOf = (records: ReadonlyArray<JournalRecord>) =>
  new TextEncoder().encode(records.map((record) => `${RecordCodec.encode(record)}\n`).join(""))

/** Puts bytes where the journal of the session lies. */
const put = (directory: string, bytes: Uint8Array) => {
  const path = JournalFiles.pathOf(directory)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

const cutFilesIn = (directory: string) => JournalFiles.namesIn(directory).filter((name) => name.includes(".cut-"))

/** Opens a journal, appends a record to it, and returns what was found. */
const reopen = (directory: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { journal } = yield* JournalFiles.make({ directory })
      const writer = yield* journal.open(sessionId, "existing")
      const next = writer.opened.records.length
      yield* writer.append(numbered([warning("after")], next))
      const back = yield* writer.read(0, Infinity)
      assert.deepStrictEqual(back.slice(0, -1), writer.opened.records)
      assert.strictEqual(back.at(-1)?.seq, next)
      return writer.opened
    })
  )

describe("a torn file", () => {
  it.live("J1 a journal cut at any byte opens with every complete record, and keeps the cut bytes next to it", () =>
    Effect.gen(function* () {
      const records = journalOf(6)
      const whole = bytesOf(records)
      const { directory, journal } = yield* JournalFiles.make()
      for (let size = 0; size <= whole.length; size++) {
        const path = put(directory, whole.subarray(0, size))
        // a record is complete without its newline, which the opening then adds
        const complete = records.filter((_, index) => bytesOf(records.slice(0, index + 1)).length - 1 <= size).length
        const prefix = bytesOf(records.slice(0, complete))

        const loaded = yield* journal.load(sessionId)
        assert.deepStrictEqual(loaded.records, records.slice(0, complete), `loaded at byte ${size}`)
        const cutBytes = Math.max(0, size - prefix.length)
        assert.strictEqual(loaded.cutBytes, cutBytes)
        assert.strictEqual(readFileSync(path).length, size, "loading leaves the torn end alone")

        const opened = yield* reopen(directory)
        assert.deepStrictEqual(opened.records, records.slice(0, complete), `opened at byte ${size}`)
        assert.strictEqual(opened.cutBytes, cutBytes)
        if (opened.cutFile === undefined) assert.strictEqual(opened.cutBytes, 0)
        else assert.deepEqual(new Uint8Array(readFileSync(opened.cutFile)), whole.slice(prefix.length, size))
        assert.deepEqual(new Uint8Array(readFileSync(path)).slice(0, prefix.length), prefix)
        rmSync(join(directory, "2024"), { recursive: true })
      }
    }).pipe(Effect.scoped)
  )

  it.effect.prop(
    "J1 random bytes at the end are cut off and kept",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))],
    ([garbage]) =>
      Effect.gen(function* () {
        const records = journalOf(4)
        const { directory } = yield* JournalFiles.make()
        const path = put(directory, new Uint8Array([...bytesOf(records), ...garbage]))
        const opened = yield* reopen(directory)
        assert.deepStrictEqual(opened.records, records)
        assert.strictEqual(opened.cutBytes, garbage.length)
        assert.deepStrictEqual(opened.cutFile === undefined ? [] : [...readFileSync(opened.cutFile)], garbage)
        assert.strictEqual(JournalFiles.linesOf(path).length, 5)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 40 } }
  )

  it.live("J1 an empty file is a journal without records, and nothing is cut", () =>
    Effect.gen(function* () {
      const { directory } = yield* JournalFiles.make()
      put(directory, new Uint8Array(0))
      const opened = yield* reopen(directory)
      assert.deepStrictEqual(opened, { records: [], cutBytes: 0, cutFile: undefined })
      assert.deepStrictEqual(cutFilesIn(directory), [])
    }).pipe(Effect.scoped)
  )
})

describe("a take-over that died between its steps", () => {
  const whole = bytesOf(journalOf(5))
  const torn = whole.subarray(0, whole.length - 3)
  const fresh = bytesOf(journalOf(4))
  const states: ReadonlyArray<readonly [name: string, leave: (path: string) => void, tail: number]> = [
    ["only the renamed file is left", (path) => renameSync(path, `${path}.taken`), 1],
    [
      "the renamed file and half a new one are left",
      (path) => {
        renameSync(path, `${path}.taken`)
        writeFileSync(`${path}.new`, fresh.subarray(0, 20))
      },
      1
    ],
    [
      "the new file exists, and so does the renamed one",
      (path) => {
        renameSync(path, `${path}.taken`)
        writeFileSync(path, fresh)
      },
      0
    ],
    ["an older new file lies next to the journal", (path) => writeFileSync(`${path}.new`, whole), 1]
  ]
  for (const [name, leave, cut] of states) {
    it.live(`J1 ${name}: the journal is listed, loaded and opened with every record`, () =>
      Effect.gen(function* () {
        const { directory, journal } = yield* JournalFiles.make()
        const path = put(directory, torn)
        leave(path)
        assert.deepStrictEqual(
          (yield* journal.list).map((entry) => entry.sessionId),
          [sessionId]
        )
        assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(4))
        const opened = yield* reopen(directory)
        assert.deepStrictEqual(opened.records, journalOf(4))
        assert.strictEqual(opened.cutBytes > 0, cut === 1)
        assert.strictEqual(JournalFiles.linesOf(path).length, 5)
        assert.isFalse(existsSync(`${path}.taken`))
        assert.isFalse(existsSync(`${path}.new`))
      }).pipe(Effect.scoped)
    )
  }

  it.live("J1 a renamed file of an id that names no day is found as well", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const plain = "my session.taken" as typeof sessionId
      yield* Effect.scoped(
        Effect.flatMap(journal.open(plain, "create"), (writer) => writer.append(numbered([startedAs(plain)])))
      )
      assert.strictEqual((yield* journal.load(plain)).records.length, 1)
      const [entry] = yield* journal.list
      assert.strictEqual(entry?.sessionId, plain)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* journal.open(plain, "existing")
          assert.strictEqual(writer.opened.records.length, 1)
        })
      )
      assert.isTrue(existsSync(directory))
    }).pipe(Effect.scoped)
  )
})

describe("a killed process", () => {
  it.live(
    "J1 SIGKILL at boundaries of the file system and at random moments loses nothing that was acknowledged, in 50 trials",
    () =>
      Effect.gen(function* () {
        const figures = yield* Trials.run(50)
        assert.deepStrictEqual(figures.problems, [], Trials.format(figures))
        assert.deepStrictEqual([figures.lost, figures.refused, figures.nextTurnFailed, figures.replayed], [0, 0, 0, 0])
        assert.strictEqual(figures.atBoundaries + figures.atRandom, 50)
        assert.isAbove(figures.records, 100)
        assert.isAbove(figures.calls, 10)
      }),
    120_000
  )
})
