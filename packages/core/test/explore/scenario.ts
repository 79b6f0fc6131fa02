/**
 * A session under exploration: a conversation with tools, approvals and hooks, the actions that may hit it, and the
 * resulting history.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Alongside } from "@spindle/core/Alongside"
import type { Journal } from "@spindle/core/Journal"
import { Model, type ModelRequest } from "@spindle/core/Model"
import { IdGenerator, sequential, type SubmissionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import { Turn } from "@spindle/core/Turn"
import * as Interrupts from "@spindle/testing/Interrupts"
import * as Laws from "@spindle/testing/Laws"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import { journalWith } from "../fixtures/journals.ts"

/** An exploration of any program. */
export type Exploration = Interrupts.Exploration<any, unknown>
type Log = ReadonlyArray<string>

/** The parts of the conversation. */
export interface ScenarioOptions {
  readonly harness?: (counts: Counts) => SessionHarness.HarnessOptions
  /** How the first turn is started; by default a submission. */
  readonly begin?: (harness: SessionHarness.SessionHarness, counts: Counts) => Effect.Effect<unknown, unknown>
  /** Milliseconds that each write takes. Default 1; with 0 a write takes no time. */
  readonly journalMillis?: number
  /** A law for this scenario only. */
  readonly law?: Laws.Law
}

/** The finalizers of a run: how many were registered and how many ran. */
export interface Counts {
  opened: number
  closed: number
}

/** A tool that holds a resource while it waits. */
export const holding = (counts: Counts, millis: number): SessionHarness.TestTool => ({
  run: () =>
    Effect.acquireUseRelease(
      Effect.sync(() => void counts.opened++),
      () => Effect.as(Effect.sleep(millis), "done"),
      () => Effect.sync(() => void counts.closed++)
    )
})

/** A journal in memory whose writes take this many milliseconds. */
export const slowJournal = (millis: number): Effect.Effect<Journal, never, Scope.Scope> =>
  journalWith((append) => (millis === 0 ? append : Effect.andThen(Effect.sleep(millis), append)))

/** The program of an exploration: one conversation from start to close, under the actions of the explorer. */
export const session = (options: ScenarioOptions): Interrupts.Exploration<Laws.History, unknown> => ({
  actions: [["abort"]],
  program: (stage) =>
    Effect.gen(function* () {
      const counts: Counts = { opened: 0, closed: 0 }
      const scope = yield* Scope.make()
      const journal = yield* Effect.provideService(slowJournal(options.journalMillis ?? 1), Scope.Scope, scope)
      const harness = yield* SessionHarness.make({ journal, ...options.harness?.(counts) }).pipe(
        Effect.provideService(Scope.Scope, scope)
      )
      const observation = yield* Laws.observe(harness, journal)
      const { submit } = observation
      const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
      const answer = (decision: Op.Decision) =>
        Effect.suspend(() => {
          const opened = harness.events.findLast((event) => event._tag === "QuestionOpened")
          return opened?._tag === "QuestionOpened" ? submit(Op.answer(opened.questionId, decision)) : Effect.void
        })
      yield* stage.arm({
        abort: observation.abort,
        steer: submit(Op.userInput("steer")),
        queue: submit(Op.userInput("queue", { delivery: "queue" })),
        approve: answer({ _tag: "Approved", scope: "once" }),
        approveTurn: answer({ _tag: "Approved", scope: "turn" }),
        deny: answer({ _tag: "Denied" }),
        abortByAnswer: answer({ _tag: "Abort" }),
        replace: Effect.asVoid(harness.session.start(Task.make("other", Effect.as(Effect.sleep(2), "other")))),
        startTask: submit(Op.startTask("pausing", {}, { input: Input.text("task") })),
        alongside: submit(Op.startTask("beside", {}, { input: Input.text("task") })),
        replaceByTask: submit(Op.startTask("pausing", {}, { mode: "replace" })),
        repeat: submit({ id: "repeated" as SubmissionId, op: Op.userInput("repeat") }),
        withdraw: submit(Op.withdraw("repeated" as SubmissionId)),
        rollback: submit(Op.rollback(1)),
        close: closing
      })
      const begin = options.begin ?? (() => submit(Op.userInput("begin")))
      yield* Effect.ignore(begin(harness, counts))
      yield* harness.session.awaitIdle
      yield* stage.disarm
      yield* harness.session.awaitIdle
      const idle = yield* observation.noteIdle
      if (idle.status !== "closed") yield* nextTurnCompletes(harness)
      yield* harness.session.awaitIdle
      yield* closing
      // stragglers may end
      yield* Effect.sleep(1_000)
      return { ...(yield* observation.history), opened: counts.opened, closed: counts.closed }
    }).pipe(Effect.scoped, Effect.provideService(IdGenerator, sequential("id"))),
  law: (exit) =>
    exit._tag === "Failure" ? "the program failed" : (Laws.session(exit.value) ?? options.law?.(exit.value))
})

