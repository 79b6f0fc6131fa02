/**
 * Programs of a session as data: a shape of task, operations at steps, and faults; to be generated, run, shrunk, and interrupted at every step.
 *
 * {@link SessionProgram} is a schema, so `it.effect.prop` and `Arbitrary` make and shrink programs; {@link check} runs one as it is and with an abort at
 * steps of it, and tells which law it breaks. The laws are those of `Laws`, or the caller's own.
 */
import * as Journal from "@spindle/core/Journal"
import { Model } from "@spindle/core/Model"
import { IdGenerator, sequential } from "@spindle/core/Ids"
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
import { randomOf } from "./internal/choices.ts"
import * as Laws from "./Laws.ts"
import * as ScriptedModel from "./ScriptedModel.ts"
import * as SessionFaults from "./SessionFaults.ts"
import * as SessionHarness from "./SessionHarness.ts"

/** What the first turn does. */
export const TaskShape = Schema.Literals(Shapes.names)
/** @see {@link TaskShape} */
export type TaskShape = typeof TaskShape.Type

/** What may hit the session: an abort, input, another task, an answer to the request that is open, or closing. */
export const Operation = Schema.Literals([
  "abort",
  "steer",
  "queue",
  "replace",
  "approve",
  "deny",
  "abortByAnswer",
  "close"
])
/** @see {@link Operation} */
export type Operation = typeof Operation.Type

/** A fault at the n-th time that its point is passed, from 0 and the first turn on; one that the point does not have does not happen. */
export const Fault = Schema.Struct({
  point: Schema.Literals(["model", "tool", "journal"]),
  fault: Schema.Literals(["slow", "fail", "drop", "hang"]),
  nth: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
})
/** @see {@link Fault} */
export type Fault = typeof Fault.Type

/** A program. Steps count from 1 and go round when the program has fewer. Up to three operations and two faults. */
export const SessionProgram = Schema.Struct({
  task: TaskShape,
  operations: Schema.Array(
    Schema.Struct({ operation: Operation, step: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3_000 })) })
  ).check(Schema.isMaxLength(3)),
  faults: Schema.Array(Fault).check(Schema.isMaxLength(2)),
  /** How long each write takes. */
  journalMillis: Schema.Literals([0, 1]),
  /** How many accepted inputs may wait; 1 makes the inbox full at once. */
  inboxCapacity: Schema.Literals([512, 1]),
  mode: Schema.Literals(["before", "during"]),
  /** The schedule; 0 is the order of arrival. */
  seed: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 }))
})
/** @see {@link SessionProgram} */
export type SessionProgram = typeof SessionProgram.Type

/** How to check a program. */
export interface CheckOptions {
  /** Who hosts the session. Default: `Session.make`. */
  readonly host?: SessionHarness.Make
  /** What must hold of every run. Default: all laws of `Laws`. */
  readonly law?: Laws.Law
  /** At how many steps of the program it is aborted as well, in runs of their own. Default 20; 0 runs it as it is. */
  readonly aborts?: number
}

/** What a check did and found. */
export interface Checked {
  readonly runs: number
  /** How many operations and aborts came to run, over all runs. */
  readonly points: number
  readonly violation: Violation | undefined
}

