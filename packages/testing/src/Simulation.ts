/**
 * Runs a program under many schedules: random ones with preemption and faults, each repeated exactly from its seed, or
 * all schedules of a small program.
 *
 * Time is virtual. Faults happen at the points that the program, or a fake that it uses, names through `Faults`. A
 * deadlock, a livelock, a leaked fiber, an unbounded wait and a wait for something outside the simulation are each
 * reported by name. This module depends on `effect` alone. For an action at every step see `Interrupts`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { type Choice, type Choices, Search } from "./internal/choices.ts"
import type { Decisions } from "./internal/decisions.ts"
import type { Finding, Laws } from "./internal/findings.ts"
import * as Reporting from "./internal/reporting.ts"
import { judge, type Judged, makeRuns, makeRunsAsync, type Runs, type Subject } from "./internal/running.ts"

export type { Choice, ChoiceKind } from "./internal/choices.ts"
export type { Finding, FindingKind, Laws } from "./internal/findings.ts"

/** Options of a simulation. */
export interface Options<A, E> extends Laws<A, E> {
  /** The likelihood that a fiber is preempted at a step, from 0 to 1. Default 0.1. */
  readonly preemption?: number | undefined
  /** The likelihood that a fault happens at one of its points, from 0 to 1. Default 0.1. */
  readonly faultRate?: number | undefined
  /** The number of steps after which a run counts as a livelock. Default 100,000. */
  readonly maxSteps?: number | undefined
  /** The virtual time after which a run counts as an unbounded wait. Default: a day. */
  readonly maxDuration?: Duration.Input | undefined
  /** The most runs that shrinking takes for each fault. Default 500; 0 turns it off. */
  readonly maxShrinks?: number | undefined
}

/** Options of a simulation of random schedules. */
export interface ExploreOptions<A, E> extends Options<A, E> {
  readonly runs?: number | undefined
  readonly firstSeed?: number | undefined
}

/** Options of a simulation of all schedules. */
export interface ExhaustiveOptions<A, E> extends Options<A, E> {
  readonly maxRuns?: number | undefined
  readonly preemptions?: number | undefined
  readonly faults?: number | undefined
}

/** One run. The same seed and the same program give the same run. */
export interface Run<A, E> {
  readonly seed: number
  /** The exit of the program; undefined if it did not end. */
  readonly exit: Exit.Exit<A, E> | undefined
  /** The fault; undefined if there is none. */
  readonly finding: Finding | undefined
  readonly steps: number
  /** The virtual time that the run took. */
  readonly millis: number
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  /** The choices that were not plain. The seed alone repeats them, and so does this list. */
  readonly choices: ReadonlyArray<Choice>
}

/** The result of a simulation of many runs. */
export interface Report {
  readonly runs: number
  /** Steps of all runs together. */
  readonly steps: number
  /** The number of faults that happened in all runs together. */
  readonly faultCount: number
  /** True if all schedules were run. Only `exhaustive` runs all, if `maxRuns` suffices. */
  readonly isComplete: boolean
  readonly durationMillis: number
  readonly violations: ReadonlyArray<Reporting.Violation>
  /** One small case for each fault among the violations. */
  readonly smallest: ReadonlyArray<Reporting.Smallest>
}

/** The schedule of a run: its seed, or its choices. */
export interface Schedule {
  readonly seed?: number | undefined
  readonly choices?: ReadonlyArray<Choice> | undefined
}

/**
 * Runs a program once, in the schedule and with the faults of a seed. Seed 0 is the order of arrival without faults.
 *
 * @example
 * ```ts
 * import * as Simulation from "@spindle/testing/Simulation"
 * import * as Deferred from "effect/Deferred"
 * import * as Effect from "effect/Effect"
 *
 * const stuck = Effect.flatMap(Deferred.make<void>(), Deferred.await)
 * console.log(Simulation.run(7, stuck).finding?.kind)
 * console.log(Simulation.run(7, Effect.sleep("2 days")).millis)
 * // prints: deadlock
 * // prints: 172800000
 * ```
 */
