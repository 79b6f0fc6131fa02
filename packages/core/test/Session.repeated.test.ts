import { assert, describe, it } from "@effect/vitest"
import type { SubmissionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import * as RegularTask from "@spindle/core/RegularTask"
import * as Agent from "@spindle/core/Agent"
import * as Input from "@spindle/core/Input"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Stream } from "effect"

const named = (id: string, op: Op.Op): Op.Submission => ({ id: id as SubmissionId, op })

describe("a repeated submission", () => {
  it.effect("P6 gets the same receipt and runs once: started, steered, queued", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: () => [ScriptedModel.gate("held"), ...ScriptedModel.text("done")]
      })
      const send = (id: string, delivery: Input.Delivery) =>
        harness.session.submit(named(id, Op.userInput(id, { delivery })))
      const first = [
        yield* send("a", "steer"),
        yield* send("b", "steer"),
        yield* send("c", "queue"),
        yield* send("d", "queue")
      ]
      assert.deepStrictEqual(
        first.map((receipt) => receipt._tag),
        ["Started", "Steered", "Queued", "Queued"]
      )
      const again = [
        yield* send("a", "steer"),
        yield* send("b", "steer"),
        yield* send("c", "queue"),
        yield* send("d", "queue")
      ]
      assert.deepStrictEqual(again, first)
      yield* harness.model.open("held")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual([yield* send("a", "steer")], [first[0]])
      const accepted = harness.records().filter((record) => record._tag === "InputAccepted")
      assert.strictEqual(accepted.length, 4)
    })
  )

  it.effect("P6 gets the same receipt after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const script = () => [...ScriptedModel.text("done")]
      const { first, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* SessionHarness.make({ journal, script: () => [ScriptedModel.hang] })
          const receipts = []
          for (const id of ["a", "b", "c"])
            receipts.push(yield* harness.session.submit(named(id, Op.userInput(id, { delivery: "queue" }))))
          return { first: receipts, sessionId: harness.session.sessionId }
        })
      )
      const harness = yield* SessionHarness.make({ journal, script, resume: sessionId })
      const again = []
      for (const id of ["a", "b", "c"]) again.push(yield* harness.session.submit(named(id, Op.userInput(id))))
      assert.deepStrictEqual(again, first)
      assert.strictEqual(harness.requests.length, 0)
    })
  )

  it.effect("P6 gets the same receipt after a resume, even if it came just after the end of the previous turn", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const script = () => ScriptedModel.text("done")
      const { first, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* SessionHarness.make({ journal, script })
          const receipts = yield* Deferred.make<ReadonlyArray<Op.Receipt>>()
          const send = (id: string) => harness.session.submit(named(id, Op.userInput(id, { delivery: "queue" })))
          // a client that submits as soon as it sees the end of a turn: the slot is not free yet
          const client = harness.session.events().pipe(
            Stream.filter((event) => event._tag === "TurnCompleted"),
            Stream.take(1),
            Stream.runForEach(() =>
              Effect.flatMap(Effect.forEach(["b", "c"], send), (all) => Deferred.succeed(receipts, all))
            )
          )
          yield* Effect.forkScoped(client, { startImmediately: true })
          const head = yield* send("a")
          const rest = yield* Deferred.await(receipts)
          yield* harness.session.awaitIdle
          return { first: [head, ...rest], sessionId: harness.session.sessionId }
        })
      )
      const harness = yield* SessionHarness.make({ journal, script, resume: sessionId })
      const again = yield* Effect.forEach(["a", "b", "c"], (id) => harness.session.submit(named(id, Op.userInput(id))))
      assert.deepStrictEqual(again, first)
    })
  )

  it.effect("P1 P6 has a position that counts the input ahead of it, and is the same after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const script = () => [ScriptedModel.hang]
      const send = (harness: SessionHarness.SessionHarness, ids: ReadonlyArray<string>, delivery: Input.Delivery) =>
        Effect.forEach(ids, (id) => harness.session.submit(named(id, Op.userInput(id, { delivery }))))
      const { first, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* SessionHarness.make({ journal, script })
          const waiting = yield* send(harness, ["n1", "n2"], "wait")
          const queued = yield* send(harness, ["a", "b", "c"], "queue")
          yield* harness.session.abort()
          yield* harness.session.awaitIdle
          // starts the queue that was kept from its head, b
          const later = yield* send(harness, ["d", "e"], "queue")
          return { first: [...waiting, ...queued, ...later], sessionId: harness.session.sessionId }
        })
      )
      const positions = first.map((receipt) => (receipt._tag === "Queued" ? receipt.position : receipt._tag))
      assert.deepStrictEqual(positions, [0, 1, "Started", 0, 1, 1, 2])
      const harness = yield* SessionHarness.make({ journal, script, resume: sessionId })
      const again = yield* send(harness, ["n1", "n2", "a", "b", "c", "d", "e"], "queue")
      assert.deepStrictEqual(again, first)
    })
  )

  it.effect("P6 an interrupt that is repeated after a resume stops no other turn", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const script = () => [ScriptedModel.hang]
      const stopped = yield* Effect.scoped(
        Effect.gen(function* () {
          const { session } = yield* SessionHarness.make({ journal, script })
          yield* session.submit(Op.userInput("first"))
          const receipt = yield* session.submit(named("stop", Op.interrupt))
          yield* session.awaitIdle
          return { receipt, sessionId: session.sessionId }
        })
      )
      const { session } = yield* SessionHarness.make({ journal, script, resume: stopped.sessionId })
      yield* session.submit(Op.userInput("second"))
      assert.deepStrictEqual(yield* session.submit(named("stop", Op.interrupt)), stopped.receipt)
      assert.strictEqual((yield* session.snapshot).status, "running")
      yield* session.submit(named("another", Op.interrupt))
      yield* session.awaitIdle
    })
  )

  it.effect("P6 an answer with an id gets the same receipt after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const asking = Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: {} }))
      const { answered, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* SessionHarness.make({ journal })
          yield* harness.session.start(Task.make("custom", asking))
          const { questionId } = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
          const answered = Op.answer(questionId, { _tag: "Denied" })
          const receipt = yield* harness.session.submit(named("no", answered))
          assert.strictEqual(receipt._tag, "Accepted")
          yield* harness.session.awaitIdle
          return { answered, sessionId: harness.session.sessionId }
        })
      )
      const { session } = yield* SessionHarness.make({ journal, resume: sessionId })
      const again = [yield* session.submit(named("no", answered)), yield* session.submit(answered)]
      assert.deepStrictEqual(
        again.map((receipt) => receipt._tag),
        ["Accepted", "Rejected"]
      )
    })
  )

  it.effect("P6 is remembered for 1,024 submissions, and never if it was rejected", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: () => [ScriptedModel.hang],
        config: { inboxCapacity: 2_000 }
      })
      const rejected = yield* harness.session.submit(named("a", Op.userInput("  ")))
      assert.strictEqual(rejected._tag, "Rejected")
      const started = yield* harness.session.submit(named("a", Op.userInput("now")))
      assert.strictEqual(started._tag, "Started")
      for (let index = 0; index < 1_023; index++) yield* harness.session.submit(named(`n${index}`, Op.userInput("x")))
      assert.deepStrictEqual(yield* harness.session.submit(named("a", Op.userInput("now"))), started)
      yield* harness.session.submit(named("one more", Op.userInput("x")))
      assert.strictEqual((yield* harness.session.submit(named("a", Op.userInput("now"))))._tag, "Steered")
    })
  )
})

