import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import type { Session } from "@spindle/core/Session"
import * as SessionConfig from "@spindle/core/SessionConfig"
import { AgentMismatch, AgentNotFound, JournalFailed } from "@spindle/core/SessionError"
import { isTerminal, type SessionEvent } from "@spindle/core/SessionEvent"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as JournalFiles from "../fixtures/journalFiles.ts"

const { gate, pieces, text } = ScriptedModel

interface Options extends Sessions.SessionsOptions {
  readonly agents?: ReadonlyArray<Agent.Agent>
  readonly journal?: Journal
  readonly script?: ScriptedModel.Script
}

/** `Sessions` with its journals and its model. Closing `scope` closes it. */
const hosting = Effect.fnUntraced(function* ({ agents = [Agent.make({})], script, ...options }: Options = {}) {
  const journal = options.journal ?? (yield* SessionHarness.memoryJournal)
  const model = ScriptedModel.make(script ?? ((_, index) => [text(`reply ${index}`)]))
  const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
  const context = yield* Layer.build(
    Layer.provide(Sessions.layer(agents, options), Layer.merge(Layer.succeed(Journal, journal), model.layer))
  ).pipe(Scope.provide(scope))
  return { journal, model, scope, sessions: Context.get(context, Sessions.Sessions) }
})

/** A journal whose openings of one session take time, and whose appends fail while `isFull`. */
const faultyJournal = Effect.map(SessionHarness.memoryJournal, (journal) => {
  const faults = { slow: undefined as SessionId | undefined, isFull: false, openings: 0 }
  const open: Journal["open"] = Effect.fnUntraced(function* (sessionId, mode) {
    faults.openings++
    if (sessionId === faults.slow) yield* Effect.sleep("5 seconds")
    const writer = yield* journal.open(sessionId, mode)
    const append: typeof writer.append = (records) =>
      Effect.suspend(() =>
        faults.isFull ? Effect.fail(new JournalFailed({ sessionId, operation: "append" })) : writer.append(records)
      )
    return { ...writer, append }
  })
  return { faults, journal: { ...journal, open } }
})

describe("one lock for each session", () => {
  it.effect("J2 999 sessions open, archive and close while the journal of another takes five seconds", () =>
    Effect.gen(function* () {
      const { faults, journal } = yield* faultyJournal
      const { sessions } = yield* hosting({ journal })
      const ids = Array.from({ length: 1_000 }, (_, index) => `session-${index}` as SessionId)
      for (const sessionId of ids) yield* sessions.create({ sessionId })
      yield* Effect.forEach(ids, sessions.close, { concurrency: "unbounded" })
      faults.slow = ids[500]!
      const slow = yield* Effect.forkChild(sessions.open(faults.slow))
      yield* TestClock.adjust(0)
      const others = ids.filter((id) => id !== faults.slow)
      // time does not pass: none of these waits
      const opened = yield* Effect.forEach(others, (id) => sessions.open(id), { concurrency: "unbounded" })
      assert.lengthOf(opened, 999)
      assert.strictEqual(yield* sessions.open(others[0]!), opened[0]!)
      yield* sessions.archive(others[1]!)
      assert.isTrue(yield* sessions.close(others[2]!))
      assert.isUndefined(slow.pollUnsafe())
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* Fiber.join(slow)).sessionId, faults.slow)
    })
  )

  it.effect("J2 a caller that waits for an opening that is interrupted opens the session itself", () =>
    Effect.gen(function* () {
      const { faults, journal } = yield* faultyJournal
      const { sessions } = yield* hosting({ journal })
      const { sessionId } = yield* sessions.create()
      yield* sessions.close(sessionId)
      faults.slow = sessionId
      const first = yield* Effect.forkChild(sessions.open(sessionId))
      const second = yield* Effect.forkChild(sessions.open(sessionId))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("5 seconds")
      const session = yield* Fiber.join(second)
      assert.strictEqual(yield* sessions.open(sessionId), session)
    })
  )

  it.effect("S7 interrupting close stops only the wait, and the next open waits until the session is closed", () =>
    Effect.gen(function* () {
      const { sessions } = yield* hosting()
      const { sessionId, submit } = yield* sessions.create()
      const stuck = Task.make("stuck", Effect.uninterruptible(Effect.sleep("2 seconds")))
      yield* (yield* sessions.open(sessionId)).start(stuck)
      const closing = yield* Effect.forkChild(sessions.close(sessionId))
      yield* TestClock.adjust(0)
      yield* Fiber.interrupt(closing)
      const opening = yield* Effect.forkChild(sessions.open(sessionId))
      yield* TestClock.adjust("10 seconds")
      const again = yield* Fiber.join(opening)
      const late = yield* submit(Op.userInput("more"))
      assert.strictEqual(late._tag === "Rejected" && late.reason._tag, "SessionClosed")
      assert.strictEqual((yield* again.snapshot).status, "idle")
    })
  )
})

