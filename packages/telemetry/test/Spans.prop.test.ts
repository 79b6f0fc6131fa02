import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import { Journal } from "@spindle/core/Journal"
import { Model as ModelPort } from "@spindle/core/Model"
import { Processes } from "@spindle/core/Processes"
import * as Tracing from "@spindle/core/Tracing"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { TraceContext } from "@spindle/core/TraceContext"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import { contract } from "@spindle/core/SessionPolicy"
import * as Model from "@spindle/testing/ScriptedModel"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Schema, type Scope, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { assertDescends, callerId, processes, submission, traceId, traced } from "./traced.ts"

/**
 * The work of a tool or a task in its turn, a tree. A part of the project that starts its own work adds a kind here,
 * and its interpretation to `perform`.
 */
type Work =
  | { readonly kind: "work"; readonly millis: number }
  | { readonly kind: "span"; readonly inside: ReadonlyArray<Work> }
  | { readonly kind: "together"; readonly inside: ReadonlyArray<Work> }
  | { readonly kind: "background"; readonly millis: number; readonly inside: ReadonlyArray<Work> }
  | { readonly kind: "process"; readonly millis: number; readonly keep: boolean }
  | { readonly kind: "question" }
  | { readonly kind: "cleanup"; readonly millis: number; readonly afterHook: boolean }
  | { readonly kind: "deaf"; readonly millis: number | "forever" }
  | { readonly kind: "fail" }
  | { readonly kind: "delegate"; readonly millis: number; readonly detached: boolean }

const Millis = Schema.Literals([0, 1, 40, 120, 900])
const Leaf = Schema.Union([
  Schema.Struct({ kind: Schema.Literal("work"), millis: Millis }),
  Schema.Struct({ kind: Schema.Literal("process"), millis: Millis, keep: Schema.Boolean }),
  Schema.Struct({ kind: Schema.Literal("question") }),
  Schema.Struct({ kind: Schema.Literal("cleanup"), millis: Millis, afterHook: Schema.Boolean }),
  Schema.Struct({ kind: Schema.Literal("deaf"), millis: Schema.Union([Millis, Schema.Literal("forever")]) }),
  Schema.Struct({ kind: Schema.Literal("fail") }),
  Schema.Struct({ kind: Schema.Literal("delegate"), millis: Millis, detached: Schema.Boolean })
])
const some = <S extends Schema.Top>(of: S) => Schema.Array(of).check(Schema.isMaxLength(3))
const grown = <S extends Schema.Top>(of: S) =>
  Schema.Union([
    Leaf,
    Schema.Struct({ kind: Schema.Literal("span"), inside: some(of) }),
    Schema.Struct({ kind: Schema.Literal("together"), inside: some(of) }),
    Schema.Struct({ kind: Schema.Literal("background"), millis: Millis, inside: some(of) })
  ])
const Branch = grown(grown(Leaf))

/**
 * A turn: of the model, with these tools in each of its requests, or a task. It is aborted after some time, or not.
 * Input may arrive while it runs.
 */
const TurnPlan = Schema.Struct({
  by: Schema.Literals(["model", "task"]),
  requests: Schema.Array(some(Branch)).check(Schema.isMaxLength(2)),
  // undefined: it ends by itself, and work that would hang for ever ends after some time instead
  abortAfter: Schema.Union([Schema.Undefined, Millis]),
  steered: Schema.Boolean
})
const Plan = Schema.Array(TurnPlan).check(Schema.isMinLength(1), Schema.isMaxLength(3))

/** The trace of the request that creates the session. Nothing but the first write of the journal belongs to it. */
const creator = Tracer.externalSpan({ traceId: "c".repeat(32), spanId: "c".repeat(16) })

/** An effect with a span of the application. */
const spanned = <A>(name: string, value: A) => Effect.withSpan(Effect.succeed(value), name)