export const run = <A, E>(seed: number, program: Effect.Effect<A, E>, options: Options<A, E> = {}): Run<A, E> =>
  makeRuns(makeRun(program, options, decisionsOf(options, { seed })))

/** Repeats a run of a program in the schedule of a finding. */
export const replay = <A, E>(program: Effect.Effect<A, E>, options: Options<A, E>, schedule: Schedule): Run<A, E> =>
  makeRuns(makeRun(program, options, decisionsOf(options, schedule)))

/** Does the same for a program of {@link exploreAsync} or {@link exhaustiveAsync}. */
export const replayAsync = <A, E>(
  program: Effect.Effect<A, E>,
  options: Options<A, E>,
  schedule: Schedule
): Effect.Effect<Run<A, E>> =>
  Effect.promise((signal) => makeRunsAsync(makeRun(program, options, decisionsOf(options, schedule)), signal))

/**
 * Runs a program in the order of arrival, then with `firstSeed` (default 1) and the seeds after it, `runs` in total
 * (default 1,000). Findings are shrunk to few choices. Every 100th run is made twice: different steps with the same
 * seed are reported as not deterministic.
 */
export const explore = <A, E>(program: Effect.Effect<A, E>, options: ExploreOptions<A, E> = {}): Report =>
  makeRuns(runsOfExplore(program, options))

/**
 * Does the same for a program that may await promises and the timers of the platform's microtask queue; see
 * `Interrupts.exploreAsync`.
 */
export const exploreAsync = <A, E>(
  program: Effect.Effect<A, E>,
  options: ExploreOptions<A, E> = {}
): Effect.Effect<Report> => Effect.promise((signal) => makeRunsAsync(runsOfExplore(program, options), signal))

/**
 * Runs a small program in all orders of its tasks, depth first, with up to `preemptions` and `faults` in one run
 * (default 0 each). Stops after `maxRuns` (default 20,000); `isComplete` says whether that sufficed.
 */
export const exhaustive = <A, E>(program: Effect.Effect<A, E>, options: ExhaustiveOptions<A, E> = {}): Report =>
  makeRuns(runsOfExhaustive(program, options))

/**
 * Does the same for a program that may await promises and the timers of the platform's microtask queue; see
 * `Interrupts.exploreAsync`. The order in which promises continue is that of the platform.
 */
export const exhaustiveAsync = <A, E>(
  program: Effect.Effect<A, E>,
  options: ExhaustiveOptions<A, E> = {}
): Effect.Effect<Report> => Effect.promise((signal) => makeRunsAsync(runsOfExhaustive(program, options), signal))

/** Formats a report: its figures, and for each fault its smallest case with the line that repeats it. */
export const format = (report: Report): string => {
  const perSecond = Math.round((report.runs / report.durationMillis) * 1_000)
  const all = report.isComplete ? ", all schedules" : ""
  const figures = `${report.runs} runs${all}, ${report.steps} steps, ${report.faultCount} faults, ${perSecond} runs/s, ${Math.round(report.durationMillis)} ms, ${report.violations.length} violations`
  const repeat = (decisions: string) => [`Simulation.replay(program, options, ${decisions})`]
  return [figures, ...report.smallest.flatMap((one) => Reporting.lines(one, { repeat }))].join("\n")
}

const decisionsOf = <A, E>(
  { faultRate, maxDuration, maxSteps, preemption }: Options<A, E>,
  { choices, seed }: Schedule
): Decisions => ({
  mode: "before",
  at: [],
  seed: seed ?? 0,
  preemption: preemption ?? 0.1,
  maxSteps: maxSteps ?? 100_000,
  choices,
  faultRate,
  maxMillis: maxDuration === undefined ? undefined : Duration.toMillis(maxDuration)
})

