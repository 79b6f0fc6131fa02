/** Hooks that notify a person: while a question waits, and when a turn completes. */
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import type * as Hooks from "@spindle/core/Hooks"
import * as Op from "@spindle/core/Op"
import * as Session from "@spindle/core/Session"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { abortedOf, warningsOf } from "../fixtures/turns.ts"

/** Hooks that note what they are called with, and whether it was interrupted; each waits for `during`. */
const noting = (during: Effect.Effect<void, never, Turn> = Effect.void) => {
  const seen: Array<string> = []
  const nameOf = (notification: Hooks.Notification) =>
    notification._tag === "QuestionWaits"
      ? `question ${notification.question.kind}`
      : `turn ${notification.lastMessage ?? "-"}`
  const hooks: Pick<Hooks.Hooks<never, Turn>, "notification"> = {
    notification: (_, notification) =>
      Effect.suspend(() => {
        seen.push(nameOf(notification))
        return Effect.onInterrupt(during, () =>
          Effect.sync(() => void seen.push(`interrupted: ${nameOf(notification)}`))
        )
      })
  }
  return { seen, hooks }
}

const asking = (kind: "command" | "question" | "elicitation" = "command") =>
  Effect.flatMap(Turn, (turn) => turn.ask({ kind, payload: {} }))

const openQuestion = ({ records }: SessionHarness.SessionHarness) => {
  const opened = records().find((record) => record._tag === "QuestionOpened")
  assert.strictEqual(opened?._tag, "QuestionOpened")
  return (opened as Extract<typeof opened, { readonly _tag: "QuestionOpened" }>).questionId
}

describe("a question", () => {
  for (const kind of ["command", "question", "elicitation"] as const) {
    it.effect(`notifies while it waits, and its answer ends the hook: ${kind}`, () =>
      Effect.gen(function* () {
        const { hooks, seen } = noting(Effect.never)
        const harness = yield* SessionHarness.make({ hooks })
        const { outcome } = yield* harness.session.start(Task.make("asking", asking(kind)))
        yield* TestClock.adjust("1 milli")
        assert.deepStrictEqual(seen, [`question ${kind}`])
        yield* harness.session.submit(Op.answer(openQuestion(harness), { _tag: "Approved", scope: "once" }))
        // the notification of the end of the turn hangs as well
        yield* TestClock.adjust("1 milli")
        assert.deepStrictEqual(seen, [`question ${kind}`, `interrupted: question ${kind}`, "turn -"])
        yield* harness.session.abort()
        yield* outcome
      })
    )
  }

  it.effect("A1 that is decided at once, or was granted before, notifies nobody", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting()
      const harness = yield* SessionHarness.make({
        hooks,
        approvals: { decide: () => Effect.succeed({ _tag: "Approved", scope: "session" }) }
      })
      const { outcome } = yield* harness.session.start(Task.make("asking", Effect.andThen(asking(), asking())))
      yield* outcome
      assert.deepStrictEqual(seen, ["turn -"])
    })
  )

  it.effect("A3 of a child notifies in the session of the child, once", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting()
      const harness = yield* SessionHarness.make({ hooks })
      const passedOn = Effect.flatMap(Turn, (turn) =>
        turn.ask({ kind: "command", payload: {}, asker: { path: [turn.sessionId, "child" as SessionId] } })
      )
      yield* harness.session.start(Task.make("asking", passedOn))
      yield* TestClock.adjust("1 milli")
      openQuestion(harness)
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("A2 I3 is answered and aborted although its hook cannot be interrupted, which is then named", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const { hooks } = noting(Effect.uninterruptible(Deferred.await(release)))
      const harness = yield* SessionHarness.make({ hooks })
      const answered = yield* Deferred.make<void>()
      const task = Effect.andThen(Effect.andThen(asking(), Deferred.succeed(answered, undefined)), Effect.never)
      yield* harness.session.start(Task.make("asking", task))
      yield* TestClock.adjust("1 milli")
      yield* harness.session.submit(Op.answer(openQuestion(harness), { _tag: "Approved", scope: "once" }))
      yield* Deferred.await(answered)
      yield* harness.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).stragglers, [{ kind: "hook", name: "notification" }])
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust("1 milli")
      assert.include(harness.tags(), "StragglerEnded")
    })
  )

  it.effect("P5 whose hook dies is asked anyway, with a warning", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ hooks: { notification: () => Effect.die(new Error("a bug")) } })
      const { outcome } = yield* harness.session.start(Task.make("asking", asking()))
      yield* TestClock.adjust("1 milli")
      yield* harness.session.submit(Op.answer(openQuestion(harness), { _tag: "Approved", scope: "once" }))
      assert.strictEqual((yield* outcome)._tag, "Completed")
      const warnings = warningsOf(harness.records())
      assert.deepStrictEqual(
        warnings,
        Array.from({ length: 2 }, () => "the hook notification failed: a bug")
      )
    })
  )
})

