/** Tasks that a client starts by name (contract P1, P2, P3, P6, S3, S4, S5, S7, O1). */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import * as Laws from "@spindle/testing/Laws"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Schema, Scope } from "effect"
import { id, reasonOf, running, send, userTexts } from "../fixtures/submissions.ts"
import { abortedOf, assertTurns, terminals } from "../fixtures/turns.ts"

/** Says its parameter and the text of its input. */
const greet = TaskKind.make("greet", {
  params: Schema.Struct({ name: Schema.String }),
  task: ({ name }) =>
    Task.make(
      "greet",
      Effect.flatMap(Turn, (turn) => Effect.as(turn.say(`hello ${name}`), `hello ${name} ${turn.inputText}`.trim()))
    )
})
const never = TaskKind.make("never", { params: Schema.Struct({}), task: () => Task.make("never", Effect.never) })
const carrying = TaskKind.make("carrying", {
  params: Schema.Struct({}),
  task: () =>
    Task.make(
      "carrying",
      Effect.flatMap(Turn, (turn) => Effect.asVoid(turn.takeInput))
    )
})
const throwing = TaskKind.make("throwing", {
  params: Schema.Struct({}),
  task: (): Task.Task<void> => {
    throw new Error("no task today")
  }
})
const queueOnly = TaskKind.make("queueOnly", {
  params: Schema.Struct({}),
  task: () => Task.make("queueOnly", Effect.void),
  modes: ["queue"]
})
const tasks = [greet, never, carrying, throwing, queueOnly]

const start = (
  { session }: Pick<Harness.SessionHarness, "session">,
  name: string,
  options?: Parameters<typeof Op.startTask>[2]
) => session.submit({ id: id(name), op: Op.startTask("greet", { name }, options) })

const messages = (harness: Pick<Harness.SessionHarness, "events">) =>
  terminals(harness.events).map((end) => (end._tag === "TurnCompleted" ? end.lastMessage : end._tag))

/** Every law of sessions over the records and receipts of a harness. */
const assertLaws = Effect.fnUntraced(function* (
  { events, session }: Pick<Harness.SessionHarness, "events" | "session">,
  receipts: ReadonlyArray<Op.Receipt>
) {
  assertTurns(events)
  const final = yield* session.snapshot
  assert.isUndefined(Laws.session({ events, receipts, final }))
})

