/**
 * The contract of a session as tests: whatever hosts sessions - in this process, behind a wire - must pass them.
 *
 * Needs `vitest`; time is virtual. A host is looked at through `Session` and its journal only; after each test all laws of `Laws` are checked on what a
 * subscriber was told and what the journal holds.
 */
import type { SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { assert, describe, it } from "vitest"
import * as Hosting from "./internal/hosting.ts"
import * as ScriptedModel from "./ScriptedModel.ts"
import type { Make } from "./SessionHarness.ts"

type Test = (title: string, run: Effect.Effect<void, unknown, Scope.Scope>) => void

const { call, gate, pieces, text } = ScriptedModel

/**
 * Registers the tests of a host of sessions below this name. It must ask nobody: a test answers its requests.
 *
 * @example
 * ```ts no-run
 * import * as Session from "@spindle/core/Session"
 * import * as SessionSuite from "@spindle/testing/SessionSuite"
 *
 * SessionSuite.suite("Session.make", Session.make)
 * ```
 */
export const suite = (name: string, make: Make): void => {
  const test: Test = (title, run) => {
    it(title, () => Effect.runPromise(Effect.provide(Effect.scoped(run), TestClock.layer())))
  }
  describe(name, () => {
    turns(test, make)
    input(test, make)
    aborts(test, make)
    requests(test, make)
    journals(test, make)
  })
}

/** The tags of the events that end turns. */
const ends = (hosted: Hosting.Hosted) =>
  Effect.map(hosted.records, (records) => records.filter(SessionEvent.isTerminal).map(({ _tag }) => _tag))

const turns = (test: Test, make: Make): void => {
  test(
    "S1 S2 S3 a turn with tool calls starts, ends once and keeps every law",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, {
        script: [[text("I ", "look"), call("echo", { n: 1 }, "a"), call("echo", { n: 2 }, "b")].flat(), [text("done")]]
      })
      const receipt = yield* hosted.submit("hi")
      assert.strictEqual(receipt._tag, "Started")
      yield* hosted.session.awaitIdle
      const last = (yield* hosted.records).findLast(SessionEvent.isTerminal)
      assert.deepStrictEqual(
        [last?._tag, last?._tag === "TurnCompleted" && last.lastMessage],
        ["TurnCompleted", "done"]
      )
      assert.lengthOf(hosted.model.requests, 2)
      yield* hosted.end
    })
  )

  test(
    "S4 a task that is started takes over: the old turn ends as Replaced before it begins",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[...pieces("begun"), gate("never")]] })
      yield* hosted.submit("hi")
      yield* hosted.model.reached("never")
      const { outcome } = yield* hosted.session.start(Task.make("other", Effect.succeed("other")))
      yield* outcome
      yield* hosted.session.awaitIdle
      assert.deepStrictEqual(yield* ends(hosted), ["TurnAborted", "TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "S5 a turn that fails leaves the session idle, and the next turn completes",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[ScriptedModel.fail("InvalidRequest")], [text("fine")]] })
      yield* hosted.run("hi")
      yield* hosted.run("again")
      assert.deepStrictEqual(yield* ends(hosted), ["TurnFailed", "TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "S7 closing the scope ends the turn as Shutdown, and whoever comes later is refused",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[...pieces("begun"), gate("never")]] })
      yield* hosted.submit("hi")
      yield* hosted.model.reached("never")
      yield* hosted.end
      const last = (yield* hosted.records).findLast(SessionEvent.isTerminal)
      assert.strictEqual(last?._tag === "TurnAborted" && last.reason, "Shutdown")
      const late = yield* hosted.submit("late")
      assert.strictEqual(late._tag === "Rejected" && late.reason._tag, "SessionClosed")
      assert.strictEqual(hosted.model.openCount(), 0)
    })
  )

  test(
    "W2 a subscriber that comes late, and one that continues from a number, miss no record",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[text("one")], [text("two")]] })
      yield* hosted.run("hi")
      const from = (yield* hosted.session.snapshot).seq
      const late = yield* hosted.subscribe(0)
      const continued = yield* hosted.subscribe(from)
      yield* hosted.run("again")
      yield* hosted.end
      const records = yield* hosted.records
      assert.deepStrictEqual(late.filter(SessionEvent.isRecord), records)
      assert.deepStrictEqual(continued.filter(SessionEvent.isRecord), records.slice(from))
    })
  )
}

