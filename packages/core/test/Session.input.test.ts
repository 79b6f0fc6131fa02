import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { AbortReason } from "@spindle/core/Outcome"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { heldAt } from "./fixtures/journals.ts"
import { fates, id, reasonOf, running, send, staying, userTexts } from "./fixtures/submissions.ts"

describe("receipts", () => {
  it.effect("P1 input starts a turn in an idle session, steers a running one, and waits if it asks to", () =>
    Effect.gen(function* () {
      const { session, turnId } = yield* running()
      assert.deepStrictEqual(yield* send(session, "b"), { _tag: "Steered", submissionId: id("b"), turnId })
      assert.deepStrictEqual(yield* send(session, "c", "queue"), {
        _tag: "Queued",
        submissionId: id("c"),
        position: 0
      })
      assert.deepStrictEqual(yield* send(session, "d", "queue"), {
        _tag: "Queued",
        submissionId: id("d"),
        position: 1
      })
      const steered = yield* session.steer(Input.text("e"), turnId)
      assert.strictEqual(steered._tag, "Steered")
    })
  )

  it.effect("P1 the position of queued input does not count the input of the running turn", () =>
    Effect.gen(function* () {
      const { session } = yield* Harness.make({ hooks: { userPromptSubmit: () => Effect.never } })
      assert.strictEqual((yield* send(session, "a"))._tag, "Started")
      const queued = yield* send(session, "b", "queue")
      assert.deepStrictEqual(queued, { _tag: "Queued", submissionId: id("b"), position: 0 })
    })
  )

  it.effect("P1 a submission is taken as its schema decodes it, with its id and its trace", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make({ script: () => [Model.text("hello")] })
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const sent = {
        id: "one",
        op: { _tag: "UserInput", input: [{ _tag: "Text", text: "hi" }] },
        trace: { traceparent }
      }
      const receipt = yield* session.submit(yield* Schema.decodeUnknownEffect(Op.Submission)(sent))
      yield* session.awaitIdle
      assert.include(receipt, { _tag: "Started", submissionId: id("one") })
      const started = records().find((record) => record._tag === "TurnStarted")
      assert.deepInclude(started, { submissionId: id("one"), trace: { traceparent } })
    })
  )

  it.effect("P1 operations without input are accepted, even if no turn runs", () =>
    Effect.gen(function* () {
      const { awaitEvent, session, records } = yield* Harness.make({
        script: [[Model.call("tool", {}, "c1")], [Model.text("done")]],
        tools: { tool: { run: () => Effect.succeed("ok"), policy: { approval: "ask" } } }
      })
      const before = records().length
      assert.strictEqual((yield* session.submit(Op.interrupt))._tag, "Accepted")
      assert.strictEqual(records().length, before)
      const interrupted = yield* session.submit({ id: id("nothing runs"), op: Op.interrupt })
      assert.deepStrictEqual(interrupted, { _tag: "Accepted", submissionId: id("nothing runs") })
      // its id is remembered
      assert.deepStrictEqual(
        records()
          .slice(before)
          .map((record) => record._tag),
        ["OperationAccepted"]
      )
      yield* send(session, "a")
      const { questionId } = yield* awaitEvent(Harness.hasTag("QuestionOpened"))
      const answered = yield* session.submit({
        id: id("answer"),
        op: Op.answer(questionId, { _tag: "Approved", scope: "once" })
      })
      assert.deepStrictEqual(answered, { _tag: "Accepted", submissionId: id("answer") })
      yield* session.awaitIdle
    })
  )

  it.effect("P1 an interrupt of a running turn is accepted and aborts it", () =>
    Effect.gen(function* () {
      const { session, tags } = yield* running()
      assert.strictEqual((yield* session.submit(Op.interrupt))._tag, "Accepted")
      yield* session.awaitIdle
      assert.strictEqual(tags().at(-1), "TurnAborted")
    })
  )

  it.effect("P1 a submission without an id gets a generated one", () =>
    Effect.gen(function* () {
      const { session } = yield* running()
      const one = yield* session.submit(Op.userInput("b"))
      const two = yield* session.submit(Op.userInput("c"))
      assert.notStrictEqual(one.submissionId, two.submissionId)
    })
  )
})

