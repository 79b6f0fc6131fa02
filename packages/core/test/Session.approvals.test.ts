import { assert, describe, it } from "@effect/vitest"
import * as Approvals from "@spindle/core/Approvals"
import { Granted } from "@spindle/core/Granted"
import type { QuestionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { type Answer, type NewQuestion, Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"

const approved = (scope: "once" | "turn" | "session"): Op.Decision => ({ _tag: "Approved", scope })
const denied: Op.Decision = { _tag: "Denied" }

/** A tool that needs approval and logs each run. */
const asking = (policy: Partial<NonNullable<Harness.TestTool["policy"]>> = {}) => {
  const runs: Array<unknown> = []
  const tool: Harness.TestTool = {
    run: (params) => Effect.sync(() => `ran ${runs.push(params)}`),
    parameters: { of: Schema.String },
    policy: { approval: "ask", kind: "command", ...policy }
  }
  return { runs, tool }
}

const calls = (...ids: ReadonlyArray<string>): Model.Answer =>
  ids.map((callId) => Model.call("tool", { of: callId }, callId))

/** Returns the question announced as number `n`, counted from 1, and waits for it if needed. */
const opened = (harness: Harness.SessionHarness, count: number) => {
  let left = count
  return harness.awaitEvent((event): event is Extract<typeof event, { readonly _tag: "QuestionOpened" }> => {
    if (event._tag !== "QuestionOpened") return false
    left--
    return left === 0
  })
}

const settled = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => (record._tag === "QuestionSettled" ? [record.decision] : []))

const results = (harness: Harness.SessionHarness) =>
  harness.records().flatMap((record) => {
    if (record._tag !== "ItemRecorded" || record.item._tag !== "ToolResult") return []
    return [{ callId: record.item.callId as string, status: record.item.status, output: record.item.output }]
  })

/** Answers a question, and checks that the session accepts the answer. */
const decide = (harness: Harness.SessionHarness, questionId: QuestionId, decision: Op.Decision) =>
  Effect.map(harness.session.submit(Op.answer(questionId, decision)), (receipt) =>
    assert.strictEqual(receipt._tag, "Accepted")
  )

const isUnknown = (harness: Harness.SessionHarness, questionId: QuestionId) =>
  Effect.map(harness.session.submit(Op.answer(questionId, approved("once"))), (receipt) =>
    assert.deepStrictEqual(receipt._tag === "Rejected" ? receipt.reason : undefined, {
      _tag: "UnknownQuestion",
      questionId
    })
  )

/** A task that asks a question and returns the answer. */
const asker = (question: Partial<NewQuestion> = {}, onAbort: "interrupt" | "signal" = "interrupt") =>
  Task.make(
    "asker",
    Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: { q: "why?" }, ...question })),
    { onAbort }
  )

/**
 * Checks that every record is legal after those before it: each question is settled once, and none is open at the end
 * of a turn.
 */
const isLegal = (harness: Harness.SessionHarness) => {
  let state = SessionState.empty
  for (const record of harness.records()) {
    assert.isUndefined(SessionState.violation(state, record))
    state = SessionState.apply(state, record)
  }
}