const input = (test: Test, make: Make): void => {
  test(
    "P1 P4 input steers the running turn, which carries it, or waits for the next",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, {
        script: [[...text("one"), gate("first")], [text("two")], [text("three")]]
      })
      yield* hosted.submit("hi")
      yield* hosted.model.reached("first")
      const steered = yield* hosted.submit("more")
      const queued = yield* hosted.submit("next", { delivery: "queue" })
      const empty = yield* hosted.submit("")
      assert.deepStrictEqual([steered._tag, queued._tag, empty._tag], ["Steered", "Queued", "Rejected"])
      yield* hosted.model.open("first")
      yield* hosted.session.awaitIdle
      assert.deepStrictEqual(yield* ends(hosted), ["TurnCompleted", "TurnCompleted"])
      assert.lengthOf(hosted.model.requests, 3)
      yield* hosted.end
    })
  )

  test(
    "P2 input that an interrupted turn had not carried is returned by name, what was queued is kept and starts next",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, {
        script: (_, index) => (index === 0 ? [...pieces("begun"), gate("never")] : [text("fine")])
      })
      yield* hosted.submit("hi")
      yield* hosted.model.reached("never")
      const steered = yield* hosted.submit("more")
      const queued = yield* hosted.submit("next", { delivery: "queue" })
      yield* hosted.abort
      yield* hosted.session.awaitIdle
      const end = (yield* hosted.records).findLast(SessionEvent.isTerminal)
      assert.deepStrictEqual(end?._tag === "TurnAborted" && end.returned.map((one) => one.submissionId), [
        steered.submissionId
      ])
      assert.deepStrictEqual((yield* hosted.session.snapshot).waiting, [queued.submissionId])
      yield* hosted.run("go on")
      assert.deepStrictEqual(yield* ends(hosted), ["TurnAborted", "TurnCompleted", "TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "P6 a submission that is sent again gets the same receipt and runs once",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[text("one")], [text("two")]] })
      const id = "mine" as SubmissionId
      const first = yield* hosted.submit("hi", { id })
      yield* hosted.session.awaitIdle
      assert.deepStrictEqual(yield* hosted.submit("hi", { id }), first)
      yield* hosted.session.awaitIdle
      assert.lengthOf(hosted.model.requests, 1)
      yield* hosted.end
    })
  )
}

const aborts = (test: Test, make: Make): void => {
  test(
    "I1 I5 I6 an abort in a tool answers true once, gives the call a result, leaves the marker, and the next turn completes",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[call("wait", {}, "a")], [text("fine")]] })
      yield* hosted.submit("hi")
      yield* hosted.awaitRecord((record) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall")
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([yield* hosted.abort, yield* hosted.abort], [true, false])
      yield* hosted.session.awaitIdle
      const { items } = yield* hosted.session.snapshot
      const result = items.find((item) => item._tag === "ToolResult")
      assert.deepStrictEqual(result?._tag === "ToolResult" && [result.status, result.aborted?.reason], [
        "aborted",
        "Interrupted"
      ])
      yield* hosted.run("again")
      assert.deepStrictEqual(yield* ends(hosted), ["TurnAborted", "TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "I3 an abort of a task that cannot be interrupted settles with the grace, and names it",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [] })
      const { outcome } = yield* hosted.session.start(
        Task.make("stuck", Effect.uninterruptible(Effect.sleep("1 hour")))
      )
      assert.isTrue(yield* hosted.abort)
      yield* TestClock.adjust("1 second")
      const ended = yield* outcome
      assert.deepStrictEqual(ended._tag === "Aborted" && ended.stragglers, ["task stuck"])
      yield* TestClock.adjust("1 hour")
      yield* hosted.end
    })
  )

  test(
    "I7 text that was shown before an abort is kept",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[...pieces("so ", "far"), gate("never")]] })
      yield* hosted.submit("hi")
      yield* hosted.model.reached("never")
      yield* hosted.abort
      yield* hosted.session.awaitIdle
      const { items } = yield* hosted.session.snapshot
      assert.isTrue(items.some((item) => item._tag === "AssistantMessage" && item.text === "so far"))
      yield* hosted.end
    })
  )
}