describe("a task that a client starts", () => {
  it.effect("P1 S3 S6 starts at once in an idle session, with its parameters and its input", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ tasks })
      const receipt = yield* start(harness, "ada", { input: Input.text("again") })
      yield* harness.session.awaitIdle
      const started = harness.records().find((record) => record._tag === "TurnStarted")!
      assert.deepStrictEqual(receipt, { _tag: "Started", submissionId: id("ada"), turnId: started.turnId })
      assert.deepInclude(started, { kind: "greet", submissionId: id("ada"), carried: true })
      assert.deepStrictEqual(messages(harness), ["hello ada again"])
      assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("P5 may add its input to the history, after the prompt hooks", () =>
    Effect.gen(function* () {
      const hooks = { userPromptSubmit: () => Effect.succeed({ block: false, contexts: ["seen"] }) }
      const { events, session } = yield* Harness.make({ tasks, hooks })
      yield* session.submit(Op.startTask("carrying", {}, { input: Input.text("words") }))
      yield* session.awaitIdle
      const { items } = yield* session.snapshot
      assert.deepStrictEqual(
        items.map((item) => item._tag),
        ["UserMessage", "DeveloperMessage"]
      )
      assertTurns(events)
    })
  )

  it.effect("P1 is rejected with a reason that a program can read, and nothing is recorded", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ tasks, config: { inputLimit: 3 } })
      const before = harness.records().length
      const reason = (op: Op.Op) => Effect.map(harness.session.submit(op), reasonOf)
      const known = ["greet", "never", "carrying", "throwing", "queueOnly"]
      assert.deepStrictEqual(yield* reason(Op.startTask("nothing")), { _tag: "UnknownTask", kind: "nothing", known })
      const invalid = yield* reason(Op.startTask("greet", { name: 7 }))
      assert.include(invalid, { _tag: "InvalidParams", kind: "greet" })
      assert.include(JSON.stringify(invalid), "name")
      assert.include(yield* reason(Op.startTask("greet", { name: 7n })), { _tag: "InvalidParams", kind: "greet" })
      assert.deepStrictEqual(yield* reason(Op.startTask("throwing")), {
        _tag: "InvalidParams",
        kind: "throwing",
        message: "the task function of the kind throwing failed: no task today"
      })
      assert.deepStrictEqual(yield* reason(Op.startTask("queueOnly", {}, { mode: "replace" })), {
        _tag: "TaskModeNotAllowed",
        kind: "queueOnly",
        mode: "replace",
        allowed: ["queue"]
      })
      assert.include(yield* reason(Op.startTask("never", {}, { input: Input.text("four") })), { _tag: "InputTooLarge" })
      assert.strictEqual(harness.records().length, before)
    })
  )

  it.effect("P2 P3 waits in the order of arrival, together with input", () =>
    Effect.gen(function* () {
      const harness = yield* running({ tasks })
      const receipts = [
        yield* send(harness.session, "b", "queue"),
        yield* start(harness, "ada"),
        yield* send(harness.session, "c", "queue"),
        yield* start(harness, "bob")
      ]
      assert.deepStrictEqual(
        receipts.map((receipt) => receipt._tag === "Queued" && receipt.position),
        [0, 1, 2, 3]
      )
      yield* harness.model.open("held")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(messages(harness), ["first", "answer 1", "hello ada", "answer 2", "hello bob"])
      yield* assertLaws(harness, receipts)
    })
  )

  it.effect("P6 gets the same receipt and runs once, in one process and after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const { receipts, sessionId } = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* Harness.make({ journal, tasks })
          const receipts = [yield* start(harness, "ada"), yield* start(harness, "bob")]
          assert.deepStrictEqual([yield* start(harness, "ada"), yield* start(harness, "bob")], receipts)
          yield* harness.session.awaitIdle
          assert.deepStrictEqual(messages(harness), ["hello ada", "hello bob"])
          return { receipts, sessionId: harness.session.sessionId }
        })
      )
      const harness = yield* Harness.make({ journal, tasks, resume: sessionId })
      assert.deepStrictEqual([yield* start(harness, "ada"), yield* start(harness, "bob")], receipts)
      assert.deepStrictEqual(messages(harness), [])
    })
  )

  it.effect(
    "P2 P6 that waits when the session closes starts after the resume, and one that ran does not run again",
    () =>
      Effect.gen(function* () {
        const journal = yield* Harness.memoryJournal
        const sessionId = yield* Effect.scoped(
          Effect.gen(function* () {
            const harness = yield* Harness.make({ journal, tasks })
            yield* harness.session.submit({ id: id("ran"), op: Op.startTask("never") })
            yield* start(harness, "ada")
            return harness.session.sessionId
          })
        )
        const harness = yield* Harness.make({ journal, tasks, resume: sessionId, script: () => Model.text("fine") })
        assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [id("ada")])
        yield* harness.run("b")
        assert.deepStrictEqual(messages(harness), ["hello ada", "fine"])
      })
  )

  it.effect("P2 that can no longer start after a resume leaves the queue with a record, and the next one starts", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const sessionId = yield* Effect.scoped(
        Effect.gen(function* () {
          const harness = yield* Harness.make({ journal, tasks })
          yield* harness.session.submit(Op.startTask("never"))
          yield* start(harness, "ada")
          yield* harness.session.submit({ id: id("gone"), op: Op.startTask("carrying") })
          return harness.session.sessionId
        })
      )
      const other = TaskKind.make("greet", {
        params: Schema.Struct({ age: Schema.Finite }),
        task: () => Task.make("greet", Effect.void)
      })
      const harness = yield* Harness.make({
        journal,
        tasks: [other],
        resume: sessionId,
        script: () => Model.text("fine")
      })
      yield* harness.run("b")
      assert.deepStrictEqual(messages(harness), ["fine"])
      const blocked = harness.records().filter((record) => record._tag === "InputBlocked")
      assert.deepStrictEqual(
        blocked.map(({ submissionId }) => submissionId),
        [id("ada"), id("gone")]
      )
      assert.include(blocked[0]!.reason, "the parameters of the task greet are not valid")
      assert.strictEqual(blocked[1]!.reason, "the agent has no task of the kind carrying")
      assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [])
    })
  )

  it.effect("P2 is kept by an interruption and by a failed turn, and dropped with its parent", () =>
    Effect.gen(function* () {
      for (const reason of ["Interrupted", "Parent"] as const) {
        const harness = yield* running({ tasks })
        const receipt = yield* start(harness, "ada")
        yield* harness.session.abort(reason)
        yield* harness.session.awaitIdle
        const { dropped, kept, returned } = abortedOf(harness.events)
        assert.deepStrictEqual(returned, [])
        assert.deepStrictEqual([...kept, ...dropped], reason === "Parent" ? [id("ada")] : [id("ada")])
        assert.strictEqual(kept.length, reason === "Parent" ? 0 : 1)
        yield* assertLaws(harness, [receipt])
      }
      const dying = yield* Harness.make({ tasks })
      yield* dying.session.start(Task.make("dies", Effect.andThen(Effect.yieldNow, Effect.die("dies"))))
      yield* start(dying, "ada")
      yield* dying.session.awaitIdle
      const failed = dying.records().find((record) => record._tag === "TurnFailed")
      assert.deepStrictEqual(failed?.kept, [id("ada")])
    })
  )

  it.effect("J4 stays in the queue when turns are rolled back", () =>
    Effect.gen(function* () {
      const harness = yield* running({ tasks })
      yield* start(harness, "ada")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      yield* harness.session.submit(Op.rollback(1))
      assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [id("ada")])
      yield* send(harness.session, "b", "queue")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(messages(harness), ["TurnAborted", "hello ada", "answer 1"])
      assert.deepStrictEqual(userTexts(harness.requests[1]), ["b"])
    })
  )
})