describe("a question", () => {
  it.effect("A1 contains what is asked, and the tool waits for its answer", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking({ payload: (params) => ({ command: params }) })
      const harness = yield* Harness.make({ script: [calls("c1"), [Model.text("done")]], tools: { tool } })
      yield* harness.submit("go")
      const request = yield* opened(harness, 1)
      assert.strictEqual(request.kind, "command")
      assert.strictEqual(request.tool, "tool")
      assert.strictEqual(request.callId as string, "c1")
      assert.deepStrictEqual(request.payload, { command: { of: "c1" } })
      assert.deepStrictEqual(request.path, [harness.session.sessionId])
      assert.deepStrictEqual(runs, [])
      yield* decide(harness, request.questionId, approved("once"))
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(runs, [{ of: "c1" }])
      assert.deepStrictEqual(settled(harness), [approved("once")])
      isLegal(harness)
    })
  )

  it.effect("A1 is registered before it is announced: an answer to the announcement is accepted", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const { outcome } = yield* harness.session.start(asker())
      const { questionId } = yield* opened(harness, 1)
      yield* decide(harness, questionId, { _tag: "Answered", answers: { q: "because" } })
      assert.deepStrictEqual(yield* outcome, {
        _tag: "Completed",
        value: { _tag: "Answered", answers: { q: "because" } }
      })
    })
  )

  it.effect("A4 a grant of some permissions reaches the asker unchanged and answers no later question", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const some: Op.Decision = { _tag: "Approved", scope: "session", permissions: { network: { enabled: true } } }
      for (const count of [1, 2]) {
        const { outcome } = yield* harness.session.start(asker())
        const { questionId } = yield* opened(harness, count)
        yield* decide(harness, questionId, some)
        assert.deepStrictEqual(yield* outcome, { _tag: "Completed", value: some })
      }
      assert.deepStrictEqual(settled(harness), [some, some])
    })
  )

  it.effect("A4 a tool call runs on a grant of all that it asked for, and not on less", () =>
    Effect.gen(function* () {
      for (const [permissions, status] of [
        [{ of: "c1" }, "completed"],
        [{}, "denied"]
      ] as const) {
        const { runs, tool } = asking()
        const harness = yield* Harness.make({ script: [calls("c1"), [Model.text("done")]], tools: { tool } })
        yield* harness.submit("go")
        const { questionId } = yield* opened(harness, 1)
        yield* decide(harness, questionId, { _tag: "Approved", scope: "session", permissions })
        yield* harness.session.awaitIdle
        assert.strictEqual(results(harness)[0]?.status, status)
        assert.lengthOf(runs, status === "completed" ? 1 : 0)
      }
    })
  )

  it.effect("A4 a tool that can work with less runs with exactly that, which is recorded", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const decided: Array<unknown> = []
      const tool: Harness.TestTool = {
        run: () => Effect.map(Granted, (granted) => void seen.push(granted)),
        parameters: { of: Schema.String },
        policy: { approval: "ask", mayRunWith: (params, permissions) => decided.push([params, permissions]) < 3 }
      }
      const script = [calls("c1"), calls("c2"), calls("c3"), calls("c4"), [Model.text("done")]]
      const harness = yield* Harness.make({ script, tools: { tool } })
      yield* harness.submit("go")
      const some = { network: { hosts: ["a.example"] } }
      for (const [count, decision] of [
        { _tag: "Approved", scope: "session", permissions: some },
        { _tag: "Approved", scope: "once", permissions: {} },
        { _tag: "Approved", scope: "once", permissions: some },
        { _tag: "Approved", scope: "once" }
      ].entries()) {
        const { questionId } = yield* opened(harness, count + 1)
        yield* decide(harness, questionId, decision as Op.Decision)
      }
      yield* harness.session.awaitIdle
      // the third was refused by the tool, and the fourth was granted everything
      assert.deepStrictEqual(seen, [
        { permissions: some, scope: "session" },
        { permissions: {}, scope: "once" },
        undefined
      ])
      assert.deepStrictEqual(decided.slice(0, 2), [
        [{ of: "c1" }, some],
        [{ of: "c2" }, {}]
      ])
      assert.deepStrictEqual(
        results(harness).map(({ status }) => status),
        ["completed", "completed", "denied", "completed"]
      )
      const recorded = harness.records().flatMap((record) => (record._tag === "CallDecided" ? [record] : []))
      assert.deepStrictEqual(
        recorded.map(({ callId, permission, permissions, source }) => [callId, permission, source, permissions]),
        [
          ["c1", "allow", "policy", some],
          ["c2", "allow", "policy", {}]
        ]
      )
      isLegal(harness)
    })
  )

  it.effect("A1 is settled once: a second answer is unknown and changes nothing", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const harness = yield* Harness.make({ script: [calls("c1"), [Model.text("done")]], tools: { tool } })
      yield* harness.submit("go")
      const { questionId } = yield* opened(harness, 1)
      yield* decide(harness, questionId, denied)
      yield* isUnknown(harness, questionId)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(settled(harness), [denied])
      assert.deepStrictEqual(runs, [])
    })
  )

  it.effect("A1 two questions have separate ids and can be answered in reverse order; results stay in order", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const harness = yield* Harness.make({ script: [calls("c1", "c2"), [Model.text("done")]], tools: { tool } })
      yield* harness.submit("go")
      const first = yield* opened(harness, 1)
      const second = yield* opened(harness, 2)
      assert.notStrictEqual(first.questionId, second.questionId)
      yield* decide(harness, second.questionId, approved("once"))
      yield* harness.awaitEvent(Harness.hasTag("QuestionSettled"))
      assert.deepStrictEqual(runs, [{ of: "c2" }])
      yield* decide(harness, first.questionId, denied)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(results(harness), [
        { callId: "c1", status: "denied", output: "rejected by user" },
        { callId: "c2", status: "completed", output: "ran 1" }
      ])
      isLegal(harness)
    })
  )

  it.effect.each(["returns", "fails"] as const)(
    "A1 none stays pending after a turn whose task %s without its answer",
    (ending) =>
      Effect.gen(function* () {
        const harness = yield* Harness.make()
        const isAsked = yield* Deferred.make<void>()
        const task = Task.make(
          "careless",
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* Effect.forkDetach(turn.ask({ kind: "question", payload: 1 }))
            yield* Deferred.await(isAsked)
            if (ending === "fails") return yield* Effect.fail("failed")
          })
        )
        const { outcome } = yield* harness.session.start(task)
        const { questionId } = yield* opened(harness, 1)
        yield* Deferred.succeed(isAsked, undefined)
        assert.strictEqual((yield* outcome)._tag, ending === "fails" ? "Failed" : "Completed")
        assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "end" }])
        assert.isTrue(isTerminal(harness.records().at(-1)!))
        yield* isUnknown(harness, questionId)
        isLegal(harness)
      })
  )

  it.effect("A1 is cancelled when the scope of the session closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const harness = yield* Effect.provideService(Harness.make(), Scope.Scope, scope)
      yield* harness.session.start(asker())
      yield* opened(harness, 1)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "abort" }])
      assert.strictEqual(harness.tags().at(-1), "TurnAborted")
      isLegal(harness)
    })
  )

  it.effect("A1 is cancelled if its asker stops waiting, and the turn continues", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const task = Task.make(
        "impatient",
        Effect.gen(function* () {
          const turn = yield* Turn
          const fiber = yield* Effect.forkChild(turn.ask({ kind: "question", payload: 1 }))
          yield* Effect.yieldNow
          yield* Fiber.interrupt(fiber)
          return "continued"
        })
      )
      const { outcome } = yield* harness.session.start(task)
      assert.deepStrictEqual(yield* outcome, { _tag: "Completed", value: "continued" })
      assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "end" }])
      isLegal(harness)
    })
  )
})