describe("durability", () => {
  it.effect("P2 input is in the journal before it is acknowledged, published or sent to the model", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("InputAccepted")
      const { requests, session, tags } = yield* Harness.make({ journal, script: [[Model.text("done")]] })
      const submitted = yield* Effect.forkChild(send(session, "a"))
      yield* reached
      yield* Effect.yieldNow
      assert.isUndefined(submitted.pollUnsafe())
      assert.deepStrictEqual(tags(), ["SessionStarted"])
      assert.strictEqual(requests.length, 0)
      assert.deepStrictEqual(
        (yield* Effect.orDie(journal.load(session.sessionId))).records.map((record) => record._tag),
        ["SessionStarted"]
      )
      yield* open
      assert.strictEqual((yield* Fiber.join(submitted))._tag, "Started")
      const { records } = yield* Effect.orDie(journal.load(session.sessionId))
      assert.isTrue(records.some((record) => record._tag === "InputAccepted" && record.submissionId === "a"))
      yield* session.awaitIdle
    })
  )

  it.effect("P2 a submission that is interrupted while it is being written is still accepted", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("InputAccepted")
      const { session, records } = yield* Harness.make({ journal, script: [[Model.text("done")]] })
      const submitted = yield* Effect.forkChild(send(session, "a"))
      yield* reached
      yield* Effect.yieldNow
      submitted.interruptUnsafe()
      yield* Effect.yieldNow
      assert.isUndefined(submitted.pollUnsafe())
      yield* open
      yield* Fiber.await(submitted)
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { a: ["carried by 1"] })
    })
  )

  it.effect("P2 input leaves the inbox atomically with the record that carries it", () =>
    Effect.gen(function* () {
      const { model, records, session } = yield* running()
      yield* send(session, "b")
      yield* send(session, "c", "queue")
      yield* model.open("held")
      yield* session.awaitIdle
      let state = SessionState.empty
      for (const record of records()) {
        assert.isUndefined(SessionState.violation(state, record))
        const before = state.inbox.map((entry) => entry.submissionId)
        state = SessionState.apply(state, record)
        const taken = before.filter((one) => !state.inbox.some((entry) => entry.submissionId === one))
        const carried =
          record._tag === "ItemRecorded" && record.item._tag === "UserMessage" ? [record.item.submissionId] : []
        assert.deepStrictEqual<ReadonlyArray<unknown>>(taken, carried)
      }
      assert.deepStrictEqual(fates(records()), { first: ["carried by 1"], b: ["carried by 1"], c: ["carried by 2"] })
    })
  )
})

