import { assert, describe, it } from "@effect/vitest"
import * as RecordCodec from "@spindle/core/RecordCodec"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { Schema } from "effect"
import { SequenceReader } from "../../src/journal/sequence.ts"
import * as Records from "../fixtures/records.ts"

const bytesOf = (text: string) => new TextEncoder().encode(text)
const records = Records.journalOf(5)
const texts = records.map((record) => RecordCodec.encode(record))
const lines = texts.map((text) => `${text}\n`)
const byteLength = (text: string) => bytesOf(text).length

/** Reads bytes in chunks of this size. */
const read = (bytes: Uint8Array, chunkBytes = bytes.length) => {
  const reader = new SequenceReader()
  for (let at = 0; at < bytes.length; at += chunkBytes) reader.push(bytes.slice(at, at + chunkBytes))
  return reader.finish()
}
const readText = (text: string) => read(bytesOf(text))
const numbersOf = (sequence: { readonly records: ReadonlyArray<JournalRecord> }) =>
  sequence.records.map(({ seq }) => seq)
const warning = (seq: number, message = "text") =>
  `${RecordCodec.encode(Records.numbered([Records.warning(message)], seq)[0]!)}\n`

describe("SequenceReader", () => {
  it("returns every record of an intact journal and its offset, however the bytes come in", () => {
    const whole = bytesOf(lines.join(""))
    for (const chunkBytes of [1, 2, 7, 64, whole.length]) {
      assert.deepStrictEqual(read(whole, chunkBytes), {
        records,
        offsets: lines.map((_, index) => byteLength(lines.slice(0, index).join(""))),
        rejected: new Set<number>(),
        sizeBytes: whole.length,
        hasNewline: true,
        damagedBytes: 0,
        missingCount: 0
      })
    }
  })

  it("J1 passes over a damaged line and keeps the records around it", () => {
    const two = lines[0]! + lines[1]!
    const rest = lines.slice(2).join("")
    const damaged = [
      "\n",
      " \r\n",
      "nonsense\n",
      "[1,2]\n",
      "null\n",
      "\0\0\0\n",
      `${"\0".repeat(300)}`,
      `${lines[2]!.slice(0, 20)}\n`,
      `{"v":1,"_tag":"Warning","seq":2,"at":0,"message":7}\n`,
      `{"v":1,"_tag":"Warning","seq":-1,"at":0,"message":"below"}\n`,
      `{"v":1,"_tag":"Warning","seq":2.5,"at":0,"message":"between"}\n`,
      warning(1, "again"),
      warning(1_000_002, "far away")
    ]
    for (const line of damaged) {
      for (const chunkBytes of [1, 5, 10_000]) {
        const sequence = read(bytesOf(two + line + rest), chunkBytes)
        assert.deepStrictEqual(sequence.records, records, line)
        assert.strictEqual(sequence.damagedBytes, byteLength(line), line)
        assert.strictEqual(sequence.missingCount, 0)
        assert.strictEqual(sequence.sizeBytes, byteLength(two + line + rest))
      }
    }
  })

  it("J1 finds a record that follows NUL bytes or half a record on the same line", () => {
    for (const before of [
      "\0".repeat(30),
      lines[2]!.slice(0, 30),
      `${lines[1]!.slice(0, 9)}${lines[2]!.slice(0, 30)}`
    ]) {
      const sequence = readText(lines[0]! + lines[1]! + before + lines.slice(2).join(""))
      assert.deepStrictEqual(sequence.records, records, before)
      assert.strictEqual(sequence.damagedBytes, byteLength(before))
      assert.strictEqual(sequence.offsets[2], byteLength(lines[0]! + lines[1]! + before))
    }
  })

  it("J1 keeps the records after one that is lost, and counts what is missing", () => {
    const sequence = readText(lines[0]! + lines[1]! + `${lines[2]!.slice(0, 12)}\n` + lines[3]! + lines[4]!)
    assert.deepStrictEqual(numbersOf(sequence), [0, 1, 3, 4])
    assert.strictEqual(sequence.missingCount, 1)
    const gone = readText(lines[0]! + lines[4]!)
    assert.deepStrictEqual([numbersOf(gone), gone.missingCount, gone.damagedBytes], [[0, 4], 3, 0])
  })

  it("J1 keeps the longest sequence whose numbers grow, and of records with one number the first", () => {
    const cases: ReadonlyArray<readonly [found: ReadonlyArray<number>, kept: ReadonlyArray<number>]> = [
      [
        [0, 1, 2, 4, 3],
        [0, 1, 2, 3]
      ],
      [
        [0, 1, 900, 950, 2, 3, 4],
        [0, 1, 2, 3, 4]
      ],
      [
        [0, 1, 2, 3, 2, 3, 4],
        [0, 1, 2, 3, 4]
      ],
      [
        [0, 9, 1, 8, 2, 7, 3],
        [0, 1, 2, 3]
      ],
      [
        [5, 0, 1, 2],
        [0, 1, 2]
      ]
    ]
    for (const [found, kept] of cases) {
      const sequence = readText(found.map((seq, index) => warning(seq, `at ${index}`)).join(""))
      assert.deepStrictEqual(numbersOf(sequence), kept)
      const first = sequence.records.map((record) => record._tag === "Warning" && record.message)
      assert.deepStrictEqual(
        first,
        kept.map((seq) => `at ${found.indexOf(seq)}`)
      )
    }
  })

  it("leaves out what an earlier reading rejected", () => {
    const bytes = bytesOf([0, 1, 700, 2, 3].map((seq) => warning(seq)).join(""))
    const { offsets, rejected } = read(bytes)
    assert.strictEqual(rejected.size, 1)
    const start = offsets[1]!
    const page = new SequenceReader({ position: start, rejected })
    page.push(bytes.slice(start, offsets[3]))
    assert.deepStrictEqual(numbersOf(page.finish()), [1, 2])
  })

  it("J1 ends after the last record, with or without its newline", () => {
    const whole = lines.join("")
    for (const rest of ["{", "\0\0\0\0\0", "nonsense\n\n", `${lines[3]!.slice(0, 40)}`]) {
      assert.strictEqual(readText(whole + rest).sizeBytes, byteLength(whole), rest)
    }
    const bare = readText(lines.slice(0, 4).join("") + texts[4])
    assert.deepStrictEqual([bare.records, bare.hasNewline, bare.sizeBytes], [records, false, byteLength(whole) - 1])
  })

  it("passes over bytes that are not UTF-8", () => {
    const torn = new Uint8Array([...bytesOf(lines[0]!), 0xc3, 0x28, 10, ...bytesOf(lines[1]!)])
    assert.deepStrictEqual(read(torn).records, records.slice(0, 2))
  })

  it.prop(
    "J1 random bytes between intact records hide none of them",
    [Schema.Array(Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))))],
    ([garbage]) => {
      const parts = lines.map((line, index) => [...bytesOf(line), ...(garbage[index] ?? []), 10])
      assert.deepStrictEqual(read(new Uint8Array(parts.flat()), 50).records, records)
    }
  )
})