describe("abort", () => {
  it.effect("A2 wins over waiting: the question is cancelled, the call is aborted and not denied", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const harness = yield* Harness.make({ script: [calls("c1")], tools: { tool } })
      yield* harness.submit("go")
      const { questionId } = yield* opened(harness, 1)
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "abort" }])
      assert.strictEqual(results(harness)[0]?.status, "aborted")
      assert.deepStrictEqual(runs, [])
      yield* isUnknown(harness, questionId)
      isLegal(harness)
    })
  )

  it.effect("A2 reaches a signalled task that waits, at once", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const answers: Array<Answer> = []
      const task = Task.make(
        "signalled",
        Effect.flatMap(Turn, (turn) =>
          Effect.map(turn.ask({ kind: "question", payload: 1 }), (answer) => void answers.push(answer))
        ),
        { onAbort: "signal" }
      )
      const { outcome } = yield* harness.session.start(task)
      yield* opened(harness, 1)
      yield* harness.session.abort("Deadline")
      assert.deepStrictEqual(yield* outcome, { _tag: "Aborted", reason: "Deadline", stragglers: [] })
      assert.deepStrictEqual(answers, [{ _tag: "Cancelled", by: "abort" }])
      assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "abort" }])
    })
  )

  it.effect("A2 reaches a task that waits and cannot be interrupted", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const answers: Array<Answer> = []
      const ask = Effect.flatMap(Turn, (turn) => turn.ask({ kind: "permissions", payload: 1 }))
      const task = Task.make("stubborn", Effect.uninterruptible(Effect.map(ask, (answer) => void answers.push(answer))))
      const { outcome } = yield* harness.session.start(task)
      yield* opened(harness, 1)
      yield* harness.session.abort()
      assert.strictEqual((yield* outcome)._tag, "Aborted")
      assert.deepStrictEqual(answers, [{ _tag: "Cancelled", by: "abort" }])
    })
  )

  it.effect("A2 the decision Abort settles the question and aborts the turn as Interrupted", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const harness = yield* Harness.make({ script: [calls("c1", "c2")], tools: { tool } })
      yield* harness.submit("go")
      const { questionId } = yield* opened(harness, 1)
      yield* opened(harness, 2)
      yield* decide(harness, questionId, { _tag: "Abort" })
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(settled(harness), [{ _tag: "Abort" }, { _tag: "Cancelled", by: "abort" }])
      const terminal = harness.records().find(isTerminal)
      assert.strictEqual(terminal?._tag === "TurnAborted" ? terminal.reason : undefined, "Interrupted")
      assert.deepStrictEqual(
        results(harness).map(({ status }) => status),
        ["aborted", "aborted"]
      )
      assert.deepStrictEqual(runs, [])
      isLegal(harness)
    })
  )
})

