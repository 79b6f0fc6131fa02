import { assert, describe, it } from "@effect/vitest"
import { Processes } from "@spindle/core/Processes"
import * as Tracing from "@spindle/core/Tracing"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import type { SpanData } from "@spindle/telemetry"
import * as SpanTree from "@spindle/telemetry/SpanTree"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Logger, Option, Schema, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { assertDescends, caller, callerId, processes, submission, traceId, traced } from "./traced.ts"

const named = (spans: ReadonlyArray<SpanData>, name: string): SpanData => {
  const found = spans.filter((span) => span.name === name)
  assert.lengthOf(found, 1, `spans named ${name}`)
  return found[0]!
}

const tool = (run: Harness.TestTool["run"], policy?: Harness.TestTool["policy"]): Harness.TestTool => ({
  run,
  ...(policy === undefined ? {} : { policy })
})

describe("the spans of a turn", () => {
  it.effect("O1 a turn, its requests and tools descend from the trace that the submission carried", () =>
    Effect.gen(function* () {
      const h = yield* traced({
        script: [[Model.call("add", {}, "call-1")], [Model.text("three")]],
        tools: { add: tool(() => Effect.succeed(3)) }
      })
      yield* h.session.submit(submission(Op.userInput("1 + 2")))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      assertDescends(spans)
      const dispatch = named(spans, "op.dispatch.user_input")
      const turn = named(spans, "session_task.turn")
      const add = named(spans, "execute_tool add")
      assert.strictEqual(dispatch.parentSpanId, callerId)
      assert.strictEqual(turn.parentSpanId, dispatch.spanId)
      assert.strictEqual(add.parentSpanId, turn.spanId, "beside the request that made it, not below")
      const requests = spans.filter((span) => span.name === "chat scripted")
      assert.deepStrictEqual(
        requests.map((span) => span.parentSpanId),
        [turn.spanId, turn.spanId]
      )
      assert.deepStrictEqual(yield* h.spans.open, [])
    })
  )

  it.effect("O1 a task that a client starts descends from its submission, even if it had to wait", () =>
    Effect.gen(function* () {
      const task = () => Task.make("counting", Effect.yieldNow)
      const h = yield* traced({ tasks: [TaskKind.make("counting", { params: Schema.Struct({}), task })] })
      for (let index = 0; index < 2; index++) yield* h.session.submit(submission(Op.startTask("counting")))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const dispatches = spans.filter(({ name }) => name === "op.dispatch.start_task")
      const turns = spans.filter(({ name }) => name === "session_task.counting")
      assert.deepStrictEqual(
        dispatches.map(({ parentSpanId }) => parentSpanId),
        [callerId, callerId]
      )
      assert.deepStrictEqual(
        turns.map(({ parentSpanId }) => parentSpanId),
        dispatches.map(({ spanId }) => spanId)
      )
    })
  )

  it.effect("O1 a short turn has fewer than 15 spans", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [Array.from({ length: 20 }, (_, index) => Model.text(`${index} `))] })
      yield* h.session.submit(submission(Op.userInput("hello")))
      yield* h.session.awaitIdle
      assert.isBelow((yield* h.spans.finished).length, 15)
    })
  )

  it.effect(
    "10.2 the turn's span has the reference's name and attributes, in addition to those of the conventions",
    () =>
      Effect.gen(function* () {
        const h = yield* traced({ script: [[Model.text("hello")]] })
        yield* h.session.submit(submission(Op.userInput("hi")))
        yield* h.session.awaitIdle
        const { attributes, kind, name, status } = named(yield* h.spans.finished, "session_task.turn")
        const started = h.records().find((record) => record._tag === "TurnStarted")!
        assert.deepStrictEqual(attributes, {
          "thread.id": h.session.sessionId,
          "turn.id": started._tag === "TurnStarted" ? started.turnId : "",
          model: "scripted",
          "gen_ai.operation.name": "invoke_agent",
          "gen_ai.request.model": "scripted",
          "gen_ai.conversation.id": h.session.sessionId,
          "spindle.task.kind": "regular",
          "gen_ai.usage.input_tokens": 10,
          "gen_ai.usage.output_tokens": 2,
          "spindle.outcome": "completed"
        })
        assert.deepStrictEqual([name, kind, status], ["session_task.turn", "internal", "unset"])
      })
  )

  it.effect("O1 requests and tool calls have the operation names of the conventions, and nothing that was said", () =>
    Effect.gen(function* () {
      const h = yield* traced({
        script: [[Model.call("search", { query: "my secret plan" }, "call-1")], [Model.text("a secret answer")]],
        tools: { search: tool(() => Effect.succeed("a secret result")) }
      })
      yield* h.session.submit(submission(Op.userInput("a secret question")))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const search = named(spans, "execute_tool search")
      assert.strictEqual(search.attributes["gen_ai.operation.name"], "execute_tool")
      assert.strictEqual(search.attributes["gen_ai.tool.call.id"], "call-1")
      assert.strictEqual(search.attributes["spindle.tool.status"], "completed")
      const chat = spans.find((span) => span.name === "chat scripted")!
      assert.strictEqual(chat.kind, "client")
      assert.strictEqual(chat.attributes["gen_ai.operation.name"], "chat")
      assert.deepStrictEqual(chat.attributes["gen_ai.response.finish_reasons"], ["tool-calls"])
      assert.notInclude(JSON.stringify(spans.map(({ attributes, events }) => [attributes, events])), "secret")
    })
  )

  it.effect("O1 content is included if it is asked for, redacted", () =>
    Effect.gen(function* () {
      const h = yield* traced(
        {
          script: [[Model.call("search", { key: "sk-abcdefgh12345678" }, "call-1")], [Model.text("the answer")]],
          tools: { search: tool(() => Effect.succeed("a result")) }
        },
        { metrics: false, content: true }
      )
      yield* h.session.submit(submission(Op.userInput("a question")))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const search = named(spans, "execute_tool search")
      assert.strictEqual(search.attributes["gen_ai.tool.call.arguments"], '{"key":"[redacted]"}')
      assert.strictEqual(search.attributes["gen_ai.tool.call.result"], "a result")
      const last = spans.filter((span) => span.name === "chat scripted").at(-1)!
      assert.include(String(last.attributes["gen_ai.input.messages"]), "a question")
      assert.strictEqual(last.attributes["gen_ai.output.messages"], "the answer")
    })
  )

  it.effect("O1 the name of a tool that a model invented is not included", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.call("invented", {}, "call-1")], [Model.text("sorry")]] })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* h.session.awaitIdle
      const call = named(yield* h.spans.finished, "execute_tool unknown")
      assert.deepStrictEqual([call.status, call.attributes["error.type"]], ["error", "tool_error"])
    })
  )

  it.effect("O1 a failed request and a failed turn have the error's type and not its text", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.fail("Unauthorized")]] })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const chat = named(spans, "chat scripted")
      assert.deepStrictEqual(
        [chat.status, chat.attributes["error.type"], chat.statusMessage],
        ["error", "Unauthorized", "Unauthorized"]
      )
      const turn = named(spans, "session_task.turn")
      assert.deepStrictEqual(
        [turn.status, turn.attributes["error.type"], turn.statusMessage],
        ["error", "ModelFailed", "ModelFailed"]
      )
    })
  )

  it.effect("O1 a wait for an approval has its own span, below the call", () =>
    Effect.gen(function* () {
      const h = yield* traced({
        script: [[Model.call("run", {}, "call-1")], [Model.text("done")]],
        tools: { run: tool(() => Effect.succeed("ran"), { approval: "ask", kind: "command" }) }
      })
      yield* h.session.submit(submission(Op.userInput("go")))
      const opened = yield* h.awaitEvent(Harness.hasTag("QuestionOpened"))
      yield* TestClock.adjust("3 seconds")
      yield* h.session.submit(Op.answer(opened.questionId, { _tag: "Approved", scope: "once" }))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const approval = named(spans, "spindle.approval command")
      assert.strictEqual(approval.parentSpanId, named(spans, "execute_tool run").spanId)
      assert.strictEqual(approval.attributes["spindle.decision"], "Approved")
      assert.strictEqual(approval.endNanos - approval.startNanos, 3_000_000_000n)
    })
  )

  it.effect("O1 without a tracer no span is made, and the caller's trace is still passed on", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<Option.Option<Tracer.AnySpan>>()
      const h = yield* Harness.make({
        script: [[Model.call("look", {}, "call-1")], [Model.text("done")]],
        tools: {
          look: tool(() =>
            Effect.serviceOption(Tracer.ParentSpan).pipe(Effect.flatMap((span) => Deferred.succeed(seen, span)))
          )
        }
      })
      yield* h.session.submit(submission(Op.userInput("go")))
      const span = Option.getOrThrow(yield* Deferred.await(seen))
      assert.deepStrictEqual([span._tag, span.traceId, span.spanId], ["ExternalSpan", traceId, callerId])
      yield* h.session.awaitIdle
      const started = h.records().find((record) => record._tag === "TurnStarted")!
      assert.notProperty(started, "span")
    })
  )
})

