import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import type { Approvals } from "@spindle/core/Approvals"
import { Model } from "@spindle/core/Model"
import { Processes } from "@spindle/core/Processes"
import { CallId, ItemId, type ProcessId, type SessionId } from "@spindle/core/Ids"
import type { ToolCall } from "@spindle/core/Item"
import { ModelFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as NoteKind from "@spindle/core/NoteKind"
import * as RegularTask from "@spindle/core/RegularTask"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Schema, Stream } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { heldAt, journalWith } from "./fixtures/journals.ts"
import { abortedOf, assertTurns, itemsOf } from "./fixtures/turns.ts"

const lateCall: ToolCall = {
  _tag: "ToolCall",
  id: ItemId.make("i"),
  callId: CallId.make("c"),
  name: "n",
  params: {}
}

/** Every way in which a task can reach its session, by the name of the member. */
const members = (turn: Turn): { readonly [member: string]: Effect.Effect<unknown, unknown, Model | Processes> } => ({
  aborting: turn.aborting,
  abortReason: turn.abortReason,
  unlessStopping: turn.unlessStopping(Effect.void),
  abort: turn.abort("Budget"),
  onAbort: turn.onAbort({ kind: "cleanup", name: "late", run: () => Effect.die("must not run") }),
  own: turn.own({ kind: "process", id: "late", name: "late", end: () => Effect.die("must not run") }),
  keep: turn.keep("late"),
  history: turn.history,
  contextTokens: turn.contextTokens,
  record: turn.record({ _tag: "AssistantMessage", text: "late record" }),
  note: turn.note(NoteKind.make("late", { data: Schema.String }), "late"),
  items: turn.items,
  replaceHistory: turn.replaceHistory([{ _tag: "AssistantMessage", text: "late history" }]),
  say: turn.say("late words"),
  output: turn.output(CallId.make("c"), "late output"),
  detail: turn.detail(CallId.make("c"), { _tag: "Patch", changes: [] }),
  warn: turn.warn("late warning"),
  flush: turn.flush,
  takeInput: turn.takeInput,
  closeGate: turn.closeGate,
  sample: turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, () => Effect.void),
  reportRetry: turn.reportRetry({
    attempt: 1,
    maxAttempts: 2,
    delay: "1 second",
    error: new ModelFailed({ kind: "Connection", provider: "p", model: "m" })
  }),
  finish: turn.finish(lateCall, "completed", "late"),
  recordDecision: turn.recordDecision({ callId: CallId.make("c"), tool: "t", permission: "deny", source: "hook" }),
  ask: turn.ask({ kind: "question", payload: "late?" }),
  process: turn.process({ command: ["late"], cwd: "/" }),
  endProcess: turn.endProcess("p" as ProcessId),
  delegate: turn.delegate({ delegateId: "child" as SessionId, name: "late", linked: true }),
  nestedCall: turn.nestedCall({ callId: "c/1" as CallId, parentId: "c" as CallId, name: "late", params: {} })
})
const starting = ["unlessStopping", "takeInput", "sample", "ask", "process", "delegate", "nestedCall"]
const values = ["sessionId", "turnId", "trace", "session", "locals", "input", "inputText"]

/** A `Processes` service that records what it is asked to start. */
const host = () => {
  const started: Array<string> = []
  const service: Processes = {
    start: ({ command, processId }) =>
      Effect.sync(() => {
        started.push(command[0]!)
        return { processId, pid: 1, output: Stream.empty, exit: Effect.never, gone: Effect.never }
      }),
    end: () => Effect.void
  }
  return { started, service }
}

/** An `Approvals` service that never decides. */
const neverDecide = (questions: Array<string>): Approvals => ({
  decide: ({ questionId }) =>
    Effect.andThen(
      Effect.sync(() => void questions.push(questionId)),
      Effect.never
    )
})

const signalled = (effect: Effect.Effect<unknown, unknown, Turn | Model | Processes>) =>
  Task.make("signalled", effect, { onAbort: "signal", steerable: true })

