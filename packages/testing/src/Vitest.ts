/**
 * Explorations and simulations as tests: `it.interrupts` and `it.simulate`, for the `it` of `vitest` or
 * `@effect/vitest`.
 *
 * A test fails with the report: figures, the smallest case of each fault with its steps and seed, and the line that
 * repeats it. Three environment variables apply to all such tests: `EXPLORE_FACTOR` multiplies the runs, and with a
 * factor above 1 the figures are printed even if nothing is found; `EXPLORE_TRACE=1` adds the steps before the first
 * action to each case; `EXPLORE_SEED` sets the seed of {@link seed}. This module imports no test runner.
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Interrupts from "./Interrupts.ts"
import * as Simulation from "./Simulation.ts"

/** The part of `it` that registers a test. */
export type Register = (name: string, run: () => void | Promise<void>, timeout?: number) => unknown

/** The part of `it` that is extended. Without `skip`, tests that are skipped are not registered. */
export interface It extends Register {
  readonly only?: Register | undefined
  readonly skip?: Register | undefined
}

/** Options of an exploration as a test. */
export interface InterruptsOptions<A, E> extends Interrupts.Options<A, E> {
  /**
   * The time limit of the test, in milliseconds. An exploration that is not complete by then fails. Default 20,000,
   * times the factor if that is above 1.
   */
  readonly timeout?: number | undefined
  /**
   * True if the program may await promises and the timers of the microtask queue, as in `Interrupts.exploreAsync`.
   * Default false.
   */
  readonly isAsync?: boolean | undefined
  /** Runs the program once, with these decisions, instead of exploring it: paste them from the report. */
  readonly replay?: Partial<Interrupts.Decisions> | undefined
}

/**
 * Options of a simulation as a test: random schedules, or with `isExhaustive` all of them, for which `maxRuns` must
 * suffice.
 */
export interface SimulateOptions<A, E> extends Simulation.Options<A, E> {
  /** The number of random runs. Default 1,000. */
  readonly runs?: number | undefined
  readonly firstSeed?: number | undefined
  readonly isExhaustive?: boolean | undefined
  /** The most runs of an exhaustive simulation. Default 20,000. */
  readonly maxRuns?: number | undefined
  /** The most preemptions in one run of an exhaustive simulation. Default 0. */
  readonly preemptions?: number | undefined
  /** The most faults in one run of an exhaustive simulation. Default 0. */
  readonly faults?: number | undefined
  /** The time limit of the test, in milliseconds. Default 20,000, times the factor if that is above 1. */
  readonly timeout?: number | undefined
  /**
   * True if the program may await promises and the timers of the microtask queue, as in `Simulation.exploreAsync`.
   * Default false.
   */
  readonly isAsync?: boolean | undefined
}

/** Registers a test that runs a program with each action at each of its steps. */
export type InterruptsTest = <A, E>(
  name: string,
  program: Interrupts.Program<A, E>,
  options: InterruptsOptions<A, E>
) => void

/** Registers a test that runs a program under many schedules. */
export type SimulateTest = <A, E>(name: string, program: Effect.Effect<A, E>, options: SimulateOptions<A, E>) => void

/** Registers tests of one kind. */
export type Methods = {
  /** A test fails if a law is broken, and if no point was visited. */
  readonly interrupts: InterruptsTest & {
    readonly only: InterruptsTest
    readonly skip: InterruptsTest
    /** Registers a test for each case. `%s` in the name is replaced by the case. */
    readonly each: <Case>(
      cases: ReadonlyArray<Case>
    ) => <A, E>(
      name: string,
      program: (one: Case) => Interrupts.Program<A, E>,
      options: InterruptsOptions<A, E> | ((one: Case) => InterruptsOptions<A, E>)
    ) => void
  }
  /** A test fails if anything is wrong with one of the schedules. */
  readonly simulate: SimulateTest & { readonly only: SimulateTest; readonly skip: SimulateTest }
}

/** The factor by which runs are multiplied: the environment variable `EXPLORE_FACTOR`. Default 1. */
export const factor = (): number => numberOf("EXPLORE_FACTOR", 1)

const variable = (name: string): string | undefined =>
  (globalThis as { process?: { env?: Record<string, string | undefined> } }).process?.env?.[name]

/** Reads a positive number from the environment. */
const numberOf = (name: string, otherwise: number): number => {
  const value = Number(variable(name) ?? otherwise)
  return Number.isFinite(value) && value > 0 ? value : otherwise
}

/**
 * A seed for values that are drawn anew in each test run: the environment variable `EXPLORE_SEED`, a whole number, or
 * else one that was drawn when this module was loaded. Put it into the message of a failure, so that the draw can be
 * repeated.
 */
export const seed = (): number => numberOf("EXPLORE_SEED", drawnSeed)

const drawnSeed = Math.floor(Math.random() * 2 ** 31)

/**
 * Checks an exploration and returns its report. Throws the report as an error if a law is broken, if no point was
 * visited, or if the time limit left steps out.
 */
export const checkInterrupts = <A, E>(
  program: Interrupts.Program<A, E>,
  options: Interrupts.Options<A, E>
): Interrupts.Report => concludeInterrupts(Interrupts.explore(program, multipliedRuns(options)))

/** Does the same for a program that may await promises, in `Interrupts.exploreAsync`. The report is a defect. */
export const checkInterruptsAsync = <A, E>(
  program: Interrupts.Program<A, E>,
  options: Interrupts.Options<A, E>
): Effect.Effect<Interrupts.Report> =>
  Effect.map(Interrupts.exploreAsync(program, multipliedRuns(options)), concludeInterrupts)

