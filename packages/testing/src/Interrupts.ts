/**
 * Explores a program by interrupting it at every step (contract I10).
 *
 * The program runs again and again, each time with an action (an interruption, or any effect) at another of its steps.
 * After each run its laws are checked. Each finding is shrunk to the smallest case and reported with the decisions that
 * repeat it exactly.
 *
 * This module depends on `effect` alone. Time is virtual, so a run takes well under a millisecond. A program that waits
 * for a promise, a socket or a process leaves the simulation: the report names the wait, and it never counts as a pass.
 * With `exploreAsync` it may wait for promises.
 * For random schedules and faults instead of actions see `Simulation`.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Decisions, RunResult } from "./internal/decisions.ts"
import type { Finding, Laws } from "./internal/findings.ts"
import { plan, planOfFibers } from "./internal/planning.ts"
import * as Reporting from "./internal/reporting.ts"
import { judge, makeRuns, makeRunsAsync, type Runs, type Subject } from "./internal/running.ts"

export type { ActionPlace, Decisions } from "./internal/decisions.ts"
export type { Finding, FindingKind, Laws } from "./internal/findings.ts"
export type { Situation } from "./internal/probe.ts"
export type { Smallest, Violation } from "./internal/reporting.ts"

/** The controls that a program receives: they start and end its points, and name the actions that may happen there. */
export interface Stage {
  /** Makes each further step a point, at which these effects may run, by name, each in its own fiber. */
  readonly arm: (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }) => Effect.Effect<void>
  /** Ends the points, and waits for the actions that have started. */
  readonly disarm: Effect.Effect<void>
  /**
   * Forks an effect as a child, and makes its fiber the one that the action `interrupt` interrupts. Each further step
   * is a point. End the points with `disarm`.
   */
  readonly victim: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
  /** Does the same for an effect that ends: waits for it, ends the points, and returns its exit. */
  readonly attack: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Exit.Exit<A, E>, never, R>
}

/** A program. It is made anew for each run, and does the same whenever the decisions are the same. */
export type Program<A, E> = (stage: Stage) => Effect.Effect<A, E>

/** Options of an exploration. */
export interface Options<A, E> extends Laws<A, E> {
  /**
   * The actions to run. An entry with several actions runs them in one run, in this order, at all combinations of
   * steps; see {@link pairs}. In addition to the names that the program arms there are `interrupt`, which interrupts
   * the victim, and {@link anyFiber}. Default: `interrupt`.
   */
  readonly actions?: ReadonlyArray<ReadonlyArray<string>> | undefined
  /**
   * Default: both. A finding in mode `during` alone needs an operation that runs another fiber at once. Check by hand
   * whether that can happen.
   */
  readonly modes?: ReadonlyArray<Decisions["mode"]> | undefined
  /** Seeds of the schedules. 0, the default, is the order of arrival. */
  readonly seeds?: ReadonlyArray<number> | undefined
  /** The likelihood that a fiber is preempted at a step of a seeded schedule. Default 0.1. */
  readonly preemption?: number | undefined
  /**
   * The most runs of each entry of `actions` for each mode and seed. Default 2,000. If there are more combinations of
   * steps, a sample is drawn by seed, and the report has the number of those that were left out.
   */
  readonly maxRuns?: number | undefined
  /** The number of steps after which a run counts as a livelock. Default 100,000. */
  readonly maxSteps?: number | undefined
  /** The virtual time after which a run counts as an unbounded wait. Default: a day. */
  readonly maxDuration?: Duration.Input | undefined
  /** The most runs that shrinking takes for each fault. Default 500; 0 turns it off. */
  readonly maxShrinks?: number | undefined
  /**
   * The real time that the runs may take. The remaining steps are left out, and the report says so. Default: no limit.
   */
  readonly timeLimit?: Duration.Input | undefined
  /**
   * Ends the exploration after the first violation for which it returns true. The remaining steps are left out, and the
   * report says so. Default: all steps are visited.
   */
  readonly until?: ((violation: Reporting.Violation) => boolean) | undefined
}

