import { assert, describe, it } from "@effect/vitest"
import { Processes } from "@spindle/core/Processes"
import type { CallId, ProcessId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import * as SessionPolicy from "@spindle/core/SessionPolicy"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { id, send, userTexts } from "./fixtures/submissions.ts"

const contract: SessionPolicy.SessionPolicy = {
  processesOnInterrupt: "end",
  leftoverInput: "request",
  steeredOnInterrupt: "return",
  marker: "contract",
  abortedTurnMetrics: true
}

const reference = SessionPolicy.reference

const outputOf = (item: Item | undefined) => (item?._tag === "ToolResult" ? item.output : undefined)

/** The markers of aborted turns in the records. */
const markers = (harness: Harness.SessionHarness) =>
  harness
    .records()
    .filter(
      (record) =>
        record._tag === "ItemRecorded" && record.item._tag === "UserMessage" && record.item.fragment === "turn_aborted"
    )

/** The records after the start of the first turn. */
const afterStart = (harness: Harness.SessionHarness) =>
  harness.events.slice(harness.events.findIndex((event) => event._tag === "TurnStarted") + 1)

describe("the tests of the reference", () => {
  it.effect("1.12 a task that never ends and ignores its signal gives TurnAborted(Interrupted) only", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ policy: reference })
      const { outcome } = yield* harness.session.start(Task.make("stuck", Effect.uninterruptible(Effect.never)))
      assert.isTrue(yield* harness.session.abort())
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(yield* outcome, { _tag: "Aborted", reason: "Interrupted", stragglers: ["task stuck"] })
      yield* TestClock.adjust("1 hour")
      const terminals = harness.events.filter(isTerminal)
      assert.lengthOf(terminals, 1)
      assert.isTrue(terminals[0]?._tag === "TurnAborted" && terminals[0].reason === "Interrupted")
      assert.strictEqual(harness.events.at(-1), terminals[0])
      assert.deepStrictEqual(
        afterStart(harness).map((event) => event._tag),
        ["ItemRecorded", "TurnAborted"]
      )
      assert.lengthOf(markers(harness), 1)
    })
  )

  it.effect("1.12 a task that returns when it is signalled gives TurnAborted(Interrupted) only", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ policy: reference })
      const task = Task.make(
        "obedient",
        Effect.flatMap(Turn, (turn) => Effect.as(turn.aborting, "returned")),
        { onAbort: "signal" }
      )
      const { outcome } = yield* harness.session.start(task)
      yield* harness.session.abort()
      assert.deepStrictEqual(yield* outcome, { _tag: "Aborted", reason: "Interrupted", stragglers: [] })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(
        afterStart(harness).map((event) => event._tag),
        ["ItemRecorded", "TurnAborted"]
      )
      const terminal = harness.events.at(-1)!
      assert.isTrue(terminal._tag === "TurnAborted" && terminal.lastMessage === undefined)
    })
  )

  it.effect("1.12 a message injected into a task is recorded at its end, before TurnCompleted, without a request", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make({ policy: reference })
      const end = yield* Deferred.make<void>()
      yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
      yield* send(harness.session, "injected")
      yield* Deferred.succeed(end, undefined)
      yield* harness.session.awaitIdle
      const [accepted, recorded, completed, ...rest] = afterStart(harness)
      assert.strictEqual(accepted?._tag, "InputAccepted")
      assert.deepStrictEqual(recorded?._tag === "ItemRecorded" ? { ...recorded.item, id: "" } : undefined, {
        _tag: "UserMessage",
        id: "",
        content: Input.text("injected"),
        submissionId: id("injected")
      })
      assert.isTrue(completed?._tag === "TurnCompleted" && completed.lastMessage === undefined)
      assert.deepStrictEqual(rest, [])
      assert.deepStrictEqual((yield* harness.session.snapshot).items.length, 1)
      assert.lengthOf(harness.requests, 0)
    })
  )

  /** A model that runs a command, which sleeps and is interrupted, and then a second turn. */
  const interrupted = Effect.fnUntraced(function* (after: number) {
    const running = yield* Deferred.make<void>()
    const harness = yield* Harness.make({
      policy: reference,
      script: [[Model.call("shell", { command: "sleep 60" }, "call-1")], [Model.text("I see")]],
      tools: {
        shell: {
          parameters: { command: Schema.String },
          run: () => Effect.andThen(Deferred.succeed(running, undefined), Effect.sleep("60 seconds"))
        }
      }
    })
    yield* harness.submit("run it")
    yield* Deferred.await(running)
    yield* TestClock.adjust(after)
    yield* harness.session.abort()
    yield* harness.session.awaitIdle
    const first = harness.events.findLast(isTerminal)
    yield* harness.run("what happened?")
    return { harness, first, second: harness.requests[1]! }
  })

  it.effect("1.12 an interrupt of a tool that runs a command gives TurnAborted", () =>
    Effect.gen(function* () {
      const { first } = yield* interrupted(2_500)
      assert.strictEqual(first?._tag === "TurnAborted" ? first.reason : undefined, "Interrupted")
    })
  )

  it.effect("1.12 the next turn makes the second request, with the call and its wall time", () =>
    Effect.gen(function* () {
      const { harness, second } = yield* interrupted(2_500)
      assert.lengthOf(harness.requests, 2)
      const called = second.items.findIndex((item) => item._tag === "ToolCall" && item.callId === "call-1")
      const result = second.items[called + 1]
      assert.isTrue(called >= 0)
      assert.isTrue(result?._tag === "ToolResult" && result.callId === "call-1" && result.status === "aborted")
      assert.strictEqual(outputOf(result), "Wall time: 2.5 seconds\naborted by user")
    })
  )

  it.effect("1.12 the wall time is at least 0.1 seconds", () =>
    Effect.gen(function* () {
      const { second } = yield* interrupted(0)
      const result = second.items.find((item) => item._tag === "ToolResult")
      assert.strictEqual(outputOf(result), "Wall time: 0.1 seconds\naborted by user")
    })
  )

  it.effect("1.12 the second request has a user text with the marker, between the result and the new input", () =>
    Effect.gen(function* () {
      const { second } = yield* interrupted(2_500)
      const tags = second.items.map((item) =>
        item._tag === "UserMessage" && Input.textOf(item.content).includes("<turn_aborted>") ? "marker" : item._tag
      )
      assert.deepStrictEqual(tags, ["UserMessage", "ToolCall", "ToolResult", "marker", "UserMessage"])
      assert.deepStrictEqual(userTexts(second), ["run it", "what happened?"])
    })
  )

  it.effect("1.12 a call whose payload does not fit its tool gets a result, and the turn continues", () =>
    Effect.gen(function* () {
      const runs: Array<unknown> = []
      const callId = "call-1" as CallId
      const harness = yield* Harness.make({
        policy: reference,
        script: [
          [
            {
              _tag: "Part",
              part: { _tag: "ToolCall", callId, name: "shell", params: { input: "sleep 60" }, freeform: true }
            }
          ],
          [Model.text("sorry")]
        ],
        tools: {
          shell: { parameters: { command: Schema.String }, run: (params) => Effect.sync(() => runs.push(params)) }
        }
      })
      assert.strictEqual((yield* harness.run("go"))._tag, "TurnCompleted")
      const result = harness.requests[1]?.items.find((item) => item._tag === "ToolResult")
      assert.strictEqual(result?._tag === "ToolResult" ? result.status : undefined, "failed")
      assert.deepStrictEqual(runs, [])
    })
  )
})

