/**
 * Runs a program once with every step decided: one queue for all fibers, drained synchronously, virtual time, and
 * actions at given steps.
 *
 * A *step* is each operation of each fiber and each task that is taken from the queue. The steps of an armed program
 * are its *points*.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import { Faults } from "../Faults.ts"
import { Actions } from "./actions.ts"
import { type Choices, draw, fromList, plain, randomOf } from "./choices.ts"
import type { AnyFiber, Decisions, Lifetime, RunResult, Stage } from "./decisions.ts"
import { drainMicrotasks, quietDrains } from "./microtasks.ts"
import { type EffectPrimitive, makeObservingContext, opensRegion } from "./operations.ts"
import { Probe } from "./probe.ts"
import { VirtualClock } from "./virtualClock.ts"

/** A run: the program and its decisions. */
export interface RunOptions<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  readonly decisions: Decisions
  /** The source of choices, instead of the decisions. */
  readonly choices?: Choices | undefined
  readonly isProbed?: boolean | undefined
}

/** Runs a program once, passes the result to a function, and ends the fibers that the run left running. */
export const runOnce = <A, E, B>(options: RunOptions<A, E>, judge: (result: RunResult<A, E>) => B): B => {
  const scheduler = new ExploringScheduler(options)
  const unwatch = scheduler.probe?.watch()
  try {
    const root = scheduler.start(options.program)
    return judge(scheduler.resultOf(root, scheduler.drain()))
  } finally {
    unwatch?.()
    scheduler.abandon()
  }
}

/**
 * Does the same for a program that may wait for the platform's microtask queue. The queue is drained before each task,
 * so the run never returns to the event loop.
 */
export const runOnceAsync = async <A, E, B>(
  options: RunOptions<A, E>,
  judge: (result: RunResult<A, E>) => B
): Promise<B> => {
  const scheduler = new ExploringScheduler(options)
  const unwatch = scheduler.probe?.watch()
  try {
    const root = scheduler.start(options.program)
    return judge(scheduler.resultOf(root, await scheduler.drainAsync()))
  } finally {
    unwatch?.()
    await scheduler.abandonAsync()
  }
}

/**
 * The most, in milliseconds, by which a seeded schedule delays everything that could run, until the next timer fires.
 */
const delayMillis = 200

/** The number of steps that the fibers which a run left running may take to end. */
const abandonSteps = 100_000

const day = 86_400_000

/** The reason for which a run stopped. `quiet`: nothing more can happen. */
type Stop = "quiet" | "livelock" | "late"

class ExploringScheduler implements Scheduler.Scheduler {
  readonly executionMode = "sync" as const
  readonly tasks: Array<() => void> = []
  readonly fibers = new Map<AnyFiber, Lifetime>()
  readonly clock = new VirtualClock()
  readonly context: Context.Context<never>
  readonly probe: Probe | undefined
  readonly actions: Actions
  readonly faults: Array<string> = []
  readonly choices: Choices
  steps = 0
  fingerprint = 0
  private isAbandoned = false
  private readonly isPlain: boolean
  private firstFiberId = 0
  private readonly decisions: Decisions

  constructor(options: Omit<RunOptions<unknown, unknown>, "program">) {
    const { decisions } = options
    this.decisions = decisions
    this.choices = options.choices ?? choicesOf(decisions)
    this.isPlain = this.choices === plain
    this.probe = options.isProbed === true ? new Probe(this.fibers) : undefined
    this.actions = new Actions({
      schedule: decisions.at,
      fork: (action) => Effect.runForkWith(this.context)(action, { scheduler: this }),
      fibers: this.fibers,
      probe: this.probe
    })
    const random = randomOf(decisions.seed)
    const services = Context.make(Clock.Clock, this.clock).pipe(
      Context.add(Random.Random, {
        nextDoubleUnsafe: random,
        nextIntUnsafe: () => Math.floor((random() - 0.5) * 2 * Number.MAX_SAFE_INTEGER)
      }),
      Context.add(Faults, { choose: (point, faults) => this.chooseFault(point, faults) })
    )
    const isObserved = this.probe !== undefined || (decisions.mode === "during" && decisions.at.length > 0)
    const observing = isObserved
      ? makeObservingContext((primitive, fiber) => this.evaluate(primitive, fiber))
      : Context.empty()
    this.context = Context.merge(services, observing) as Context.Context<never>
  }

  private chooseFault<Fault extends string>(point: string, faults: ReadonlyArray<Fault>): Fault | undefined {
    if (this.isPlain || faults.length === 0) return undefined
    const fault = faults[this.choices.choose("fault", faults.length + 1, this.decisions.faultRate ?? 0.1) - 1]
    if (fault !== undefined) this.faults.push(`${point}: ${fault}`)
    return fault
  }

  private track(fiber: AnyFiber): void {
    if (this.fibers.size === 0) this.firstFiberId = fiber.id
    const life: Lifetime = { from: this.actions.points, to: Infinity }
    this.fibers.set(fiber, life)
    fiber.addObserver(() => {
      life.to = this.actions.points
    })
  }

  shouldYield(fiber: AnyFiber): boolean {
    if (!this.fibers.has(fiber)) this.track(fiber)
    if (this.isAbandoned) return this.steps++ > abandonSteps && fiber.currentOpCount > 1
    this.probe?.leaveOutside(fiber)
    if (this.actions.deferUnobserved()) return true
    this.fingerprint = (Math.imul(this.fingerprint, 31) + fiber.id - this.firstFiberId) | 0
    this.steps++
    const start = this.actions.countStep(fiber)
    if (start !== undefined) {
      if (this.decisions.mode === "before") {
        this.actions.startBeforeTask(start)
        return true
      }
      this.actions.startDuringOperation(start)
    }
    // the first operation is the resumption itself: a preemption there would never make progress
    if (fiber.currentOpCount <= 1) return false
    if (this.steps > this.decisions.maxSteps) return true
    return !this.isPlain && this.choices.choose("preemption", 2, this.decisions.preemption) === 1
  }

