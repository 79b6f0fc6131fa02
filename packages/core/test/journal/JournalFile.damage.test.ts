import { appendFileSync, mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Session from "@spindle/core/Session"
import * as SessionState from "@spindle/core/SessionState"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Effect, Layer, Schema } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import * as Records from "../fixtures/records.ts"

const { journalOf, numbered, sessionId, warning } = Records
const lineOf = (record: JournalRecord) => `${RecordCodec.encode(record)}\n`
const numbersOf = (records: ReadonlyArray<JournalRecord>) => records.map(({ seq }) => seq)

const put = (directory: string, content: string) => {
  const path = JournalFiles.pathOf(directory)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, content)
  return path
}

describe("damage between records", () => {
  it.live("J1 stays in the journal, is reported, and hides no record from loading, opening and reading back", () =>
    Effect.gen(function* () {
      const lines = journalOf(600).map(lineOf)
      const isLost = (seq: number) => seq % 100 === 50
      const half = (line: string) => `${line.slice(0, 20)}\n`
      const content = lines
        .map((line, seq) => (isLost(seq) ? half(line) : seq % 100 === 80 ? `\0\0${line}` : line))
        .join("")
      const { directory, journal } = yield* JournalFiles.make()
      // a record that is out of order in the middle, and a torn end
      const stray = lineOf(numbered([warning("stray")], 3)[0]!)
      const at = content.indexOf(`"seq":300`)
      const whole =
        content.slice(0, content.indexOf("\n", at) + 1) + stray + content.slice(content.indexOf("\n", at) + 1)
      const path = put(directory, `${whole}torn`)

      const kept = journalOf(600).filter(({ seq }) => !isLost(seq))
      const damage = { bytes: 6 * 21 + 6 * 2 + stray.length, missingCount: 6 }
      const loaded = yield* journal.load(sessionId)
      assert.deepStrictEqual(loaded, { records: kept, cutBytes: 4, cutFile: undefined, damage })
      const writer = yield* journal.open(sessionId, "existing")
      assert.deepStrictEqual([writer.opened.records, writer.opened.cutBytes, writer.opened.damage], [kept, 4, damage])
      assert.strictEqual(readFileSync(writer.opened.cutFile!, "utf8"), "torn")
      assert.strictEqual(readFileSync(path, "utf8"), whole)

      const more = numbered([warning("one"), warning("two")], 600)
      yield* writer.append(more)
      const all = [...kept, ...more]
      for (const from of [0, 1, 49, 50, 51, 254, 255, 256, 299, 300, 301, 599, 600, 601]) {
        for (const limit of [1, 2, 255, 256, 257, Infinity]) {
          const expected = all.filter(({ seq }) => seq >= from).slice(0, limit)
          assert.deepStrictEqual(numbersOf(yield* writer.read(from, limit)), numbersOf(expected), `${from} ${limit}`)
        }
      }
      assert.deepStrictEqual((yield* journal.load(sessionId)).records, all)
    }).pipe(Effect.scoped)
  )

  it.live("J1 a last record without its newline is kept, and the next one starts a new line", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      const path = put(directory, journalOf(3).map(lineOf).join("").slice(0, -1))
      assert.deepStrictEqual((yield* journal.load(sessionId)).records, journalOf(3))
      const writer = yield* journal.open(sessionId, "existing")
      assert.deepStrictEqual(writer.opened, { records: journalOf(3), cutBytes: 0, cutFile: undefined })
      yield* writer.append(numbered([warning("next")], 3))
      assert.strictEqual(JournalFiles.linesOf(path).length, 4)
    }).pipe(Effect.scoped)
  )

  const turn = (id: string) => [
    Records.accepted(id),
    Records.turnStarted(`t-${id}`, id),
    Records.recorded(`t-${id}`, Records.user(id, id)),
    Records.recorded(`t-${id}`, Records.call(`c-${id}`)),
    Records.asked(`t-${id}`, `q-${id}`),
    Records.settled(`t-${id}`, `q-${id}`, "session"),
    Records.recorded(`t-${id}`, Records.result(`c-${id}`)),
    Records.completed(`t-${id}`)
  ]
  const conversation = numbered([Records.started, ...turn("one"), ...turn("two"), ...turn("three")])

  it.live.prop(
    "J1 J3 a session resumes with any of its records lost, says so, and completes its next turn",
    [Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: conversation.length - 1 })))],
    ([lost]) =>
      Effect.gen(function* () {
        const kept = conversation.filter(({ seq }) => !lost.includes(seq))
        const { directory, journal } = yield* JournalFiles.make()
        put(directory, conversation.map((record) => (lost.includes(record.seq) ? "lost\n" : lineOf(record))).join(""))
        assert.deepStrictEqual((yield* journal.load(sessionId)).records, kept)
        assert.strictEqual(SessionState.fold(kept).seq, kept.at(-1)!.seq + 1)

        const model = ScriptedModel.make(() => [ScriptedModel.text("fine")])
        const session = yield* Session.make(Agent.make({}), { resume: sessionId }).pipe(
          Effect.provide(Layer.merge(Layer.succeed(Journal, journal), model.layer))
        )
        yield* session.submit(Op.userInput("next"))
        yield* session.awaitIdle
        const { records } = yield* journal.load(sessionId)
        const inside = new Set(lost.filter((seq) => seq < kept.at(-1)!.seq))
        const resumed = records.find((record) => record._tag === "SessionResumed")
        assert.strictEqual(resumed?._tag === "SessionResumed" && (resumed.damage?.missingCount ?? 0), inside.size)
        assert.strictEqual(records.at(-1)?._tag, "TurnCompleted")
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 30 } }
  )

  it.live("J1 P2 a session with one record lost runs no input again", () =>
    Effect.gen(function* () {
      const failing = [Records.accepted("four"), Records.turnStarted("t-four", "four")]
      const carried = [Records.recorded("t-four", Records.user("four", "four")), Records.failed("t-four")]
      const all = [...conversation, ...numbered([...failing, ...carried], conversation.length)]
      for (const lost of all.slice(1, -1)) {
        const { directory, journal } = yield* JournalFiles.make()
        put(directory, all.map((record) => (record === lost ? "lost\n" : lineOf(record))).join(""))
        const model = ScriptedModel.make(() => [ScriptedModel.text("fine")])
        const session = yield* Session.make(Agent.make({}), { resume: sessionId }).pipe(
          Effect.provide(Layer.merge(Layer.succeed(Journal, journal), model.layer))
        )
        yield* session.submit(Op.userInput("next"))
        yield* session.awaitIdle
        assert.lengthOf(model.requests, 1, JSON.stringify(lost))
        assert.include(JSON.stringify(model.requests[0]), "next")
      }
    }).pipe(Effect.scoped)
  )
})

