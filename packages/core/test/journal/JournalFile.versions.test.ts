import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import type { Input } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import * as RecordCodec from "@spindle/core/RecordCodec"
import { isTerminal, type NewRecord } from "@spindle/core/SessionEvent"
import * as Sessions from "@spindle/core/Sessions"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Context, Effect, Layer } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import * as Records from "../fixtures/records.ts"
import { assertTurns, markersOf } from "../fixtures/turns.ts"

const { accepted, completed, recorded, started, turnStarted, user } = Records
/** Lines of later versions: an unknown tag, with odd contents, and a known tag in another version. */
const later = [
  '{"v":2,"_tag":"Dreamed","of":["sheep",{"__proto__":null,"é":1.5e300}],"seq":SEQ,"at":7}',
  '{"seq":SEQ,"v":3,"_tag":"TurnStarted","at":8,"turnId":{"not":"a text"}}',
  '{"v":99,"_tag":"SessionStarted","at":9,"seq":SEQ,"sessionId":"other"}'
]

/** A journal with a line of a later version after each record. */
const mixed = (records: ReadonlyArray<NewRecord>): ReadonlyArray<string> =>
  records
    .flatMap((record, index) => [record, later[index % later.length]!])
    .map((line, seq) =>
      typeof line === "string" ? line.replace("SEQ", `${seq}`) : RecordCodec.encode(Records.numbered([line], seq)[0]!)
    )

/** Sessions.Sessions over journals in files, of which one has these lines. */
const withLines = Effect.fnUntraced(function* (lines: ReadonlyArray<string>) {
  const { directory, journal } = yield* JournalFiles.make()
  const path = JournalFiles.pathOf(directory)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""))
  const model = ScriptedModel.make(() => [ScriptedModel.text("fine")])
  const context = yield* Layer.build(
    Layer.provide(Sessions.layer(Agent.make({})), Layer.merge(Layer.succeed(Journal, journal), model.layer))
  )
  const linesOf = (sessionId: SessionId) => {
    const name = readdirSync(directory, { recursive: true, encoding: "utf8" }).find((one) =>
      one.endsWith(`${sessionId}.jsonl`)
    )!
    return readFileSync(join(directory, name), "utf8").split("\n").slice(0, -1)
  }
  return { journal, model, sessions: Context.get(context, Sessions.Sessions), linesOf }
})

/** The content of the lines after the first one, whatever the order of their fields. */
const valuesOf = (lines: ReadonlyArray<string>, count: number): ReadonlyArray<unknown> =>
  lines.slice(1, count).map((line) => JSON.parse(line))

const whole = [started, accepted("one"), turnStarted("t1", "one"), recorded("t1", user("one", "one")), completed("t1")]

describe("records of later versions", () => {
  it.effect(
    "J6 survive opening, appending and reopening as the very same lines, and a fork with all their content",
    () =>
      Effect.gen(function* () {
        const lines = mixed(whole)
        const { journal, linesOf, model, sessions } = yield* withLines(lines)
        for (const round of [1, 2]) {
          const session = yield* sessions.open(Records.sessionId)
          assert.deepStrictEqual((yield* session.snapshot).items.slice(0, 1), [user("one", "one")])
          yield* session.submit(Op.userInput(`round ${round}`))
          yield* session.awaitIdle
          yield* sessions.close(Records.sessionId)
          assert.deepStrictEqual(linesOf(Records.sessionId).slice(0, lines.length), lines)
        }
        assert.lengthOf(model.requests.at(-1)!.items, 4)
        const { records } = yield* journal.load(Records.sessionId)
        assertTurns(records)
        assert.lengthOf(
          records.filter((record) => record._tag === "Unknown"),
          whole.length
        )

        const source = linesOf(Records.sessionId)
        for (const until of [undefined, Records.turn("t1")]) {
          const options = until === undefined ? {} : { until }
          const fork = yield* sessions.fork(Records.sessionId, options)
          // up to the end of the turn, without the lines after it
          const count = until === undefined ? source.length : lines.length - 1
          assert.deepStrictEqual(valuesOf(linesOf(fork.sessionId), count), valuesOf(source, count))
          assert.deepStrictEqual(linesOf(Records.sessionId), source)
        }
      })
  )

  it.effect("J6 are not events that a client has to know, and keep their numbers", () =>
    Effect.gen(function* () {
      const { journal } = yield* withLines(mixed(whole))
      const { records } = yield* journal.load(Records.sessionId)
      assert.deepStrictEqual(
        records.map((record) => record.seq),
        records.map((_, index) => index)
      )
      const unknown = records.flatMap((record) => (record._tag === "Unknown" ? [record.raw] : []))
      assert.deepStrictEqual(
        unknown.slice(0, 3).map((raw) => [raw["_tag"], raw["v"]]),
        [
          ["Dreamed", 2],
          ["TurnStarted", 3],
          ["SessionStarted", 99]
        ]
      )
    })
  )
})

