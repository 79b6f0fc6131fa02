import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { QuestionId, SessionId } from "@spindle/core/Ids"
import * as Agent from "@spindle/core/Agent"
import * as Op from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { type Answer, type NewQuestion, Turn } from "@spindle/core/Turn"
import * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { journalWith } from "../fixtures/journals.ts"
import { abortedOf, assertTurns } from "../fixtures/turns.ts"

const delegateId = "child" as SessionId

/** A task that registers a child that takes `millis` to end, and then runs an effect. */
const parent = (millis: number, then: Effect.Effect<void, never, Turn>, log: Array<string> = []) =>
  Task.make(
    "parent",
    Effect.gen(function* () {
      const turn = yield* Turn
      const ended = yield* turn.delegate({ delegateId, name: "child", linked: true })
      const run = (reason: string) =>
        Effect.sync(() => void log.push(reason)).pipe(
          Effect.andThen(Effect.sleep(millis)),
          Effect.andThen(Effect.sync(() => ended({ status: "interrupted" })))
        )
      yield* Effect.asVoid(turn.onAbort({ kind: "delegate", name: "child", drain: "500 millis", run }))
      yield* then
    })
  )

describe("the delegates of a turn", () => {
  it.effect("D1 a turn that completes waits for them until the drain deadline, and no longer", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const h = yield* SessionHarness.make()
      const { outcome } = yield* h.session.start(parent(600, Effect.void, log))
      yield* TestClock.adjust("499 millis")
      assert.notInclude(h.tags(), "TurnCompleted")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* outcome)._tag, "Completed")
      assert.deepStrictEqual(log, ["Parent"])
      yield* TestClock.adjust("100 millis")
      yield* h.awaitEvent(SessionHarness.hasTag("DelegateEnded"))
      assertTurns(h.events)
    })
  )

  it.effect("D1 a turn that completes ends as soon as they have ended", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const { outcome } = yield* h.session.start(parent(20, Effect.void))
      yield* TestClock.adjust("20 millis")
      assert.strictEqual((yield* outcome)._tag, "Completed")
      assert.deepStrictEqual(h.tags().slice(-3), ["DelegateStarted", "DelegateEnded", "TurnCompleted"])
    })
  )

  it.effect("D1 a turn that fails ends them too", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const h = yield* SessionHarness.make()
      const { outcome } = yield* h.session.start(parent(0, Effect.die("broken"), log))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* outcome)._tag, "Failed")
      assert.deepStrictEqual(log, ["Parent"])
    })
  )

  it.effect("D1 I3 an abort waits no longer than its grace period, and names what is still ending", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(parent(300, Effect.never))
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [{ kind: "delegate", name: "child" }])
      yield* TestClock.adjust("200 millis")
      yield* h.awaitEvent(SessionHarness.hasTag("StragglerEnded"))
    })
  )

  it.effect("D7 I5 an abort names the ones that keep running, to the client and to the model", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(
        Task.make(
          "parent",
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* turn.delegate({ delegateId, name: "night watch", linked: false })
            return yield* Effect.never
          })
        )
      )
      yield* h.session.abort()
      yield* h.session.awaitIdle
      assert.deepStrictEqual(abortedOf(h.events).keptDelegates, [delegateId])
      assert.include(JSON.stringify((yield* h.session.snapshot).items), "night watch")
    })
  )
})