describe("the deadline", () => {
  it.effect("A2 gives an unanswered question an empty answer", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ config: { questionDeadline: "1 minute" } })
      const { outcome } = yield* harness.session.start(asker())
      const { questionId } = yield* opened(harness, 1)
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(settled(harness), [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* outcome, { _tag: "Completed", value: { _tag: "Answered", answers: {} } })
      assert.deepStrictEqual(settled(harness), [{ _tag: "Answered", answers: {} }])
      yield* isUnknown(harness, questionId)
    })
  )

  it.effect("A2 grants nothing if a permission is not decided: the model is informed, and the turn continues", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking({ kind: "permissions" })
      const harness = yield* Harness.make({
        config: { questionDeadline: "1 minute" },
        script: [calls("c1"), [Model.text("done")]],
        tools: { tool }
      })
      yield* harness.submit("go")
      const { questionId } = yield* opened(harness, 1)
      yield* TestClock.adjust("1 minute")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(settled(harness), [{ _tag: "Cancelled", by: "deadline" }])
      assert.deepStrictEqual(results(harness), [
        { callId: "c1", status: "denied", output: "not approved: nobody answered in time" }
      ])
      assert.deepStrictEqual(runs, [])
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
      yield* isUnknown(harness, questionId)
    })
  )

  it.effect("A2 does not exist by default for an interactive root session", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const { outcome } = yield* harness.session.start(asker())
      const { questionId } = yield* opened(harness, 1)
      yield* TestClock.adjust("1000 days")
      assert.deepStrictEqual(settled(harness), [])
      yield* decide(harness, questionId, denied)
      assert.deepStrictEqual(yield* outcome, { _tag: "Completed", value: denied })
    })
  )
})

describe("grants", () => {
  /**
   * Counts the questions of two turns, the first with two equal calls in a row, if each is approved with this scope.
   */
  const countQuestions = (scope: "once" | "turn" | "session") =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const same = [Model.call("tool", { of: "it" }, "c")]
      const harness = yield* Harness.make({
        script: [same, same, [Model.text("one")], same, [Model.text("two")]],
        tools: { tool },
        approvals: { decide: () => Effect.succeed(approved(scope)) }
      })
      yield* harness.run("first")
      const inFirst = settled(harness).length
      yield* harness.run("second")
      assert.strictEqual(runs.length, 3)
      return [inFirst, settled(harness).length - inFirst]
    })

  it.effect("A2 with scope once are asked for each time", () =>
    Effect.map(countQuestions("once"), (n) => assert.deepEqual(n, [2, 1]))
  )
  it.effect("A2 with scope turn are silent in the turn, and gone after it", () =>
    Effect.map(countQuestions("turn"), (n) => assert.deepEqual(n, [1, 1]))
  )
  it.effect("A2 with scope session are silent for the rest of the session", () =>
    Effect.map(countQuestions("session"), (n) => assert.deepEqual(n, [1, 0]))
  )

  it.effect("A2 cover only what was asked", () =>
    Effect.gen(function* () {
      const { tool } = asking()
      const harness = yield* Harness.make({
        script: [calls("c1"), calls("c2"), [Model.text("done")]],
        tools: { tool },
        approvals: { decide: () => Effect.succeed(approved("session")) }
      })
      yield* harness.run("go")
      assert.strictEqual(settled(harness).length, 2)
    })
  )
})

