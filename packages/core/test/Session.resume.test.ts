import { appendFileSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as Op from "@spindle/core/Op"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as JournalFiles from "./fixtures/journalFiles.ts"
import * as Records from "./fixtures/records.ts"
import { violationsOf } from "./fixtures/turns.ts"

const { call, gate, hang, invalidCall, pieces, reasoning, text } = ScriptedModel
const { accepted, asked, recorded, modelRequest, question, started, submission, turn, turnStarted, user } = Records

type Journal = Effect.Success<typeof SessionHarness.memoryJournal>

/** Writes records as a host that died would have left them. */
const left = Effect.fnUntraced(function* (
  journal: Journal,
  sessionId: SessionId,
  records: ReadonlyArray<JournalRecord>
) {
  yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(records)))
})

/** Opens the journal that a host left when it died. */
const resumed = Effect.fnUntraced(function* (
  records: ReadonlyArray<JournalRecord>,
  options: SessionHarness.HarnessOptions = {}
) {
  const journal = yield* SessionHarness.memoryJournal
  yield* left(journal, Records.sessionId, records)
  const harness = yield* SessionHarness.make({
    script: () => [text("back")],
    ...options,
    journal,
    resume: Records.sessionId
  })
  return { harness, journal }
})

/**
 * The records of a session in which everything happened: concurrent calls, questions, steers, a queue, an abort, a
 * failure.
 */
const busy = Effect.gen(function* () {
  const journal = yield* SessionHarness.memoryJournal
  const slow = yield* Deferred.make<void>()
  const scope = yield* Scope.make()
  const harness = yield* SessionHarness.make({
    journal,
    instructions: "be brief",
    tools: {
      work: { run: () => Effect.succeed("worked") },
      slow: { run: () => Effect.as(Deferred.await(slow), "slowly") },
      careful: { run: () => Effect.succeed("done"), policy: { approval: "ask" } }
    },
    script: [
      [
        ...reasoning("hm"),
        ...text("I will"),
        call("slow", {}, "a"),
        call("work", {}, "b"),
        invalidCall("work", "{", "c")
      ],
      [call("careful", { n: 1 }, "d"), gate("steer")],
      [text("done")],
      [...pieces("interrupted"), call("slow", {}, "e"), hang],
      [ScriptedModel.fail("Overloaded")],
      [text("the end")]
    ]
  }).pipe(Effect.provideService(Scope.Scope, scope))
  const { session } = harness
  yield* harness.submit("one")
  yield* session.submit(Op.userInput("queued", { delivery: "queue" }))
  yield* Deferred.succeed(slow, undefined)
  yield* harness.model.awaitGate("steer")
  yield* harness.submit("steered")
  const opened = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
  yield* session.submit(Op.answer(opened.questionId, { _tag: "Approved", scope: "session" }))
  yield* harness.model.open("steer")
  yield* TestClock.adjust("1 second")
  // the queued input runs now, and hangs
  yield* harness.submit("never carried")
  yield* session.abort()
  yield* session.awaitIdle
  yield* harness.run("fails")
  yield* harness.run("ends")
  yield* Scope.close(scope, Exit.void)
  return (yield* journal.load(session.sessionId)).records
})