describe("the session of a turn", () => {
  const holding = (then: (turn: Turn) => Effect.Effect<void>) => Task.make("holding", Effect.flatMap(Turn, then))

  it.effect("D1 S7 resources in its scope are closed with the session, and waited for until the drain deadline", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const scope = yield* Scope.make()
      const h = yield* SessionHarness.make().pipe(Effect.provideService(Scope.Scope, scope))
      const { outcome } = yield* h.session.start(
        holding((turn) =>
          Effect.flatMap(turn.session.scope, (tenants) =>
            Effect.andThen(
              Scope.addFinalizer(tenants, Effect.uninterruptible(Effect.sleep("10 seconds"))),
              Scope.addFinalizer(
                tenants,
                Effect.sync(() => void log.push("closed"))
              )
            )
          )
        )
      )
      yield* outcome
      assert.deepStrictEqual(log, [])
      const closing = yield* Effect.forkChild(Scope.close(scope, yield* Effect.exit(Effect.void)))
      yield* TestClock.adjust("499 millis")
      assert.deepStrictEqual(log, ["closed"])
      assert.isUndefined(closing.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
    })
  )

  /** Asks a question that belongs to no turn, as a detached delegate does; returns the decision. */
  const asking = (h: SessionHarness.SessionHarness, question: NewQuestion) =>
    Effect.gen(function* () {
      const answered = yield* Deferred.make<Answer>()
      const { outcome } = yield* h.session.start(
        holding((turn) =>
          Effect.asVoid(
            Effect.forkDetach(
              Effect.flatMap(turn.session.ask(question), (answer) => Deferred.succeed(answered, answer)),
              { startImmediately: true }
            )
          )
        )
      )
      yield* outcome
      return answered
    })
  const question: NewQuestion = {
    kind: "permissions",
    payload: 1,
    asker: { questionId: "r" as QuestionId, path: ["root" as SessionId, delegateId] }
  }
  const settled = (records: ReadonlyArray<JournalRecord>) =>
    records.flatMap((record) => (record._tag === "QuestionSettled" ? [record.decision] : []))
  const opened = (h: SessionHarness.SessionHarness) => h.events.filter((event) => event._tag === "QuestionOpened")

  it.effect("A1 A3 a question of no turn stays one question while the session rests and while turns run", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const answered = yield* asking(h, question)
      assert.strictEqual((yield* h.session.snapshot).status, "idle")
      yield* h.session.start(Task.make("next", Effect.never))
      yield* h.session.abort()
      yield* h.session.awaitIdle
      assert.deepStrictEqual(
        opened(h).map(({ path, questionId, turnId }) => [questionId, path, turnId]),
        [[question.asker?.questionId, question.asker?.path, undefined]]
      )
      const receipt = yield* h.session.submit(Op.answer("r" as QuestionId, { _tag: "Approved", scope: "session" }))
      assert.strictEqual(receipt._tag, "Accepted")
      assert.deepStrictEqual(yield* Deferred.await(answered), { _tag: "Approved", scope: "session" })
      const late = yield* h.session.submit(Op.answer("r" as QuestionId, { _tag: "Denied" }))
      assert.strictEqual(late._tag === "Rejected" && late.reason._tag, "UnknownQuestion")
      // granted for the session: the question is not asked again
      assert.deepStrictEqual(yield* Deferred.await(yield* asking(h, question)), { _tag: "Approved", scope: "once" })
      assert.lengthOf(opened(h), 1)
      assertTurns(h.events)
      assert.isUndefined(Laws.session({ events: h.events }))
    })
  )

  it.effect("A5 the decision Abort on a question of no turn stops no turn of the session", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const answered = yield* asking(h, question)
      yield* h.session.start(Task.make("next", Effect.never))
      yield* h.session.submit(Op.answer("r" as QuestionId, { _tag: "Abort" }))
      assert.deepStrictEqual(yield* Deferred.await(answered), { _tag: "Abort" })
      assert.strictEqual((yield* h.session.snapshot).status, "running")
    })
  )

  it.effect("A2 a question of no turn that is not answered grants nothing at the deadline", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ config: { questionDeadline: "1 minute" } })
      const answered = yield* asking(h, question)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* Deferred.await(answered), { _tag: "Cancelled", by: "deadline" })
    })
  )

  it.effect("A4 a grant for a turn settles no question outside of it", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const own: NewQuestion = { kind: "permissions", payload: question.payload }
      const log: Array<string> = []
      yield* h.session.start(
        Task.make(
          "asking",
          Effect.gen(function* () {
            const turn = yield* Turn
            log.push((yield* turn.ask(own))._tag)
            log.push((yield* turn.ask(own))._tag)
            yield* turn.session.ask(question)
          })
        )
      )
      const first = yield* h.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
      yield* h.session.submit(Op.answer(first.questionId, { _tag: "Approved", scope: "turn" }))
      assert.deepStrictEqual(log, ["Approved", "Approved"])
      assert.deepStrictEqual(
        opened(h).map(({ questionId, turnId }) => [questionId, turnId]),
        [
          [first.questionId, first.turnId],
          [question.asker?.questionId, undefined]
        ]
      )
    })
  )

  it.effect("A1 S2 a journal that fails while the session rests settles a question of no turn", () =>
    Effect.gen(function* () {
      let isBroken = false
      const broken = new JournalFailed({ sessionId: delegateId, operation: "append", detail: "disk full" })
      const journal = yield* journalWith((append) => (isBroken ? Effect.fail(broken) : append))
      const h = yield* SessionHarness.make({ journal })
      const answered = yield* asking(h, question)
      isBroken = true
      assert.strictEqual(yield* Effect.flip(h.session.submit(Op.userInput("hi"))), broken)
      assert.isTrue(yield* Deferred.isDone(answered))
      assert.deepStrictEqual(yield* Deferred.await(answered), { _tag: "Cancelled", by: "end" })
    })
  )

  it.effect(
    "A1 the close of the session settles a question of no turn, and a resume settles one of a host that died",
    () =>
      Effect.gen(function* () {
        const journal = yield* SessionHarness.memoryJournal
        const first = yield* Effect.scoped(
          Effect.gen(function* () {
            const h = yield* SessionHarness.make({ journal })
            const answered = yield* asking(h, question)
            return { h, answered }
          })
        )
        assert.deepStrictEqual(yield* Deferred.await(first.answered), { _tag: "Cancelled", by: "end" })
        const { records } = yield* journal.load(first.h.session.sessionId)
        assert.deepStrictEqual(settled(records), [{ _tag: "Cancelled", by: "end" }])
        // the same journal, cut off before the answer
        const cut = yield* SessionHarness.memoryJournal
        const died = first.h.session.sessionId
        yield* Effect.scoped(Effect.flatMap(cut.open(died, "create"), (writer) => writer.append(records.slice(0, -1))))
        const again = yield* SessionHarness.make({ journal: cut, resume: died })
        assert.deepStrictEqual(settled(again.records()), [{ _tag: "Cancelled", by: "end" }])
        assert.isUndefined(Laws.session({ events: (yield* cut.load(died)).records }))
      })
  )
})