describe("a session that fails", () => {
  it.effect("J5 is closed when its journal is full, and the next open reads the journal again", () =>
    Effect.gen(function* () {
      const { faults, journal } = yield* faultyJournal
      const { sessions } = yield* hosting({ journal })
      const session = yield* sessions.create()
      yield* session.submit(Op.userInput("one"))
      yield* session.awaitIdle
      faults.isFull = true
      const failed = yield* Effect.flip(session.submit(Op.userInput("two")))
      assert.strictEqual(failed._tag, "JournalFailed")
      faults.isFull = false
      const { openings } = faults
      const again = yield* sessions.open(session.sessionId)
      assert.notStrictEqual(again, session)
      assert.strictEqual(faults.openings, openings + 1)
      assert.strictEqual((yield* again.snapshot).turnCount, 1)
      yield* again.submit(Op.userInput("three"))
      yield* again.awaitIdle
      assert.strictEqual((yield* again.snapshot).turnCount, 2)
    })
  )

  it.effect("J5 releases its journal even if no caller opens it again", () =>
    Effect.gen(function* () {
      const { faults, journal } = yield* faultyJournal
      const { sessions } = yield* hosting({ journal })
      const session = yield* sessions.create()
      faults.isFull = true
      yield* Effect.flip(session.submit(Op.userInput("one")))
      yield* TestClock.adjust("1 minute")
      faults.isFull = false
      yield* Effect.scoped(journal.open(session.sessionId, "existing"))
      assert.isFalse(yield* sessions.close(session.sessionId))
    })
  )

  it.live("J2 is closed when another `Sessions` has taken its journal, and can be taken back", () =>
    Effect.gen(function* () {
      const files = yield* JournalFiles.make()
      // there is no lease between these two, as on a host that gives none
      const other = yield* JournalFiles.make({ directory: files.directory })
      const [first, second] = [yield* hosting({ journal: files.journal }), yield* hosting({ journal: other.journal })]
      const session = yield* first.sessions.create()
      yield* session.submit(Op.userInput("one"))
      yield* session.awaitIdle
      const taken = yield* second.sessions.open(session.sessionId)
      const fenced = yield* Effect.flip(session.submit(Op.userInput("two")))
      assert.strictEqual(fenced.operation, "fence")
      yield* taken.submit(Op.userInput("three"))
      yield* taken.awaitIdle
      const again = yield* first.sessions.open(session.sessionId)
      assert.strictEqual((yield* again.snapshot).turnCount, 2)
    }).pipe(Effect.scoped)
  )
})