const runsOfExplore = function* <A, E>(
  program: Effect.Effect<A, E>,
  options: ExploreOptions<A, E>
): Runs<A, E, Report> {
  const simulator = new Simulator(program, options)
  const first = options.firstSeed ?? 1
  const seeds = Array.from({ length: (options.runs ?? 1_000) - 1 }, (_, index) => first + index)
  for (const [index, seed] of [0, ...seeds].entries()) {
    const decisions = decisionsOf(options, { seed })
    const { result } = yield* simulator.visit(decisions)
    if (index % 100 === 0) yield* simulator.repeat(result, decisions)
    if (simulator.isHopeless) break
  }
  return yield* simulator.report(false)
}

const runsOfExhaustive = function* <A, E>(
  program: Effect.Effect<A, E>,
  options: ExhaustiveOptions<A, E>
): Runs<A, E, Report> {
  const simulator = new Simulator(program, options)
  const search = new Search(options.preemptions ?? 0, options.faults ?? 0)
  const base = decisionsOf(options, { choices: [] })
  const first = yield* simulator.visit(base)
  yield* simulator.repeat(first.result, base)
  for (let left = options.maxRuns ?? 20_000; left > 0 && !simulator.isHopeless; left--) {
    yield* simulator.visit(base, search.next())
    if (!search.advance()) return yield* simulator.report(true)
  }
  return yield* simulator.report(false)
}

const makeRun = function* <A, E>(
  program: Effect.Effect<A, E>,
  options: Options<A, E>,
  decisions: Decisions
): Runs<A, E, Run<A, E>> {
  const { finding, result } = yield* Reporting.judgeClosely({ program: () => program, laws: options }, decisions)
  const { choices, faults, millis, steps } = result
  return { seed: decisions.seed, exit: result.exit, finding, steps, millis, faults, choices }
}

/** Makes and counts the runs of one simulation. */
class Simulator<A, E> {
  private readonly startedAt = performance.now()
  private readonly subject: Subject<A, E>
  private readonly violations: Array<Reporting.Violation> = []
  private readonly maxShrinks: number
  private runs = 0
  private steps = 0
  private faultCount = 0

  constructor(program: Effect.Effect<A, E>, options: Options<A, E>) {
    this.subject = { program: () => program, laws: options }
    this.maxShrinks = options.maxShrinks ?? 500
  }

  /** True if more runs would explain nothing. */
  get isHopeless(): boolean {
    return this.violations.some(({ kind }) => kind === "not deterministic" || kind === "left the simulation")
  }

  *visit(decisions: Decisions, choices?: Choices): Runs<A, E, Judged<A, E>> {
    // a probe explains stalls while they are few
    const isClose = this.violations.length < 100
    const judged = yield* (isClose ? Reporting.judgeClosely : judge)(
      this.subject,
      decisions,
      choices === undefined ? undefined : { choices }
    )
    const { finding, result } = judged
    this.runs++
    this.steps += result.steps
    this.faultCount += result.faults.length
    if (finding !== undefined) {
      this.violations.push({
        ...finding,
        decisions: choices === undefined ? decisions : { ...decisions, choices: result.choices }
      })
    }
    return judged
  }

  /** Repeats a run, and adds a violation if the steps differ. */
  *repeat(result: Judged<A, E>["result"], decisions: Decisions): Runs<A, E, void> {
    this.runs++
    const other = yield* Reporting.difference(this.subject, result, decisions)
    if (other !== undefined) this.violations.push({ ...other, decisions })
  }

  *report(isComplete: boolean): Runs<A, E, Report> {
    const { faultCount, runs, steps, violations } = this
    const smallest = yield* Reporting.smallestOf(this.subject, violations, this.maxShrinks)
    const durationMillis = performance.now() - this.startedAt
    return { runs, steps, faultCount, isComplete, durationMillis, violations, smallest }
  }
}
