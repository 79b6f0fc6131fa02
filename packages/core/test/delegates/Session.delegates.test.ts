import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { RequestId, SessionId } from "@spindle/core/protocol/Ids"
import * as Agent from "@spindle/core/Agent"
import * as Op from "@spindle/core/protocol/Op"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { abortedOf, assertTurns } from "../turns.ts"

const delegateId = "child" as SessionId

/** A task that registers a child which takes so long to end, and then does something. */
const parent = (millis: number, then: Effect.Effect<void, never, Turn>, log: Array<string> = []) =>
  Task.make(
    "parent",
    Effect.gen(function* () {
      const turn = yield* Turn
      const ended = yield* turn.delegate({ delegateId, name: "child", linked: true })
      const run = (reason: string) =>
        Effect.sync(() => void log.push(reason)).pipe(
          Effect.andThen(Effect.sleep(millis)),
          Effect.andThen(Effect.sync(() => ended("interrupted")))
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
      yield* h.awaitEvent(SessionHarness.tagged("DelegateEnded"))
      assertTurns(h.events)
    })
  )

  it.effect("D1 a turn that completes goes on as soon as they have ended", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const { outcome } = yield* h.session.start(parent(20, Effect.void))
      yield* TestClock.adjust("20 millis")
      assert.strictEqual((yield* outcome)._tag, "Completed")
      assert.deepStrictEqual(h.tags().slice(-3), ["DelegateStarted", "DelegateEnded", "TurnCompleted"])
    })
  )

  it.effect("D1 a turn that fails ends them as well", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const h = yield* SessionHarness.make()
      const { outcome } = yield* h.session.start(parent(0, Effect.die("broken"), log))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* outcome)._tag, "Failed")
      assert.deepStrictEqual(log, ["Parent"])
    })
  )

  it.effect("D1 I3 an abort waits no longer than its grace, and names what is still ending", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(parent(300, Effect.never))
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(abortedOf(h.events).stragglers, [{ kind: "delegate", name: "child" }])
      yield* TestClock.adjust("200 millis")
      yield* h.awaitEvent(SessionHarness.tagged("StragglerEnded"))
    })
  )

  it.effect("D7 I5 an abort names the ones that go on, to the client and to the model", () =>
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
  const holding = (then: (turn: Turn["Service"]) => Effect.Effect<void>) =>
    Task.make("holding", Effect.flatMap(Turn, then))

  it.effect("D1 S7 what lives in its scope is closed with the session, and waited for until the drain deadline", () =>
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

  it.effect("A3 a question that outlives its turn is asked in the next one, as another request of the same asker", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const answered = yield* Deferred.make<string>()
      const asker = { requestId: "r" as RequestId, path: ["root" as SessionId, delegateId] }
      const { outcome } = yield* h.session.start(
        holding((turn) =>
          Effect.andThen(
            Effect.forkDetach(
              Effect.flatMap(turn.session.ask({ kind: "permissions", payload: 1, asker }), (answer) =>
                Deferred.succeed(answered, answer._tag)
              ),
              { startImmediately: true }
            ),
            Effect.void
          )
        )
      )
      yield* outcome
      yield* h.session.start(Task.make("next", Effect.never))
      yield* TestClock.adjust(0)
      const opened = h.events.filter((event) => event._tag === "RequestOpened")
      assert.lengthOf(opened, 2)
      assert.strictEqual(opened[0]!.requestId, asker.requestId)
      assert.notStrictEqual(opened[1]!.requestId, asker.requestId)
      assert.deepStrictEqual(
        opened.map(({ path }) => path),
        [asker.path, asker.path]
      )
      yield* h.session.submit(Op.answer(opened[1]!.requestId, { _tag: "Approved", scope: "once" }))
      assert.strictEqual(yield* Deferred.await(answered), "Approved")
      yield* h.session.abort()
      yield* h.session.awaitIdle
      assertTurns(h.events)
    })
  )
})

describe("input that waits", () => {
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

  it.effect("D7 P2 joins the turn that runs", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.gate("here"), ScriptedModel.text("one")], [ScriptedModel.text("two")]]
      })
      yield* h.submit("hello")
      yield* h.model.reached("here")
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
          Effect.map(h.session.submit(notice, { id }), (receipt) => ({ receipt, sessionId: h.session.sessionId }))
        )
      )
      const h = yield* SessionHarness.make({ journal, resume: first.sessionId })
      assert.deepStrictEqual(yield* h.session.submit(notice, { id }), first.receipt)
    })
  )
})

describe("an observer that throws", () => {
  it.effect("S7 does not keep the owner of the session from being told", () =>
    Effect.gen(function* () {
      let count = 0
      const told: Array<string> = []
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.text("fine")]],
        observer: () => {
          if (++count === 3) throw new Error("full")
        },
        onEvent: (event) => void told.push(event._tag)
      })
      yield* h.run("hello")
      assert.include(told, "TurnCompleted")
      assert.strictEqual(told.filter((tag) => tag === "Warning").length, 1)
    })
  )
})

describe("Agent.narrow", () => {
  const tools = (approval: "allow" | "ask" | "deny") =>
    SessionHarness.agentOf({ reach: { run: () => Effect.succeed("reached"), policy: { approval } } }).agent

  it("A4 leaves at most what the other agent may", () => {
    const order = ["deny", "ask", "allow"] as const
    for (const own of order) {
      for (const most of order) {
        const narrowed = Agent.narrow(tools(own), Agent.authorityOf(tools(most)))
        const { approval } = narrowed.tools().byName.get("reach")!.policy
        const given = typeof approval === "function" ? approval({}) : approval
        assert.strictEqual(given, order[Math.min(order.indexOf(own), order.indexOf(most))])
      }
    }
  })

  it("A4 a policy that decides by arguments decides those of its own tool only, and asks about another of that name", () => {
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