describe("agents by name", () => {
  const support = Agent.make({ name: "support", instructions: "support" })
  const billing = Agent.make({ name: "billing", instructions: "billing" })

  it.effect("a session keeps its agent when it is resumed and forked", () =>
    Effect.gen(function* () {
      const { journal, model, sessions } = yield* hosting({ agents: [support, billing] })
      const { sessionId } = yield* sessions.create({ agent: "billing", meta: { cwd: "/here" } })
      const [first] = (yield* journal.load(sessionId)).records
      assert.deepStrictEqual(first?._tag === "SessionStarted" && first.meta, { agent: "billing", cwd: "/here" })
      yield* sessions.close(sessionId)
      for (const session of [yield* sessions.open(sessionId), yield* sessions.fork(sessionId)]) {
        yield* session.submit(Op.userInput("hi"))
        yield* session.awaitIdle
        assert.strictEqual(model.requests.at(-1)?.instructions, "billing")
      }
      const other = yield* sessions.create()
      yield* other.submit(Op.userInput("hi"))
      yield* other.awaitIdle
      assert.strictEqual(model.requests.at(-1)?.instructions, "support")
    })
  )

  it.effect("opening a session as one of another agent fails, whether it is open or not", () =>
    Effect.gen(function* () {
      const { sessions } = yield* hosting({ agents: [support, billing] })
      const { sessionId } = yield* sessions.create({ agent: "billing" })
      const mismatch = new AgentMismatch({ sessionId, requested: "support", actual: "billing" })
      assert.deepStrictEqual(yield* Effect.flip(sessions.open(sessionId, { agent: "support" })), mismatch)
      assert.strictEqual((yield* sessions.open(sessionId, { agent: "billing" })).sessionId, sessionId)
      yield* sessions.close(sessionId)
      assert.deepStrictEqual(yield* Effect.flip(sessions.open(sessionId, { agent: "support" })), mismatch)
      assert.strictEqual((yield* sessions.open(sessionId, { agent: "billing" })).sessionId, sessionId)
      assert.strictEqual(mismatch.message, `session ${sessionId} runs the agent billing, not support`)
    })
  )

  it.effect("an agent that is not hosted is a typed error, and creating with it leaves no journal", () =>
    Effect.gen(function* () {
      const { journal, sessions } = yield* hosting({ agents: [billing] })
      const unknown = yield* Effect.flip(sessions.create({ agent: "sales" }))
      assert.instanceOf(unknown, AgentNotFound)
      assert.deepStrictEqual(yield* journal.list, [])
      const { sessionId } = yield* sessions.create()
      yield* sessions.close(sessionId)
      const other = yield* hosting({ agents: [support], journal })
      assert.deepStrictEqual(
        yield* Effect.flip(other.sessions.open(sessionId)),
        new AgentNotFound({ sessionId, agent: "billing" })
      )
    })
  )

  it("two agents of one name cannot be hosted", () => {
    assert.throws(() => Sessions.layer([support, support]), /two agents that are named support/)
  })
})

describe("limits of one session", () => {
  const within = (config: SessionConfig.SessionConfig) => ({
    references: Context.make(SessionConfig.SessionConfig, config)
  })
  /** `Sessions` whose model calls a tool without end, and the requests that the last turn of a session sent. */
  const looping = Effect.gen(function* () {
    const { sessions } = yield* hosting({ script: () => [ScriptedModel.call("unknown", {}, "call")] })
    const requestsOf = Effect.fnUntraced(function* (session: Session) {
      const { seq } = yield* session.snapshot
      yield* session.submit(Op.userInput("go"))
      yield* session.awaitIdle
      const isEnd = (event: SessionEvent) => isTerminal(event)
      const events = yield* Stream.runCollect(Stream.takeUntil(session.events({ from: seq }), isEnd))
      const end = events.at(-1)
      assert.strictEqual(end?._tag === "TurnAborted" ? end.reason : end?._tag, "Budget")
      return events.filter(({ _tag }) => _tag === "ModelRequested").length
    })
    return { requestsOf, sessions }
  })

  it.effect("S10 are those that a fork is made with, and without any those of `Sessions`", () =>
    Effect.gen(function* () {
      const { requestsOf, sessions } = yield* looping
      const { sessionId } = yield* sessions.create(within({ ...SessionConfig.defaults, turnModelRequests: 2 }))
      const fork = yield* sessions.fork(sessionId, within({ ...SessionConfig.defaults, turnModelRequests: 3 }))
      assert.strictEqual(yield* requestsOf(fork), 3)
      const plain = yield* sessions.fork(sessionId)
      assert.strictEqual(yield* requestsOf(plain), SessionConfig.defaults.turnModelRequests)
    })
  )

  it.effect("S10 are those that it is created or opened with, and other sessions have those of `Sessions`", () =>
    Effect.gen(function* () {
      const { requestsOf, sessions } = yield* looping
      const two = within({ ...SessionConfig.defaults, turnModelRequests: 2 })
      const session = yield* sessions.create(two)
      assert.strictEqual(yield* requestsOf(session), 2)
      const other = yield* sessions.create(within({ ...SessionConfig.defaults, turnModelRequests: 3 }))
      assert.strictEqual(yield* requestsOf(other), 3)
      yield* sessions.close(session.sessionId)
      const four = within({ ...SessionConfig.defaults, turnModelRequests: 4 })
      const again = yield* sessions.open(session.sessionId, four)
      assert.strictEqual(yield* requestsOf(again), 4)
      // an opening that finds it open changes nothing
      assert.strictEqual(yield* requestsOf(yield* sessions.open(session.sessionId, two)), 4)
    })
  )

  it.effect("S10 can be raised while the session is open", () =>
    Effect.gen(function* () {
      const { requestsOf, sessions } = yield* looping
      const { change, config } = yield* SessionConfig.adjustable({ turnModelRequests: 2 })
      const session = yield* sessions.create(within(config))
      assert.strictEqual(yield* requestsOf(session), 2)
      yield* change({ turnModelRequests: 5 })
      assert.strictEqual(yield* requestsOf(session), 5)
    })
  )
})