describe("a journal that another program changes while it is written", () => {
  const changes: Readonly<Record<string, (path: string) => void>> = {
    "appended to": (path) => appendFileSync(path, "a line of another program\n"),
    truncated: (path) => truncateSync(path, 30),
    moved: (path) => renameSync(path, `${path}.moved`),
    replaced: (path) => {
      const content = readFileSync(path)
      renameSync(path, `${path}.moved`)
      writeFileSync(path, content)
    }
  }
  for (const [name, change] of Object.entries(changes)) {
    for (const moment of ["before", "during"] as const) {
      it.live(`J1 J5 refuses a write and all later ones: ${name} ${moment} the write`, () =>
        Effect.gen(function* () {
          const faults: JournalFiles.Faults = {}
          const { directory, journal } = yield* JournalFiles.make({ faults })
          const writer = yield* journal.open(sessionId, "create")
          const path = JournalFiles.pathOf(directory)
          yield* writer.append(journalOf(3))
          if (moment === "before") change(path)
          else faults.afterWrite = Effect.sync(() => change(path))
          const refused = yield* Effect.flip(writer.append(numbered([warning("late")], 3)))
          assert.deepStrictEqual([refused._tag, refused.operation], ["JournalFailed", "fence"])
          delete faults.afterWrite
          assert.strictEqual(yield* Effect.flip(writer.append(numbered([warning("later")], 4))), refused)
        }).pipe(Effect.scoped)
      )
    }
  }
})
