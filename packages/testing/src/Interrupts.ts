/**
 * Interruption at every step of a program.
 *
 * A program is run again and again, each time with an action - an interruption, or any effect - at another of its steps, and after each run a
 * law is checked. What is found is reported with the decisions that repeat it exactly. Depends on `effect` alone; time is virtual, so a run takes
 * well under a millisecond. A program that waits for a promise, a socket or a process leaves the simulation and shows up as a deadlock.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { type Decisions, randomOf, type Ran, runOnce } from "./internal/exploringScheduler.ts"

/** What a program is given: where its points begin and end, and what may happen at them. */
export interface Stage {
  /** From here on each step is a point; these effects may be run at them, by name, each in a fiber of its own. */
  readonly arm: (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }) => Effect.Effect<void>
  /** From here on no step is a point: actions that are due are not run, and those that were begun are waited for. */
  readonly disarm: Effect.Effect<void>
}

/** A program under exploration. It is made anew for each run, and must do the same whenever the decisions are the same. */
export interface Exploration<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  /** What is wrong with a run that ended; undefined if nothing is. */
  readonly law: (exit: Exit.Exit<A, E>) => string | undefined
  /** What to run: each entry is one action, or several that are run in one run, at all combinations of steps (in both orders, by entry). */
  readonly actions: ReadonlyArray<ReadonlyArray<string>>
  /** Default: both. */
  readonly modes?: ReadonlyArray<Decisions["mode"]>
  /** Seeds of the schedules; 0, the default, is the order of arrival. */
  readonly seeds?: ReadonlyArray<number>
  /** How likely a fiber is preempted at a step of a seeded schedule. Default 0.1. */
  readonly preemption?: number
  /** How many runs each entry of `actions` may take for each mode and seed; beyond that, points are drawn. Default 2,000. */
  readonly maxRuns?: number
  /** How many steps a run may take before it counts as a livelock. Default 100,000. */
  readonly maxSteps?: number
}

/** A run that broke a law. `replay` runs it again. */
export interface Violation {
  readonly law: string
  readonly decisions: Decisions
}

/** What an exploration did and found. */
export interface Report {
  readonly runs: number
  /** Distinct combinations of mode, schedule, action and step that were visited. */
  readonly points: number
  /** Steps of the longest run without an action. */
  readonly steps: number
  readonly durationMillis: number
  readonly violations: ReadonlyArray<Violation>
}

/** Runs a program with each of its actions at each of its steps. It runs to its end before it answers. */
export const explore = <A, E>(exploration: Exploration<A, E>): Report => {
  const startedAt = performance.now()
  const violations: Array<Violation> = []
  let runs = 0
  let points = 0
  let steps = 0
  const visit = (decisions: Decisions): Ran<A, E> => {
    const ran = run(exploration, decisions)
    runs++
    const law = brokenLaw(exploration, ran)
    if (law !== undefined) violations.push({ law, decisions })
    return ran
  }
  for (const seed of exploration.seeds ?? [0]) {
    const base = baseOf(exploration, seed)
    const calm = visit(base)
    const again = visit(base)
    if (calm.steps !== again.steps) {
      violations.push({
        law: `not deterministic: ${calm.steps} steps, then ${again.steps} with the same decisions`,
        decisions: base
      })
      break
    }
    steps = Math.max(steps, calm.points)
    for (const mode of exploration.modes ?? (["before", "during"] as const)) {
      for (const names of exploration.actions) {
        for (const at of plan(names, calm.points, exploration.maxRuns ?? 2_000, seed + 1)) {
          if (visit({ ...base, mode, at }).acted === at.length) points++
        }
      }
    }
  }
  return { runs, points, steps, durationMillis: performance.now() - startedAt, violations }
}

/** Runs a program once more with the decisions of a violation; answers the law that it breaks. */
export const replay = <A, E>(exploration: Exploration<A, E>, decisions: Partial<Decisions>): string | undefined =>
  brokenLaw(exploration, run(exploration, { ...baseOf(exploration, decisions.seed ?? 0), ...decisions }))

