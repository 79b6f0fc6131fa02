import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Compaction from "@spindle/core/Compaction"
import * as History from "@spindle/core/History"
import * as NoteKind from "@spindle/core/NoteKind"
import * as SessionState from "@spindle/core/SessionState"
import type { Snapshot } from "@spindle/core/Snapshot"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { violationsOf } from "../fixtures/turns.ts"

const { call, die, drop, fail, gate, hang, invalidCall, pieces, reasoning, text } = ScriptedModel

/** The responses of a model in a random session. */
const Answer = Schema.Literals([
  "text",
  "reasoning",
  "call",
  "calls",
  "asks",
  "stuck",
  "invented",
  "invalid",
  "broken tool",
  "failing tool",
  "gate",
  "hang",
  "drop",
  "overloaded",
  "die"
])

/** The actions of a client in a random session. */
const Command = Schema.Literals([
  "submit",
  "queue",
  "steer",
  "abort",
  "replace",
  "deadline",
  "open",
  "approve",
  "approve session",
  "deny",
  "notice",
  "compact",
  "rollback",
  "wait",
  "wait long"
])

const answerOf = (kind: typeof Answer.Type, index: number): ScriptedModel.Answer => {
  switch (kind) {
    case "text":
      return [text("so ", "be it")]
    case "reasoning":
      return [...reasoning("hm"), ...text("well")]
    case "call":
      return [call("work", { n: index }, `c${index}`), ...text("calling")]
    case "calls":
      return ["a", "b", "a"].map((name) => call("work", { n: index }, name))
    case "asks":
      return [call("careful", { n: index % 2 }, `q${index}`)]
    case "stuck":
      return [...pieces("going"), call("stuck", {}, `s${index}`)]
    case "invented":
      return [call("invented", {}, `i${index}`)]
    case "invalid":
      return [invalidCall("work", "{", `j${index}`)]
    case "broken tool":
      return [call("broken", {}, `d${index}`)]
    case "failing tool":
      return [call("failing", {}, `f${index}`), call("work", {}, `w${index}`)]
    case "gate":
      return [...pieces("before "), gate("gate"), ...pieces("after")]
    case "hang":
      return [...pieces("never"), hang]
    case "drop":
      return [...pieces("lost"), drop]
    case "overloaded":
      return [fail("Overloaded")]
    case "die":
      return [die(new Error("a broken model"))]
  }
}

const tools: { readonly [name: string]: SessionHarness.TestTool } = {
  work: { run: ({ n }) => Effect.succeed({ n }) },
  careful: { run: () => Effect.succeed("done"), policy: { approval: "ask", concurrency: "exclusive" } },
  stuck: { run: () => Effect.never },
  broken: { run: () => Effect.die(new Error("a bug")) },
  failing: { run: () => Effect.fail("no") }
}

const Spoken = NoteKind.make("spoken", { data: Schema.Struct({ times: Schema.Finite }) })

const sayTwice = Task.make(
  "twice",
  Effect.gen(function* () {
    const turn = yield* Turn
    yield* turn.say("once")
    yield* turn.note(Spoken, { times: 1 })
    yield* Effect.sleep("1 second")
    yield* turn.say("twice")
  })
)

const compact = Task.make(
  "compact",
  Effect.gen(function* () {
    const turn = yield* Turn
    const { kept } = Compaction.plan(yield* turn.history)
    yield* turn.replaceHistory([...kept, { _tag: "AssistantMessage", text: "a summary" }])
    yield* Effect.sleep("1 millis")
    yield* turn.say("compacted")
  })
)