describe("idle sessions", () => {
  it.effect("are unloaded after their time to live, and come back on demand", () =>
    Effect.gen(function* () {
      const { journal, sessions } = yield* hosting({ idleTimeToLive: "1 minute" })
      const session = yield* sessions.create()
      const { sessionId } = session
      yield* session.submit(Op.userInput("one"))
      yield* session.awaitIdle
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual(yield* sessions.open(sessionId), session)
      // opening it used it
      yield* TestClock.adjust("50 seconds")
      assert.strictEqual((yield* session.snapshot).status, "idle")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* session.snapshot).status, "closed")
      yield* Effect.scoped(journal.open(sessionId, "existing"))
      const again = yield* sessions.open(sessionId)
      assert.notStrictEqual(again, session)
      assert.strictEqual((yield* again.snapshot).turnCount, 1)
    })
  )

  it.effect("stay while a turn runs or a subscriber listens", () =>
    Effect.gen(function* () {
      const { model, sessions } = yield* hosting({
        idleTimeToLive: "1 minute",
        script: () => [...pieces("begun"), gate("rest"), text("done")]
      })
      const session = yield* sessions.create()
      yield* session.submit(Op.userInput("one"))
      yield* model.awaitGate("rest")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* session.snapshot).status, "running")
      yield* model.open("rest")
      yield* session.awaitIdle
      const subscriber = yield* Effect.forkChild(Stream.runDrain(session.events()))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* session.snapshot).status, "idle")
      yield* Fiber.interrupt(subscriber)
      yield* TestClock.adjust("59 seconds")
      assert.strictEqual((yield* session.snapshot).status, "idle")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* session.snapshot).status, "closed")
    })
  )
})