describe("the choices of the reference", () => {
  it("are these, and the defaults are those of the contract", () => {
    assert.deepStrictEqual(reference, {
      processesOnInterrupt: "keep",
      leftoverInput: "record",
      steeredOnInterrupt: "drop",
      marker: "interrupted-only",
      abortedTurnMetrics: false
    })
    assert.deepStrictEqual(SessionPolicy.SessionPolicy.defaultValue(), contract)
  })

  /**
   * A session with one of the choices of the reference, and the others as in the contract; undefined leaves all at the
   * default.
   */
  const withChoice = <K extends keyof SessionPolicy.SessionPolicy>(
    choice: K | undefined,
    options: Harness.HarnessOptions = {}
  ) =>
    Harness.make(choice === undefined ? options : { ...options, policy: { ...contract, [choice]: reference[choice] } })

  describe("processesOnInterrupt", () => {
    /** Aborts a turn with one process; returns the ended processes, and those that the terminal record names. */
    const aborted = (
      choice: "processesOnInterrupt" | undefined,
      reason: "Interrupted" | "Replaced" | "Parent" | "Deadline"
    ) =>
      Effect.gen(function* () {
        const ended: Array<ProcessId> = []
        const harness = yield* withChoice(choice)
        const started = yield* Deferred.make<ProcessId>()
        const task = Task.make(
          "process",
          Effect.gen(function* () {
            const turn = yield* Turn
            const process = yield* turn.process({ command: ["sleep", "60"], cwd: "/" })
            yield* Deferred.succeed(started, process.processId)
            return yield* Effect.never
          })
        )
        yield* Effect.provideService(harness.session.start(task), Processes, {
          start: ({ processId }) =>
            Effect.succeed({ processId, pid: 1, output: Stream.empty, exit: Effect.never, gone: Effect.never }),
          end: (processId) => Effect.sync(() => void ended.push(processId))
        })
        const processId = yield* Deferred.await(started)
        yield* harness.session.abort(reason)
        yield* harness.session.awaitIdle
        const terminal = harness.records().find((record) => record._tag === "TurnAborted")!
        return { ended, kept: terminal.keptProcesses, processId, left: yield* harness.session.processes }
      })

    it.effect("end: an interrupt ends the processes of its turn", () =>
      Effect.gen(function* () {
        const { ended, kept, left, processId } = yield* aborted(undefined, "Interrupted")
        assert.deepStrictEqual([ended, kept, left], [[processId], [], []])
      })
    )

    it.effect("keep: an interrupt keeps them running, and names them", () =>
      Effect.gen(function* () {
        const { ended, kept, left, processId } = yield* aborted("processesOnInterrupt", "Interrupted")
        assert.deepStrictEqual([ended, kept], [[], [processId]])
        assert.strictEqual(left[0]?.processId, processId)
      })
    )

    it.effect("keep: a replacement keeps them too", () =>
      Effect.gen(function* () {
        const { ended, kept, processId } = yield* aborted("processesOnInterrupt", "Replaced")
        assert.deepStrictEqual([ended, kept], [[], [processId]])
      })
    )

    it.effect.each(["Parent", "Deadline"] as const)("keep: %s still ends them", (reason) =>
      Effect.gen(function* () {
        const { ended, kept, processId } = yield* aborted("processesOnInterrupt", reason)
        assert.deepStrictEqual([ended, kept], [[processId], []])
      })
    )

    it.effect.each([undefined, "processesOnInterrupt"] as const)("%s: at the end of a completed turn", (choice) =>
      Effect.gen(function* () {
        const ended: Array<ProcessId> = []
        const harness = yield* withChoice(choice)
        const task = Task.make(
          "process",
          Effect.gen(function* () {
            return yield* (yield* Turn).process({ command: ["sleep", "60"], cwd: "/" })
          })
        )
        const { outcome } = yield* Effect.provideService(harness.session.start(task), Processes, {
          start: ({ processId }) =>
            Effect.succeed({ processId, pid: 1, output: Stream.empty, exit: Effect.never, gone: Effect.never }),
          end: (processId) => Effect.sync(() => void ended.push(processId))
        })
        yield* outcome
        yield* harness.session.awaitIdle
        const left = (yield* harness.session.processes).length
        assert.deepStrictEqual([ended.length, left], choice === undefined ? [1, 0] : [0, 1])
      })
    )
  })

  describe("leftoverInput", () => {
    /** A regular turn that was steered during the last response of its model. */
    const steered = (choice: "leftoverInput" | undefined, hooks: Harness.HarnessOptions["hooks"] = {}) =>
      Effect.gen(function* () {
        const harness = yield* withChoice(choice, {
          hooks,
          script: [[Model.gate("held"), Model.text("one")], [Model.text("two")]]
        })
        yield* send(harness.session, "a")
        yield* harness.model.awaitGate("held")
        assert.strictEqual((yield* send(harness.session, "b"))._tag, "Steered")
        yield* harness.model.open("held")
        return harness
      })

    it.effect("request: remaining input gets one more request in its turn", () =>
      Effect.gen(function* () {
        const harness = yield* steered(undefined)
        yield* harness.session.awaitIdle
        assert.lengthOf(harness.requests, 2)
        assert.deepStrictEqual(userTexts(harness.requests[1]), ["a", "b"])
        assert.lengthOf(harness.events.filter(isTerminal), 1)
      })
    )

    it.effect("record: if a task did not take its input, it is recorded at the end, without a request", () =>
      Effect.gen(function* () {
        const harness = yield* withChoice("leftoverInput")
        const end = yield* Deferred.make<void>()
        yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
        yield* send(harness.session, "b")
        yield* Deferred.succeed(end, undefined)
        yield* harness.session.awaitIdle
        assert.deepStrictEqual(harness.tags().slice(-2), ["ItemRecorded", "TurnCompleted"])
        assert.lengthOf(harness.requests, 0)
      })
    )

    it.effect("record: a hook that hangs delays the end of the turn up to its limit, and its input is kept", () =>
      Effect.gen(function* () {
        const harness = yield* withChoice("leftoverInput", { hooks: { userPromptSubmit: () => Effect.never } })
        const end = yield* Deferred.make<void>()
        const { outcome } = yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
        yield* send(harness.session, "b")
        yield* Deferred.succeed(end, undefined)
        const waiting = yield* Effect.forkChild(outcome, { startImmediately: true })
        yield* TestClock.adjust("9999 millis")
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("1 milli")
        assert.strictEqual(waiting.pollUnsafe()?._tag, "Success")
        assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [id("b")])
        assert.strictEqual(harness.events.find(isTerminal)?._tag, "TurnCompleted")
        yield* harness.session.abort()
        yield* harness.session.awaitIdle
      })
    )

    it.effect("record: a hook that dies blocks its input, and the turn completes", () =>
      Effect.gen(function* () {
        const harness = yield* withChoice("leftoverInput", {
          hooks: { userPromptSubmit: () => Effect.die(new Error("broken hook")) }
        })
        const end = yield* Deferred.make<void>()
        const { outcome } = yield* harness.session.start(Task.make("custom", Deferred.await(end), { steerable: true }))
        yield* send(harness.session, "b")
        yield* Deferred.succeed(end, undefined)
        const waiting = yield* Effect.forkChild(outcome, { startImmediately: true })
        yield* TestClock.adjust("1 second")
        assert.strictEqual(waiting.pollUnsafe()?._tag, "Success")
        assert.strictEqual(harness.events.find(isTerminal)?._tag, "TurnCompleted")
        const blocked = harness.records().flatMap((one) => (one._tag === "InputBlocked" ? [one] : []))
        assert.deepStrictEqual(
          blocked.map(({ reason, submissionId }) => [submissionId, reason]),
          [[id("b"), "the hook userPromptSubmit failed: broken hook"]]
        )
        assert.deepStrictEqual((yield* harness.session.snapshot).waiting, [])
      })
    )
  })

  describe("steeredOnInterrupt", () => {
    const aborted = (choice: "steeredOnInterrupt" | undefined, reason?: "Replaced") =>
      Effect.gen(function* () {
        const harness = yield* withChoice(choice, { script: [[Model.gate("held")]] })
        yield* send(harness.session, "a")
        yield* harness.model.awaitGate("held")
        yield* send(harness.session, "steered")
        yield* send(harness.session, "queued", "queue")
        yield* harness.session.abort(reason)
        yield* harness.session.awaitIdle
        const terminal = harness.records().find((record) => record._tag === "TurnAborted")!
        return [terminal.returned.map(({ submissionId }) => submissionId), terminal.dropped, terminal.kept]
      })

    it.effect("return: an interrupt returns steered input and names it", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* aborted(undefined), [[id("steered")], [], [id("queued")]])
      })
    )

    it.effect("drop: an interrupt drops it and names it", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* aborted("steeredOnInterrupt"), [[], [id("steered")], [id("queued")]])
      })
    )

    it.effect("return: a replacement keeps it", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* aborted(undefined, "Replaced"), [[], [], [id("steered"), id("queued")]])
      })
    )

    it.effect("drop: a replacement drops it and names it", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* aborted("steeredOnInterrupt", "Replaced"), [[], [id("steered")], [id("queued")]])
      })
    )
  })

  describe("marker", () => {
    /** Counts the markers that an abort leaves after the model produced something. */
    const aborted = (choice: "marker" | undefined, reason: "Interrupted" | "Replaced" | "Deadline" | "Shutdown") =>
      Effect.gen(function* () {
        const harness = yield* withChoice(choice, { script: [[Model.text("said"), Model.gate("held")]] })
        yield* send(harness.session, "a")
        yield* harness.model.awaitGate("held")
        yield* harness.session.abort(reason)
        yield* harness.session.awaitIdle
        return markers(harness).length
      })

    it.effect("contract: every reason leaves one if the model had produced something", () =>
      Effect.gen(function* () {
        for (const reason of ["Interrupted", "Replaced", "Deadline"] as const) {
          assert.strictEqual(yield* aborted(undefined, reason), 1, reason)
        }
      })
    )

    it.effect("interrupted-only: Interrupted leaves one, and the close of the session", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* aborted("marker", "Shutdown"), 1)
        assert.strictEqual(yield* aborted("marker", "Interrupted"), 1)
        assert.strictEqual(yield* aborted("marker", "Replaced"), 0)
        assert.strictEqual(yield* aborted("marker", "Deadline"), 0)
      })
    )
  })
})