const obey = (harness: SessionHarness.SessionHarness, command: typeof Command.Type) =>
  Effect.gen(function* () {
    const { session } = harness
    const answer = (decision: Op.Decision) => {
      const open = harness.records().findLast((record) => record._tag === "QuestionOpened")
      return open?._tag === "QuestionOpened" ? session.submit(Op.answer(open.questionId, decision)) : Effect.void
    }
    switch (command) {
      case "submit":
        return yield* harness.submit("hello")
      case "queue":
        return yield* session.submit(Op.userInput("later", { delivery: "queue" }))
      case "steer": {
        const { turnId } = yield* session.snapshot
        return turnId === undefined ? undefined : yield* session.steer([{ _tag: "Text", text: "also" }], turnId)
      }
      case "abort":
        return yield* session.abort()
      case "deadline":
        return yield* session.abort("Deadline")
      case "replace":
        return yield* Effect.forkChild(session.start(sayTwice))
      case "notice":
        return yield* session.submit(Op.notice("tests", "by the way"))
      case "compact":
        return yield* Effect.forkChild(session.start(compact))
      case "rollback":
        return yield* session.submit(Op.rollback(1))
      case "open":
        return yield* harness.model.open("gate")
      case "approve":
        return yield* answer({ _tag: "Approved", scope: "turn" })
      case "approve session":
        return yield* answer({ _tag: "Approved", scope: "session" })
      case "deny":
        return yield* answer({ _tag: "Denied" })
      case "wait":
        return yield* TestClock.adjust("1 millis")
      case "wait long":
        return yield* TestClock.adjust("3 seconds")
    }
  })

/** The parts of a state that a snapshot shows. */
const shown = (state: SessionState.SessionState) => ({
  seq: state.seq,
  turnId: state.turn?.turnId,
  items: History.toArray(state.history),
  waiting: state.inbox.map((entry) => entry.submissionId),
  usage: state.usage,
  turnCount: state.turnCount
})
const shownBy = ({ items, seq, turnCount, turnId, usage, waiting }: Snapshot) => ({
  seq,
  turnId,
  items,
  waiting,
  usage,
  turnCount
})

describe("records of random sessions", () => {
  it.effect.prop(
    "J3 I6 break no invariant, fold to the live state at every step, and resume to it; every request pairs up",
    [Schema.Array(Answer).check(Schema.isMaxLength(8)), Schema.Array(Command).check(Schema.isMaxLength(16))],
    ([answers, commands]) =>
      Effect.gen(function* () {
        const journal = yield* SessionHarness.memoryJournal
        const scope = yield* Scope.make()
        const harness = yield* SessionHarness.make({
          journal,
          tools,
          script: (_, index) => answerOf(answers[index] ?? "text", index),
          config: { requestRetries: 1, streamRetries: 1 }
        }).pipe(Effect.provideService(Scope.Scope, scope))
        const { session } = harness
        const check = Effect.gen(function* () {
          const snapshot = yield* session.snapshot
          const { records } = yield* journal.load(session.sessionId)
          assert.deepStrictEqual(shown(SessionState.fold(records)), shownBy(snapshot))
          assert.deepStrictEqual(harness.records(), records)
        })
        for (const command of ["submit", ...commands] as const) {
          yield* obey(harness, command)
          yield* TestClock.adjust(0)
          yield* check
        }
        for (const request of harness.requests) assert.isUndefined(History.defect(request.items))

        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
        yield* TestClock.adjust("5 seconds")
        yield* Effect.yieldNow
        assert.isDefined(closing.pollUnsafe(), "closing is bounded")
        const { records } = yield* journal.load(session.sessionId)
        assert.deepStrictEqual(violationsOf(records), [])
        yield* resumes(journal, session.sessionId, records)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 400 } }
  )
})

/** A resume of closed records shows the same, with one record more, and its next turn runs. */
const resumes = Effect.fnUntraced(function* (
  journal: Effect.Success<typeof SessionHarness.memoryJournal>,
  sessionId: SessionId,
  records: ReadonlyArray<JournalRecord>
) {
  const harness = yield* SessionHarness.make({ journal, resume: sessionId, script: () => [text("back")] })
  const state = shown(SessionState.fold(records))
  assert.deepStrictEqual(shownBy(yield* harness.session.snapshot), { ...state, seq: state.seq + 1 })
  yield* harness.submit("hello again")
  yield* harness.session.awaitIdle
  assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
  for (const request of harness.requests) assert.isUndefined(History.defect(request.items))
  assert.deepStrictEqual(violationsOf((yield* journal.load(sessionId)).records), [])
})