const requests = (test: Test, make: Make): void => {
  const asking = [[call("guarded", {}, "a")], [text("fine")]]

  test(
    "A1 a request is announced, answered once, and lets its tool run",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: asking })
      yield* hosted.submit("hi")
      const { questionId } = yield* hosted.awaitRecord((record) => record._tag === "QuestionOpened")
      const approved = Op.answer(questionId, { _tag: "Approved", scope: "once" })
      assert.strictEqual((yield* hosted.send(approved))._tag, "Accepted")
      const again = yield* hosted.send(approved)
      assert.strictEqual(again._tag === "Rejected" && again.reason._tag, "UnknownQuestion")
      yield* hosted.session.awaitIdle
      assert.deepStrictEqual(yield* ends(hosted), ["TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "A2 an abort cancels what is open, and is no refusal; A5 the answer Abort aborts the turn",
    Effect.gen(function* () {
      for (const decided of [true, false]) {
        const hosted = yield* Hosting.host(make, { script: asking })
        yield* hosted.submit("hi")
        const { questionId } = yield* hosted.awaitRecord((record) => record._tag === "QuestionOpened")
        yield* decided ? hosted.send(Op.answer(questionId, { _tag: "Abort" })) : hosted.abort
        yield* hosted.session.awaitIdle
        const settled = (yield* hosted.records).find((record) => record._tag === "QuestionSettled")
        assert.strictEqual(
          settled?._tag === "QuestionSettled" && settled.decision._tag,
          decided ? "Abort" : "Cancelled"
        )
        assert.deepStrictEqual(yield* ends(hosted), ["TurnAborted"])
        const { items } = yield* hosted.session.snapshot
        assert.isFalse(items.some((item) => item._tag === "ToolResult" && item.status === "denied"))
        yield* hosted.end
      }
    })
  )
}

const journals = (test: Test, make: Make): void => {
  test(
    "J2 a second writer of the session is refused, until the first has closed",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[text("one")]] })
      yield* hosted.run("hi")
      const resume = hosted.session.sessionId
      const refused = yield* Effect.flip(Hosting.host(make, { script: [], journal: hosted.journal, resume }))
      assert.strictEqual((refused as { readonly _tag?: string })._tag, "SessionBusy")
      yield* hosted.end
      const second = yield* Hosting.host(make, { script: [], journal: hosted.journal, resume })
      yield* second.end
    })
  )

  test(
    "J3 a session that is opened again is what it was",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[text("one"), call("echo", {}, "a")].flat(), [text("two")]] })
      yield* hosted.run("hi")
      const before = yield* hosted.session.snapshot
      yield* hosted.end
      const resumed = yield* Hosting.host(make, {
        script: [[text("three")]],
        journal: hosted.journal,
        resume: hosted.session.sessionId
      })
      const { items, turnCount, usage } = yield* resumed.session.snapshot
      assert.deepStrictEqual([items, turnCount, usage], [before.items, before.turnCount, before.usage])
      yield* resumed.run("again")
      assert.deepStrictEqual(yield* ends(resumed), ["TurnCompleted", "TurnCompleted"])
      yield* resumed.end
    })
  )

  test(
    "J4 a rollback takes the last turn out of the history, and leaves its records",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[text("one")], [text("two")]] })
      yield* hosted.run("hi")
      const { items } = yield* hosted.session.snapshot
      yield* hosted.run("again")
      assert.strictEqual((yield* hosted.send(Op.rollback(1)))._tag, "Accepted")
      assert.deepStrictEqual((yield* hosted.session.snapshot).items, items)
      assert.deepStrictEqual(yield* ends(hosted), ["TurnCompleted", "TurnCompleted"])
      yield* hosted.end
    })
  )

  test(
    "J6 J8 a session whose host died in a call is marked as interrupted when it is opened, and the call is unknown",
    Effect.gen(function* () {
      const hosted = yield* Hosting.host(make, { script: [[call("echo", {}, "a")], [text("done")]] })
      yield* hosted.run("hi")
      yield* hosted.end
      const all = yield* hosted.records
      const called = all.findIndex((record) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall")
      const journal = yield* Hosting.journalOf(hosted.session.sessionId, all.slice(0, called + 1))
      const resumed = yield* Hosting.host(make, {
        script: [[text("fine")]],
        journal,
        resume: hosted.session.sessionId
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