/** A program to explore, with its laws and options. */
export interface Exploration<A, E> extends Options<A, E> {
  readonly program: Program<A, E>
}

/** The result of an exploration. */
export interface Report {
  readonly runs: number
  /** Distinct combinations of mode, schedule, action and step that were visited. */
  readonly points: number
  /** Combinations that were not visited, because of `maxRuns`, `timeLimit` or `until`. 0 if all were. */
  readonly leftOutCount: number
  /** True if `timeLimit` ended the exploration. */
  readonly isTimedOut: boolean
  /** True if `until` ended the exploration. */
  readonly isFound: boolean
  /** Steps of the longest run without an action. */
  readonly steps: number
  readonly durationMillis: number
  readonly violations: ReadonlyArray<Reporting.Violation>
  /** One small case for each fault among the violations. */
  readonly smallest: ReadonlyArray<Reporting.Smallest>
}

/**
 * The action that interrupts each fiber except the root at each step of its life, one by one. It must be alone in its
 * entry.
 */
export const anyFiber = "interrupt any fiber"

/** Pairs each of the first actions with each of the second, in both orders, for `actions`. */
export const pairs = (
  first: ReadonlyArray<string>,
  second: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<string>> => {
  const both = first.flatMap((one) => second.flatMap((other) => [[one, other] as const, [other, one] as const]))
  return [...new Map(both.map((pair) => [JSON.stringify(pair), pair])).values()]
}

/**
 * Runs a program with each of its actions at each of its steps, synchronously. Every 200th run is made twice: a program
 * that takes different steps with the same decisions is reported as not deterministic.
 *
 * @example
 * ```ts
 * import * as Interrupts from "@spindle/testing/Interrupts"
 * import * as Effect from "effect/Effect"
 *
 * // a counter that is shown while it works
 * const report = Interrupts.explore(
 *   (stage) =>
 *     Effect.gen(function* () {
 *       let shown = 0
 *       const show = Effect.sync(() => void shown++)
 *       const hide = Effect.sync(() => void shown--)
 *       yield* stage.attack(Effect.andThen(show, Effect.ensuring(Effect.sleep("1 second"), hide)))
 *       return shown
 *     }),
 *   { invariant: (shown) => shown === 0 }
 * )
 * console.log(report.smallest[0]?.law)
 * // prints: the invariant is broken: 1
 * ```
 */
export const explore: {
  <A, E>(program: Program<A, E>, options: Options<A, E>): Report
  <A, E>(exploration: Exploration<A, E>): Report
} = <A, E>(program: Program<A, E> | Exploration<A, E>, options?: Options<A, E>): Report =>
  makeRuns(run(typeof program === "function" ? { ...options, program } : program))

/**
 * Does the same for a program that may await promises and the timers of the platform's microtask queue
 * (`queueMicrotask`, `process.nextTick`). The queue is drained between steps: before each task, and as a whole before
 * virtual time passes. What leaves the queue, such as `setTimeout`, a socket or a file, never happens in a run. A
 * program that waits for it is reported by name.
 *
 * The event loop gets turns between two runs. An interruption ends the exploration between two runs.
 *
 * @example
 * ```ts
 * import * as Interrupts from "@spindle/testing/Interrupts"
 * import * as Effect from "effect/Effect"
 *
 * // counts a request even if it is interrupted while its promise is pending
 * const program: Interrupts.Program<number, never> = (stage) =>
 *   Effect.gen(function* () {
 *     let pending = 0
 *     const request = Effect.promise(async () => {
 *       pending++
 *       await Promise.resolve("response")
 *     })
 *     yield* stage.attack(Effect.andThen(request, Effect.sync(() => void pending--)))
 *     return pending
 *   })
 * const report = await Effect.runPromise(Interrupts.exploreAsync(program, { invariant: (pending) => pending === 0 }))
 * console.log(report.smallest[0]?.law)
 * // prints: the invariant is broken: 1
 * ```
 */
export const exploreAsync: {
  <A, E>(program: Program<A, E>, options: Options<A, E>): Effect.Effect<Report>
  <A, E>(exploration: Exploration<A, E>): Effect.Effect<Report>
} = <A, E>(program: Program<A, E> | Exploration<A, E>, options?: Options<A, E>): Effect.Effect<Report> =>
  Effect.promise((signal) =>
    makeRunsAsync(run(typeof program === "function" ? { ...options, program } : program), signal)
  )

/** Repeats a run of a program with the decisions of a violation. Returns the law that it breaks. */
export const replay: {
  <A, E>(program: Program<A, E>, options: Options<A, E>, decisions: Partial<Decisions>): string | undefined
  <A, E>(exploration: Exploration<A, E>, decisions: Partial<Decisions>): string | undefined
} = <A, E>(...args: ReplayArguments<A, E>): string | undefined => makeRuns(repeat(...args))

/** Does the same for a program of {@link exploreAsync}. */
export const replayAsync: {
  <A, E>(
    program: Program<A, E>,
    options: Options<A, E>,
    decisions: Partial<Decisions>
  ): Effect.Effect<string | undefined>
  <A, E>(exploration: Exploration<A, E>, decisions: Partial<Decisions>): Effect.Effect<string | undefined>
} = <A, E>(...args: ReplayArguments<A, E>): Effect.Effect<string | undefined> =>
  Effect.promise((signal) => makeRunsAsync(repeat(...args), signal))

/** Options of the text of a report. */
export interface FormatOptions {
  /** True to list the steps before the first action of each smallest case. Default false. */
  readonly trace?: boolean | undefined
  /** Returns further lines about how to repeat a smallest case. `decisions` is JSON. */
  readonly repeat?: ((decisions: string) => ReadonlyArray<string>) | undefined
}

/** Formats a report: its figures, and for each fault its smallest case with the line that repeats it. */
export const format = (report: Report, { repeat = () => [], trace = false }: FormatOptions = {}): string => {
  const { durationMillis, isFound, isTimedOut, leftOutCount, points, runs, smallest, steps, violations } = report
  const perSecond = Math.round((runs / durationMillis) * 1_000)
  const why = isTimedOut ? "the time limit was reached" : isFound ? "the fault was found" : "the steps were sampled"
  const figures = [
    `${runs} runs`,
    `${points} points`,
    ...(leftOutCount === 0 ? [] : [`${leftOutCount} left out (${why})`]),
    `${steps} steps`,
    `${perSecond} runs/s`,
    `${Math.round(durationMillis)} ms`,
    `${violations.length} violations`
  ]
  const cases = smallest.flatMap((one) =>
    Reporting.lines(one, { trace, repeat: (json) => [`Interrupts.replay(exploration, ${json})`, ...repeat(json)] })
  )
  return [figures.join(", "), ...cases].join("\n")
}

type ReplayArguments<A, E> =
  | readonly [Program<A, E>, Options<A, E>, Partial<Decisions>]
  | readonly [Exploration<A, E>, Partial<Decisions>]

const repeat = function* <A, E>(...args: ReplayArguments<A, E>): Runs<A, E, string | undefined> {
  const [exploration, decisions] = args.length === 3 ? [{ ...args[1], program: args[0] }, args[2]] : args
  const { finding } = yield* Reporting.judgeClosely(subjectOf(exploration), {
    ...baseOf(exploration, decisions.seed ?? 0),
    ...decisions
  })
  return finding?.law
}

const baseOf = <A, E>({ maxDuration, maxSteps, preemption }: Options<A, E>, seed: number): Decisions => ({
  mode: "before",
  at: [],
  seed,
  preemption: preemption ?? 0.1,
  maxSteps: maxSteps ?? 100_000,
  maxMillis: maxDuration === undefined ? undefined : Duration.toMillis(maxDuration)
})

const subjectOf = <A, E>({ program, ...options }: Exploration<A, E>): Subject<A, E> => ({
  laws: options,
  program: (stage) => {
    const arm: Stage["arm"] = (actions) => Effect.sync(() => stage.arm(actions))
    const victim: Stage["victim"] = (effect) =>
      Effect.tap(Effect.forkChild(effect), (fiber) =>
        Effect.sync(() => {
          stage.target(fiber)
          stage.arm({})
        })
      )
    const attack: Stage["attack"] = (effect) =>
      Effect.tap(Effect.flatMap(victim(effect), Fiber.await), () => stage.disarm)
    return program({ arm, disarm: stage.disarm, victim, attack })
  }
})

const repeatEvery = 200

/** Makes and counts the runs of one exploration. */
class Explorer<A, E> {
  runs = 0
  readonly violations: Array<Reporting.Violation> = []
  readonly subject: Subject<A, E>
  private readonly until: Options<A, E>["until"]
  isFound = false

  constructor(exploration: Exploration<A, E>) {
    this.subject = subjectOf(exploration)
    this.until = exploration.until
  }

  private addViolation(finding: Finding, decisions: Decisions): void {
    const violation = { ...finding, decisions }
    this.violations.push(violation)
    this.isFound ||= this.until?.(violation) === true
  }

  *visit(decisions: Decisions, isRepeated = ++this.runs % repeatEvery === 0): Runs<A, E, RunResult<A, E>> {
    // a probe explains stalls while they are few
    const isClose = this.violations.length < 100
    const { finding, result } = yield* (isClose ? Reporting.judgeClosely : judge)(this.subject, decisions)
    if (finding !== undefined) this.addViolation(finding, decisions)
    if (!isRepeated) return result
    this.runs++
    const other = yield* Reporting.difference(this.subject, result, decisions)
    if (other !== undefined) this.addViolation(other, decisions)
    return result
  }

  /** True if more runs would explain nothing. */
  get isHopeless(): boolean {
    return this.violations.some(({ kind }) => kind === "not deterministic" || kind === "left the simulation")
  }
}

const run = function* <A, E>(exploration: Exploration<A, E>): Runs<A, E, Report> {
  const { actions, maxRuns = 2_000, maxShrinks, modes, seeds, timeLimit } = exploration
  const startedAt = performance.now()
  const endsAt = timeLimit === undefined ? Infinity : startedAt + Duration.toMillis(timeLimit)
  const explorer = new Explorer(exploration)
  let points = 0
  let leftOutCount = 0
  let steps = 0
  let isTimedOut = false
  for (const seed of seeds ?? [0]) {
    const base = baseOf(exploration, seed)
    explorer.runs++
    const calm = yield* explorer.visit(base, true)
    if (explorer.isHopeless) break
    steps = Math.max(steps, calm.points)
    for (const mode of modes ?? (["before", "during"] as const)) {
      for (const names of actions ?? [["interrupt"]]) {
        const planned =
          names[0] === anyFiber ? planOfFibers(calm, maxRuns) : plan(names, calm.points, maxRuns, seed + 1)
        const visited = new Set<string>()
        for (const at of planned.runs) {
          isTimedOut ||= performance.now() > endsAt
          if (isTimedOut || explorer.isFound) break
          const { actionsCount } = yield* explorer.visit({ ...base, mode, at })
          if (actionsCount === at.length) points++
          visited.add(at.map(([, step]) => step).join(" "))
        }
        leftOutCount += Math.max(0, planned.count - visited.size)
      }
    }
  }
  const { isFound, runs, subject, violations } = explorer
  const smallest = yield* Reporting.smallestOf(subject, violations, maxShrinks ?? 500)
  const durationMillis = performance.now() - startedAt
  return { runs, points, leftOutCount, isTimedOut, isFound, steps, durationMillis, violations, smallest }
}