/** A session in a turn that ends when `end` runs, and not when it is aborted: the clock of the test stands still. */
const stubborn = Effect.fnUntraced(function* (options: Harness.HarnessOptions = {}) {
  const harness = yield* Harness.make({ tasks, script: (_, index) => Model.text(`answer ${index + 1}`), ...options })
  const gate = yield* Deferred.make<void>()
  yield* harness.session.start(Task.make("stubborn", Effect.uninterruptible(Deferred.await(gate))))
  return { ...harness, end: Deferred.succeed(gate, undefined) }
})

describe("a task that replaces the running turn", () => {
  it.effect("S4 P2 aborts it as Replaced and starts ahead of the queue, which continues afterwards", () =>
    Effect.gen(function* () {
      const harness = yield* stubborn()
      const receipts = [
        yield* send(harness.session, "b", "queue"),
        yield* start(harness, "ada", { mode: "replace" }),
        yield* start(harness, "bob", { mode: "replace" })
      ]
      assert.deepStrictEqual(
        receipts.map((receipt) => receipt._tag),
        ["Queued", "Queued", "Queued"]
      )
      yield* harness.end
      yield* harness.session.awaitIdle
      const ends = terminals(harness.events)
      assert.strictEqual(ends[0]!._tag === "TurnAborted" && ends[0]!.reason, "Replaced")
      const started = harness
        .records()
        .flatMap((record) => (record._tag === "TurnStarted" ? [record.submissionId] : []))
      assert.deepStrictEqual(started, [undefined, id("ada"), id("bob"), id("b")])
      yield* assertLaws(harness, receipts)
    })
  )

  it.effect("S4 starts at once in a free slot, ahead of what was kept", () =>
    Effect.gen(function* () {
      const harness = yield* running({ tasks })
      yield* send(harness.session, "b", "queue")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      const receipt = yield* start(harness, "ada", { mode: "replace" })
      assert.strictEqual(receipt._tag, "Started")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(messages(harness), ["TurnAborted", "hello ada", "answer 1"])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("S4 P2 is not started when the abort that it waits for has dropped it", () =>
    Effect.gen(function* () {
      const harness = yield* stubborn()
      yield* harness.session.abort("Parent")
      const receipt = yield* start(harness, "ada", { mode: "replace" })
      yield* harness.end
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(messages(harness), ["TurnAborted"])
      assert.deepStrictEqual(abortedOf(harness.events).dropped, [id("ada")])
      yield* assertLaws(harness, [receipt])
    })
  )

  it.effect("S7 P6 is kept for the resume when the session closes first, and has the same receipt there", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const scope = yield* Scope.make()
      const first = yield* Effect.provideService(stubborn({ journal }), Scope.Scope, scope)
      const receipt = yield* start(first, "ada", { mode: "replace" })
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* first.end
      yield* Fiber.join(closing)
      const state = SessionState.fold(first.records())
      assert.deepStrictEqual(
        state.inbox.map(({ submissionId }) => submissionId),
        [id("ada")]
      )
      const again = yield* Harness.make({ journal, tasks, resume: first.session.sessionId })
      assert.deepStrictEqual(yield* start(again, "ada", { mode: "replace" }), receipt)
      yield* again.session.submit(Op.startTask("queueOnly"))
      yield* again.session.awaitIdle
      assert.deepStrictEqual(messages(again), ["hello ada", undefined])
    })
  )

  it.effect("I9 may be started by the task that it replaces", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ tasks })
      yield* harness.session.start(
        Task.make("replaces itself", Effect.andThen(start(harness, "ada", { mode: "replace" }), Effect.never))
      )
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(messages(harness), ["TurnAborted", "hello ada"])
      assertTurns(harness.events)
    })
  )
})

describe("input that an observer submits while a turn settles", () => {
  it.effect("P2 comes after the terminal record, even if it is submitted at the marker, and starts", () =>
    Effect.gen(function* () {
      let submit: Effect.Effect<unknown, unknown> | undefined
      const harness = yield* Harness.make({
        tasks,
        onEvent: (event) => {
          if (event._tag !== "ItemRecorded" || event.item._tag !== "UserMessage" || submit === undefined) return
          Effect.runFork(submit)
          submit = undefined
        }
      })
      yield* harness.session.submit(Op.startTask("never"))
      submit = start(harness, "ada")
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(abortedOf(harness.events).kept, [])
      assert.deepStrictEqual(messages(harness), ["TurnAborted", "hello ada"])
      yield* assertLaws(harness, [])
    })
  )
})

describe("the kinds of an agent", () => {
  it("have different names", () => {
    assert.throws(() => Agent.make({ tasks: [greet, greet] }), "the agent has two task kinds of the name greet")
  })
})