describe("an aborted turn", () => {
  it.effect("O1 interruption is an outcome, not an error: turn, request and tool end as aborted", () =>
    Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const h = yield* traced({
        script: [[Model.call("wait", {}, "call-1"), Model.gate("open")]],
        tools: { wait: tool(() => Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)) }
      })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* Deferred.await(reached)
      yield* h.session.submit(submission(Op.interrupt))
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      assertDescends(spans)
      for (const name of ["session_task.turn", "chat scripted", "execute_tool wait"]) {
        const span = named(spans, name)
        assert.deepStrictEqual([name, span.status, span.attributes["spindle.outcome"]], [name, "unset", "aborted"])
      }
      assert.strictEqual(named(spans, "session_task.turn").attributes["spindle.abort.reason"], "Interrupted")
      assert.deepStrictEqual(yield* h.spans.open, [])
    })
  )

  it.effect("O1 the spans of a straggler end with its turn, and its later work is below them", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const reached = yield* Deferred.make<void>()
      const deaf = Effect.uninterruptible(
        Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(release)).pipe(
          Effect.andThen(Effect.withSpan(Effect.void, "afterwards"))
        )
      )
      const h = yield* traced({
        script: [[Model.call("deaf", {}, "call-1")]],
        tools: { deaf: tool(() => deaf) }
      })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* Deferred.await(reached)
      yield* h.session.abort()
      yield* TestClock.adjust("1 second")
      yield* h.session.awaitIdle
      assert.deepStrictEqual(yield* h.spans.open, [])
      const before = yield* h.spans.finished
      assert.strictEqual(named(before, "session_task.turn").attributes["spindle.stragglers"], 1)
      assert.strictEqual(named(before, "execute_tool deaf").attributes["spindle.outcome"], "aborted")
      yield* Deferred.succeed(release, undefined)
      yield* h.awaitEvent(Harness.hasTag("StragglerEnded"))
      const spans = yield* h.spans.finished
      assert.strictEqual(named(spans, "afterwards").parentSpanId, named(spans, "execute_tool deaf").spanId)
      assertDescends(spans)
    })
  )
})

