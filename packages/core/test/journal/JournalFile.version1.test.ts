/**
 * Journals of version 1, written by the program at its last commit before version 2, with the history that it showed
 * for them.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as History from "@spindle/core/History"
import type { SessionId } from "@spindle/core/Ids"
import type { Item } from "@spindle/core/Item"
import { Journal } from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import { recordVersion } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import * as Sessions from "@spindle/core/Sessions"
import type { Snapshot } from "@spindle/core/Snapshot"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { Context, Effect, Layer } from "effect"
import * as JournalFiles from "../fixtures/journalFiles.ts"
import { sessionId, submission } from "../fixtures/records.ts"
import { assertTurns, markersOf, violationsOf } from "../fixtures/turns.ts"

const names = ["tools", "question", "aborted", "delegate", "rollback", "crashed"] as const
type Name = (typeof names)[number]

const fixture = (name: Name) => readFileSync(new URL(`../fixtures/version1/${name}.jsonl`, import.meta.url), "utf8")
const shownFor = (name: Name) =>
  JSON.parse(readFileSync(new URL(`../fixtures/version1/${name}.json`, import.meta.url), "utf8")) as Pick<
    Snapshot,
    "seq" | "items" | "waiting" | "usage" | "turnCount"
  >

/** Sessions over journals in files, one of which is a fixture. */
const open = Effect.fnUntraced(function* (name: Name) {
  const { directory, journal } = yield* JournalFiles.make()
  const path = JournalFiles.pathOf(directory)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, fixture(name))
  const model = ScriptedModel.make(() => [ScriptedModel.text("fine")])
  const context = yield* Layer.build(
    Layer.provide(Sessions.layer(Agent.make({})), Layer.merge(Layer.succeed(Journal, journal), model.layer))
  )
  const textOf = (id: SessionId) => {
    const file = readdirSync(directory, { recursive: true, encoding: "utf8" }).find((one) =>
      one.endsWith(`${id}.jsonl`)
    )
    return readFileSync(join(directory, file!), "utf8")
  }
  const sessions = Context.get(context, Sessions.Sessions)
  return {
    journal,
    model,
    textOf,
    close: sessions.close(sessionId),
    resume: sessions.open(sessionId),
    fork: sessions.fork(sessionId)
  }
})

const withoutFragment = (item: Item): unknown => {
  if (item._tag !== "UserMessage" || item.fragment !== History.countedNoticeFragment) return item
  const { fragment: _, ...rest } = item
  return rest
}
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))
const shown = (state: SessionState.SessionState) =>
  asJson({
    seq: state.seq,
    turnCount: state.turnCount,
    usage: state.usage,
    waiting: state.inbox.map((entry) => entry.submissionId),
    items: History.toArray(state.history).map(withoutFragment)
  })
const linesOf = (text: string) => text.split("\n").slice(0, -1)