describe("notices that wait", () => {
  const notice = { _tag: "UserInput", input: [{ _tag: "Text", text: "notice" }], delivery: "wait" } as const

  it.effect("D7 P2 starts no turn, and joins the next one that starts", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({ script: () => [ScriptedModel.text("fine")] })
      const receipt = yield* h.session.submit(notice)
      assert.deepInclude(receipt, { _tag: "Queued", position: 0 })
      yield* h.session.awaitIdle
      assert.lengthOf(h.requests, 0)
      yield* h.run("hello")
      assert.lengthOf(h.requests, 1)
      assert.deepStrictEqual(
        h.requests[0]!.items.map((item) => item._tag === "UserMessage" && item.content),
        [[{ _tag: "Text", text: "hello" }], [{ _tag: "Text", text: "notice" }]]
      )
      assert.deepStrictEqual((yield* h.session.snapshot).waiting, [])
      assertTurns(h.events)
    })
  )

  it.effect("D7 P2 joins the running turn", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.gate("here"), ScriptedModel.text("one")], [ScriptedModel.text("two")]]
      })
      yield* h.submit("hello")
      yield* h.model.awaitGate("here")
      assert.strictEqual((yield* h.session.submit(notice))._tag, "Steered")
      yield* h.model.open("here")
      yield* h.session.awaitIdle
      assert.lengthOf(h.requests, 2)
    })
  )

  it.effect("D7 P6 gets the same receipt after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const id = "notice-1" as never
      const first = yield* Effect.scoped(
        Effect.flatMap(SessionHarness.make({ journal }), (h) =>
          Effect.map(h.session.submit({ id, op: notice }), (receipt) => ({ receipt, sessionId: h.session.sessionId }))
        )
      )
      const h = yield* SessionHarness.make({ journal, resume: first.sessionId })
      assert.deepStrictEqual(yield* h.session.submit({ id, op: notice }), first.receipt)
    })
  )
})

describe("an observer that throws", () => {
  it.effect("S7 does not keep the owner of the session from being called", () =>
    Effect.gen(function* () {
      let count = 0
      const tags: Array<string> = []
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.text("fine")]],
        observer: () => {
          if (++count === 3) throw new Error("full")
        },
        onEvent: (event) => void tags.push(event._tag)
      })
      yield* h.run("hello")
      assert.include(tags, "TurnCompleted")
      assert.strictEqual(tags.filter((tag) => tag === "Warning").length, 1)
    })
  )
})

describe("Agent.narrow", () => {
  const tools = (approval: "allow" | "ask" | "deny") =>
    SessionHarness.agentOf({ reach: { run: () => Effect.succeed("reached"), policy: { approval } } }).agent

  it("A4 leaves no more authority than the other agent has", () => {
    const order = ["deny", "ask", "allow"] as const
    for (const own of order) {
      for (const most of order) {
        const narrowed = Agent.narrow(tools(own), Agent.authorityOf(tools(most)))
        const { approval } = narrowed.tools().byName.get("reach")!.policy!
        const given = typeof approval === "function" ? approval({}, {}) : approval
        assert.strictEqual(given, order[Math.min(order.indexOf(own), order.indexOf(most))])
      }
    }
  })

  it("A4 a policy that decides by arguments decides for its own tool only, and asks about another tool of that name", () => {
    const made = SessionHarness.agentOf({
      reach: {
        run: () => Effect.void,
        policy: { approval: (params) => ((params as { far: boolean }).far ? "deny" : "allow") }
      }
    }).agent
    const own = made.tools().byName.get("reach")!.spec
    const other = tools("allow").tools().byName.get("reach")!.spec
    const most = Agent.authorityOf(made)
    assert.deepStrictEqual(
      [
        most(own, { far: true }),
        most(own, { far: false }),
        most(other, { far: false }),
        most({ ...own, name: "new" }, {})
      ],
      ["deny", "allow", "ask", undefined]
    )
  })
})
