import { appendFileSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { Effect } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import { journalOf, numbered, sessionId, warning } from "../fixtures/records.ts"

const textOf = (records: ReturnType<typeof journalOf>) =>
  records.map((record) => `${RecordCodec.encode(record)}\n`).join("")

const put = (directory: string, content: string) => {
  const path = JournalFiles.pathOf(directory)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

/** More than a signed integer of 32 bits can count. */
const holeBytes = 2 ** 31 + 4_096

describe("a journal of more than 2 GiB", () => {
  it.live(
    "J1 is loaded, opened, written and read back around a hole, without its bytes in memory",
    () =>
      Effect.gen(function* () {
        // the process has other tests behind it
        const bytesBefore = process.memoryUsage().arrayBuffers
        let memoryBytes = 0
        let operations = 0
        const seen = () => {
          if (operations++ % 256 !== 0) return
          memoryBytes = Math.max(memoryBytes, process.memoryUsage().arrayBuffers - bytesBefore)
        }
        const { directory, journal } = yield* JournalFiles.make({ faults: { seen } })
        const records = journalOf(4)
        const path = put(directory, textOf(records.slice(0, 3)))
        const before = statSync(path).size
        truncateSync(path, before + holeBytes)
        appendFileSync(path, textOf(records.slice(3)))

        const damage = { bytes: holeBytes, missingCount: 0 }
        assert.deepStrictEqual(yield* journal.load(sessionId), { records, cutBytes: 0, cutFile: undefined, damage })
        const writer = yield* journal.open(sessionId, "existing")
        assert.deepStrictEqual(writer.opened, { records, cutBytes: 0, cutFile: undefined, damage })
        const next = numbered([warning("next")], 4)
        yield* writer.append(next)
        assert.deepStrictEqual(yield* writer.read(4, 10), next)
        assert.isBelow(memoryBytes, 32 * 2 ** 20)
        assert.isBelow(statSync(path).blocks * 512, 2 ** 20, "nothing was written into the hole")
      }).pipe(Effect.scoped),
    120_000
  )

  it.live(
    "J1 loses a hole at its end, which takes no space where it is kept",
    () =>
      Effect.gen(function* () {
        const { directory, journal } = yield* JournalFiles.make()
        const path = put(directory, textOf(journalOf(3)))
        const before = statSync(path).size
        truncateSync(path, before + holeBytes)
        const { opened } = yield* journal.open(sessionId, "existing")
        assert.deepStrictEqual([opened.records, opened.cutBytes], [journalOf(3), holeBytes])
        assert.strictEqual(statSync(path).size, before)
        const kept = statSync(opened.cutFile!)
        assert.strictEqual(kept.size, holeBytes)
        assert.isBelow(kept.blocks * 512, 2 ** 20)
      }).pipe(Effect.scoped),
    120_000
  )
})

describe("a full disk", () => {
  it.live("J1 does not keep an intact journal from opening, whatever its size", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = { write: () => 0 }
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const content = textOf(journalOf(2_000))
      const path = put(directory, content)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const writer = yield* journal.open(sessionId, "existing")
          assert.lengthOf(writer.opened.records, 2_000)
          const refused = yield* Effect.flip(writer.append(numbered([warning("late")], 2_000)))
          assert.include(refused.message, "failed to append: ENOSPC: no space left on device")
        })
      )
      assert.strictEqual(readFileSync(path, "utf8"), content)
    }).pipe(Effect.scoped)
  )

  it.live("J1 leaves a torn end where it is until there is space to keep it", () =>
    Effect.gen(function* () {
      const faults: JournalFiles.Faults = { write: () => 3 }
      const { directory, journal } = yield* JournalFiles.make({ faults })
      const content = `${textOf(journalOf(3))}a torn end`
      const path = put(directory, content)
      const refused = yield* Effect.flip(Effect.scoped(journal.open(sessionId, "existing")))
      assert.include(refused.message, "failed to open: ENOSPC: no space left on device")
      assert.strictEqual(readFileSync(path, "utf8"), content)
      assert.isFalse(JournalFiles.namesIn(directory).some((name) => name.includes(".cut-")))
      delete faults.write
      const { opened } = yield* journal.open(sessionId, "existing")
      assert.deepStrictEqual([opened.records, readFileSync(opened.cutFile!, "utf8")], [journalOf(3), "a torn end"])
    }).pipe(Effect.scoped)
  )
})
