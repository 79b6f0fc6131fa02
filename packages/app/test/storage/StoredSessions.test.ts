import { assert, describe, it } from "@effect/vitest"
import { Journal, layerMemory } from "@spindle/core/Journal"
import { SessionId, SubmissionId, TurnId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Effect from "effect/Effect"
import * as StoredSessions from "../../src/storage/StoredSessions.ts"

const sessionId = SessionId.make("one")
const started = (meta: { readonly [name: string]: string }): JournalRecord => ({
  _tag: "SessionStarted",
  seq: 0,
  at: 0,
  sessionId,
  meta
})

const write = (id: SessionId, records: ReadonlyArray<JournalRecord>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const writer = yield* (yield* Journal).open(id, "create")
      yield* writer.append([...records])
    })
  )

describe("parentOf", () => {
  it("names the session that started an agent, and nothing for a session that a person started", () => {
    assert.deepStrictEqual(StoredSessions.parentOf([started({ parent: "root", name: "Ada" })]), {
      id: "root",
      name: "Ada"
    })
    assert.isUndefined(StoredSessions.parentOf([started({ cwd: "/w" })]))
    assert.isUndefined(StoredSessions.parentOf([]))
  })
})

describe("latest", () => {
  const turnStarted: JournalRecord = { _tag: "TurnStarted", seq: 1, at: 0, turnId: TurnId.make("t"), kind: "regular" }
  const withJournal = (
    meta: { readonly [name: string]: string },
    options: { cwd?: string } = {},
    rest = [turnStarted]
  ) =>
    Effect.gen(function* () {
      yield* write(sessionId, [started(meta), ...rest])
      return yield* StoredSessions.findLatest(options)
    }).pipe(Effect.provide(layerMemory()))

  it.effect("is the session that was written last, unless it is an agent", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* withJournal({ cwd: "/w" }), sessionId)
      assert.isUndefined(yield* withJournal({ parent: "root" }))
    })
  )

  it.effect("is a session of the directory, and has a turn", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* withJournal({ cwd: "/w" }, { cwd: "/w" }), sessionId)
      assert.isUndefined(yield* withJournal({ cwd: "/w" }, { cwd: "/elsewhere" }))
      assert.isUndefined(yield* withJournal({}, { cwd: "/elsewhere" }))
      assert.isUndefined(yield* withJournal({ cwd: "/w" }, {}, []))
    })
  )
})

describe("find", () => {
  it.effect("returns the session whose id begins like this, unless there are several", () =>
    Effect.gen(function* () {
      for (const id of ["aa1", "aa2", "aa22"]) yield* write(SessionId.make(id), [started({})])
      assert.strictEqual(yield* StoredSessions.find("aa1"), "aa1")
      assert.strictEqual(yield* StoredSessions.find("aa2"), "aa2")
      assert.strictEqual(yield* StoredSessions.find("aa22"), "aa22")
      assert.strictEqual(yield* StoredSessions.find("b"), "b")
      const error = yield* Effect.flip(StoredSessions.find("aa"))
      assert.strictEqual(error.message, "3 sessions have an id that begins with aa; give more of it")
    }).pipe(Effect.provide(layerMemory()))
  )
})

describe("summaryOf", () => {
  it("counts turns and quotes the first input", () => {
    const turnId = TurnId.make("turn")
    const input = Input.text("fix it")
    const records: ReadonlyArray<JournalRecord> = [
      started({ cwd: "/w" }),
      { _tag: "InputAccepted", seq: 1, at: 0, submissionId: SubmissionId.make("s"), input, delivery: "queue" },
      { _tag: "TurnStarted", seq: 2, at: 0, turnId, kind: "regular" }
    ]
    assert.deepStrictEqual(StoredSessions.summaryOf({ sessionId, updatedAt: 0, sizeBytes: 0 } as never, records), {
      id: sessionId,
      updated: "1970-01-01T00:00:00.000Z",
      turns: 1,
      cwd: "/w",
      firstInput: "fix it"
    })
  })

  it("describes a session that began with a task, which has no input", () => {
    const turnId = TurnId.make("turn")
    const task = { kind: "review", params: {}, mode: "queue" as const }
    const note = { turnId, name: "review.entered", data: {}, message: "reviewing changes that are not committed" }
    const accepted = { submissionId: SubmissionId.make("s"), input: [], delivery: "queue" as const, task }
    const records: ReadonlyArray<JournalRecord> = [
      started({ cwd: "/w" }),
      { _tag: "InputAccepted", seq: 1, at: 0, ...accepted },
      { _tag: "TurnStarted", seq: 2, at: 0, turnId, kind: "review" },
      { _tag: "TaskNote", seq: 3, at: 0, ...note },
      { _tag: "InputAccepted", seq: 4, at: 0, ...accepted, input: Input.text("and now"), task: undefined } as never
    ]
    const { firstInput } = StoredSessions.summaryOf({ sessionId, updatedAt: 0, sizeBytes: 0 } as never, records)
    assert.strictEqual(firstInput, note.message)
  })
})