describe("a trace that comes in", () => {
  const reference = { metrics: { sets: ["reference"] } } as const

  it.effect("O1 a malformed header is ignored with a log line, and the current span counts", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const h = yield* traced({ script: [[Model.text("hello")]] })
      yield* h.session
        .submit(submission(Op.userInput("hi"), { traceparent: "00-nonsense-01" }))
        .pipe(
          Effect.withParentSpan(Tracer.externalSpan({ traceId, spanId: callerId })),
          Effect.provide(Logger.layer([logger]))
        )
      yield* h.session.awaitIdle
      assert.strictEqual(String(logged), `session ${h.session.sessionId}: a malformed traceparent was ignored`)
      assertDescends(yield* h.spans.finished)
    })
  )

  it.effect("10.6 given an ambient span and a submission's trace, the dispatch span's parent is the submission's", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.text("hello")]] })
      const other = Tracer.externalSpan({ traceId: "1".repeat(32), spanId: "2".repeat(16) })
      yield* Effect.withParentSpan(h.session.submit(submission(Op.userInput("hi"))), other)
      yield* h.session.awaitIdle
      assertDescends(yield* h.spans.finished)
    })
  )

  it.effect(
    "10.6 given a request span with a remote parent, an interrupt without trace carries the span's context",
    () =>
      Effect.gen(function* () {
        const h = yield* traced({}, reference)
        const request = Tracer.externalSpan({ traceId, spanId: callerId })
        yield* Effect.withParentSpan(h.session.submit(Op.interrupt), request)
        const span = named(yield* h.spans.finished, "op.dispatch.interrupt")
        assert.deepStrictEqual(
          [span.traceId, span.parentSpanId, span.attributes["codex.op"]],
          [traceId, callerId, "interrupt"]
        )
      })
  )

  it.effect("10.6 a turn that is made in a request span has its trace id, and says so in its record", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.text("hello")]] })
      const request = Tracer.externalSpan({ traceId, spanId: callerId })
      yield* Effect.withParentSpan(h.session.submit(Op.userInput("hi")), request)
      yield* h.session.awaitIdle
      const started = h.records().find((record) => record._tag === "TurnStarted")!
      assert.isTrue(started._tag === "TurnStarted" && started.trace?.traceparent === `00-${traceId}-${callerId}-01`)
      const turn = named(yield* h.spans.finished, "session_task.turn")
      assert.isTrue(started._tag === "TurnStarted" && started.span?.traceparent === `00-${traceId}-${turn.spanId}-01`)
    })
  )

  it.effect("10.6 given a current span, a turn without a trace has one of 32 hex digits that is not zero", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.text("hello")]] })
      yield* h.submit("hi")
      yield* h.session.awaitIdle
      const turn = named(yield* h.spans.finished, "session_task.turn")
      assert.match(turn.traceId, /^(?!0+$)[\da-f]{32}$/)
    })
  )

  it.effect("10.6 given a turn with a remote trace, a span with codex.op=user_input descends from the caller's", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.text("hello")]] }, reference)
      yield* h.session.submit(submission(Op.userInput("hi")))
      yield* h.session.awaitIdle
      const found = SpanTree.find(yield* h.spans.tree, (span) => span.attributes["codex.op"] === "user_input")
      assert.strictEqual(found?.span.parentSpanId, callerId)
      assert.isAbove(found!.children.length, 0, "descendants at depth 1")
      assert.isAbove(found!.children.flatMap((child) => child.children).length, 0, "descendants at depth 2")
    })
  )

  it.effect("O1 input that steers a running turn links the turn to its caller", () =>
    Effect.gen(function* () {
      const h = yield* traced({ script: [[Model.gate("open"), Model.text("one")], [Model.text("two")]] })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* h.model.awaitGate("open")
      const other = { traceparent: `00-${"3".repeat(32)}-${"4".repeat(16)}-01` }
      const receipt = yield* h.session.submit(submission(Op.userInput("faster"), other))
      assert.strictEqual(receipt._tag, "Steered")
      yield* h.model.open("open")
      yield* h.session.awaitIdle
      const spans = yield* h.spans.finished
      const steering = spans.find((span) => span.parentSpanId === "4".repeat(16))!
      assert.deepStrictEqual(named(spans, "session_task.turn").links, [
        { traceId: "3".repeat(32), spanId: steering.spanId, attributes: { "spindle.link": "steered" } }
      ])
    })
  )

  it.effect("O1 the first turn of a resumed session is linked to the last one of its journal", () =>
    Effect.gen(function* () {
      const journal = yield* Harness.memoryJournal
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const h = yield* traced({ script: [[Model.text("one")]], journal })
          yield* h.session.submit(submission(Op.userInput("go")))
          yield* h.session.awaitIdle
          return { id: h.session.sessionId, turn: named(yield* h.spans.finished, "session_task.turn") }
        })
      )
      const h = yield* traced({ script: [[Model.text("two")], [Model.text("three")]], journal, resume: first.id })
      yield* h.submit("again")
      yield* h.session.awaitIdle
      yield* h.submit("and again")
      yield* h.session.awaitIdle
      const turns = (yield* h.spans.finished).filter((span) => span.name === "session_task.turn")
      assert.deepStrictEqual(
        turns.map(({ links }) => links),
        [[{ traceId, spanId: first.turn.spanId, attributes: { "spindle.link": "resumed" } }], []]
      )
      assert.notStrictEqual(turns[0]!.traceId, traceId)
    })
  )

  it.effect("O1 a task that is started by hand descends from the span of its caller", () =>
    Effect.gen(function* () {
      const h = yield* traced()
      const request = Tracer.externalSpan({ traceId, spanId: callerId })
      const { outcome } = yield* Effect.withParentSpan(
        h.session.start(Task.make("count", Effect.withSpan(Effect.succeed(1), "counting")), Input.text("x")),
        request
      )
      yield* outcome
      const spans = yield* h.spans.finished
      assertDescends(spans)
      assert.strictEqual(named(spans, "counting").parentSpanId, named(spans, "session_task.count").spanId)
    })
  )
})