describe("what happens to input", () => {
  /** A turn with steered and queued input that is stopped for a given reason. */
  const stopped = Effect.fnUntraced(function* (reason: AbortReason) {
    const harness = yield* running()
    yield* send(harness.session, "steered")
    yield* send(harness.session, "queued", "queue")
    assert.isTrue(yield* harness.session.abort(reason))
    yield* harness.session.awaitIdle
    const aborted = harness.records().find((record) => record._tag === "TurnAborted")!
    return { ...harness, aborted }
  })

  it.effect(
    "P2 on Interrupted steered input is returned with its content, and queued input is kept and not started",
    () =>
      Effect.gen(function* () {
        const { aborted, records, session } = yield* stopped("Interrupted")
        assert.deepStrictEqual(aborted.returned, [{ submissionId: id("steered"), input: Input.text("steered") }])
        assert.deepStrictEqual(aborted.kept, [id("queued")])
        assert.deepStrictEqual(aborted.dropped, [])
        assert.deepStrictEqual((yield* session.snapshot).waiting, [id("queued")])
        assert.strictEqual(records().filter((record) => record._tag === "TurnStarted").length, 1)
      })
  )

  it.effect("P2 after Interrupted the next submission starts the queue from its head", () =>
    Effect.gen(function* () {
      const { records, requests, session } = yield* stopped("Interrupted")
      const receipt = yield* send(session, "next")
      assert.deepStrictEqual(receipt, { _tag: "Queued", submissionId: id("next"), position: 0 })
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), {
        first: ["carried by 1"],
        steered: ["returned"],
        queued: ["kept", "carried by 2"],
        next: ["carried by 3"]
      })
      assert.deepStrictEqual(userTexts(requests[1]), ["first", "queued"])
    })
  )

  it.effect("P2 on Interrupted input that its turn had not yet carried is returned", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make({ hooks: { userPromptSubmit: () => Effect.never } })
      yield* send(session, "a")
      yield* session.abort()
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { a: ["returned"] })
      assert.deepStrictEqual((yield* session.snapshot).waiting, [])
    })
  )

  it.effect.each(["Deadline", "Budget", "Shutdown"] as const)(
    "P2 on %s steered and queued input is kept, named, and not started",
    (reason) =>
      Effect.gen(function* () {
        const { aborted, records, session } = yield* stopped(reason)
        assert.deepStrictEqual(aborted.kept, [id("steered"), id("queued")])
        assert.deepStrictEqual([aborted.returned, aborted.dropped], [[], []])
        assert.strictEqual(records().filter((record) => record._tag === "TurnStarted").length, 1)
        assert.deepStrictEqual((yield* session.snapshot).waiting, [id("steered"), id("queued")])
      })
  )

  it.effect("P2 on Parent all waiting input is dropped and named", () =>
    Effect.gen(function* () {
      const { aborted, session } = yield* stopped("Parent")
      assert.deepStrictEqual(aborted.dropped, [id("steered"), id("queued")])
      assert.deepStrictEqual([aborted.returned, aborted.kept], [[], []])
      assert.deepStrictEqual((yield* session.snapshot).waiting, [])
    })
  )

  it.effect("P2 P3 on Replaced both are kept and start after the replacement, in order, ahead of newer input", () =>
    Effect.gen(function* () {
      const { records, requests, session } = yield* running()
      yield* send(session, "one")
      yield* send(session, "two", "queue")
      yield* send(session, "three")
      const end = yield* Deferred.make<string | undefined>()
      yield* session.start(staying(end))
      const aborted = records().find((record) => record._tag === "TurnAborted")!
      assert.strictEqual(aborted.reason, "Replaced")
      assert.deepStrictEqual(aborted.kept, [id("one"), id("two"), id("three")])
      assert.strictEqual((yield* send(session, "newer"))._tag, "Queued")
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), {
        first: ["carried by 1"],
        one: ["kept", "carried by 3"],
        two: ["kept", "carried by 4"],
        three: ["kept", "carried by 5"],
        newer: ["carried by 6"]
      })
      assert.deepStrictEqual(userTexts(requests.at(-1)), ["first", "one", "two", "three", "newer"])
    })
  )

  it.effect("P2 after TurnCompleted remaining input starts next, without a submission", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make({ script: [[Model.text("one")], [Model.text("two")]] })
      const end = yield* Deferred.make<string | undefined>()
      yield* session.start(staying(end, { steerable: true }))
      assert.strictEqual((yield* send(session, "steered"))._tag, "Steered")
      assert.strictEqual((yield* send(session, "queued", "queue"))._tag, "Queued")
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { steered: ["carried by 2"], queued: ["carried by 3"] })
    })
  )

  it.effect(
    "P2 after TurnFailed remaining input is kept, named, and not started; the next submission starts its head",
    () =>
      Effect.gen(function* () {
        const { records, requests, session } = yield* running({
          script: (_, index) => (index === 0 ? [Model.gate("held"), Model.fail("InvalidRequest")] : [Model.text("ok")])
        }).pipe(
          Effect.tap(({ session }) => Effect.andThen(send(session, "steered"), send(session, "queued", "queue"))),
          Effect.tap(({ model }) => model.open("held"))
        )
        yield* session.awaitIdle
        const failed = records().find((record) => record._tag === "TurnFailed")!
        assert.deepStrictEqual(failed.kept, [id("steered"), id("queued")])
        assert.strictEqual(requests.length, 1)
        assert.strictEqual((yield* send(session, "next"))._tag, "Queued")
        yield* session.awaitIdle
        assert.deepStrictEqual(fates(records()), {
          first: ["carried by 1"],
          steered: ["kept", "carried by 2"],
          queued: ["kept", "carried by 3"],
          next: ["carried by 4"]
        })
      })
  )

  it.effect("P5 input whose hook dies is blocked and leaves the inbox", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make({ hooks: { userPromptSubmit: () => Effect.die("broken") } })
      yield* send(session, "a")
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { a: ["blocked"] })
      assert.deepStrictEqual((yield* session.snapshot).waiting, [])
    })
  )
})

