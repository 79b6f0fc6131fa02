/**
 * Interruption at every step of a program.
 *
 * A program is run again and again, each time with an action - an interruption, or any effect - at another of its steps, and after each run its
 * laws are checked. What is found is shrunk to the smallest case and reported with the decisions that repeat it exactly. Depends on `effect` alone;
 * time is virtual, so a run takes well under a millisecond. A program that waits for a promise, a socket or a process leaves the simulation: that is
 * reported by name, and is never a pass. For random schedules and faults instead of actions see `Simulation`.
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Acted, Decisions as DecisionsOfRun, Ran } from "./internal/exploringScheduler.ts"
import type { Finding, FindingKind as Kind, Laws as LawsOfProgram } from "./internal/findings.ts"
import { plan, planOfFibers } from "./internal/planning.ts"
import * as Reporting from "./internal/reporting.ts"

/** What one run does: which actions at which steps, in which mode, and how its schedule is chosen. */
export type Decisions = DecisionsOfRun

/** What may be wrong with a run. */
export type FindingKind = Kind

/** What must hold after a run: a `law`, `laws` by name, an `invariant` of what the program answers, or several of them. */
export type Laws<A, E> = LawsOfProgram<A, E>

/** What a program is given: where its points begin and end, and what may happen at them. */
export interface Stage {
  /** From here on each step is a point; these effects may be run at them, by name, each in a fiber of its own. */
  readonly arm: (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }) => Effect.Effect<void>
  /** From here on no step is a point: actions that are due are not run, and those that were begun are waited for. */
  readonly disarm: Effect.Effect<void>
  /**
   * Forks an effect as a child and makes its fiber the one that the action `interrupt` interrupts; from here on each step is a point. End the
   * points with `disarm`.
   */
  readonly victim: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
  /** The same for an effect that ends: waits for it, ends the points, and answers how it ended. */
  readonly attack: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Exit.Exit<A, E>, never, R>
}

/** A program that is made anew for each run, and does the same whenever the decisions are the same. */
export type Program<A, E> = (stage: Stage) => Effect.Effect<A, E>

/** How to explore. */
export interface Options<A, E> extends Laws<A, E> {
  /**
   * What to run: each entry is one action, or several that are run in one run, in this order, at all combinations of steps; see {@link pairs}.
   * Beside the names that the program arms there are `interrupt`, which interrupts the victim, and {@link anyFiber}. Default: `interrupt`.
   */
  readonly actions?: ReadonlyArray<ReadonlyArray<string>>
  /** Default: both. What is found in mode `during` alone needs an operation that runs another fiber at once; look at it by hand. */
  readonly modes?: ReadonlyArray<Decisions["mode"]>
  /** Seeds of the schedules; 0, the default, is the order of arrival. */
  readonly seeds?: ReadonlyArray<number>
  /** How likely a fiber is preempted at a step of a seeded schedule. Default 0.1. */
  readonly preemption?: number
  /** How many runs each entry of `actions` may take for each mode and seed; beyond that, points are drawn by seed. Default 2,000. */
  readonly maxRuns?: number
  /** How many steps a run may take before it counts as a livelock. Default 100,000. */
  readonly maxSteps?: number
  /** How much virtual time a run may take before it counts as an unbounded wait, in milliseconds. Default a day. */
  readonly maxMillis?: number
  /** How many runs shrinking may take for each fault. Default 500; 0 means not at all. */
  readonly maxShrinks?: number
}

/** A program under exploration, with its laws and options. */
export interface Exploration<A, E> extends Options<A, E> {
  readonly program: Program<A, E>
}

/** A run that broke a law. `replay` runs it again. */
export type Violation = Reporting.Violation

/** The smallest case of one fault: what, at which steps, where the fibers stood, and in how many runs it showed. */
export type Smallest = Reporting.Smallest

/** Where an action came. */
export type ActedAt = Acted

/** What an exploration did and found. */
export interface Report {
  readonly runs: number
  /** Distinct combinations of mode, schedule, action and step that were visited. */
  readonly points: number
  /** Steps of the longest run without an action. */
  readonly steps: number
  readonly durationMillis: number
  readonly violations: ReadonlyArray<Violation>
  /** One small case for each fault among the violations. */
  readonly smallest: ReadonlyArray<Smallest>
}

/** The action that interrupts each fiber but the root at each step of its life, one by one. It stands alone, not in a pair. */
export const anyFiber = "interrupt any fiber"

