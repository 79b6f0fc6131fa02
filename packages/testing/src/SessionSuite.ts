/**
 * The contract of a session as tests, which every factory of sessions must pass, in this process or over a wire.
 *
 * Needs `vitest`. Time is virtual. The tests use only `Session` and its journal. After each test all laws of `Laws` are
 * checked with the events of a subscriber and the records of the journal.
 */
import type { SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { assert, describe, it } from "vitest"
import * as Fixture from "./internal/sessionFixture.ts"
import * as ScriptedModel from "./ScriptedModel.ts"
import type { SessionFactory } from "./SessionHarness.ts"

type Test = (title: string, run: Effect.Effect<void, unknown, Scope.Scope>) => void

const { call, gate, pieces, text } = ScriptedModel

/**
 * Registers the tests of a factory under this name. It must have no decider: the tests answer the questions.
 *
 * @example
 * ```ts no-run
 * import * as Session from "@spindle/core/Session"
 * import * as SessionSuite from "@spindle/testing/SessionSuite"
 *
 * SessionSuite.suite("Session.make", Session.make)
 * ```
 */
export const suite = (name: string, factory: SessionFactory): void => {
  const test: Test = (title, run) => {
    it(title, () => Effect.runPromise(Effect.provide(Effect.scoped(run), TestClock.layer())))
  }
  describe(name, () => {
    turns(test, factory)
    input(test, factory)
    aborts(test, factory)
    questions(test, factory)
    journals(test, factory)
  })
}

/** The tags of the terminal records. */
const ends = (fixture: Fixture.SessionFixture) =>
  Effect.map(fixture.records, (records) => records.filter(SessionEvent.isTerminal).map(({ _tag }) => _tag))

const turns = (test: Test, factory: SessionFactory): void => {
  test(
    "S1 S2 S3 a turn with tool calls starts, ends once and keeps every law",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, {
        script: [[text("I ", "look"), call("echo", { n: 1 }, "a"), call("echo", { n: 2 }, "b")].flat(), [text("done")]]
      })
      const receipt = yield* fixture.submit("hi")
      assert.strictEqual(receipt._tag, "Started")
      yield* fixture.session.awaitIdle
      const last = (yield* fixture.records).findLast(SessionEvent.isTerminal)
      assert.deepStrictEqual(
        [last?._tag, last?._tag === "TurnCompleted" && last.lastMessage],
        ["TurnCompleted", "done"]
      )
      assert.lengthOf(fixture.model.requests, 2)
      yield* fixture.end
    })
  )

  test(
    "S4 a started task replaces the turn, which ends as Replaced before the task starts",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[...pieces("begun"), gate("never")]] })
      yield* fixture.submit("hi")
      yield* fixture.model.awaitGate("never")
      const { outcome } = yield* fixture.session.start(Task.make("other", Effect.succeed("other")))
      yield* outcome
      yield* fixture.session.awaitIdle
      assert.deepStrictEqual(yield* ends(fixture), ["TurnAborted", "TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "S5 a turn that fails leaves the session idle, and the next turn completes",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[ScriptedModel.fail("InvalidRequest")], [text("fine")]] })
      yield* fixture.run("hi")
      yield* fixture.run("again")
      assert.deepStrictEqual(yield* ends(fixture), ["TurnFailed", "TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "S7 closing the scope ends the turn as Shutdown, and later submissions are rejected",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[...pieces("begun"), gate("never")]] })
      yield* fixture.submit("hi")
      yield* fixture.model.awaitGate("never")
      yield* fixture.end
      const last = (yield* fixture.records).findLast(SessionEvent.isTerminal)
      assert.strictEqual(last?._tag === "TurnAborted" && last.reason, "Shutdown")
      const late = yield* fixture.submit("late")
      assert.strictEqual(late._tag === "Rejected" && late.reason._tag, "SessionClosed")
      assert.strictEqual(fixture.model.openCount(), 0)
    })
  )

  test(
    "W2 a late subscriber, and one that continues from a number, miss no record",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[text("one")], [text("two")]] })
      yield* fixture.run("hi")
      const from = (yield* fixture.session.snapshot).seq
      const late = yield* fixture.subscribe(0)
      const continued = yield* fixture.subscribe(from)
      yield* fixture.run("again")
      yield* fixture.end
      const records = yield* fixture.records
      assert.deepStrictEqual(late.filter(SessionEvent.isRecord), records)
      assert.deepStrictEqual(continued.filter(SessionEvent.isRecord), records.slice(from))
    })
  )
}