describe("a closing turn", () => {
  it.effect("I2 starts no model request, question, process or steer, but lets open work finish and record", () =>
    Effect.gen(function* () {
      const questions: Array<string> = []
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.text("must not be asked")]],
        approvals: neverDecide(questions)
      })
      const { service, started } = host()
      const exits: Array<readonly [string, boolean]> = []
      const task = signalled(
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* turn.aborting
          for (const [name, member] of Object.entries(members(turn))) {
            if (name === "onAbort" || name === "own") continue
            exits.push([name, Exit.hasInterrupts(yield* Effect.exit(member))])
          }
        })
      )
      const { turnId } = yield* h.session
        .start(task)
        .pipe(Effect.provideService(Model, h.model.model), Effect.provideService(Processes, service))
      yield* h.session.abort("Deadline")
      const steered = yield* h.session.steer([{ _tag: "Text", text: "hi" }], turnId)
      assert.strictEqual(steered._tag, "Rejected")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(
        exits.filter(([, refused]) => refused).map(([name]) => name),
        starting
      )
      assert.deepStrictEqual([h.requests.length, questions.length, started.length], [0, 0, 0])
      assert.deepStrictEqual(
        itemsOf(h.events).flatMap((item) => (item._tag === "AssistantMessage" ? [item.text] : [])),
        ["late record", "late words"]
      )
      assertTurns(h.events)
    })
  )

  it.effect("I2 input that arrives during the abort waits for the next turn", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      yield* h.session.start(signalled(Effect.never) as Task.Task<unknown, unknown>)
      assert.strictEqual((yield* h.submit("before"))._tag, "Steered")
      yield* h.session.abort("Deadline")
      assert.strictEqual((yield* h.submit("after"))._tag, "Queued")
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
    })
  )

  it.effect("I2 starts no tool for a call that arrives, or is about to start, after the abort", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const touch = Tool.make("touch", { parameters: Schema.Struct({}), success: Schema.String })
      const toolkit = Toolkit.make(touch)
      const handlers = toolkit.toLayer({
        touch: () =>
          Effect.sync(() => {
            ran.push("touch")
            return "touched"
          })
      })
      const agent = Agent.make({ toolkit, approvals: { touch: { approval: "allow", concurrency: "parallel" } } })
      for (const comes of ["after the abort", "before it, and its record after"] as const) {
        const writing = yield* Deferred.make<void>()
        const written = yield* Deferred.make<void>()
        const isCall = (record: JournalRecord) => record._tag === "ItemRecorded" && record.item._tag === "ToolCall"
        const journal = yield* journalWith((append, records) =>
          records.some(isCall)
            ? Effect.andThen(Deferred.succeed(writing, undefined), Effect.andThen(Deferred.await(written), append))
            : append
        )
        const h = yield* SessionHarness.make({
          journal,
          script: [[ScriptedModel.gate("asked"), ScriptedModel.call("touch", {}, "a")]]
        })
        const begin = yield* Deferred.make<void>()
        const task = signalled(
          Effect.andThen(Deferred.await(begin), RegularTask.make(agent).effect) as Effect.Effect<void>
        )
        yield* h.session
          .start(task)
          .pipe(
            Effect.provideService(Processes, host().service),
            Effect.provideService(Model, h.model.model),
            Effect.provide(handlers)
          )
        yield* h.submit("touch it")
        yield* Deferred.succeed(begin, undefined)
        yield* h.model.awaitGate("asked")
        if (comes === "after the abort") {
          yield* h.session.abort()
          yield* h.model.open("asked")
          yield* Deferred.await(writing)
        } else {
          yield* h.model.open("asked")
          yield* Deferred.await(writing)
          yield* h.session.abort()
        }
        yield* Deferred.succeed(written, undefined)
        yield* TestClock.adjust("100 millis")
        yield* h.session.awaitIdle
        assert.deepStrictEqual(ran, [])
        const result = itemsOf(h.events).find((item) => item._tag === "ToolResult")
        assert.strictEqual(result?.status, "aborted")
        assertTurns(h.events)
      }
    })
  )

  it.effect("I2 sends no request and starts no process if the abort came while its record was being written", () =>
    Effect.gen(function* () {
      for (const [tag, member] of [
        ["ModelRequested", "sample"],
        ["ProcessStarted", "process"]
      ] as const) {
        const { journal, open, reached } = yield* heldAt(tag)
        const h = yield* SessionHarness.make({ journal, script: [[ScriptedModel.text("must not be asked")]] })
        const { service, started } = host()
        let refused = false
        const task = signalled(
          Effect.flatMap(Turn, (turn) =>
            Effect.onInterrupt(members(turn)[member]!, () => Effect.sync(() => void (refused = true)))
          )
        )
        const running = yield* h.session
          .start(task)
          .pipe(Effect.provideService(Model, h.model.model), Effect.provideService(Processes, service))
        yield* reached
        yield* h.session.abort()
        yield* open
        yield* running.outcome
        assert.isTrue(refused)
        assert.deepStrictEqual([h.requests.length, started.length], [0, 0])
      }
    })
  )

  it.effect("I2 takes no more input, even in the middle of taking some; waiting input is handed back", () =>
    Effect.gen(function* () {
      const inHook = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const h = yield* SessionHarness.make({
        hooks: {
          userPromptSubmit: () =>
            Effect.as(Effect.andThen(Deferred.succeed(inHook, undefined), Deferred.await(release)), {
              block: false,
              contexts: []
            })
        }
      })
      const begin = yield* Deferred.make<void>()
      const task = signalled(
        Effect.andThen(
          Deferred.await(begin),
          Effect.flatMap(Turn, (turn) => turn.takeInput)
        )
      ) as Task.Task<unknown, unknown, Turn>
      yield* h.session.start(task)
      yield* h.submit("first")
      yield* h.submit("second")
      yield* Deferred.succeed(begin, undefined)
      yield* Deferred.await(inHook)
      yield* h.session.abort()
      yield* Deferred.succeed(release, undefined)
      yield* h.session.awaitIdle
      assert.deepStrictEqual(
        abortedOf(h.events).returned.map(({ input }) => input),
        [[{ _tag: "Text", text: "second" }]]
      )
    })
  )
})