describe("a regular task that is started directly", () => {
  it.effect("P5 carries the input that it was started with, after the prompt hooks", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: () => ScriptedModel.text("done"),
        hooks: { userPromptSubmit: (_, text) => Effect.succeed({ block: text === "no", contexts: [`seen ${text}`] }) }
      })
      const start = (text: string) =>
        Effect.flatMap(
          harness.session.start(RegularTask.make(Agent.make({})), Input.text(text)),
          (turn) => turn.outcome
        ).pipe(Effect.provide(harness.model.layer))
      const carried = yield* start("yes")
      assert.deepStrictEqual(carried, { _tag: "Completed", value: "done" })
      assert.deepStrictEqual(
        harness.requests[0]!.items.map((item) => item._tag),
        ["UserMessage", "DeveloperMessage"]
      )
      const blocked = yield* start("no")
      assert.deepStrictEqual(blocked, { _tag: "Completed", value: undefined })
      assert.strictEqual(harness.requests.length, 1)
      assert.include(harness.tags(), "Warning")
    })
  )
})

describe("values that JSON cannot represent", () => {
  it.effect("J5 a tool result that is not JSON becomes a failed result for the model, and the session continues", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [[ScriptedModel.call("odd", {}, "c1")], ScriptedModel.text("fine")],
        tools: { odd: { run: () => Effect.succeed({ big: 1n }) } }
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      const result = harness.requests[1]!.items.find((item) => item._tag === "ToolResult")
      assert.deepStrictEqual([result?._tag === "ToolResult" && result.status], ["failed"])
    })
  )

  it.effect("J5 A1 an answer that is not JSON is rejected, and changes neither the question nor the session", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make()
      const task = Task.make(
        "asking",
        Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: {} }))
      )
      const { outcome } = yield* harness.session.start(task)
      const { questionId } = yield* harness.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
      const answer = (rowId: unknown) =>
        harness.session.submit(Op.answer(questionId, { _tag: "Answered", answers: { rowId } }))
      const refused = yield* answer(10n)
      assert.strictEqual(refused._tag === "Rejected" && refused.reason._tag, "InvalidAnswer")
      assert.strictEqual((yield* answer(10))._tag, "Accepted")
      assert.deepStrictEqual(yield* outcome, {
        _tag: "Completed",
        value: { _tag: "Answered", answers: { rowId: 10 } }
      })
      assert.strictEqual((yield* harness.session.snapshot).status, "idle")
    })
  )

  it.effect("I7 usage that is not a number is replaced by an estimate that is marked as one", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({
        script: [[...ScriptedModel.text("four"), ScriptedModel.finish({ input: Number.NaN })]]
      })
      yield* harness.run("go")
      const responded = harness.records().find((record) => record._tag === "ModelResponded")
      assert.isTrue(
        responded?._tag === "ModelResponded" && responded.estimated === true && responded.usage.output === 1
      )
    })
  )
})
