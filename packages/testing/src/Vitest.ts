/**
 * Explorations and simulations as tests: `it.interrupts` and `it.simulate`, for the `it` of `vitest` or of `@effect/vitest`.
 *
 * A test fails with the report: figures, the smallest case of each fault with its steps and seed, and the line that repeats it. The environment variable
 * `EXPLORE_FACTOR` multiplies the runs of every such test; with a factor above 1 the figures are printed also when nothing is found. Imports no test runner.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Interrupts from "./Interrupts.ts"
import * as Simulation from "./Simulation.ts"

/** What is needed of an `it`. */
export type Register = (name: string, run: () => void, timeout?: number) => unknown

/** How to explore as a test. */
export interface InterruptsOptions<A, E> extends Interrupts.Options<A, E> {
  /** Milliseconds. Default 20,000, times the factor if that is above 1. */
  readonly timeout?: number
}

/** How to simulate as a test: random schedules, or with `isExhaustive` all of them up to `maxRuns`, which must suffice. */
export interface SimulateOptions<A, E> extends Simulation.Options<A, E> {
  /** How many random runs. Default 1,000. */
  readonly runs?: number
  readonly firstSeed?: number
  readonly isExhaustive?: boolean
  /** How many runs an exhaustive simulation may take. Default 20,000. */
  readonly maxRuns?: number
  /** How many preemptions and faults one run of an exhaustive simulation may have. Default 0 each. */
  readonly preemptions?: number
  readonly faults?: number
  /** Milliseconds. Default 20,000, times the factor if that is above 1. */
  readonly timeout?: number
}

/** What an `it` gets. */
export interface Methods {
  /** A test that runs a program with each action at each of its steps. It fails if a law is broken, and if no point was visited. */
  readonly interrupts: <A, E>(name: string, program: Interrupts.Program<A, E>, options: InterruptsOptions<A, E>) => void
  /** A test that runs a program under many schedules. It fails if anything is wrong with one of them. */
  readonly simulate: <A, E>(name: string, program: Effect.Effect<A, E>, options: SimulateOptions<A, E>) => void
}

/** By how much runs are multiplied: the environment variable `EXPLORE_FACTOR`. Default 1. */
export const factor = (): number => given("EXPLORE_FACTOR", 1)

/** A positive number from the environment. */
const given = (name: string, otherwise: number): number => {
  const text = (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.[name]
  const value = Number(text ?? otherwise)
  return Number.isFinite(value) && value > 0 ? value : otherwise
}

/**
 * A seed for what is to be drawn anew in each test run: the environment variable `EXPLORE_SEED`, a whole number, or else one that was drawn when this
 * module was loaded. Name it in the message of a failure, so that the draw can be repeated.
 */
export const seed = (): number => given("EXPLORE_SEED", drawnSeed)

const drawnSeed = Math.floor(Math.random() * 2 ** 31)

/** An exploration as a check: answers its report, and throws it as an error if a law is broken or no point was visited. */
export const checkInterrupts = <A, E>(
  program: Interrupts.Program<A, E>,
  options: Interrupts.Options<A, E>
): Interrupts.Report => {
  const report = Interrupts.explore(program, { ...options, maxRuns: raised(options.maxRuns ?? 2_000) })
  const text = Interrupts.format(report)
  conclude(text, report.violations.length === 0)
  if (report.points === 0)
    throw new Error(`no point was visited: does the program call victim, attack or arm?\n${text}`)
  return report
}

/** A simulation as a check: answers its report, and throws it as an error if anything is wrong with a run. */
export const checkSimulation = <A, E>(
  program: Effect.Effect<A, E>,
  options: SimulateOptions<A, E>
): Simulation.Report => {
  const report =
    options.isExhaustive === true
      ? Simulation.exhaustive(program, { ...options, maxRuns: raised(options.maxRuns ?? 20_000) })
      : Simulation.explore(program, { ...options, runs: raised(options.runs ?? 1_000) })
  const text = Simulation.format(report)
  conclude(text, report.violations.length === 0)
  if (options.isExhaustive === true && !report.isComplete) throw new Error(`not all schedules were run\n${text}`)
  return report
}

/**
 * An `it` with `interrupts` and `simulate` beside what it has.
 *
 * @example
 * ```ts no-run
 * import { it as plain } from "@effect/vitest"
 * import * as Vitest from "@spindle/testing/Vitest"
 * import * as Effect from "effect/Effect"
 * import * as Ref from "effect/Ref"
 *
 * const it = Vitest.extend(plain)
 *
 * it.interrupts("a permit is given back", (stage) =>
 *   Effect.gen(function* () {
 *     const free = yield* Ref.make(1)
 *     const take = Ref.update(free, (n) => n - 1)
 *     const give = Ref.update(free, (n) => n + 1)
 *     yield* stage.attack(Effect.acquireUseRelease(take, () => Effect.sleep(10), () => give))
 *     return yield* Ref.get(free)
 *   }),
 *   { invariant: (free) => free === 1 }
 * )
 * ```
 */
export const extend = <It extends Register>(it: It): It & Methods => {
  const methods: Methods = {
    interrupts: (name, program, { timeout, ...options }) => {
      it(name, () => void checkInterrupts(program, options), timeout ?? defaultTimeout())
    },
    simulate: (name, program, { timeout, ...options }) => {
      it(name, () => void checkSimulation(program, options), timeout ?? defaultTimeout())
    }
  }
  return new Proxy(it as It & Methods, {
    get: (target, property, receiver) =>
      Reflect.get(Object.hasOwn(methods, property) ? methods : target, property, receiver)
  })
}

const raised = (runs: number): number => Math.ceil(runs * factor())

/** Twenty seconds, raised with the runs. */
const defaultTimeout = (): number => Math.max(20_000, 20_000 * factor())

const conclude = (text: string, isFine: boolean): void => {
  if (!isFine) throw new Error(text)
  if (factor() > 1) Effect.runSync(Console.log(text))
}