const multipliedRuns = <A, E>(options: Interrupts.Options<A, E>): Interrupts.Options<A, E> => ({
  ...options,
  maxRuns: multiply(options.maxRuns ?? 2_000)
})

const concludeInterrupts = (report: Interrupts.Report): Interrupts.Report => {
  const text = Interrupts.format(report, {
    trace: variable("EXPLORE_TRACE") === "1",
    repeat: (decisions) => [`or as an option of the test, replay: ${decisions}`]
  })
  conclude(text, report.violations.length === 0)
  if (report.isTimedOut) throw new Error(`the time limit was reached before all steps were explored\n${text}`)
  if (report.points === 0) {
    throw new Error(`no point was visited: does the program call victim, attack or arm?\n${text}`)
  }
  return report
}

/** Repeats one run of a program. Throws the law that it breaks as an error. */
export const checkReplay = <A, E>(
  program: Interrupts.Program<A, E>,
  options: Interrupts.Options<A, E>,
  decisions: Partial<Interrupts.Decisions>
): void => throwLaw(Interrupts.replay(program, options, decisions))

const throwLaw = (law: string | undefined): void => {
  if (law !== undefined) throw new Error(law)
}

/** Checks a simulation and returns its report. Throws the report as an error if anything is wrong with a run. */
export const checkSimulation = <A, E>(
  program: Effect.Effect<A, E>,
  options: SimulateOptions<A, E>
): Simulation.Report =>
  concludeSimulation(
    options.isExhaustive === true
      ? Simulation.exhaustive(program, { ...options, maxRuns: multiply(options.maxRuns ?? 20_000) })
      : Simulation.explore(program, { ...options, runs: multiply(options.runs ?? 1_000) }),
    options
  )

/** Does the same for a program that may await promises, in `Simulation.exploreAsync`. The report is a defect. */
export const checkSimulationAsync = <A, E>(
  program: Effect.Effect<A, E>,
  options: SimulateOptions<A, E>
): Effect.Effect<Simulation.Report> =>
  Effect.map(
    options.isExhaustive === true
      ? Simulation.exhaustiveAsync(program, { ...options, maxRuns: multiply(options.maxRuns ?? 20_000) })
      : Simulation.exploreAsync(program, { ...options, runs: multiply(options.runs ?? 1_000) }),
    (report) => concludeSimulation(report, options)
  )

const concludeSimulation = (
  report: Simulation.Report,
  { isExhaustive }: { readonly isExhaustive?: boolean | undefined }
): Simulation.Report => {
  const text = Simulation.format(report)
  conclude(text, report.violations.length === 0)
  if (isExhaustive === true && !report.isComplete) throw new Error(`not all schedules were run\n${text}`)
  return report
}

/**
 * Adds `interrupts` and `simulate` to an `it`.
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
export const extend = <Own extends It>(it: Own): Own & Methods => {
  const interrupts =
    (register: Register): InterruptsTest =>
    (name, program, { isAsync = false, replay, timeout = defaultTimeout(), ...options }) => {
      const limited = { timeLimit: timeout, ...options }
      const check = () =>
        replay === undefined ? void checkInterrupts(program, limited) : checkReplay(program, options, replay)
      const checkAsync = () =>
        Effect.runPromise(
          replay === undefined
            ? Effect.asVoid(checkInterruptsAsync(program, limited))
            : Effect.map(Interrupts.replayAsync(program, options, replay), throwLaw)
        )
      register(name, isAsync ? checkAsync : check, timeout)
    }
  const simulate =
    (register: Register): SimulateTest =>
    (name, program, { isAsync = false, timeout = defaultTimeout(), ...options }) => {
      const check = () => void checkSimulation(program, options)
      const checkAsync = () => Effect.runPromise(Effect.asVoid(checkSimulationAsync(program, options)))
      register(name, isAsync ? checkAsync : check, timeout)
    }
  const methods: Methods = {
    interrupts: Object.assign(interrupts(it), {
      only: interrupts(it.only ?? it),
      skip: interrupts(it.skip ?? ignore),
      each:
        <Case>(cases: ReadonlyArray<Case>) =>
        <A, E>(
          name: string,
          program: (one: Case) => Interrupts.Program<A, E>,
          options: InterruptsOptions<A, E> | ((one: Case) => InterruptsOptions<A, E>)
        ) => {
          for (const one of cases) {
            const own = typeof options === "function" ? options(one) : options
            interrupts(it)(
              name.replace("%s", () => String(one)),
              program(one),
              own
            )
          }
        }
    }),
    simulate: Object.assign(simulate(it), { only: simulate(it.only ?? it), skip: simulate(it.skip ?? ignore) })
  }
  return new Proxy(it as Own & Methods, {
    get: (target, property, receiver) =>
      Reflect.get(Object.hasOwn(methods, property) ? methods : target, property, receiver)
  })
}

const ignore: Register = () => undefined

const multiply = (runs: number): number => Math.ceil(runs * factor())

/** Twenty seconds, multiplied like the runs. */
const defaultTimeout = (): number => Math.max(20_000, 20_000 * factor())

const conclude = (text: string, isFine: boolean): void => {
  if (!isFine) throw new Error(text)
  if (factor() > 1) Effect.runSync(Console.log(text))
}