/** Each of the first actions with each of the second, in both orders; for `actions`. */
export const pairs = (
  first: ReadonlyArray<string>,
  second: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<string>> => {
  const both = first.flatMap((one) => second.flatMap((other) => [[one, other] as const, [other, one] as const]))
  return [...new Map(both.map((pair) => [JSON.stringify(pair), pair])).values()]
}

/**
 * Runs a program with each of its actions at each of its steps. It runs to its end before it answers. Every 200th run is made twice: a program that
 * takes other steps with the same decisions is reported as not deterministic.
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
  run(typeof program === "function" ? { ...options, program } : program)

/** Runs a program once more with the decisions of a violation; answers the law that it breaks. */
export const replay: {
  <A, E>(program: Program<A, E>, options: Options<A, E>, decisions: Partial<Decisions>): string | undefined
  <A, E>(exploration: Exploration<A, E>, decisions: Partial<Decisions>): string | undefined
} = <A, E>(
  ...args:
    | readonly [Program<A, E>, Options<A, E>, Partial<Decisions>]
    | readonly [Exploration<A, E>, Partial<Decisions>]
): string | undefined => {
  const [exploration, decisions] = args.length === 3 ? [{ ...args[1], program: args[0] }, args[2]] : args
  const { finding } = Reporting.judgeClosely(subjectOf(exploration), {
    ...baseOf(exploration, decisions.seed ?? 0),
    ...decisions
  })
  return finding?.law
}

/** A report for people: its figures, and for each fault its smallest case with the line that repeats it. */
export const format = (report: Report): string => {
  const perSecond = Math.round((report.runs / report.durationMillis) * 1_000)
  const figures = `${report.runs} runs, ${report.points} points, ${report.steps} steps, ${perSecond} runs/s, ${Math.round(report.durationMillis)} ms, ${report.violations.length} violations`
  const found = report.smallest.flatMap((one) => Reporting.lines(one, "Interrupts.replay(exploration"))
  return [figures, ...found].join("\n")
}

/** The fiber that this effect runs in, and an action that interrupts it. */
export const interruptHere: Effect.Effect<Effect.Effect<void>> = Effect.map(
  Effect.fiber,
  (fiber: Fiber.Fiber<unknown, unknown>) => Effect.sync(() => fiber.interruptUnsafe())
)

const baseOf = <A, E>({ maxMillis, maxSteps, preemption }: Options<A, E>, seed: number): Decisions => ({
  mode: "before",
  at: [],
  seed,
  preemption: preemption ?? 0.1,
  maxSteps: maxSteps ?? 100_000,
  ...(maxMillis === undefined ? {} : { maxMillis })
})

const subjectOf = <A, E>({ program, ...options }: Exploration<A, E>): Reporting.Subject<A, E> => ({
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

/** The runs of one exploration, counted. */
class Exploring<A, E> {
  runs = 0
  readonly violations: Array<Violation> = []
  readonly subject: Reporting.Subject<A, E>

  constructor(subject: Reporting.Subject<A, E>) {
    this.subject = subject
  }

  note(finding: Finding, decisions: Decisions): void {
    this.violations.push({ ...finding, decisions })
  }

  visit(decisions: Decisions, isRepeated = ++this.runs % repeatEvery === 0): Ran<A, E> {
    // stalls are looked at closely while they are few
    const isClose = this.violations.length < 100
    const { finding, ran } = (isClose ? Reporting.judgeClosely : Reporting.judge)(this.subject, decisions)
    if (finding !== undefined) this.note(finding, decisions)
    if (!isRepeated) return ran
    this.runs++
    const other = Reporting.difference(this.subject, ran, decisions)
    if (other !== undefined) this.note(other, decisions)
    return ran
  }
}

const isHopeless = ({ kind }: Violation) => kind === "not deterministic" || kind === "left the simulation"

const run = <A, E>(exploration: Exploration<A, E>): Report => {
  const startedAt = performance.now()
  const exploring = new Exploring(subjectOf(exploration))
  const maxRuns = exploration.maxRuns ?? 2_000
  let points = 0
  let steps = 0
  for (const seed of exploration.seeds ?? [0]) {
    const base = baseOf(exploration, seed)
    exploring.runs++
    const calm = exploring.visit(base, true)
    if (exploring.violations.some(isHopeless)) break
    steps = Math.max(steps, calm.points)
    for (const mode of exploration.modes ?? (["before", "during"] as const)) {
      for (const names of exploration.actions ?? [["interrupt"]]) {
        for (const at of names[0] === anyFiber
          ? planOfFibers(calm, maxRuns)
          : plan(names, calm.points, maxRuns, seed + 1)) {
          if (exploring.visit({ ...base, mode, at }).acted === at.length) points++
        }
      }
    }
  }
  const { runs, subject, violations } = exploring
  const smallest = Reporting.smallestOf(subject, violations, exploration.maxShrinks ?? 500)
  return { runs, points, steps, durationMillis: performance.now() - startedAt, violations, smallest }
}
