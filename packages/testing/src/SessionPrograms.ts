/**
 * Programs of a session as data (a shape of task, operations at steps, faults), to generate, run, shrink and interrupt.
 *
 * {@link SessionProgram} is a schema, so `it.effect.prop` and `Arbitrary` make and shrink programs. {@link check} runs
 * a program as it is, and with an abort at some of its steps, and returns the law that it breaks. The laws are those of
 * `Laws`, or a custom one.
 */
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import { IdGenerator, sequential } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { Faults } from "./Faults.ts"
import * as Shapes from "./internal/sessionShapes.ts"
import type { Decisions, Program, Violation } from "./Interrupts.ts"
import * as Reporting from "./internal/reporting.ts"
import { makeRuns, type Subject } from "./internal/running.ts"
import { randomOf } from "./internal/choices.ts"
import * as Laws from "./Laws.ts"
import * as ScriptedModel from "./ScriptedModel.ts"
import * as SessionFaults from "./SessionFaults.ts"
import * as SessionHarness from "./SessionHarness.ts"

/** The shape of the first turn. */
export const TaskShape = Schema.Literals(Shapes.names)
/** @see {@link TaskShape} */
export type TaskShape = typeof TaskShape.Type

/**
 * An operation on the session: an abort, input, another task in the place of the turn or alongside it, an answer to the
 * open question, or closing.
 */
export const Operation = Schema.Literals([
  "abort",
  "steer",
  "queue",
  "replace",
  "approve",
  "deny",
  "abortByAnswer",
  "close",
  "alongside"
])
/** @see {@link Operation} */
export type Operation = typeof Operation.Type

/**
 * A fault at the n-th pass of its point, counted from 0 since the start of the first turn. A fault that the point does
 * not offer does not happen.
 */
export const Fault = Schema.Struct({
  point: Schema.Literals(["model", "tool", "journal"]),
  fault: Schema.Literals(["slow", "fail", "drop", "hang"]),
  nth: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
})
/** @see {@link Fault} */
export type Fault = typeof Fault.Type

/** A program of up to three operations and two faults. Steps count from 1, and wrap around if the program has fewer. */
export const SessionProgram = Schema.Struct({
  task: TaskShape,
  operations: Schema.Array(
    Schema.Struct({ operation: Operation, step: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_000 })) })
  ).check(Schema.isMaxLength(3)),
  faults: Schema.Array(Fault).check(Schema.isMaxLength(2)),
  /** The time that each write to the journal takes. */
  journalMillis: Schema.Literals([0, 1]),
  /** The number of accepted inputs that may wait. 1 fills the inbox at once. */
  inboxCapacity: Schema.Literals([512, 1]),
  mode: Schema.Literals(["before", "during"]),
  /** The seed of the schedule. 0 is the order of arrival. */
  seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))
})
/** @see {@link SessionProgram} */
export type SessionProgram = typeof SessionProgram.Type

/** Options of a check. */
export interface CheckOptions {
  /** Makes the session. Default: `Session.make`. */
  readonly factory?: SessionHarness.SessionFactory | undefined
  /** Must hold for every run. Default: all laws of `Laws`. */
  readonly law?: Laws.Law | undefined
  /**
   * The number of steps at which the program is aborted, each in a separate run. Default 20; 0 runs it only as it is.
   */
  readonly aborts?: number | undefined
}

/** The result of a check. */
export interface Checked {
  readonly runs: number
  /** The number of operations and aborts that ran, in all runs together. */
  readonly points: number
  readonly violation: Violation | undefined
}

/** Runs a program as it is, and with an abort at some of its steps, until a law is broken. */
export const check = (program: SessionProgram, options: CheckOptions = {}): Checked => {
  const { aborts } = options
  const subject = subjectOf(program, options)
  const base = { ...baseOf(program), at: [] }
  const calm = makeRuns(Reporting.judgeClosely(subject, base))
  if (calm.finding !== undefined) return { runs: 1, points: 0, violation: { ...calm.finding, decisions: base } }
  const operations = program.operations
    .map(({ operation, step }) => [operation, 1 + ((step - 1) % Math.max(1, calm.result.points))] as const)
    .toSorted(([, one], [, other]) => one - other)
  let runs = 1
  let points = 0
  const visit = (at: Decisions["at"]): Violation | undefined => {
    const decisions = { ...base, at }
    const { finding, result } = makeRuns(Reporting.judgeClosely(subject, decisions))
    runs++
    points += result.actionsCount
    return finding && { ...finding, decisions }
  }
  let violation = operations.length === 0 ? undefined : visit(operations)
  const random = randomOf(program.seed + 1)
  for (let count = 0; count < (aborts ?? 20) && violation === undefined; count++) {
    const step = 1 + Math.floor(((count + random()) * calm.result.points) / (aborts ?? 20))
    const abort = ["abort", step] as const
    violation = visit([...operations, abort].toSorted(([, one], [, other]) => one - other))
  }
  return { runs, points, violation }
}

