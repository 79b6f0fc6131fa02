import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import type { TurnId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { isTerminal, type JournalRecord } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as SessionState from "@spindle/core/SessionState"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Effect, Layer } from "effect"
import { userTexts } from "./fixtures/submissions.ts"
import { assertTurns } from "./fixtures/turns.ts"

const agent = Agent.make({})

const program = Effect.fnUntraced(function* (script: ScriptedModel.Script) {
  const journal = yield* SessionHarness.memoryJournal
  const model = ScriptedModel.make(script)
  const context = yield* Layer.build(
    Layer.provide(Sessions.layer(agent), Layer.merge(Layer.succeed(Journal, journal), model.layer))
  )
  return { journal, model, sessions: Context.get(context, Sessions.Sessions) }
})

const turnsOf = (records: ReadonlyArray<JournalRecord>): ReadonlyArray<TurnId> =>
  records.flatMap((record) => (record._tag === "TurnStarted" ? [record.turnId] : []))

const itemsOf = (records: ReadonlyArray<JournalRecord>) => History.toArray(SessionState.fold(records).history)

/** A session with a turn of each end: completed, failed, aborted, a task's, and one that was rolled back. */
const eventful = Effect.gen(function* () {
  const made = yield* program((_, index) =>
    index === 1
      ? [ScriptedModel.fail("Unauthorized")]
      : index === 2
        ? [...ScriptedModel.pieces("half"), ScriptedModel.gate("held")]
        : [ScriptedModel.text(`answer ${index}`)]
  )
  const session = yield* made.sessions.create()
  const say = (words: string) => Effect.andThen(session.submit(Op.userInput(words)), session.awaitIdle)
  yield* say("completes")
  yield* say("fails")
  yield* session.submit(Op.userInput("is aborted"))
  yield* made.model.awaitGate("held")
  yield* session.abort()
  yield* session.awaitIdle
  yield* (yield* session.start(Task.make("task", Effect.void))).outcome
  yield* say("is rolled back")
  yield* session.submit(Op.rollback(1))
  yield* say("last")
  const { records } = yield* made.journal.load(session.sessionId)
  return { ...made, session, records }
})

describe("fork", () => {
  it.effect("J4 copies up to the end of any turn, and its next prompt holds no more; the source is not touched", () =>
    Effect.gen(function* () {
      const { journal, model, records, session, sessions } = yield* eventful
      const turns = turnsOf(records)
      assert.deepStrictEqual(
        records.filter(isTerminal).map((record) => record._tag),
        ["TurnCompleted", "TurnFailed", "TurnAborted", "TurnCompleted", "TurnCompleted", "TurnCompleted"]
      )
      const inputs = ["completes", "fails", "is aborted", undefined, "is rolled back", "last"]
      for (const [index, until] of turns.entries()) {
        const fork = yield* sessions.fork(session.sessionId, { until })
        const end = records.findIndex((record) => isTerminal(record) && record.turnId === until)
        assert.deepStrictEqual((yield* fork.snapshot).items, itemsOf(records.slice(0, end + 1)))
        assert.strictEqual((yield* fork.snapshot).turnCount, index + 1)
        yield* fork.submit(Op.userInput("on"))
        yield* fork.awaitIdle
        const carried = inputs.slice(0, index + 1).filter((input) => input !== undefined)
        const expected = index === turns.length - 1 ? carried.filter((input) => input !== "is rolled back") : carried
        assert.deepStrictEqual(userTexts(model.requests.at(-1)), [...expected, "on"])
        assertTurns((yield* journal.load(fork.sessionId)).records)
      }
      assert.deepStrictEqual((yield* journal.load(session.sessionId)).records, records)
    })
  )

  it.effect("J4 of a turn that the session does not have is not found, and leaves no journal behind", () =>
    Effect.gen(function* () {
      const { journal, session, sessions } = yield* eventful
      const before = yield* journal.list
      const error = yield* Effect.flip(sessions.fork(session.sessionId, { until: "other" as TurnId }))
      assert.strictEqual(error._tag, "TurnNotFound")
      assert.lengthOf(yield* journal.list, before.length)
    })
  )

  it.effect("J4 of a fork, and a rollback in it, leave both sources alone", () =>
    Effect.gen(function* () {
      const { journal, records, session, sessions } = yield* eventful
      const fork = yield* sessions.fork(session.sessionId)
      const forkBefore = (yield* journal.load(fork.sessionId)).records
      const second = yield* sessions.fork(fork.sessionId)
      yield* second.submit(Op.rollback(2))
      const [first] = (yield* journal.load(second.sessionId)).records
      assert.strictEqual(first?._tag === "SessionStarted" && first.forkedFrom, fork.sessionId)
      assert.deepStrictEqual((yield* journal.load(fork.sessionId)).records, forkBefore)
      assert.deepStrictEqual((yield* journal.load(session.sessionId)).records, records)
      assert.notDeepEqual((yield* second.snapshot).items, (yield* fork.snapshot).items)
    })
  )
})
