/**
 * A session of a factory under test, with a scripted model, a journal in memory, tools and a subscriber. The laws are
 * checked when it is closed.
 */
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import type { SessionId, SubmissionId } from "@spindle/core/Ids"
import type { Delivery } from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as SessionEvent from "@spindle/core/SessionEvent"
import type { Session } from "@spindle/core/Session"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import { assert } from "vitest"
import * as Laws from "../Laws.ts"
import * as ScriptedModel from "../ScriptedModel.ts"
import { memoryJournal, type SessionFactory } from "../SessionHarness.ts"

const parameters = Schema.Record(Schema.String, Schema.Unknown)
const toolkit = Toolkit.make(
  Tool.make("echo", { parameters, success: Schema.Unknown }),
  Tool.make("wait", { parameters, success: Schema.Unknown }),
  Tool.make("guarded", { parameters, success: Schema.Unknown })
)
const parallel = { concurrency: "parallel" } as const
const agent = Agent.make({
  toolkit,
  approvals: {
    echo: { approval: "allow", ...parallel },
    wait: { approval: "allow", ...parallel },
    guarded: { approval: "ask", ...parallel }
  }
})
const handlers = toolkit.toLayer({
  echo: (params) => Effect.succeed(params),
  wait: () => Effect.never,
  guarded: () => Effect.succeed("allowed")
})

/** A session of a factory, with its events. */
export interface SessionFixture {
  readonly session: Session
  readonly model: ScriptedModel.ScriptedModel
  readonly journal: Journal
  /** The durable records. */
  readonly records: Effect.Effect<ReadonlyArray<SessionEvent.JournalRecord>, unknown>
  /** Waits for a past or future record. */
  readonly awaitRecord: {
    <R extends SessionEvent.JournalRecord>(is: (record: SessionEvent.JournalRecord) => record is R): Effect.Effect<R>
    (is: (record: SessionEvent.JournalRecord) => boolean): Effect.Effect<SessionEvent.JournalRecord>
  }
  readonly send: (submission: Op.Op | Op.Submission) => Effect.Effect<Op.Receipt, unknown>
  readonly submit: (
    text: string,
    options?: { readonly id?: SubmissionId | undefined; readonly delivery?: Delivery | undefined }
  ) => Effect.Effect<Op.Receipt, unknown>
  /** Submits a text, and waits until the session is idle. */
  readonly run: (text: string) => Effect.Effect<void, unknown>
  readonly abort: Effect.Effect<boolean>
  /** Adds a subscriber from a record onwards. Its events are complete when the session has ended. */
  readonly subscribe: (from: number) => Effect.Effect<ReadonlyArray<SessionEvent.SessionEvent>, never, Scope.Scope>
  /** Closes the session and checks the laws. */
  readonly end: Effect.Effect<void, unknown>
}

/** The parts of a fixture. */
export interface FixtureOptions {
  readonly script: ScriptedModel.Script
  /** Default: a new journal in memory. */
  readonly journal?: Journal | undefined
  readonly resume?: SessionId | undefined
}

/** Makes a session of a factory. */
export const make = Effect.fnUntraced(function* (
  factory: SessionFactory,
  { resume, script, ...options }: FixtureOptions
) {
  const model = ScriptedModel.make(script)
  const journal = options.journal ?? (yield* memoryJournal)
  const scope = yield* Effect.acquireRelease(Scope.make(), (one) => Scope.close(one, Exit.void))
  const services = yield* Layer.build(Layer.mergeAll(model.layer, handlers))
  const session = yield* factory(agent, resume === undefined ? {} : { resume }).pipe(
    Effect.provideService(Journal, journal),
    Effect.provideContext(services),
    Effect.provideService(Scope.Scope, scope)
  )
  const all = yield* subscriber(session)
  const receipts: Array<Op.Receipt> = []
  let abortCount = 0
  const send: SessionFixture["send"] = (submission) =>
    Effect.tap(session.submit(submission), (receipt) => Effect.sync(() => receipts.push(receipt)))
  const submit: SessionFixture["submit"] = (text, { delivery, id } = {}) => {
    const op = Op.userInput(text, { delivery })
    return send(id === undefined ? op : { id, op })
  }
  const history = Effect.gen(function* () {
    yield* all.ended
    const loaded = yield* journal.load(session.sessionId)
    return {
      events: all.events,
      journal: loaded.records,
      requests: model.requests,
      receipts,
      abortCount,
      final: yield* session.snapshot,
      streaming: model.openCount()
    }
  })
  const fixture: SessionFixture = {
    session,
    model,
    journal,
    records: Effect.map(journal.load(session.sessionId), ({ records }) => records),
    awaitRecord: all.awaitRecord as SessionFixture["awaitRecord"],
    send,
    submit,
    run: (text) => Effect.andThen(submit(text), session.awaitIdle),
    abort: Effect.map(session.abort(), (hasAborted) => {
      if (hasAborted) abortCount++
      return hasAborted
    }),
    subscribe: (from) => Effect.map(subscriber(session, from), ({ events }) => events),
    end: Effect.gen(function* () {
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(Laws.violations(yield* history), [])
    })
  }
  return fixture
})

/** Subscribes from a record onwards, in the scope. */
const subscriber = Effect.fnUntraced(function* (session: Session, from = 0) {
  const events: Array<SessionEvent.SessionEvent> = []
  const waiters = new Set<() => void>()
  const fiber = yield* Effect.forkScoped(
    Stream.runForEach(session.events({ from }), (event) =>
      Effect.sync(() => {
        events.push(event)
        for (const waiter of waiters) waiter()
      })
    )
  )
  const awaitRecord = (is: (record: SessionEvent.JournalRecord) => boolean) =>
    Effect.callback<SessionEvent.JournalRecord>((resume) => {
      const look = () => {
        const found = events.filter(SessionEvent.isRecord).find(is)
        if (found !== undefined) resume(Effect.succeed(found))
        return found !== undefined
      }
      if (look()) return
      const waiter = () => void (look() && waiters.delete(waiter))
      waiters.add(waiter)
      return Effect.sync(() => void waiters.delete(waiter))
    })
  return { events, awaitRecord, ended: Fiber.await(fiber) }
})

/** Makes a journal in memory with these records of a session. */
export const journalOf = Effect.fnUntraced(function* (
  sessionId: SessionId,
  records: ReadonlyArray<SessionEvent.JournalRecord>
) {
  const journal = yield* memoryJournal
  yield* Effect.scoped(Effect.flatMap(journal.open(sessionId, "create"), (writer) => writer.append(records)))
  return journal
})
