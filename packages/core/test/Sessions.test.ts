import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as History from "@spindle/core/History"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"

const { gate, pieces, text } = ScriptedModel
const agent = Agent.make({ instructions: "be brief" })

/** The sessions of one program, with their journals and their model. */
const program = Effect.fnUntraced(function* (script: ScriptedModel.Script = (_, index) => [text(`answer ${index}`)]) {
  const journal = yield* SessionHarness.memoryJournal
  const model = ScriptedModel.make(script)
  const scope = yield* Scope.make()
  const context = yield* Layer.build(
    Layer.provide(Sessions.layer(agent), Layer.merge(Layer.succeed(Journal, journal), model.layer))
  ).pipe(Effect.provideService(Scope.Scope, scope))
  return { journal, model, scope, sessions: Context.get(context, Sessions.Sessions) }
})

const recordsOf = (journal: Journal, sessionId: SessionId) =>
  Effect.map(journal.load(sessionId), ({ records }) => records)

describe("Sessions", () => {
  it.effect("create makes a session with the meta data that it is given, and open returns the same one", () =>
    Effect.gen(function* () {
      const { journal, sessions } = yield* program()
      const session = yield* sessions.create({ meta: { cwd: "/here" } })
      const [first, second] = yield* Effect.all([sessions.open(session.sessionId), sessions.open(session.sessionId)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(first, session)
      assert.strictEqual(second, session)
      const [started] = yield* recordsOf(journal, session.sessionId)
      assert.deepStrictEqual(started?._tag === "SessionStarted" && started.meta, { cwd: "/here" })
    })
  )

  it.effect("J2 two clients that open a closed session at the same time get the same one", () =>
    Effect.gen(function* () {
      const { sessions } = yield* program()
      const { sessionId } = yield* sessions.create()
      assert.isTrue(yield* sessions.close(sessionId))
      const [first, second] = yield* Effect.all([sessions.open(sessionId), sessions.open(sessionId)], {
        concurrency: "unbounded"
      })
      assert.strictEqual(first, second)
    })
  )

  it.effect("a session that does not exist is not found, and creating one twice fails", () =>
    Effect.gen(function* () {
      const { sessions } = yield* program()
      const id = "none" as SessionId
      const missing = yield* Effect.flip(sessions.open(id))
      assert.strictEqual(missing._tag, "SessionNotFound")
      const noSource = yield* Effect.flip(sessions.fork(id))
      assert.strictEqual(noSource._tag, "SessionNotFound")
      yield* sessions.create({ sessionId: id })
      const busy = yield* Effect.flip(sessions.create({ sessionId: id }))
      assert.strictEqual(busy._tag, "SessionBusy")
      yield* sessions.close(id)
      const twice = yield* Effect.flip(sessions.create({ sessionId: id }))
      assert.strictEqual(twice._tag, "JournalFailed")
    })
  )

  it.effect("S7 close settles what runs and releases the journal, and opening again resumes", () =>
    Effect.gen(function* () {
      const { journal, model, sessions } = yield* program((_, index) =>
        index === 0 ? [...pieces("begun"), gate("never")] : [text("back")]
      )
      const session = yield* sessions.create()
      yield* session.submit(Op.userInput("hi"))
      yield* model.awaitGate("never")
      assert.isTrue(yield* sessions.close(session.sessionId))
      assert.isFalse(yield* sessions.close(session.sessionId))
      assert.strictEqual(model.openCount(), 0)
      const last = (yield* recordsOf(journal, session.sessionId)).at(-1)
      assert.strictEqual(last?._tag === "TurnAborted" && last.reason, "Shutdown")
      const closed = yield* session.submit(Op.userInput("more"))
      assert.strictEqual(closed._tag === "Rejected" && closed.reason._tag, "SessionClosed")

      const again = yield* sessions.open(session.sessionId)
      assert.notStrictEqual(again, session)
      yield* again.submit(Op.userInput("more"))
      yield* again.awaitIdle
      const ends = (yield* recordsOf(journal, session.sessionId)).filter(isTerminal)
      assert.deepStrictEqual(
        ends.map((end) => end._tag),
        ["TurnAborted", "TurnCompleted"]
      )
    })
  )

  it.effect("a session that is being closed delays no other one", () =>
    Effect.gen(function* () {
      const { sessions } = yield* program()
      const deaf = yield* sessions.create()
      const [started, released] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      yield* deaf.start(
        Task.make(
          "deaf",
          Effect.uninterruptible(Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(released)))
        )
      )
      yield* Deferred.await(started)
      const closing = yield* Effect.forkChild(sessions.close(deaf.sessionId), { startImmediately: true })
      const other = yield* sessions.create()
      yield* other.submit(Op.userInput("hi"))
      yield* other.awaitIdle
      assert.strictEqual((yield* sessions.open(other.sessionId)).sessionId, other.sessionId)
      // time stands still, so the session is still waiting for its task
      assert.isUndefined(closing.pollUnsafe())
      yield* Deferred.succeed(released, undefined)
      assert.isTrue(yield* Fiber.join(closing))
    })
  )

  it.effect("S7 closing the scope closes every session", () =>
    Effect.gen(function* () {
      const { journal, model, scope, sessions } = yield* program(() => [...pieces("begun"), gate("never")])
      const all = yield* Effect.forEach([1, 2, 3], () => sessions.create())
      for (const session of all) yield* session.submit(Op.userInput("hi"))
      yield* model.awaitGate("never")
      yield* TestClock.adjust(0)
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(model.openCount(), 0)
      for (const { sessionId } of all) {
        assert.strictEqual((yield* recordsOf(journal, sessionId)).at(-1)?._tag, "TurnAborted")
        yield* Effect.scoped(journal.open(sessionId, "existing"))
      }
    })
  )

  it.effect("list contains every journal, open or not, the latest first", () =>
    Effect.gen(function* () {
      const { sessions } = yield* program()
      const ids: Array<SessionId> = []
      for (let index = 0; index < 3; index++) {
        yield* TestClock.adjust("1 second")
        ids.unshift((yield* sessions.create()).sessionId)
      }
      yield* sessions.close(ids[1]!)
      assert.deepStrictEqual(
        (yield* sessions.list()).entries.map((entry) => entry.sessionId),
        ids
      )
    })
  )
  it.effect(
    "J2 an archived session is closed, listed separately and refused, until it is unarchived with all its records",
    () =>
      Effect.gen(function* () {
        const { journal, model, sessions } = yield* program(() => [...pieces("begun"), gate("never")])
        const session = yield* sessions.create()
        yield* session.submit(Op.userInput("hi"))
        yield* model.awaitGate("never")
        yield* TestClock.adjust(0)
        const { sessionId } = session
        const archiving = yield* Effect.forkChild(sessions.archive(sessionId))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(archiving)
        assert.strictEqual((yield* recordsOf(journal, sessionId)).at(-1)?._tag, "TurnAborted")
        assert.deepStrictEqual(yield* sessions.list(), { entries: [] })
        assert.deepStrictEqual(
          (yield* sessions.list({ archived: true })).entries.map((entry) => entry.sessionId),
          [sessionId]
        )
        const refused = yield* Effect.flip(sessions.open(sessionId))
        assert.strictEqual(refused.message, `session ${sessionId} is archived; unarchive it to continue it`)
        const fork = yield* sessions.fork(sessionId)
        assert.notStrictEqual(fork.sessionId, sessionId)
        yield* sessions.unarchive(sessionId)
        const again = yield* sessions.open(sessionId)
        assert.strictEqual(again.sessionId, sessionId)
        const busy = yield* Effect.flip(journal.archive(sessionId))
        assert.strictEqual(busy._tag, "SessionBusy")
      })
  )
})

describe("fork", () => {
  const twoTurns = Effect.gen(function* () {
    const made = yield* program()
    const session = yield* made.sessions.create({ meta: { cwd: "/here" } })
    for (const words of ["one", "two"]) {
      yield* session.submit(Op.userInput(words))
      yield* session.awaitIdle
    }
    const turns = (yield* recordsOf(made.journal, session.sessionId)).flatMap((record) =>
      record._tag === "TurnStarted" ? [record.turnId] : []
    )
    return { ...made, session, turns }
  })

  it.effect("J4 copies a session up to the end of a turn, names its source, and does not touch the source", () =>
    Effect.gen(function* () {
      const { journal, model, session, sessions, turns } = yield* twoTurns
      const before = yield* recordsOf(journal, session.sessionId)
      const fork = yield* sessions.fork(session.sessionId, { until: turns[0]! })
      assert.notStrictEqual(fork.sessionId, session.sessionId)
      const copied = yield* recordsOf(journal, fork.sessionId)
      const [first] = copied
      assert.deepStrictEqual(first?._tag === "SessionStarted" && [first.sessionId, first.forkedFrom, first.meta], [
        fork.sessionId,
        session.sessionId,
        { cwd: "/here" }
      ])
      const end = before.findIndex((record) => isTerminal(record) && record.turnId === turns[0])
      assert.deepStrictEqual(copied.slice(1, end + 1), before.slice(1, end + 1))
      assert.deepStrictEqual(
        copied.slice(end + 1).map((record) => record._tag),
        ["SessionResumed"]
      )
      yield* fork.submit(Op.userInput("another way"))
      yield* fork.awaitIdle
      assert.deepStrictEqual(
        model.requests
          .at(-1)
          ?.items.map((item) => (item._tag === "UserMessage" ? History.isUserInput(item) : item._tag)),
        [true, "AssistantMessage", true]
      )
      assert.deepStrictEqual(yield* recordsOf(journal, session.sessionId), before)
      assert.strictEqual((yield* session.snapshot).items.length, 4)
    })
  )

  it.effect("J4 without a turn it copies everything, and both continue independently", () =>
    Effect.gen(function* () {
      const { session, sessions } = yield* twoTurns
      const fork = yield* sessions.fork(session.sessionId)
      assert.deepStrictEqual((yield* fork.snapshot).items, (yield* session.snapshot).items)
      yield* session.submit(Op.userInput("three"))
      yield* session.awaitIdle
      assert.strictEqual((yield* fork.snapshot).turnCount, 2)
      assert.strictEqual(yield* sessions.open(fork.sessionId), fork)
    })
  )

  it.effect("J4 a fork taken during a turn carries the marker, and the turn of the source keeps running", () =>
    Effect.gen(function* () {
      const { journal, model, sessions } = yield* program((_, index) =>
        index === 0 ? [...text("so far"), gate("rest"), ...text("the rest")] : [text("fork")]
      )
      const session = yield* sessions.create()
      yield* session.submit(Op.userInput("hi"))
      yield* model.awaitGate("rest")
      const turnId = (yield* session.snapshot).turnId!
      for (const until of [undefined, turnId]) {
        const fork = yield* sessions.fork(session.sessionId, until === undefined ? {} : { until })
        const end = (yield* recordsOf(journal, fork.sessionId)).findLast(isTerminal)
        assert.deepStrictEqual(end?._tag === "TurnAborted" && [end.turnId, end.reason], [turnId, "Interrupted"])
        const marker = (yield* fork.snapshot).items.at(-1)
        assert.strictEqual(marker?._tag === "UserMessage" && marker.fragment, "turn_aborted")
        yield* fork.submit(Op.userInput("go on"))
        yield* fork.awaitIdle
        assert.strictEqual((yield* fork.snapshot).turnCount, 2)
      }
      assert.strictEqual((yield* session.snapshot).status, "running")
      yield* model.open("rest")
      yield* session.awaitIdle
      const ends = (yield* recordsOf(journal, session.sessionId)).filter(isTerminal)
      assert.deepStrictEqual(
        ends.map((end) => [end._tag, end._tag === "TurnCompleted" && end.lastMessage]),
        [["TurnCompleted", "the rest"]]
      )
      assert.isFalse((yield* session.snapshot).items.some((item) => item._tag === "UserMessage" && item.fragment))
    })
  )
})