describe("resume after a crash", () => {
  it.effect("J3 J8 each prefix of a busy journal resumes, and its next turn runs with calls and results paired", () =>
    Effect.gen(function* () {
      const records = yield* busy
      assert.deepStrictEqual(violationsOf(records), [])
      assert.isAbove(records.length, 35)
      assert.deepStrictEqual(
        records.filter(isTerminal).map((record) => record._tag),
        ["TurnCompleted", "TurnAborted", "TurnFailed", "TurnCompleted"]
      )
      for (let size = 1; size <= records.length; size++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const prefix = records.slice(0, size)
            const before = SessionState.fold(prefix)
            const { harness, journal } = yield* resumed(prefix)
            const position = `cut after record ${size - 1}, ${prefix.at(-1)!._tag}`

            const opened = yield* harness.session.snapshot
            assert.strictEqual(opened.status, "idle", position)
            assert.strictEqual(harness.tags()[0], "SessionResumed", position)
            assert.strictEqual(harness.tags().includes("TurnAborted"), before.turn !== undefined, position)
            assert.deepStrictEqual(
              opened.items.slice(0, before.history.length),
              History.toArray(before.history),
              position
            )
            assert.deepStrictEqual(
              opened.waiting,
              before.inbox.map((entry) => entry.submissionId),
              position
            )
            assert.strictEqual(harness.requests.length, 0, "nothing starts by itself")

            yield* harness.submit("next")
            yield* harness.session.awaitIdle
            assert.strictEqual(harness.tags().at(-1), "TurnCompleted", position)
            assert.isUndefined(History.defect(harness.requests.at(-1)!.items), position)
            assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [], position)
            const all = (yield* journal.load(Records.sessionId)).records
            assert.deepStrictEqual(violationsOf(all), [], position)
            const ids = all.flatMap((record) => (record._tag === "ItemRecorded" ? [record.item.id] : []))
            assert.strictEqual(new Set(ids).size, ids.length, `${position}: item ids are unique`)
          })
        )
      }
    })
  )

  it.effect("J3 a session that was closed resumes unchanged, with one more record", () =>
    Effect.gen(function* () {
      const records = yield* busy
      const { harness } = yield* resumed(records)
      const state = SessionState.fold(records)
      const snapshot = yield* harness.session.snapshot
      assert.deepStrictEqual(harness.tags(), ["SessionResumed"])
      assert.deepStrictEqual(
        [snapshot.seq, snapshot.turnCount, snapshot.usage, snapshot.items],
        [state.seq + 1, state.turnCount, state.usage, History.toArray(state.history)]
      )
    })
  )

  const crashed = (...more: ReadonlyArray<Parameters<typeof Records.numbered>[0][number]>) =>
    Records.numbered([started, accepted("s1"), turnStarted("t1", "s1"), recorded("t1", user("hello", "s1")), ...more])

  it.effect("J6 an open turn is marked as aborted by a crash, and the marker informs the model", () =>
    Effect.gen(function* () {
      const { harness } = yield* resumed(crashed(recorded("t1", Records.said("so far"))))
      const end = harness.records().find((record) => record._tag === "TurnAborted")
      assert.deepStrictEqual(end?._tag === "TurnAborted" && [end.turnId, end.reason, end.crashed, end.lastMessage], [
        "t1",
        "Interrupted",
        true,
        "so far"
      ])
      const { items } = yield* harness.session.snapshot
      const marker = items.at(-1)
      assert.strictEqual(marker?._tag === "UserMessage" && marker.fragment, "turn_aborted")
      const text = marker?._tag === "UserMessage" ? Input.textOf(marker.content) : ""
      assert.include(text, "The program was killed during the previous turn.")
      assert.notInclude(text, "user")
      yield* harness.run("next")
      assert.deepStrictEqual(
        harness.requests[0]?.items.map((item) => item._tag),
        ["UserMessage", "AssistantMessage", "UserMessage", "UserMessage"]
      )
    })
  )

  it.effect(
    "J6 I5 a marker that the host had written before it died is not written twice, but one of an earlier turn does not count",
    () =>
      Effect.gen(function* () {
        const marker: Item = { ...user("marker"), _tag: "UserMessage", content: [], fragment: History.markerFragment }
        const markersOf = (records: ReadonlyArray<JournalRecord>) =>
          Effect.map(
            resumed(records),
            ({ harness }) => harness.records().filter((record) => record._tag === "ItemRecorded").length
          )
        assert.strictEqual(yield* markersOf(crashed(recorded("t1", marker))), 0)
        const later = crashed(recorded("t1", marker), Records.aborted("t1"), turnStarted("t2"))
        assert.strictEqual(yield* markersOf(later), 1)
      })
  )

  it.effect("J8 a call without a result is unknown, is shown as unknown, and is never run again automatically", () =>
    Effect.gen(function* () {
      let ran = 0
      const { harness } = yield* resumed(
        crashed(
          recorded("t1", Records.call("a", "work")),
          recorded("t1", Records.call("b", "work")),
          recorded("t1", Records.result("b"))
        ),
        { tools: { work: { run: () => Effect.sync(() => ++ran) } } }
      )
      const shown = harness
        .records()
        .flatMap((record) => (record._tag === "ItemRecorded" && record.item._tag === "ToolResult" ? [record.item] : []))
      assert.deepStrictEqual(
        shown.map((item) => [item.callId, item.status]),
        [["a", "unknown"]]
      )
      assert.match(String(shown[0]?.output), /unknown/)
      yield* harness.run("next")
      assert.strictEqual(ran, 0)
      assert.isUndefined(History.defect(harness.requests[0]!.items))
      assert.isTrue(harness.requests[0]!.items.some((item) => item._tag === "ToolResult" && item.status === "unknown"))
    })
  )

  it.effect("A1 J8 a pending question is cancelled, and an answer to it is rejected", () =>
    Effect.gen(function* () {
      const { harness } = yield* resumed(crashed(recorded("t1", Records.call("a")), asked("t1", "q")))
      const settled = harness.records().find((record) => record._tag === "QuestionSettled")
      assert.deepStrictEqual(settled?._tag === "QuestionSettled" && [settled.questionId, settled.decision], [
        question("q"),
        { _tag: "Cancelled" as const, by: "end" as const }
      ])
      const receipt = yield* harness.session.submit(Op.answer(question("q"), { _tag: "Approved", scope: "session" }))
      assert.strictEqual(receipt._tag === "Rejected" && receipt.reason._tag, "UnknownQuestion")
    })
  )

  it.effect("I7 a model request that was open is counted, by an estimate that is marked as one", () =>
    Effect.gen(function* () {
      const { harness } = yield* resumed(
        crashed({
          _tag: "ModelRequested",
          turnId: turn("t1"),
          requestId: modelRequest("r"),
          attempt: 1,
          provider: "p",
          model: "m"
        })
      )
      const responded = harness.records().find((record) => record._tag === "ModelResponded")
      assert.deepStrictEqual(
        responded?._tag === "ModelResponded" && [responded.requestId, responded.finish, responded.estimated],
        [modelRequest("r"), "aborted", true]
      )
      const { usage } = yield* harness.session.snapshot
      assert.isAbove(usage.input, 0)
      const end = harness.records().find((record) => record._tag === "TurnAborted")
      assert.deepStrictEqual(end?._tag === "TurnAborted" && end.usage, usage)
    })
  )

  it.effect(
    "P2 queued and steering input is kept and named, not started, and goes first after the next submission",
    () =>
      Effect.gen(function* () {
        const { harness } = yield* resumed(crashed(accepted("queued"), accepted("steered", "t1")))
        const end = harness.records().find((record) => record._tag === "TurnAborted")
        assert.deepStrictEqual(end?._tag === "TurnAborted" && [end.kept, end.returned, end.dropped], [
          [submission("queued"), submission("steered")],
          [],
          []
        ])
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(harness.requests.length, 0)
        assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [submission("queued"), submission("steered")])
        const receipt = yield* harness.submit("newest")
        assert.deepStrictEqual(receipt._tag === "Queued" && receipt.position, 1)
        yield* harness.session.awaitIdle
        const started = harness
          .records()
          .flatMap((record) => (record._tag === "TurnStarted" ? [record.submissionId] : []))
        assert.deepStrictEqual(started, [submission("queued"), submission("steered"), receipt.submissionId])
      })
  )

  it.effect("P2 input whose turn had started and not carried it is kept too", () =>
    Effect.gen(function* () {
      const { harness } = yield* resumed(Records.numbered([started, accepted("s1"), turnStarted("t1", "s1")]))
      assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [submission("s1")])
    })
  )

  it.effect("J6 records of a later version stay, and the session continues after them", () =>
    Effect.gen(function* () {
      const unknown: JournalRecord = { _tag: "Unknown", seq: 1, at: 0, raw: { v: 2, _tag: "Novelty", seq: 1, at: 0 } }
      const { harness, journal } = yield* resumed([...Records.numbered([started]), unknown])
      yield* harness.run("next")
      const { records } = yield* journal.load(Records.sessionId)
      assert.deepStrictEqual(records[1], unknown)
      assert.deepStrictEqual(
        records.map((record) => record.seq),
        records.map((_, index) => index)
      )
    })
  )

  it.effect("session start hooks learn that the session is resumed", () =>
    Effect.gen(function* () {
      const sources: Array<string> = []
      const { harness } = yield* resumed(Records.numbered([started]), {
        hooks: { sessionStart: (_, source) => Effect.sync(() => (sources.push(source), { contexts: [] })) }
      })
      yield* harness.run("next")
      assert.deepStrictEqual(sources, ["resumed"])
    })
  )
})