const input = (test: Test, factory: SessionFactory): void => {
  test(
    "P1 P4 input steers the running turn, which carries it, or waits for the next turn",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, {
        script: [[...text("one"), gate("first")], [text("two")], [text("three")]]
      })
      yield* fixture.submit("hi")
      yield* fixture.model.awaitGate("first")
      const steered = yield* fixture.submit("more")
      const queued = yield* fixture.submit("next", { delivery: "queue" })
      const empty = yield* fixture.submit("")
      assert.deepStrictEqual([steered._tag, queued._tag, empty._tag], ["Steered", "Queued", "Rejected"])
      yield* fixture.model.open("first")
      yield* fixture.session.awaitIdle
      assert.deepStrictEqual(yield* ends(fixture), ["TurnCompleted", "TurnCompleted"])
      assert.lengthOf(fixture.model.requests, 3)
      yield* fixture.end
    })
  )

  test(
    "P2 an interrupted turn returns input that it did not carry, and queued input is kept and starts next",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, {
        script: (_, index) => (index === 0 ? [...pieces("begun"), gate("never")] : [text("fine")])
      })
      yield* fixture.submit("hi")
      yield* fixture.model.awaitGate("never")
      const steered = yield* fixture.submit("more")
      const queued = yield* fixture.submit("next", { delivery: "queue" })
      yield* fixture.abort
      yield* fixture.session.awaitIdle
      const end = (yield* fixture.records).findLast(SessionEvent.isTerminal)
      assert.deepStrictEqual(end?._tag === "TurnAborted" && end.returned.map((one) => one.submissionId), [
        steered.submissionId
      ])
      assert.deepStrictEqual((yield* fixture.session.snapshot).waiting, [queued.submissionId])
      yield* fixture.run("go on")
      assert.deepStrictEqual(yield* ends(fixture), ["TurnAborted", "TurnCompleted", "TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "P6 a repeated submission gets the same receipt and runs once",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[text("one")], [text("two")]] })
      const id = "mine" as SubmissionId
      const first = yield* fixture.submit("hi", { id })
      yield* fixture.session.awaitIdle
      assert.deepStrictEqual(yield* fixture.submit("hi", { id }), first)
      yield* fixture.session.awaitIdle
      assert.lengthOf(fixture.model.requests, 1)
      yield* fixture.end
    })
  )
}

const aborts = (test: Test, factory: SessionFactory): void => {
  test(
    "I1 I5 I6 an abort in a tool returns true once, gives the call a result, leaves the marker, and the next turn completes",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[call("wait", {}, "a")], [text("fine")]] })
      yield* fixture.submit("hi")
      yield* fixture.awaitRecord((record) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* fixture.abort, yield* fixture.abort], [true, false])
      yield* fixture.session.awaitIdle
      const { items } = yield* fixture.session.snapshot
      const result = items.find((item) => item._tag === "ToolResult")
      assert.deepStrictEqual(result?._tag === "ToolResult" && [result.status, result.aborted?.reason], [
        "aborted",
        "Interrupted"
      ])
      yield* fixture.run("again")
      assert.deepStrictEqual(yield* ends(fixture), ["TurnAborted", "TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "I3 an abort of an uninterruptible task settles within the grace, and names the task",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [] })
      const { outcome } = yield* fixture.session.start(
        Task.make("stuck", Effect.uninterruptible(Effect.sleep("1 hour")))
      )
      assert.isTrue(yield* fixture.abort)
      yield* TestClock.adjust("1 second")
      const ended = yield* outcome
      assert.deepStrictEqual(ended._tag === "Aborted" && ended.stragglers, ["task stuck"])
      yield* TestClock.adjust("1 hour")
      yield* fixture.end
    })
  )

  test(
    "I7 text that was streamed before an abort is kept",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[...pieces("so ", "far"), gate("never")]] })
      yield* fixture.submit("hi")
      yield* fixture.model.awaitGate("never")
      yield* fixture.abort
      yield* fixture.session.awaitIdle
      const { items } = yield* fixture.session.snapshot
      assert.isTrue(items.some((item) => item._tag === "AssistantMessage" && item.text === "so far"))
      yield* fixture.end
    })
  )
}