describe("a decider", () => {
  it.effect(
    "A1 the first of decider and client settles the question, and a decider that is too late is interrupted",
    () =>
      Effect.gen(function* () {
        const interrupted = yield* Deferred.make<void>()
        const { tool } = asking()
        const harness = yield* Harness.make({
          script: [calls("c1"), [Model.text("done")]],
          tools: { tool },
          approvals: {
            decide: () => Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
          }
        })
        yield* harness.submit("go")
        const { questionId } = yield* opened(harness, 1)
        yield* decide(harness, questionId, approved("once"))
        yield* Deferred.await(interrupted)
        yield* harness.session.awaitIdle
        assert.strictEqual(results(harness)[0]?.status, "completed")
      })
  )

  it.effect("A1 is not called for a question that was answered or aborted at its announcement", () =>
    Effect.gen(function* () {
      for (const end of ["answer", "abort"] as const) {
        let decideCount = 0
        const h: Harness.SessionHarness = yield* Harness.make({
          approvals: { decide: () => Effect.suspend(() => (decideCount++, Effect.never)) },
          onEvent: (event) => {
            if (event._tag !== "QuestionOpened") return
            if (end === "abort") Effect.runFork(h.session.abort())
            else Effect.runFork(decide(h, event.questionId, approved("once")))
          }
        })
        const { outcome } = yield* h.session.start(asker())
        const { _tag } = yield* outcome
        assert.deepStrictEqual([decideCount, _tag], [0, end === "abort" ? "Aborted" : "Completed"])
        assert.lengthOf(settled(h), 1)
        isLegal(h)
      }
    })
  )

  it.effect("A1 that cannot be interrupted does not delay the answer of a client", () =>
    Effect.gen(function* () {
      const { tool } = asking()
      const harness = yield* Harness.make({
        script: [calls("c1"), [Model.text("done")]],
        tools: { tool },
        approvals: { decide: () => Effect.uninterruptible(Effect.never) }
      })
      yield* harness.submit("go")
      const { questionId } = yield* opened(harness, 1)
      yield* decide(harness, questionId, approved("once"))
      const idle = yield* Effect.forkChild(harness.session.awaitIdle)
      yield* TestClock.adjust("1 second")
      assert.isDefined(idle.pollUnsafe(), harness.tags().join(" "))
      assert.strictEqual(results(harness)[0]?.status, "completed")
    })
  )

  it.effect("A1 that dies fails its turn and leaves no question open", () =>
    Effect.gen(function* () {
      const { tool } = asking()
      const harness = yield* Harness.make({
        script: [calls("c1")],
        tools: { tool },
        approvals: { decide: () => Effect.die(new Error("broken decider")) }
      })
      const terminal = yield* harness.run("go")
      assert.deepStrictEqual(terminal._tag === "TurnFailed" ? terminal.error : undefined, {
        tag: "CallbackFailed",
        message: "Approvals.decide failed: broken decider"
      })
      isLegal(harness)
    })
  )

  it.effect("A1 that denies gives the model its reason", () =>
    Effect.gen(function* () {
      const { tool } = asking()
      const harness = yield* Harness.make({
        script: [calls("c1"), [Model.text("done")]],
        tools: { tool },
        approvals: Approvals.denyAll("no one attends")
      })
      yield* harness.run("go")
      assert.deepStrictEqual(results(harness), [{ callId: "c1", status: "denied", output: "rejected: no one attends" }])
    })
  )

  it.effect("A1 a policy function decides by the decoded arguments: allowed, asked, denied", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking({
        approval: (params) => {
          const { of } = params as { readonly of: string }
          return of === "c1" ? "allow" : of === "c2" ? "ask" : "deny"
        }
      })
      const harness = yield* Harness.make({
        script: [calls("c1", "c2", "c3"), [Model.text("done")]],
        tools: { tool },
        approvals: Approvals.approveAll
      })
      yield* harness.run("go")
      assert.deepStrictEqual(settled(harness), [approved("once")])
      assert.deepStrictEqual(runs, [{ of: "c1" }, { of: "c2" }])
      assert.deepStrictEqual(results(harness).at(-1), {
        callId: "c3",
        status: "denied",
        output: "denied: the policy forbids tool"
      })
    })
  )

  it.effect("A1 a policy that denies opens no question", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking({ approval: "deny" })
      const harness = yield* Harness.make({
        script: [calls("c1"), [Model.text("done")]],
        tools: { tool },
        approvals: Approvals.approveAll
      })
      yield* harness.run("go")
      assert.deepStrictEqual([settled(harness), runs], [[], []])
      assert.strictEqual(results(harness)[0]?.status, "denied")
    })
  )

  it.effect("A1 a hook that denies comes before the policy, and opens no question", () =>
    Effect.gen(function* () {
      const { runs, tool } = asking()
      const harness = yield* Harness.make({
        script: [calls("c1", "c2"), [Model.text("done")]],
        tools: { tool },
        approvals: Approvals.approveAll,
        hooks: {
          preToolUse: (_, name, params) =>
            Effect.succeed(
              (params as { readonly of: string }).of === "c1" ? { deny: true, reason: `no ${name}` } : { deny: false }
            )
        }
      })
      yield* harness.run("go")
      assert.deepStrictEqual(results(harness), [
        { callId: "c1", status: "denied", output: "denied: no tool" },
        { callId: "c2", status: "completed", output: "ran 1" }
      ])
      assert.strictEqual(settled(harness).length, 1)
      assert.deepStrictEqual(runs, [{ of: "c2" }])
    })
  )
})