describe("resume from a file", () => {
  const through = Effect.fnUntraced(function* (journal: Journal, sessionId?: SessionId) {
    const harness = yield* SessionHarness.make({
      journal,
      script: [[invalidCall("work", "{", "a"), call("work", {}, "b")], [text("hello")]],
      tools: { work: { run: () => Effect.void } },
      ...(sessionId === undefined ? {} : { resume: sessionId })
    })
    return harness
  })

  it.live("J1 J3 SessionResumed counts the bytes that were cut off and names the file that keeps them", () =>
    Effect.gen(function* () {
      const { directory, journal } = yield* JournalFiles.make()
      yield* left(journal, Records.sessionId, Records.journalOf(3))
      appendFileSync(JournalFiles.pathOf(directory), '{"v":1,"_tag":"Warn')
      const harness = yield* through(journal, Records.sessionId)
      const [first] = harness.records()
      assert.strictEqual(first?._tag === "SessionResumed" && first.cutBytes, 19)
      assert.strictEqual(
        first?._tag === "SessionResumed" && readFileSync(first.cutFile!, "utf8"),
        '{"v":1,"_tag":"Warn'
      )
    }).pipe(Effect.scoped)
  )

  it.live("J3 a session with calls without text resumes from its file unchanged", () =>
    Effect.gen(function* () {
      const { journal } = yield* JournalFiles.make()
      const scope = yield* Scope.make()
      const first = yield* through(journal).pipe(Effect.provideService(Scope.Scope, scope))
      yield* first.run("hi")
      const before = yield* first.session.snapshot
      yield* Scope.close(scope, Exit.void)
      const second = yield* through(journal, first.session.sessionId)
      const after = yield* second.session.snapshot
      assert.deepStrictEqual(after, { ...before, seq: before.seq + 1 })
      assert.deepStrictEqual(second.records()[0], {
        _tag: "SessionResumed",
        seq: before.seq,
        at: second.records()[0]!.at,
        cutBytes: 0
      })
    }).pipe(Effect.scoped)
  )
})