/** Repeats a run of a program with the decisions of a violation. Returns the law that it breaks. */
export const replay = (
  program: SessionProgram,
  options: CheckOptions,
  decisions: Partial<Decisions>
): string | undefined =>
  makeRuns(Reporting.judgeClosely(subjectOf(program, options), { ...baseOf(program), ...decisions })).finding?.law

/** Formats a violation: the law, the program, and the line that repeats the run. */
export const format = (program: SessionProgram, { decisions, law }: Violation): string => {
  const { at, mode, seed } = decisions
  return `${law}\n  SessionPrograms.replay(${JSON.stringify(program)}, options, ${JSON.stringify({ mode, at, seed })})`
}

const baseOf = ({ mode, seed }: SessionProgram): Decisions => ({
  mode,
  seed,
  at: [],
  preemption: 0.1,
  // the program itself names its faults
  faultRate: 0,
  maxSteps: 200_000
})

const subjectOf = (
  program: SessionProgram,
  { factory, law = Laws.session }: CheckOptions
): Subject<Laws.History, unknown> => ({
  program: (stage) =>
    run(
      program,
      factory
    )({
      arm: (actions) => Effect.sync(() => stage.arm(actions)),
      disarm: stage.disarm
    }),
  laws: { law: (exit) => (exit._tag === "Failure" ? "the program failed" : law(exit.value)) }
})

/** Makes the faults of a program. Passes are counted from the first turn until the last operation. */
const faultsOf = ({ faults }: SessionProgram) => {
  const passed = new Map<string, number>()
  let isOn = false
  let breaksJournal = false
  const choose: Faults["choose"] = (point, offered) => {
    if (!isOn) return undefined
    const nth = passed.get(point) ?? 0
    passed.set(point, nth + 1)
    const wanted = faults.find((one) => one.point === point && one.nth === nth)
    const fault = offered.find((one) => one === wanted?.fault)
    if (point === "journal" && (fault === "fail" || fault === "hang")) breaksJournal = true
    return fault
  }
  return {
    service: { choose },
    /** Returns true if a write has failed, or will fail at its deadline. */
    breaksJournal: () => breaksJournal,
    enable: () => void (isOn = true),
    disable: () => void (isOn = false)
  }
}

/** The time that a turn may take after the last operation, before the program aborts it. */
const patience = "10 minutes"

/**
 * The program as an effect, for custom explorations: one conversation from its first turn to its end, hosted as
 * {@link CheckOptions} say.
 */
export const run =
  (program: SessionProgram, factory?: SessionHarness.SessionFactory) =>
  (
    stage: Pick<Parameters<Program<Laws.History, unknown>>[0], "arm" | "disarm">
  ): Effect.Effect<Laws.History, unknown> => {
    const faults = faultsOf(program)
    return Effect.gen(function* () {
      const started = yield* start(program, factory)
      const { closing, counts, harness, observation, observing } = started
      const { session } = harness
      faults.enable()
      yield* stage.arm(operationsOf(started))
      yield* Effect.ignore(started.startTurn)
      const isIdle = yield* Effect.timeoutOption(session.awaitIdle, patience)
      yield* stage.disarm
      faults.disable()
      if (isIdle._tag === "None") yield* observation.abort
      yield* session.awaitIdle
      yield* observation.noteIdle
      yield* checkNextTurn(started, faults.breaksJournal)
      yield* session.awaitIdle
      yield* closing
      // lets stragglers and hanging ports end
      yield* Effect.sleep("2 hours")
      const history = yield* observation.history
      yield* Scope.close(observing, Exit.void)
      return { ...history, opened: counts.opened, closed: counts.closed }
    }).pipe(Effect.provideService(IdGenerator, sequential("id")), Effect.provideService(Faults, faults.service))
  }

type Started = Effect.Success<ReturnType<typeof start>>