/** Hooks that make spans, each of them. */
const hooks: Harness.HarnessOptions["hooks"] = {
  sessionStart: () => spanned("hook", { contexts: [] }),
  userPromptSubmit: () => spanned("hook", { block: false, contexts: [] }),
  preToolUse: () => spanned("hook", { deny: false }),
  permissionRequest: () => spanned("hook", { decision: "ask" }),
  postToolUse: () => spanned("hook", []),
  stop: () => spanned("hook", {}),
  interrupt: () => spanned("hook", undefined),
  notification: () => spanned("hook", undefined)
}

/** A journal whose writes take a step, and make spans that name the records. */
const spannedWrites = (journal: Journal): Journal => ({
  ...journal,
  open: (sessionId, mode) =>
    Effect.map(journal.open(sessionId, mode), (writer) => ({
      ...writer,
      append: (records) =>
        Effect.withSpan(Effect.andThen(Effect.yieldNow, writer.append(records)), "write", {
          attributes: { records: records.map(({ _tag }) => _tag).join() }
        })
    }))
})

interface Surroundings {
  readonly turn: Turn
  readonly scope: Scope.Scope
  /** True if work may never end. Inside spans that only the application ends, it must end. */
  readonly mayHang: boolean
}

const child = Agent.make({})

/** The model of a delegate, which responds after some time. */
const childModel = (millis: number): ModelPort => {
  const { model } = Model.make(() => [Model.text("of a delegate")])
  return { ...model, stream: (request) => Stream.unwrap(Effect.as(Effect.sleep(millis), model.stream(request))) }
}

const perform = (work: Work, around: Surroundings): Effect.Effect<void, string, Processes | Journal> => {
  const all = (works: ReadonlyArray<Work>, own: Surroundings, concurrency: number | "unbounded" = 1) =>
    Effect.forEach(works, (one) => perform(one, own), { concurrency, discard: true })
  const tame = { ...around, mayHang: false }
  switch (work.kind) {
    case "work":
      return Effect.sleep(work.millis)
    case "span":
      return Effect.withSpan(all(work.inside, tame), "span of the application")
    case "together":
      return Tracing.span({ name: "together" }, () => all(work.inside, around, "unbounded"))
    case "background":
      // outlives its tool, and perhaps its turn; its later work still descends from the tool
      return Effect.sleep(work.millis).pipe(
        Effect.andThen(Effect.withSpan(all(work.inside, tame), "background")),
        Effect.forkIn(around.scope),
        Effect.asVoid
      )
    case "process": {
      const started = around.turn.process({ command: ["sleep", `${work.millis}`], cwd: "/", keep: work.keep })
      return Effect.asVoid(Effect.mapError(started, (error) => error.message))
    }
    case "question":
      return Effect.asVoid(around.turn.ask({ kind: "question", payload: {} }))
    case "cleanup": {
      const { afterHook, millis } = work
      const run = () => Effect.withSpan(Effect.sleep(millis), "clean-up")
      return Effect.asVoid(
        around.turn.onAbort({ kind: "cleanup", name: "clean-up", run, afterHook, drain: "100 millis" })
      )
    }
    case "deaf":
      return Effect.uninterruptible(
        work.millis !== "forever" ? Effect.sleep(work.millis) : around.mayHang ? Effect.never : Effect.sleep(900)
      )
    case "fail":
      return Effect.fail("as planned")
    case "delegate": {
      const input = Input.text("go")
      const begun: Effect.Effect<unknown, { readonly _tag: string }, Turn | ModelPort | Journal> = work.detached
        ? Effect.flatMap(Delegate.start({ agent: child, deadline: "1 minute", detached: true }), (delegate) =>
            delegate.submit({ _tag: "UserInput", input })
          )
        : Delegate.runOnce({ agent: child, deadline: "1 minute", input })
      return begun.pipe(
        Effect.asVoid,
        Effect.mapError((error) => error._tag),
        Effect.provideService(Turn, around.turn),
        Effect.provideService(ModelPort, childModel(work.millis))
      )
    }
  }
}

/** Lets time pass until an effect has ended: a turn may start another one, which takes its own time. */
const passTime = Effect.fnUntraced(function* (ending: Effect.Effect<void>) {
  const fiber = yield* Effect.forkChild(ending, { startImmediately: true })
  for (let count = 0; count < 20 && fiber.pollUnsafe() === undefined; count++) yield* TestClock.adjust("10 minutes")
  assert.isDefined(fiber.pollUnsafe(), "the session does not become idle")
})