describe("a journal of version 1", () => {
  for (const name of names) {
    it.effect(`J3 J6 (${name}) folds to what its program showed, and breaks no invariant`, () =>
      Effect.gen(function* () {
        const { journal } = yield* open(name)
        const { cutBytes, records } = yield* journal.load(sessionId)
        const lines = linesOf(fixture(name))
        assert.strictEqual(records.length, lines.length)
        assert.strictEqual(cutBytes, Buffer.byteLength(fixture(name)) - Buffer.byteLength(`${lines.join("\n")}\n`))
        assert.deepStrictEqual(
          records.filter((record) => record._tag === "Unknown"),
          []
        )
        assert.deepStrictEqual(violationsOf(records), [])
        assert.deepStrictEqual(shown(SessionState.fold(records)), shownFor(name))
      })
    )

    it.effect(`J6 J7 (${name}) resumes, and grows by lines of today's version`, () =>
      Effect.gen(function* () {
        const { close, journal, resume, textOf } = yield* open(name)
        for (const round of [1, 2]) {
          const session = yield* resume
          const receipt = yield* session.submit(Op.userInput(`round ${round}`))
          assert.notStrictEqual(receipt._tag, "Rejected")
          yield* session.awaitIdle
          yield* close
        }
        const before = linesOf(fixture(name))
        const after = linesOf(textOf(sessionId))
        assert.deepStrictEqual(after.slice(0, before.length), before)
        assert.deepStrictEqual(
          new Set(after.slice(before.length).map((line) => (JSON.parse(line) as { v: number }).v)),
          new Set([recordVersion])
        )
        const { records } = yield* journal.load(sessionId)
        assert.strictEqual(records.length, after.length)
        assert.deepStrictEqual(violationsOf(records), [])
        assertTurns(records)
        const resumed = yield* (yield* resume).snapshot
        assert.strictEqual(History.defect(resumed.items), undefined)
        assert.isTrue(resumed.items.some((item) => item._tag === "AssistantMessage" && item.text === "fine"))
      })
    )

    it.effect(`J4 (${name}) forks to the same history, in lines of today's version`, () =>
      Effect.gen(function* () {
        const { fork, journal, textOf } = yield* open(name)
        const { records } = yield* journal.load(sessionId)
        const forked = yield* fork
        const copied = linesOf(textOf(forked.sessionId)).slice(0, records.length)
        assert.deepStrictEqual(new Set(copied.map((line) => (JSON.parse(line) as { v: number }).v)), new Set([2]))
        const copy = (yield* journal.load(forked.sessionId)).records.slice(0, records.length)
        assert.deepStrictEqual(shown(SessionState.fold(copy)), shownFor(name))
      })
    )
  }

  it.effect("A1 has questions instead of requests, with their answers", () =>
    Effect.gen(function* () {
      const { journal } = yield* open("question")
      const { records } = yield* journal.load(sessionId)
      const opened = records.flatMap((one) => (one._tag === "QuestionOpened" ? [one] : []))
      const settled = records.flatMap((one) => (one._tag === "QuestionSettled" ? [one] : []))
      assert.deepStrictEqual(
        opened.map(({ kind }) => kind),
        ["permissions", "question"]
      )
      assert.deepStrictEqual(
        settled.map(({ decision, questionId }) => [questionId, decision]),
        [
          [opened[0]!.questionId, { _tag: "Approved", scope: "session" }],
          [opened[1]!.questionId, { _tag: "Answered", answers: { which: { answers: ["this"] } } }]
        ]
      )
      assert.deepStrictEqual(
        SessionState.fold(records).grants.map(({ scope }) => scope),
        ["session"]
      )
    })
  )

  it.effect("J8 is marked as interrupted where it was cut, with an unknown call and a cancelled question", () =>
    Effect.gen(function* () {
      const { journal, resume } = yield* open("crashed")
      const session = yield* resume
      const { items, waiting } = yield* session.snapshot
      assert.lengthOf(markersOf(items), 1)
      assert.deepStrictEqual(
        items.flatMap((item) => (item._tag === "ToolResult" ? [item.status] : [])),
        ["unknown"]
      )
      assert.deepStrictEqual(waiting, [submission("steered")])
      const { records } = yield* journal.load(sessionId)
      const settled = records.find((record) => record._tag === "QuestionSettled")
      assert.deepStrictEqual(settled?._tag === "QuestionSettled" && settled.decision, { _tag: "Cancelled", by: "end" })
      const resumed = records.find((record) => record._tag === "SessionResumed")
      assert.isAbove(resumed?._tag === "SessionResumed" ? resumed.cutBytes : 0, 0)
    })
  )

  it.effect("D7 P5 has notices that are not words of the user, including those that still wait", () =>
    Effect.gen(function* () {
      const { journal, model, resume } = yield* open("delegate")
      const { records } = yield* journal.load(sessionId)
      const state = SessionState.fold(records)
      const fragments = History.toArray(state.history).flatMap((item) =>
        item._tag === "UserMessage" && item.fragment !== undefined ? [item.fragment] : []
      )
      assert.deepStrictEqual(fragments, [History.countedNoticeFragment])
      assert.deepStrictEqual(
        state.inbox.map(({ fragment, waits }) => [fragment, waits]),
        [[History.noticeFragment, true]]
      )
      const session = yield* resume
      yield* session.submit(Op.userInput("news?"))
      yield* session.awaitIdle
      const carried = model.requests
        .at(-1)!
        .items.filter((item) => item._tag === "UserMessage")
        .slice(-2)
      assert.deepStrictEqual(carried.map(History.isUserInput), [true, false])
      assert.deepStrictEqual(
        records.flatMap((record) => (record._tag === "DelegateEnded" ? [record.status] : [])),
        ["completed"]
      )
    })
  )
})