  /** Evaluates an operation, and starts the action that comes during it. */
  private evaluate<X>(primitive: EffectPrimitive<X>, fiber: AnyFiber): X {
    const start = this.actions.takeForOperation()
    if (start === undefined) {
      this.probe?.startOperation(fiber, primitive)
      return primitive["~effect/Effect/evaluate"](fiber)
    }
    // an interruption takes effect at once and replaces the value that the operation hands on. An operation that opens
    // an uninterruptible region hands nothing on. No fiber can interrupt between its start and the region, so the
    // action comes after it.
    const isRegion = opensRegion(primitive)
    if (!isRegion) start()
    this.probe?.startOperation(fiber, primitive)
    try {
      return primitive["~effect/Effect/evaluate"](fiber)
    } finally {
      if (isRegion) start()
    }
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.tasks.push(task), flush: () => {} }
  }

  /** Starts the program in the root fiber. */
  start<A, E>(program: (stage: Stage) => Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(program(this.actions), { scheduler: this })
  }

  /** Runs until nothing more can happen, or the steps or the time are used up. */
  drain(): Stop {
    for (;;) {
      const stop: Stop | "more" = this.takeNext() ?? this.passTime()
      if (stop !== "more") return stop
    }
  }

  /** Does the same, and drains the microtask queue before each task, and as a whole before time passes. */
  async drainAsync(): Promise<Stop> {
    for (;;) {
      await drainMicrotasks()
      let stop: Stop | "more" | undefined = this.takeNext()
      for (let left = quietDrains; stop === undefined && left > 0; left--) {
        await drainMicrotasks()
        stop = this.takeNext()
      }
      stop ??= this.passTime()
      if (stop !== "more") return stop
    }
  }

  /** Starts the next action or task. Returns undefined if there is none. */
  private takeNext(): "more" | "livelock" | undefined {
    if (this.steps > this.decisions.maxSteps) return "livelock"
    const start = this.actions.takeForTask()
    if (start !== undefined) {
      start()
      return "more"
    }
    if (this.tasks.length === 0) return undefined
    this.steps++
    this.actions.countStep()?.()
    this.takeTask()()
    return "more"
  }

  private passTime(): "more" | "quiet" | "late" {
    if (this.clock.currentTimeMillisUnsafe() > (this.decisions.maxMillis ?? day)) return "late"
    return this.clock.advance() ? "more" : "quiet"
  }

  /** The result of a run that stopped. Throws if an action was scheduled that the program did not arm. */
  resultOf<A, E>(root: Fiber.Fiber<A, E>, stop: Stop): RunResult<A, E> {
    const { actions, clock, probe } = this
    if (actions.unknownAction !== undefined) throw actions.unknownAction
    const exit = root.pollUnsafe()
    const alive = this.alive()
    const stalled = clock.endlessCount > 0 ? "endless" : "deadlock"
    return {
      exit,
      points: actions.points,
      steps: this.steps,
      millis: clock.currentTimeMillisUnsafe(),
      actionsCount: actions.startedCount,
      leakCount: alive.length,
      end: exit !== undefined ? "done" : stop === "quiet" ? stalled : stop,
      fingerprint: this.fingerprint,
      choices: this.choices.taken,
      faults: this.faults,
      fibers: Array.from(this.fibers.values()),
      probe: probe && {
        actions: actions.places,
        waiting: alive.map((fiber) => ({ ...probe.situation(fiber), outside: probe.waitOf(fiber) })),
        started: probe.started,
        trace: probe.trace
      }
    }
  }

  private takeTask(): () => void {
    if (this.isPlain) return this.tasks.shift()!
    // a fiber may also be delayed for so long that timers come first
    if (this.choices.choose("delay", 2, this.decisions.preemption / 4) === 1) this.clock.advance(delayMillis)
    const count = this.tasks.length
    return this.tasks.splice(count > 1 ? this.choices.choose("task", count) : 0, 1)[0]!
  }

  private alive(): ReadonlyArray<AnyFiber> {
    return Array.from(this.fibers.keys()).filter((fiber) => fiber.pollUnsafe() === undefined)
  }

  /**
   * Ends the fibers that a run left running, so that they keep nothing alive and do nothing when a wait outside ends.
   */
  abandon(): void {
    if (this.interruptAll()) while (this.finishNext());
  }

  /** Does the same, and drains the microtask queue before each task. */
  async abandonAsync(): Promise<void> {
    if (!this.interruptAll()) return
    do await drainMicrotasks()
    while (this.finishNext())
  }

  /** Interrupts the fibers that have not ended. Returns whether there are any. */
  private interruptAll(): boolean {
    const alive = this.alive()
    this.isAbandoned = true
    this.actions.disarmUnsafe()
    this.steps = 0
    for (const fiber of alive) fiber.interruptUnsafe()
    return alive.length > 0
  }

  private finishNext(): boolean {
    if (this.steps++ >= abandonSteps) return false
    const task = this.tasks.shift()
    if (task === undefined) return this.clock.advance()
    task()
    return true
  }
}

const choicesOf = (decisions: Decisions): Choices => {
  if (decisions.choices !== undefined) return decisions.choices.length === 0 ? plain : fromList(decisions.choices)
  return decisions.seed === 0 ? plain : draw(decisions.seed)
}