/** Runs one plan in a session. Returns its spans when everything that it started has ended. */
const run = Effect.fnUntraced(function* (plan: typeof Plan.Type, leftoverInput: "request" | "record") {
  const host = processes()
  const scope = yield* Effect.scope
  const journal = spannedWrites(yield* Harness.memoryJournal)
  let current: (typeof TurnPlan.Type)["requests"] = []
  let asked = 0
  let mayHang = false
  const h = yield* traced({
    journal,
    hooks,
    policy: { ...contract, leftoverInput },
    script: () => {
      const works = current[asked++]
      return works === undefined || works.length === 0
        ? [Model.text("done")]
        : works.map((_, index) => Model.call("perform", { index, request: asked - 1 }, `call-${asked}-${index}`))
    },
    tools: {
      perform: {
        run: ({ index, request }) =>
          Effect.flatMap(Turn, (turn) =>
            perform(current[Number(request)]![Number(index)]!, { turn, scope, mayHang })
          ).pipe(
            Effect.as("performed"),
            Effect.provideService(Processes, host.service),
            Effect.provideService(Journal, journal)
          )
      }
    },
    approvals: { decide: () => Effect.as(Effect.sleep(60), { _tag: "Approved", scope: "once" } as const) }
  }).pipe(Effect.withParentSpan(creator))
  const request = Tracer.externalSpan({ traceId, spanId: callerId })
  for (const turn of plan) {
    current = turn.requests
    asked = 0
    mayHang = turn.abortAfter !== undefined
    if (turn.by === "model") yield* h.session.submit(submission(Op.userInput("go")))
    else {
      const work = Effect.flatMap(Turn, (own) =>
        Effect.forEach(turn.requests.flat(), (one) => perform(one, { turn: own, scope, mayHang }), { discard: true })
      )
      yield* h.session
        .start(Task.make("planned", work, { steerable: true, abortHook: () => spanned("abort hook", undefined) }))
        .pipe(
          Effect.provideService(Processes, host.service),
          Effect.provideService(Journal, journal),
          Effect.withParentSpan(request)
        )
    }
    if (turn.steered) yield* h.session.submit(submission(Op.userInput("and this")))
    if (turn.abortAfter !== undefined) {
      yield* TestClock.adjust(turn.abortAfter)
      yield* h.session.abort()
    }
    // input that was left is a turn that nobody aborts
    mayHang = false
    yield* passTime(h.session.awaitIdle)
  }
  // what the last turn has started ends as well
  yield* TestClock.adjust("10 minutes")
  const [first, ...spans] = yield* h.spans.finished
  const turnCount = h.tags().filter((tag) => tag === "TurnStarted").length
  return { first, spans, open: yield* h.spans.open, host, id: h.session.sessionId, turnCount }
})

const traceOf = (context: string | undefined): TraceContext["traceparent"] | undefined => context?.slice(3, 35)

describe("one root", () => {
  it.effect.prop(
    "O1 whatever tasks, tools, processes, delegates, clean-ups, hooks, writes and background work a run has: one trace, every path leads to the caller, nothing is orphaned after aborts",
    [Plan, Schema.Literals(["request", "record"])],
    ([plan, leftoverInput]) =>
      Effect.gen(function* () {
        const { first, host, id, open, spans, turnCount } = yield* run(plan, leftoverInput)
        assert.deepStrictEqual(
          [first?.name, first?.attributes["records"], first?.traceId],
          ["write", "SessionStarted", creator.traceId]
        )
        assertDescends(spans)
        assert.deepStrictEqual(open, [], "spans that never ended")
        assert.isTrue(host.started.every(({ env }) => traceOf(env?.["TRACEPARENT"]) === traceId))
        const turns = spans.filter((one) => "spindle.task.kind" in one.attributes && one.attributes["thread.id"] === id)
        assert.lengthOf(turns, turnCount, "one span a turn")
        assert.isAtLeast(turnCount, plan.length)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 500 } }
  )
})