describe("order", () => {
  it.effect("P3 queued input runs first in, first out, one turn each", () =>
    Effect.gen(function* () {
      const { model, records, requests, session } = yield* running()
      for (const text of ["b", "c", "d"]) yield* send(session, text, "queue")
      yield* model.open("held")
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), {
        first: ["carried by 1"],
        b: ["carried by 2"],
        c: ["carried by 3"],
        d: ["carried by 4"]
      })
      assert.deepStrictEqual(userTexts(requests.at(-1)), ["first", "b", "c", "d"])
    })
  )

  it.effect("P3 steered input joins first in, first out", () =>
    Effect.gen(function* () {
      const { model, requests, session } = yield* running()
      for (const text of ["b", "c", "d"]) yield* send(session, text)
      yield* model.open("held")
      yield* session.awaitIdle
      assert.deepStrictEqual(userTexts(requests[1]), ["first", "b", "c", "d"])
      assert.strictEqual(requests.length, 2)
    })
  )
})

describe("the steering gate", () => {
  it.effect("P4 input after the last look at the inbox is queued and runs in another turn", () =>
    Effect.gen(function* () {
      const looked = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      const { records, requests, session } = yield* Harness.make({
        script: [[Model.text("one")], [Model.text("two")]],
        hooks: {
          stop: () => Effect.andThen(Deferred.succeed(looked, undefined), Effect.as(Deferred.await(end), {}))
        }
      })
      const started = yield* send(session, "a")
      yield* Deferred.await(looked)
      assert.deepStrictEqual(yield* send(session, "b"), { _tag: "Queued", submissionId: id("b"), position: 0 })
      assert.strictEqual(started._tag, "Started")
      const { turnId } = started as Extract<Op.Receipt, { _tag: "Started" }>
      assert.deepStrictEqual(reasonOf(yield* session.steer(Input.text("c"), turnId)), { _tag: "NotSteerable", turnId })
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { a: ["carried by 1"], b: ["carried by 2"] })
      assert.strictEqual(requests.length, 2)
    })
  )

  it.effect("P4 steered input gets a model request in its turn, even if the model had finished", () =>
    Effect.gen(function* () {
      const { model, requests, session, tags, turnId } = yield* running()
      assert.strictEqual((yield* send(session, "b"))._tag, "Steered")
      yield* model.open("held")
      yield* session.awaitIdle
      assert.strictEqual(tags().filter((tag) => tag === "TurnStarted").length, 1)
      assert.deepStrictEqual(userTexts(requests[1]), ["first", "b"])
      assert.strictEqual(requests[1]!.turnId, turnId)
    })
  )

  it.effect("P4 input that arrives during the last look at the inbox still joins the turn", () =>
    Effect.gen(function* () {
      const inspecting = yield* Deferred.make<void>()
      const inspected = yield* Deferred.make<void>()
      const { model, requests, session, tags } = yield* running({
        hooks: {
          userPromptSubmit: (_, text) =>
            text === "b"
              ? Effect.andThen(
                  Deferred.succeed(inspecting, undefined),
                  Effect.as(Deferred.await(inspected), { block: true, contexts: [] })
                )
              : Effect.succeed({ block: false, contexts: [] })
        }
      })
      yield* send(session, "b")
      yield* model.open("held")
      yield* Deferred.await(inspecting)
      assert.strictEqual((yield* send(session, "c"))._tag, "Steered")
      yield* Deferred.succeed(inspected, undefined)
      yield* session.awaitIdle
      assert.strictEqual(tags().filter((tag) => tag === "TurnStarted").length, 1)
      assert.deepStrictEqual(userTexts(requests[1]), ["first", "c"])
    })
  )
})

describe("the gate of a task that takes input itself", () => {
  it.effect("P4 stays open if the last look finds input, and is closed by the look that finds none", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make()
      const look = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      const looks: Array<boolean> = []
      const task = Task.make(
        "custom",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* Deferred.await(look)
          looks.push(yield* turn.closeGate)
          yield* turn.takeInput
          looks.push(yield* turn.closeGate)
          yield* Deferred.await(end)
        }),
        { steerable: true }
      )
      yield* session.start(task)
      assert.strictEqual((yield* send(session, "a"))._tag, "Steered")
      yield* Deferred.succeed(look, undefined)
      assert.strictEqual((yield* send(session, "b"))._tag, "Queued")
      assert.deepStrictEqual(looks, [false, true])
      assert.deepStrictEqual(fates(records()), { a: ["carried by 1"], b: [] })
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
    })
  )
})