/** What a program wrote before a mention was a part of an input: a person could only write the link. */
const beforeMentions = [
  '{"v":2,"_tag":"SessionStarted","sessionId":"SESSION","meta":{"cwd":"/somewhere"},"seq":0,"at":1}',
  '{"v":2,"_tag":"InputAccepted","submissionId":"one","input":[{"_tag":"Text","text":"ask [$mail](app://1)"}],"delivery":"steer","seq":1,"at":2}',
  '{"v":2,"_tag":"TurnStarted","turnId":"t1","kind":"regular","submissionId":"one","seq":2,"at":3}',
  '{"v":2,"_tag":"ItemRecorded","turnId":"t1","item":{"_tag":"UserMessage","content":[{"_tag":"Text","text":"ask [$mail](app://1)"},{"_tag":"Image","url":"https://x/1.png"}],"submissionId":"one","id":"2.0"},"seq":3,"at":4}',
  '{"v":2,"_tag":"TurnCompleted","turnId":"t1","usage":{"input":1,"cachedInput":0,"output":1,"reasoning":0,"total":2},"seq":4,"at":5}'
].map((line) => line.replace("SESSION", Records.sessionId))

describe("a journal from before mentions were parts of inputs", () => {
  it.effect("J6 is read as it is, takes an input with a mention, and is read with both", () =>
    Effect.gen(function* () {
      const { journal, linesOf, model, sessions } = yield* withLines(beforeMentions)
      const text = "ask [$mail](app://1)"
      const mention = { _tag: "Mention", name: "mail", path: "app://1" } as const
      const session = yield* sessions.open(Records.sessionId)
      yield* session.submit({ _tag: "UserInput", input: [mention] })
      yield* session.awaitIdle
      yield* sessions.close(Records.sessionId)
      const inputsOf = (items: ReadonlyArray<Item>) =>
        items.flatMap((item) => (item._tag === "UserMessage" ? [item.content] : []))
      const inputs: ReadonlyArray<Input> = [
        [
          { _tag: "Text", text },
          { _tag: "Image", url: "https://x/1.png" }
        ],
        [mention]
      ]
      assert.deepEqual(inputsOf(model.requests.at(-1)!.items), inputs)
      const reopened = yield* sessions.open(Records.sessionId)
      assert.deepEqual(inputsOf((yield* reopened.snapshot).items), inputs)
      yield* sessions.close(Records.sessionId)
      assert.deepStrictEqual(linesOf(Records.sessionId).slice(0, beforeMentions.length), beforeMentions)
      const { records } = yield* journal.load(Records.sessionId)
      assertTurns(records)
      assert.isFalse(records.some(({ _tag }) => _tag === "Unknown"))
    })
  )
})

describe("a session that a crash interrupted", () => {
  it.effect("J6 is marked as interrupted when it is resumed, once, with records of later versions in the turn", () =>
    Effect.gen(function* () {
      const lines = mixed(whole.slice(0, 4))
      const { journal, linesOf, sessions } = yield* withLines(lines)
      for (let round = 0; round < 2; round++) {
        const session = yield* sessions.open(Records.sessionId)
        const { records } = yield* journal.load(Records.sessionId)
        const [end, ...more] = records.filter(isTerminal)
        assert.lengthOf(more, 0)
        assert.deepStrictEqual(end?._tag === "TurnAborted" && [end.turnId, end.reason, end.crashed], [
          Records.turn("t1"),
          "Interrupted",
          true
        ])
        assert.lengthOf(markersOf((yield* session.snapshot).items), 1)
        yield* sessions.close(Records.sessionId)
      }
      assert.deepStrictEqual(linesOf(Records.sessionId).slice(0, lines.length), lines)
    })
  )
})