const start = Effect.fnUntraced(function* (
  program: SessionProgram,
  factory: SessionHarness.SessionFactory | undefined
) {
  const counts: Shapes.Counts = { opened: 0, closed: 0 }
  const scope = yield* Scope.make()
  // the subscriber outlives the session, so that it sees the end
  const observing = yield* Scope.make()
  const memory = Context.get(yield* Layer.buildWithScope(Journal.layerMemory(), scope), Journal.Journal)
  const journal = yield* SessionFaults.journal(withDelay(memory, program.journalMillis))
  const shape = Shapes.make(program.task, counts)
  const tools: Record<string, SessionHarness.TestTool> = {}
  for (const [name, tool] of Object.entries(shape.tools)) tools[name] = yield* SessionFaults.tool(tool)
  const scripted = ScriptedModel.make(shape.script)
  const model = yield* SessionFaults.model(scripted.model)
  const harness = yield* SessionHarness.make({
    ...shape,
    tools,
    tasks: [Shapes.alongside(counts)],
    journal,
    model: { ...scripted, model, layer: Layer.succeed(Model, model) },
    config: { inboxCapacity: program.inboxCapacity },
    factory
  }).pipe(Effect.provideService(Scope.Scope, scope))
  const observation = yield* Laws.observe(harness, journal).pipe(Effect.provideService(Scope.Scope, observing))
  const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
  const startTurn: Effect.Effect<unknown, unknown> =
    shape.task === undefined
      ? observation.submit(Op.userInput("begin"))
      : Effect.provideService(harness.session.start(shape.task), Model, model)
  return { closing, counts, harness, observation, observing, startTurn }
})

const operationsOf = ({
  closing,
  harness,
  observation
}: Started): { readonly [name in Operation]: Effect.Effect<unknown, unknown> } => {
  const { abort, submit } = observation
  const answer = (decision: Op.Decision) =>
    Effect.suspend(() => {
      const opened = harness.events.findLast((event) => event._tag === "QuestionOpened")
      return opened?._tag === "QuestionOpened" ? submit(Op.answer(opened.questionId, decision)) : Effect.void
    })
  return {
    abort,
    steer: submit(Op.userInput("steer")),
    queue: submit(Op.userInput("queue", { delivery: "queue" })),
    replace: harness.session.start(Task.make("other", Effect.as(Effect.sleep(2), "other"))),
    approve: answer({ _tag: "Approved", scope: "once" }),
    deny: answer({ _tag: "Denied" }),
    abortByAnswer: answer({ _tag: "Abort" }),
    close: closing,
    alongside: submit(Op.startTask(Shapes.alongsideKind, {}, { input: Input.text("alongside") }))
  }
}

/**
 * Checks that another turn completes (I8), unless the session was closed or its journal broke. A write that is in
 * flight while the session is idle, such as that of the end of a straggler, fails when the next submission waits for
 * it. After that every submission is rejected (S2, J5).
 */
const checkNextTurn = Effect.fnUntraced(function* (
  { harness, observation }: Pick<Started, "harness" | "observation">,
  breaksJournal: () => boolean
) {
  const { events, session } = harness
  const submit = Effect.exit(observation.submit(Op.userInput("after")))
  let submitted = yield* submit
  // input that is rejected because the inbox is full starts the input that was kept
  for (let tries = 1; tries < 3 && isRejected(submitted); tries++) {
    yield* session.awaitIdle
    submitted = yield* submit
  }
  yield* session.awaitIdle
  const { status, waiting } = yield* session.snapshot
  if (status === "closed" || (status === "failed" && breaksJournal())) {
    return isRejected(yield* submit) ? undefined : yield* Effect.die(`S2 a session that has ${status} accepts input`)
  }
  if (submitted._tag === "Failure") return yield* submitted
  const last = events.findLast(isTerminal)
  if (last?._tag !== "TurnCompleted") return yield* Effect.die(`I8 the next turn ended as ${last?._tag}`)
  if (waiting.length > 0) return yield* Effect.die("P2 input waits after the queue")
})

const isRejected = (submitted: Exit.Exit<Op.Receipt, unknown>): boolean =>
  submitted._tag === "Success" && submitted.value._tag === "Rejected"

const withDelay = (journal: Journal.Journal, millis: number): Journal.Journal => {
  if (millis === 0) return journal
  return {
    ...journal,
    open: (sessionId, mode) =>
      Effect.map(journal.open(sessionId, mode), (writer) => ({
        ...writer,
        append: (records) => Effect.andThen(Effect.sleep(millis), writer.append(records))
      }))
  }
}