describe("prompt hooks", () => {
  const blocking = (...texts: ReadonlyArray<string>): NonNullable<Harness.HarnessOptions["hooks"]> => ({
    userPromptSubmit: (_, text) =>
      Effect.succeed({ block: texts.includes(text), reason: "not here", contexts: [`${text} one`, `${text} two`] })
  })
  const textsOf = (harness: Harness.SessionHarness) =>
    harness.records().flatMap((record) => {
      if (record._tag === "InputBlocked") return [`blocked ${record.submissionId}: ${record.reason}`]
      if (record._tag !== "ItemRecorded") return []
      if (record.item._tag === "UserMessage") return [`user ${Input.textOf(record.item.content)}`]
      return record.item._tag === "DeveloperMessage" ? [`developer ${record.item.text}`] : []
    })

  it.effect("P5 accepted input is recorded, then each context as a separate message, in order", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.text("ok")]], hooks: blocking() })
      yield* harness.run("a")
      assert.deepStrictEqual(textsOf(harness), ["user a", "developer a one", "developer a two"])
      assert.deepStrictEqual(
        harness.requests[0]!.items.map((item) => item._tag),
        ["UserMessage", "DeveloperMessage", "DeveloperMessage"]
      )
    })
  )

  it.effect("P5 blocked input is neither recorded nor sent, but its contexts are recorded", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ script: [[Model.text("ok")]], hooks: blocking("a") })
      yield* send(harness.session, "a")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(textsOf(harness), ["blocked a: not here", "developer a one", "developer a two"])
      assert.strictEqual(harness.requests.length, 0)
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
      yield* harness.run("b")
      assert.deepStrictEqual(userTexts(harness.requests[0]), ["b"])
      assert.isTrue(harness.requests[0]!.items.some((item) => "text" in item && item.text === "a two"))
      assert.deepStrictEqual(fates(harness.records())["a"], ["blocked"])
    })
  )

  it.effect("P5 blocked input does not keep later input from being inspected", () =>
    Effect.gen(function* () {
      const harness = yield* running({ hooks: blocking("b", "d") })
      for (const text of ["b", "c", "d", "e"]) yield* send(harness.session, text)
      yield* harness.model.open("held")
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(userTexts(harness.requests[1]), ["first", "c", "e"])
      assert.strictEqual(harness.requests.length, 2)
      assert.deepStrictEqual(fates(harness.records()), {
        first: ["carried by 1"],
        b: ["blocked"],
        c: ["carried by 1"],
        d: ["blocked"],
        e: ["carried by 1"]
      })
    })
  )

  it.effect("P5 input that is recorded at the end of a turn passes the hooks too", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ policy: SessionPolicy.reference, hooks: blocking("b") })
      const end = yield* Deferred.make<string | undefined>()
      yield* harness.session.start(staying(end, { steerable: true }))
      for (const text of ["a", "b"]) yield* send(harness.session, text)
      yield* Deferred.succeed(end, undefined)
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(fates(harness.records()), { a: ["carried by 1"], b: ["blocked"] })
    })
  )
})

describe("tasks that cannot be steered", () => {
  it.effect("P7 a task is not steerable by default: its input is queued and runs after it", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make({ script: [[Model.text("ok")]] })
      const end = yield* Deferred.make<string | undefined>()
      yield* session.start(staying(end))
      assert.deepStrictEqual(yield* send(session, "a", "steer"), {
        _tag: "Queued",
        submissionId: id("a"),
        position: 0
      })
      yield* Deferred.succeed(end, undefined)
      yield* session.awaitIdle
      assert.deepStrictEqual(fates(records()), { a: ["carried by 2"] })
    })
  )

  it.effect("P7 a steerable custom task takes its input itself", () =>
    Effect.gen(function* () {
      const { records, session } = yield* Harness.make()
      const steered = yield* Deferred.make<string | undefined>()
      const task = Task.make(
        "custom",
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* Deferred.await(steered)
          return yield* turn.takeInput
        }),
        { steerable: true }
      )
      const { outcome, turnId } = yield* session.start(task)
      assert.deepStrictEqual(yield* send(session, "a"), { _tag: "Steered", submissionId: id("a"), turnId })
      yield* Deferred.succeed(steered, undefined)
      assert.deepStrictEqual(yield* outcome, { _tag: "Completed", value: 1 })
      assert.deepStrictEqual(fates(records()), { a: ["carried by 1"] })
    })
  )
})