/** Runs a program as it is, and with an abort at steps of it, until a law is broken. */
export const check = (program: SessionProgram, options: CheckOptions = {}): Checked => {
  const { aborts } = options
  const subject = subjectOf(program, options)
  const base = { ...baseOf(program), at: [] }
  const calm = Reporting.judgeClosely(subject, base)
  if (calm.finding !== undefined) return { runs: 1, points: 0, violation: { ...calm.finding, decisions: base } }
  const operations = program.operations
    .map(({ operation, step }) => [operation, 1 + ((step - 1) % Math.max(1, calm.result.points))] as const)
    .toSorted(([, one], [, other]) => one - other)
  let runs = 1
  let points = 0
  const visit = (at: Decisions["at"]): Violation | undefined => {
    const decisions = { ...base, at }
    const { finding, result } = Reporting.judgeClosely(subject, decisions)
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

/** Runs a program once more with the decisions of a violation, and what it was checked with; answers the law that it breaks. */
export const replay = (
  program: SessionProgram,
  options: CheckOptions,
  decisions: Partial<Decisions>
): string | undefined =>
  Reporting.judgeClosely(subjectOf(program, options), { ...baseOf(program), ...decisions }).finding?.law

/** A violation for people: the law, the program, and the line that repeats the run. */
export const format = (program: SessionProgram, { decisions, law }: Violation): string => {
  const { at, mode, seed } = decisions
  return `${law}\n  SessionPrograms.replay(${JSON.stringify(program)}, options, ${JSON.stringify({ mode, at, seed })})`
}

const baseOf = ({ mode, seed }: SessionProgram): Decisions => ({
  mode,
  seed,
  at: [],
  preemption: 0.1,
  // the faults of a program are its own
  faultRate: 0,
  maxSteps: 200_000
})

const subjectOf = (
  program: SessionProgram,
  { host, law = Laws.session }: CheckOptions
): Reporting.Subject<Laws.History, unknown> => ({
  program: (stage) =>
    run(
      program,
      host
    )({
      arm: (actions) => Effect.sync(() => stage.arm(actions)),
      disarm: stage.disarm
    }),
  laws: { law: (exit) => (exit._tag === "Failure" ? "the program failed" : law(exit.value)) }
})

/** Faults at the times that a program names, counted while they are on: from the first turn until nothing hits the session any more. */
const faultsOf = ({ faults }: SessionProgram) => {
  const passed = new Map<string, number>()
  let isOn = false
  let breaksJournal = false
  const choose: (typeof Faults)["Service"]["choose"] = (point, offered) => {
    if (!isOn) return undefined
    const nth = passed.get(point) ?? 0
    passed.set(point, nth + 1)
    const due = faults.find((one) => one.point === point && one.nth === nth)
    const fault = offered.find((one) => one === due?.fault)
    if (point === "journal" && (fault === "fail" || fault === "hang")) breaksJournal = true
    return fault
  }
  return {
    service: { choose },
    /** Whether a write has failed, or will when its deadline has passed. */
    breaksJournal: () => breaksJournal,
    begin: () => void (isOn = true),
    end: () => void (isOn = false)
  }
}

/** Longest time that a turn may take, in which nothing hits it any more, before the program aborts it. */
const patience = "10 minutes"

/** The program as an effect, for explorations of one's own: one conversation from its first turn to its end, hosted as {@link CheckOptions} say. */
export const run =
  (program: SessionProgram, host?: SessionHarness.Make) =>
  (
    stage: Pick<Parameters<Program<Laws.History, unknown>>[0], "arm" | "disarm">
  ): Effect.Effect<Laws.History, unknown> => {
    const faults = faultsOf(program)
    return Effect.gen(function* () {
      const started = yield* start(program, host)
      const { closing, counts, harness, observation, observing } = started
      const { session } = harness
      faults.begin()
      yield* stage.arm(operationsOf(started))
      yield* Effect.ignore(started.begin)
      const isIdle = yield* Effect.timeoutOption(session.awaitIdle, patience)
      yield* stage.disarm
      faults.end()
      if (isIdle._tag === "None") yield* observation.abort
      yield* session.awaitIdle
      yield* observation.noteIdle
      yield* goesOn(started, faults.breaksJournal)
      yield* session.awaitIdle
      yield* closing
      // stragglers, and what hangs, may end
      yield* Effect.sleep("2 hours")
      const history = yield* observation.history
      yield* Scope.close(observing, Exit.void)
      return { ...history, finalizers: { registered: counts.opened, started: counts.closed } }
    }).pipe(Effect.provideService(IdGenerator, sequential("id")), Effect.provideService(Faults, faults.service))
  }

type Started = Effect.Success<ReturnType<typeof start>>

const start = Effect.fnUntraced(function* (program: SessionProgram, host: SessionHarness.Make | undefined) {
  const counts: Shapes.Counts = { opened: 0, closed: 0 }
  const scope = yield* Scope.make()
  // the subscriber outlives the session, to see its end
  const observing = yield* Scope.make()
  const memory = Context.get(yield* Layer.buildWithScope(Journal.layerMemory(), scope), Journal.Journal)
  const journal = yield* SessionFaults.journal(slowed(memory, program.journalMillis))
  const shape = Shapes.make(program.task, counts)
  const tools: Record<string, SessionHarness.TestTool> = {}
  for (const [name, tool] of Object.entries(shape.tools)) tools[name] = yield* SessionFaults.tool(tool)
  const scripted = ScriptedModel.make(shape.script)
  const model = yield* SessionFaults.model(scripted.model)
  const harness = yield* SessionHarness.make({
    ...shape,
    tools,
    journal,
    model: { ...scripted, model, layer: Layer.succeed(Model, model) },
    config: { inboxCapacity: program.inboxCapacity },
    ...(host === undefined ? {} : { host })
  }).pipe(Effect.provideService(Scope.Scope, scope))
  const observation = yield* Laws.observe(harness, journal).pipe(Effect.provideService(Scope.Scope, observing))
  const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
  const begin: Effect.Effect<unknown, unknown> =
    shape.task === undefined
      ? observation.submit(Op.userInput("begin"))
      : Effect.provideService(harness.session.start(shape.task), Model, model)
  return { begin, closing, counts, harness, observation, observing }
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
    close: closing
  }
}

/**
 * After whatever happened, a turn runs to completion (I8), unless the session was closed, or its journal broke: a write that is under way while the
 * session is idle, as that of a straggler's end, fails when the next submission waits for it, and from then on everything is refused (S2, J5).
 */
const goesOn = Effect.fnUntraced(function* (
  { harness, observation }: Pick<Started, "harness" | "observation">,
  breaksJournal: () => boolean
) {
  const { events, session } = harness
  const submit = Effect.exit(observation.submit(Op.userInput("after")))
  let submitted = yield* submit
  // input that is refused because too much was kept starts what was kept
  for (let tries = 1; tries < 3 && isRefused(submitted); tries++) {
    yield* session.awaitIdle
    submitted = yield* submit
  }
  yield* session.awaitIdle
  const { status, waiting } = yield* session.snapshot
  if (status === "closed" || (status === "failed" && breaksJournal())) {
    return isRefused(yield* submit) ? undefined : yield* Effect.die(`S2 a session that has ${status} goes on`)
  }
  if (submitted._tag === "Failure") return yield* submitted
  const last = events.findLast(isTerminal)
  if (last?._tag !== "TurnCompleted") return yield* Effect.die(`I8 the next turn ended as ${last?._tag}`)
  if (waiting.length > 0) return yield* Effect.die("P2 input waits after the queue")
})

const isRefused = (submitted: Exit.Exit<Op.Receipt, unknown>): boolean =>
  submitted._tag === "Success" && submitted.value._tag === "Rejected"

const slowed = (journal: Journal.Journal, millis: number): Journal.Journal => {
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