describe("a trace that goes out", () => {
  const task = (command: ReadonlyArray<string>, env?: { readonly [name: string]: string }) =>
    Task.make(
      "process",
      Effect.gen(function* () {
        const turn = yield* Turn
        const process = yield* turn.process({ command, cwd: "/", ...(env === undefined ? {} : { env }) })
        return yield* process.exit
      })
    )

  it.effect("O1 a process gets TRACEPARENT and TRACESTATE of its span, and its arguments are not included", () =>
    Effect.gen(function* () {
      const h = yield* traced()
      const host = processes()
      const request = Tracer.externalSpan({ traceId, spanId: callerId })
      const { outcome } = yield* h.session
        .start(task(["/usr/bin/sleep", "50", "--secret"]))
        .pipe(Effect.provideService(Processes, host.service), Effect.withParentSpan(request))
      yield* TestClock.adjust("50 millis")
      yield* outcome
      const span = named(yield* h.spans.finished, "process sleep")
      assert.strictEqual(host.started[0]?.env?.["TRACEPARENT"], `00-${traceId}-${span.spanId}-01`)
      assert.strictEqual(span.attributes["process.exit.code"], 0)
      assert.strictEqual(span.endNanos - span.startNanos, 50_000_000n)
      assert.notInclude(JSON.stringify(span.attributes), "secret")
    })
  )

  it.effect("O1 without a tracer a process gets the caller's own context, and none when there is no caller", () =>
    Effect.gen(function* () {
      const host = processes()
      const h = yield* Harness.make({
        script: [
          [Model.call("run", {}, "call-1")],
          [Model.text("done")],
          [Model.call("run", {}, "call-2")],
          [Model.text("done")]
        ],
        tools: {
          run: tool(() =>
            Effect.flatMap(Turn, (turn) =>
              Effect.provideService(
                Effect.orDie(turn.process({ command: ["sleep", "0"], cwd: "/" })),
                Processes,
                host.service
              )
            ).pipe(Effect.as("started"))
          )
        }
      })
      yield* h.session.submit(submission(Op.userInput("go")))
      yield* h.session.awaitIdle
      yield* h.session.submit(Op.userInput("again"))
      yield* h.session.awaitIdle
      const [first, second] = host.started
      assert.deepStrictEqual(
        [first?.env?.["TRACEPARENT"], first?.env?.["TRACESTATE"]],
        [caller.traceparent, caller.tracestate]
      )
      assert.notProperty(second?.env ?? {}, "TRACEPARENT")
    })
  )
})

describe("Tracing.span", () => {
  it.effect("O1 work that succeeds although it failed says so by its error type", () =>
    Effect.gen(function* () {
      const h = yield* traced()
      const task = Task.make(
        "spans",
        Tracing.span({ name: "half" }, (span) => Effect.sync(() => span?.attribute("error.type", "half_done")))
      )
      yield* (yield* h.session.start(task)).outcome
      const span = named(yield* h.spans.finished, "half")
      assert.deepStrictEqual([span.status, span.attributes["spindle.outcome"]], ["error", "failed"])
    })
  )
})