const questions = (test: Test, factory: SessionFactory): void => {
  const asking = [[call("guarded", {}, "a")], [text("fine")]]

  test(
    "A1 a question is published and answered once, and its tool runs",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: asking })
      yield* fixture.submit("hi")
      const { questionId } = yield* fixture.awaitRecord((record) => record._tag === "QuestionOpened")
      const approved = Op.answer(questionId, { _tag: "Approved", scope: "once" })
      assert.strictEqual((yield* fixture.send(approved))._tag, "Accepted")
      const again = yield* fixture.send(approved)
      assert.strictEqual(again._tag === "Rejected" && again.reason._tag, "UnknownQuestion")
      yield* fixture.session.awaitIdle
      assert.deepStrictEqual(yield* ends(fixture), ["TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "A2 an abort cancels the open question without denying it; A5 the answer Abort aborts the turn",
    Effect.gen(function* () {
      for (const decided of [true, false]) {
        const fixture = yield* Fixture.make(factory, { script: asking })
        yield* fixture.submit("hi")
        const { questionId } = yield* fixture.awaitRecord((record) => record._tag === "QuestionOpened")
        yield* decided ? fixture.send(Op.answer(questionId, { _tag: "Abort" })) : fixture.abort
        yield* fixture.session.awaitIdle
        const settled = (yield* fixture.records).find((record) => record._tag === "QuestionSettled")
        assert.strictEqual(
          settled?._tag === "QuestionSettled" && settled.decision._tag,
          decided ? "Abort" : "Cancelled"
        )
        assert.deepStrictEqual(yield* ends(fixture), ["TurnAborted"])
        const { items } = yield* fixture.session.snapshot
        assert.isFalse(items.some((item) => item._tag === "ToolResult" && item.status === "denied"))
        yield* fixture.end
      }
    })
  )
}

const journals = (test: Test, factory: SessionFactory): void => {
  test(
    "J2 a second writer of a session is refused until the first is closed",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[text("one")]] })
      yield* fixture.run("hi")
      const resume = fixture.session.sessionId
      const refused = yield* Effect.flip(Fixture.make(factory, { script: [], journal: fixture.journal, resume }))
      assert.strictEqual((refused as { readonly _tag?: string })._tag, "SessionBusy")
      yield* fixture.end
      const second = yield* Fixture.make(factory, { script: [], journal: fixture.journal, resume })
      yield* second.end
    })
  )

  test(
    "J3 a resumed session has the same state",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, {
        script: [[text("one"), call("echo", {}, "a")].flat(), [text("two")]]
      })
      yield* fixture.run("hi")
      const before = yield* fixture.session.snapshot
      yield* fixture.end
      const resumed = yield* Fixture.make(factory, {
        script: [[text("three")]],
        journal: fixture.journal,
        resume: fixture.session.sessionId
      })
      const { items, turnCount, usage } = yield* resumed.session.snapshot
      assert.deepStrictEqual([items, turnCount, usage], [before.items, before.turnCount, before.usage])
      yield* resumed.run("again")
      assert.deepStrictEqual(yield* ends(resumed), ["TurnCompleted", "TurnCompleted"])
      yield* resumed.end
    })
  )

  test(
    "J4 a rollback removes the last turn from the history and keeps its records",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[text("one")], [text("two")]] })
      yield* fixture.run("hi")
      const { items } = yield* fixture.session.snapshot
      yield* fixture.run("again")
      assert.strictEqual((yield* fixture.send(Op.rollback(1)))._tag, "Accepted")
      assert.deepStrictEqual((yield* fixture.session.snapshot).items, items)
      assert.deepStrictEqual(yield* ends(fixture), ["TurnCompleted", "TurnCompleted"])
      yield* fixture.end
    })
  )

  test(
    "J6 J8 a session whose host died in a call is marked as interrupted when it is resumed, and the call is unknown",
    Effect.gen(function* () {
      const fixture = yield* Fixture.make(factory, { script: [[call("echo", {}, "a")], [text("done")]] })
      yield* fixture.run("hi")
      yield* fixture.end
      const all = yield* fixture.records
      const called = all.findIndex((record) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall")
      const journal = yield* Fixture.journalOf(fixture.session.sessionId, all.slice(0, called + 1))
      const resumed = yield* Fixture.make(factory, {
        script: [[text("fine")]],
        journal,
        resume: fixture.session.sessionId
      })
      const end = (yield* resumed.records).findLast(SessionEvent.isTerminal)
      assert.deepStrictEqual(end?._tag === "TurnAborted" && [end.reason, end.crashed], ["Interrupted", true])
      const { items } = yield* resumed.session.snapshot
      const result = items.find((item) => item._tag === "ToolResult")
      assert.strictEqual(result?._tag === "ToolResult" && result.status, "unknown")
      yield* resumed.run("again")
      assert.deepStrictEqual(yield* ends(resumed), ["TurnAborted", "TurnCompleted"])
      assert.lengthOf(resumed.model.requests, 1)
      yield* resumed.end
    })
  )
}