describe("a turn", () => {
  it.effect("S5 that completes notifies with its last message, before its terminal record", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting(Effect.flatMap(Turn, (turn) => turn.warn("notified")))
      const harness = yield* SessionHarness.make({ hooks, script: [[ScriptedModel.text("done")]] })
      yield* harness.run("go")
      assert.deepStrictEqual(seen, ["turn done"])
      assert.deepStrictEqual(harness.tags().slice(-2), ["Warning", "TurnCompleted"])
    })
  )

  it.effect("that fails or is aborted notifies nobody", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting()
      const harness = yield* SessionHarness.make({ hooks })
      const { outcome } = yield* harness.session.start(Task.make("failing", Effect.fail("no")))
      yield* outcome
      const { outcome: second } = yield* harness.session.start(Task.make("hanging", Effect.never))
      yield* harness.session.abort()
      yield* second
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("of a child notifies nobody", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting()
      const harness = yield* SessionHarness.make({
        hooks,
        factory: (agent, options) => Session.make(agent, { ...options, ancestors: ["root" as SessionId] })
      })
      const { outcome } = yield* harness.session.start(Task.make("task", Effect.void))
      yield* outcome
      assert.deepStrictEqual(seen, [])
    })
  )

  it.effect("P4 takes no more input while it notifies", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const { hooks, seen } = noting(Deferred.await(release))
      const harness = yield* SessionHarness.make({ hooks, script: [[ScriptedModel.text("two")]] })
      const { outcome } = yield* harness.session.start(Task.make("task", Effect.void, { steerable: true }))
      yield* TestClock.adjust("1 milli")
      assert.deepStrictEqual(seen, ["turn -"])
      assert.strictEqual((yield* harness.submit("late"))._tag, "Queued")
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual((yield* outcome)._tag, "Completed")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(seen, ["turn -", "turn two"])
    })
  )

  it.effect("I1 that is aborted while it notifies is aborted", () =>
    Effect.gen(function* () {
      const { hooks, seen } = noting(Effect.never)
      const harness = yield* SessionHarness.make({ hooks })
      const { outcome } = yield* harness.session.start(Task.make("task", Effect.void))
      yield* TestClock.adjust("1 milli")
      assert.isTrue(yield* harness.session.abort())
      assert.strictEqual((yield* outcome)._tag, "Aborted")
      assert.deepStrictEqual(seen, ["turn -", "interrupted: turn -"])
    })
  )

  it.effect("records nothing for a hook that returns after the turn has ended", () =>
    Effect.gen(function* () {
      const [release, left] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      const late = Effect.uninterruptible(
        Effect.andThen(
          Deferred.await(release),
          Effect.flatMap(Turn, (turn) => Effect.ensuring(turn.warn("late"), Deferred.succeed(left, undefined)))
        )
      )
      const harness = yield* SessionHarness.make({ hooks: noting(late).hooks })
      const { outcome } = yield* harness.session.start(Task.make("task", Effect.void))
      yield* TestClock.adjust("1 milli")
      yield* harness.session.abort()
      const ending = yield* Effect.forkChild(outcome)
      yield* TestClock.adjust("100 millis")
      yield* Fiber.join(ending)
      yield* Deferred.succeed(release, undefined)
      yield* Deferred.await(left)
      assert.notInclude(harness.tags(), "Warning")
    })
  )
})