/** Checks that a turn runs to completion, whatever happened before (I8). */
const nextTurnCompletes = (harness: SessionHarness.SessionHarness) =>
  Effect.gen(function* () {
    yield* harness.submit("after")
    yield* harness.session.awaitIdle
    const last = harness.events.findLast(isTerminal)
    if (last?._tag !== "TurnCompleted") return yield* Effect.die(`I8 the next turn ended as ${last?._tag}`)
    if ((yield* harness.session.snapshot).waiting.length > 0) return yield* Effect.die("P2 input waits after the queue")
  })

/**
 * The responses of a model that works in three rounds: two concurrent calls, one call that needs approval, then a
 * text. The turn after gets a text.
 */
export const threeRounds = (request: ModelRequest, index: number): ScriptedModel.Answer => {
  const inputIndex = request.items.findLastIndex((item) => item._tag === "UserMessage" && item.fragment === undefined)
  const input = request.items[inputIndex]
  const round = request.items.slice(inputIndex).filter((item) => item._tag === "ToolResult").length
  if (input?._tag === "UserMessage" && input.content.some((part) => part._tag === "Text" && part.text === "after")) {
    return [ScriptedModel.text("fine")]
  }
  if (round === 0) {
    return [
      ScriptedModel.reasoning("thinking"),
      ScriptedModel.text("I ", "look"),
      ScriptedModel.call("hold", {}, `a${index}`),
      ScriptedModel.call("hold", {}, `b${index}`)
    ]
  }
  if (round === 2) return [ScriptedModel.call("guarded", {}, `c${index}`)]
  return [ScriptedModel.text("It is ", "done")]
}

/** A kind of tasks that a client may start: it takes its input and pauses. */
const pausing = TaskKind.make("pausing", {
  params: Schema.Struct({}),
  task: () =>
    Task.make(
      "pausing",
      Effect.flatMap(Turn, (turn) => Effect.andThen(turn.takeInput, Effect.sleep(3)))
    )
})

/** A kind of tasks that run alongside a turn: it holds a resource for some time, and then reports. */
export const beside = (counts: Counts, millis: number): TaskKind.TaskKind =>
  TaskKind.makeAlongside("beside", {
    params: Schema.Struct({}),
    run: () =>
      Effect.gen(function* () {
        const task = yield* Alongside
        yield* Effect.acquireUseRelease(
          Effect.sync(() => void counts.opened++),
          () => Effect.sleep(millis),
          () => Effect.sync(() => void counts.closed++)
        )
        yield* task.report({ name: "beside", text: "reported" })
      })
  })

/** The parts of the conversation that most explorations share. */
export const conversation = (counts: Counts): SessionHarness.HarnessOptions => ({
  script: threeRounds,
  tasks: [pausing, beside(counts, 3)],
  tools: { hold: holding(counts, 3), guarded: { ...holding(counts, 1), policy: { approval: "ask" } } },
  approvals: { decide: () => Effect.as(Effect.sleep(3), { _tag: "Approved", scope: "once" } as const) },
  hooks: {
    userPromptSubmit: (_, text) => Effect.as(Effect.sleep(1), { block: text === "queue", contexts: ["context"] })
  }
})

/** Starts a task instead of submitting input, and waits for its outcome. */
export const starting =
  <A, E>(
    task: (counts: Counts) => Task.Task<A, E, Turn | Model | Scope.Scope>
  ): NonNullable<ScenarioOptions["begin"]> =>
  ({ model, session }, counts) =>
    Effect.flatMap(Effect.provideService(session.start(task(counts)), Model, model.model), ({ outcome }) => outcome)

/** Starts a task that runs an effect, as {@link starting} does. */
export const startingEffect = <A, E>(
  effect: Effect.Effect<A, E, Turn | Model | Scope.Scope>,
  options?: { readonly onAbort?: "interrupt" | "signal"; readonly steerable?: boolean }
) => starting(() => Task.make("custom", effect, options))

/** Makes a law from a function of what a program logged. */
export const logged = (of: (log: Log) => string | undefined) => (exit: Exit.Exit<Log, unknown>) =>
  exit._tag === "Failure" ? "the program failed" : of(exit.value)

/** Provides the model to an effect. */
export const provideModel = <A, E, R>(effect: Effect.Effect<A, E, R>, model: ScriptedModel.ScriptedModel["model"]) =>
  Effect.provideService(effect, Model, model)

/** Multiplies the number of runs of a normal test run. */
const factor = Number(process.env["EXPLORE_FACTOR"] ?? 1)

/** Runs an exploration; fails with the report if a law was broken, or if no step was visited. */
export const holds = <A, E>(exploration: Interrupts.Exploration<A, E>): void => {
  const report = Interrupts.explore({ ...exploration, maxRuns: Math.ceil((exploration.maxRuns ?? 2_000) * factor) })
  if (factor > 1) console.log(Interrupts.format(report))
  assert.strictEqual(report.violations.length, 0, Interrupts.format(report))
  assert.isAbove(report.points, 0)
}