/** A report for people: its figures, and for each of up to ten broken laws how often, and the line that repeats the first. */
export const format = (report: Report): string => {
  const perSecond = Math.round((report.runs / report.durationMillis) * 1_000)
  const figures = `${report.runs} runs, ${report.points} points, ${report.steps} steps, ${perSecond} runs/s, ${Math.round(report.durationMillis)} ms, ${report.violations.length} violations`
  const byLaw = Map.groupBy(report.violations, ({ law }) => law)
  const lines = Array.from(byLaw, ([law, found]) => {
    const { at, mode, preemption, seed } = found[0]!.decisions
    return `${found.length} x ${law}\n  Interrupts.replay(exploration, ${JSON.stringify({ mode, at, seed, preemption })})`
  })
  return [figures, ...lines.slice(0, 10)].join("\n")
}

/** The fiber that this effect runs in, and an action that interrupts it. */
export const interruptHere: Effect.Effect<Effect.Effect<void>> = Effect.map(
  Effect.fiber,
  (fiber: Fiber.Fiber<unknown, unknown>) => Effect.sync(() => fiber.interruptUnsafe())
)

const baseOf = <A, E>({ maxSteps, preemption }: Exploration<A, E>, seed: number): Decisions => ({
  mode: "before",
  at: [],
  seed,
  preemption: preemption ?? 0.1,
  maxSteps: maxSteps ?? 100_000
})

const run = <A, E>(exploration: Exploration<A, E>, decisions: Decisions): Ran<A, E> =>
  runOnce(
    (stage) =>
      exploration.program({
        arm: (actions) => Effect.sync(() => stage.arm(actions)),
        disarm: stage.disarm
      }),
    decisions
  )

const brokenLaw = <A, E>(exploration: Exploration<A, E>, ran: Ran<A, E>): string | undefined => {
  if (ran.end === "livelock") return "livelock: the program takes steps without end"
  if (ran.exit === undefined) return "deadlock: nothing can run, and the program has not ended"
  const broken = exploration.law(ran.exit)
  if (broken !== undefined) {
    return ran.exit._tag === "Failure" ? `${broken}: ${Cause.pretty(ran.exit.cause)}` : broken
  }
  return ran.leakCount > 0 ? `leaked fibers: ${ran.leakCount}` : undefined
}

/** The steps at which the actions of one entry are run: all combinations in ascending order of steps, or a sample of them. */
const plan = function* (
  names: ReadonlyArray<string>,
  points: number,
  maxRuns: number,
  seed: number
): Generator<ReadonlyArray<readonly [string, number]>> {
  const all = Array.from(combinations(names.length, points, maxRuns))
  if (all.length <= maxRuns) {
    for (const steps of all) yield names.map((name, index) => [name, steps[index]!] as const)
    return
  }
  const random = randomOf(seed)
  // points are taken evenly for one action, drawn for several
  const stride = points / maxRuns
  for (let count = 0; count < maxRuns; count++) {
    const steps =
      names.length === 1
        ? [1 + Math.floor((count + random()) * stride)]
        : names.map(() => 1 + Math.floor(random() * points)).sort((a, b) => a - b)
    yield names.map((name, index) => [name, Math.min(steps[index]!, points)] as const)
  }
}

/** Ascending steps for a number of actions; no more than one beyond the limit. */
const combinations = function* (count: number, points: number, limit: number): Generator<ReadonlyArray<number>> {
  const steps = Array.from({ length: count }, () => 1)
  for (let made = 0; made <= limit; made++) {
    yield [...steps]
    let index = count - 1
    while (index >= 0 && steps[index] === points) index--
    if (index < 0) return
    const next = steps[index]! + 1
    for (let rest = index; rest < count; rest++) steps[rest] = next
  }
}