describe("a straggler", () => {
  it.effect("I3 is fenced once the turn settles: each member of its turn interrupts it and has no effect", () =>
    Effect.gen(function* () {
      const { service, started } = host()
      const questions: Array<string> = []
      const h = yield* SessionHarness.make({
        script: [[ScriptedModel.text("must not be asked")]],
        approvals: neverDecide(questions)
      })
      const release = yield* Deferred.make<void>()
      const exits = new Map<string, boolean>()
      let known: ReadonlyArray<string> = []
      const deaf = Task.make(
        "deaf",
        Effect.uninterruptible(
          Effect.gen(function* () {
            const turn = yield* Turn
            known = Object.keys(turn)
            yield* Deferred.await(release)
            for (const [name, member] of Object.entries(members(turn))) {
              exits.set(name, Exit.hasInterrupts(yield* Effect.exit(member)))
            }
          })
        )
      )
      yield* h.session
        .start(deaf)
        .pipe(Effect.provideService(Model, h.model.model), Effect.provideService(Processes, service))
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      // the fence holds in the next turn too
      const next = yield* h.session.start(Task.make("next", Effect.never))
      const count = h.events.length
      const { items } = yield* h.session.snapshot
      yield* Deferred.succeed(release, undefined)
      yield* h.awaitEvent(SessionHarness.hasTag("StragglerEnded"))
      assert.deepStrictEqual([...exits.keys(), ...values].toSorted(), known.toSorted())
      assert.deepStrictEqual(
        [...exits].filter(([, refused]) => !refused).map(([name]) => name),
        []
      )
      assert.deepStrictEqual(
        h.events.slice(count).map((event) => event._tag),
        ["StragglerEnded"]
      )
      assert.deepStrictEqual((yield* h.session.snapshot).items, items)
      assert.deepStrictEqual([h.requests.length, questions.length, started.length], [0, 0, 0])
      assert.deepStrictEqual(yield* h.session.processes, [])
      yield* h.session.abort()
      assert.strictEqual((yield* next.outcome)._tag, "Aborted")
      assertTurns(h.events)
    })
  )

  it.effect("I3 in the middle of a request publishes no more of the response, and does not retry the request", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make({
        script: [
          [
            ScriptedModel.pieces("before"),
            ScriptedModel.gate("half"),
            ScriptedModel.pieces(" after"),
            ScriptedModel.fail("Disconnected")
          ]
        ]
      })
      const calls: Array<string> = []
      const task = Task.make(
        "deaf",
        Effect.uninterruptible(
          Effect.flatMap(Turn, (turn) =>
            turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, (call) =>
              Effect.sync(() => void calls.push(call.name))
            )
          )
        )
      )
      yield* Effect.provideService(h.session.start(task), Model, h.model.model)
      yield* h.model.awaitGate("half")
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      yield* h.model.open("half")
      yield* h.awaitEvent(SessionHarness.hasTag("StragglerEnded"))
      const shown = h.events.flatMap((event) => (event._tag === "TextDelta" ? [event.text] : []))
      assert.deepStrictEqual(shown, ["before"])
      assert.lengthOf(h.requests, 1)
      assertTurns(h.events)
    })
  )

  it.effect("I3 does not send a request whose record was being written when the turn settled", () =>
    Effect.gen(function* () {
      const { journal, open, reached } = yield* heldAt("ModelRequested")
      const h = yield* SessionHarness.make({ journal, script: [[ScriptedModel.text("must not be asked")]] })
      const task = Task.make(
        "deaf",
        Effect.uninterruptible(
          Effect.flatMap(Turn, (turn) =>
            turn.sample({ instructions: undefined, tools: [], output: undefined }, 1, () => Effect.void)
          )
        )
      )
      yield* Effect.provideService(h.session.start(task), Model, h.model.model)
      yield* reached
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* open
      yield* h.session.awaitIdle
      assert.lengthOf(h.requests, 0)
      assertTurns(h.events)
    })
  )

  it.effect("I3 has its open question cancelled as aborted before the terminal event", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const deaf = Task.make(
        "deaf",
        Effect.uninterruptible(
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* turn.ask({ kind: "question", payload: "well?" })
            return yield* Effect.never
          })
        )
      )
      yield* h.session.start(deaf)
      yield* h.awaitEvent(SessionHarness.hasTag("QuestionOpened"))
      yield* h.session.abort()
      yield* TestClock.adjust("100 millis")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(h.events.find((event) => event._tag === "QuestionSettled")?.decision, {
        _tag: "Cancelled",
        by: "abort"
      })
      assertTurns(h.events)
    })
  )

  it.effect("I3 an abort hook gets its own turn until its limit, and is fenced then", () =>
    Effect.gen(function* () {
      const h = yield* SessionHarness.make()
      const release = yield* Deferred.make<void>()
      const late = yield* Deferred.make<boolean>()
      const task = Task.make("hooked", Effect.uninterruptible(Effect.never), {
        abortHook: (turn, reason) =>
          Effect.uninterruptible(
            Effect.gen(function* () {
              yield* turn.say(`undone after ${reason}`)
              yield* Deferred.await(release)
              yield* Deferred.succeed(late, Exit.hasInterrupts(yield* Effect.exit(turn.say("too late"))))
            })
          )
      })
      yield* h.session.start(task)
      yield* h.session.abort("Budget")
      const idle = yield* Effect.forkChild(h.session.awaitIdle)
      yield* TestClock.adjust("200 millis")
      yield* Fiber.join(idle)
      const aborted = abortedOf(h.events)
      assert.strictEqual(aborted.lastMessage, "undone after Budget")
      assert.deepStrictEqual(aborted.stragglers, [
        { kind: "task", name: "hooked" },
        { kind: "hook", name: "hooked abort hook" }
      ])
      yield* Deferred.succeed(release, undefined)
      assert.isTrue(yield* Deferred.await(late))
      assertTurns(h.events)
    })
  )
})