describe("hosted sessions", () => {
  it.effect("are listed page by page", () =>
    Effect.gen(function* () {
      const { sessions } = yield* hosting()
      const ids: Array<SessionId> = []
      for (let index = 0; index < 5; index++) {
        yield* TestClock.adjust("1 second")
        ids.unshift((yield* sessions.create()).sessionId)
      }
      const first = yield* sessions.list({ limit: 3 })
      const second = yield* sessions.list({ limit: 3, cursor: first.next })
      assert.deepStrictEqual(
        [first, second].map(({ entries }) => entries.map(({ sessionId }) => sessionId)),
        [ids.slice(0, 3), ids.slice(3)]
      )
      assert.isUndefined(second.next)
    })
  )

  it.effect("are renamed while they are open and while they are not, and keep their title", () =>
    Effect.gen(function* () {
      const { sessions } = yield* hosting({ script: () => [text("done")] })
      const titles = Effect.map(sessions.list(), ({ entries }) => entries.map(({ title }) => title))
      const { sessionId } = yield* sessions.create()
      yield* sessions.rename(sessionId, "  An open \n session ")
      assert.deepStrictEqual(yield* titles, ["An open session"])
      assert.strictEqual((yield* (yield* sessions.open(sessionId)).snapshot).title, "An open session")
      yield* sessions.close(sessionId)
      yield* sessions.rename(sessionId, "x".repeat(1_000))
      assert.deepStrictEqual(yield* titles, ["x".repeat(200)])
      const session = yield* sessions.open(sessionId)
      assert.strictEqual((yield* session.snapshot).title, "x".repeat(200))
      const copy = yield* sessions.fork(sessionId)
      assert.strictEqual((yield* copy.snapshot).title, "x".repeat(200))
      yield* sessions.rename(copy.sessionId, "")
      assert.isUndefined((yield* copy.snapshot).title)
      yield* session.submit(Op.userInput("hi"))
      yield* session.awaitIdle
      assert.strictEqual((yield* sessions.list({ title: "xx" })).entries.length, 1)
      yield* sessions.archive(sessionId)
      assert.strictEqual((yield* Effect.flip(sessions.rename(sessionId, "archived")))._tag, "SessionNotFound")
      assert.strictEqual((yield* sessions.list({ archived: true })).entries[0]?.title, "x".repeat(200))
      // a character of two code units is not cut into halves, which no file can carry
      yield* sessions.rename(copy.sessionId, `${"x".repeat(199)}😀`)
      assert.strictEqual((yield* copy.snapshot).title, "x".repeat(199))
    })
  )

  it.effect("J5 a session that fails while it is renamed is renamed in its journal once that can be written", () =>
    Effect.gen(function* () {
      const { faults, journal } = yield* faultyJournal
      const { sessions } = yield* hosting({ journal })
      const { sessionId } = yield* sessions.create()
      faults.isFull = true
      assert.strictEqual((yield* Effect.flip(sessions.rename(sessionId, "one")))._tag, "JournalFailed")
      faults.isFull = false
      yield* sessions.rename(sessionId, "two")
      assert.strictEqual((yield* (yield* sessions.open(sessionId)).snapshot).title, "two")
    })
  )

  it.effect("S7 a session that is deleted while its turn runs is closed first, and leaves nothing", () =>
    Effect.gen(function* () {
      const { journal, model, sessions } = yield* hosting({ script: () => [...pieces("begun"), gate("never")] })
      const session = yield* sessions.create()
      yield* session.submit(Op.userInput("hi"))
      yield* model.awaitGate("never")
      const ends = yield* Effect.forkChild(Stream.runCollect(Stream.filter(session.events(), isTerminal)))
      yield* TestClock.adjust(0)
      const deleting = yield* Effect.forkChild(sessions.delete(session.sessionId))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(deleting)
      assert.lengthOf(yield* Fiber.join(ends), 1)
      assert.deepStrictEqual(yield* journal.list, [])
      assert.strictEqual((yield* Effect.flip(sessions.open(session.sessionId)))._tag, "SessionNotFound")
      assert.strictEqual((yield* Effect.flip(sessions.delete(session.sessionId)))._tag, "SessionNotFound")
    })
  )

  it.effect("S7 `Sessions` that is closed opens nothing, and closing a session of it returns false", () =>
    Effect.gen(function* () {
      const { scope, sessions } = yield* hosting()
      const { sessionId } = yield* sessions.create()
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(yield* sessions.close(sessionId))
      const exit = yield* Effect.exit(Effect.forkChild(sessions.open(sessionId)).pipe(Effect.flatMap(Fiber.join)))
      assert.isTrue(Exit.hasInterrupts(exit))
    })
  )

  it.effect("an open session is unarchived without effect", () =>
    Effect.gen(function* () {
      const { sessions } = yield* hosting()
      const session = yield* sessions.create()
      yield* sessions.unarchive(session.sessionId)
      assert.strictEqual(yield* sessions.open(session.sessionId), session)
    })
  )
})
