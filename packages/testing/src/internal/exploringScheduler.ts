/**
 * One run of a program in which every step is decided: one queue for all fibers, drained synchronously, virtual time, and actions at given steps.
 *
 * A *step* is each operation of each fiber and each task that is taken from the queue. Steps are counted while the program is armed.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Scheduler from "effect/Scheduler"
import { Faults } from "../Faults.ts"
import { type Choice, type Choices, drawn, listed, plain, randomOf } from "./choices.ts"
import { type EffectPrimitive, observingOperations, opensRegion } from "./operations.ts"
import { type Outside, Probe, type Situation } from "./probe.ts"
import { VirtualClock } from "./virtualClock.ts"

/** What one run does: a pure function of these values. */
export interface Decisions {
  /**
   * `before`: the running fiber yields and the action comes first, as when another fiber gets the thread. `during`: the action runs inside
   * the running operation, as when that resumes a fiber synchronously; behind one that opens an uninterruptible region.
   */
  readonly mode: "before" | "during"
  /** Actions by name, each at its step from 1, in ascending order of steps. */
  readonly at: ReadonlyArray<readonly [action: string, step: number]>
  /** 0 runs tasks in order, without faults; any other seed draws the next task, the preemptions and the faults. */
  readonly seed: number
  /** The choices that are not plain, by number. With them nothing is drawn from the seed. */
  readonly choices?: ReadonlyArray<Choice>
  /** How likely a fiber is preempted at a step, with a seed. */
  readonly preemption: number
  /** How likely a fault happens at one of its points, with a seed. Default 0.1. */
  readonly faultRate?: number
  readonly maxSteps: number
  /** How long a run may take in virtual time, in milliseconds. Default a day. */
  readonly maxMillis?: number
}

/** A step and where its fiber stood. */
export interface Acted extends Situation {
  readonly action: string
  readonly step: number
}

/** What a probe found out about a run. */
export interface Probed {
  readonly acted: ReadonlyArray<Acted>
  /** Fibers that have not ended. */
  readonly waiting: ReadonlyArray<Situation & { readonly outside: Outside | undefined }>
  readonly begun: ReadonlyArray<Outside>
}

/** When a fiber took its first step, and when it ended, counted in points. */
export interface Lifetime {
  readonly from: number
  to: number
}

/** How a run ended. */
export interface Ran<A, E> {
  readonly exit: Exit.Exit<A, E> | undefined
  /** Steps while armed. */
  readonly points: number
  readonly steps: number
  /** Virtual time, in milliseconds. */
  readonly millis: number
  /** How many of its actions were run. */
  readonly acted: number
  /** How many fibers had not ended when nothing could run any more. */
  readonly leakCount: number
  /** `endless`: nothing can run, and a sleep has no end; `late`: the time was up. */
  readonly end: "done" | "deadlock" | "endless" | "livelock" | "late"
  /** The same for runs that took the same steps. */
  readonly fingerprint: number
  readonly choices: ReadonlyArray<Choice>
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  readonly fibers: ReadonlyArray<Lifetime>
  readonly probed: Probed | undefined
}

type Actions = { readonly [name: string]: Effect.Effect<unknown, unknown> }

/** What the program of a run is given. */
export interface Stage {
  readonly arm: (actions: Actions) => void
  readonly disarm: Effect.Effect<void>
  /** The fiber that `interrupt` interrupts. */
  readonly target: (fiber: AnyFiber) => void
}

/** What to run, and how. */
export interface RunOptions<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  readonly decisions: Decisions
  /** Where choices come from, instead of the decisions. */
  readonly choices?: Choices | undefined
  readonly isProbed?: boolean
}

/** How long a seeded schedule holds up whatever could run, at most, before the next timer fires. */
const holdUpMillis = 200

/** Steps that fibers get to end in after a run that left some behind. */
const abandonSteps = 100_000

type AnyFiber = Fiber.Fiber<unknown, unknown>

class ExploringScheduler implements Scheduler.Scheduler, Stage {
  readonly executionMode = "sync" as const
  readonly tasks: Array<() => void> = []
  readonly fibers = new Map<AnyFiber, Lifetime>()
  readonly clock = new VirtualClock()
  readonly context: Context.Context<never>
  readonly probe: Probe | undefined
  readonly probedActions: Array<Acted> = []
  readonly faults: Array<string> = []
  readonly choices: Choices
  steps = 0
  points = 0
  acted = 0
  fingerprint = 0
  private launched = 0
  private isAbandoned = false
  /** An action that is due, and that the program did not arm. */
  unknown: Error | undefined
  private readonly isPlain: boolean
  private firstFiberId = 0
  private targeted: AnyFiber | undefined
  /** Actions that come before every task, in order. */
  private readonly due: Array<() => void> = []
  /** The action that comes during the operation which is about to be evaluated. */
  private during: (() => void) | undefined
  private readonly running: Array<AnyFiber> = []
  private actions: Actions | undefined
  private readonly decisions: Decisions

  constructor(options: Omit<RunOptions<unknown, unknown>, "program">) {
    const { decisions } = options
    this.decisions = decisions
    this.choices = options.choices ?? choicesOf(decisions)
    this.isPlain = this.choices === plain
    const random = randomOf(decisions.seed)
    const services = Context.make(Clock.Clock, this.clock).pipe(
      Context.add(Random.Random, {
        nextDoubleUnsafe: random,
        nextIntUnsafe: () => Math.floor((random() - 0.5) * 2 * Number.MAX_SAFE_INTEGER)
      }),
      Context.add(Faults, { choose: (point, faults) => this.fault(point, faults) })
    )
    this.probe = options.isProbed === true ? new Probe(this.fibers) : undefined
    const isObserved = this.probe !== undefined || (decisions.mode === "during" && decisions.at.length > 0)
    const observing = isObserved
      ? observingOperations((primitive, fiber) => this.evaluate(primitive, fiber))
      : Context.empty()
    this.context = Context.merge(services, observing) as Context.Context<never>
  }

  readonly arm = (actions: Actions): void => {
    this.actions = { ...this.actions, ...actions }
  }

  readonly target = (fiber: AnyFiber): void => {
    this.targeted = fiber
  }

  readonly disarm = Effect.suspend(() => {
    this.actions = undefined
    return Effect.forEach(this.running, Fiber.await, { discard: true })
  })

  private fault<Fault extends string>(point: string, faults: ReadonlyArray<Fault>): Fault | undefined {
    if (this.isPlain || faults.length === 0) return undefined
    const fault = faults[this.choices.choose("fault", faults.length + 1, this.decisions.faultRate ?? 0.1) - 1]
    if (fault !== undefined) this.faults.push(`${point}: ${fault}`)
    return fault
  }

  /** Counts a step; answers the action that is due at it. */
  private tick(fiber?: AnyFiber): (() => void) | undefined {
    this.steps++
    if (this.actions === undefined) return undefined
    this.points++
    const due = this.decisions.at[this.launched]
    if (due === undefined || due[1] > this.points) return undefined
    const [name] = due
    const action = this.actions[name] ?? this.interruption(name)
    this.launched++
    if (action === undefined) {
      // thrown when the run is over: here it would be a defect of the fiber whose step it is
      this.unknown = new Error(`there is no action ${name}: the program armed ${Object.keys(this.actions).join(", ")}`)
      return undefined
    }
    const step = this.points
    return () => {
      // fibers that stood below on the stack may have come to the end of the points first
      if (this.actions === undefined) return
      this.acted++
      if (this.probe !== undefined) this.probedActions.push({ action: name, step, ...this.probe.situation(fiber) })
      this.running.push(Effect.runForkWith(this.context)(action, { scheduler: this }))
    }
  }

  /** `interrupt`, which interrupts the victim, and `fiber:n`, which interrupts the n-th fiber. */
  private interruption(name: string): Effect.Effect<void> | undefined {
    if (name !== "interrupt" && !name.startsWith("fiber:")) return undefined
    return Effect.sync(() => {
      const fiber = name === "interrupt" ? this.targeted : [...this.fibers.keys()][Number(name.slice("fiber:".length))]
      fiber?.interruptUnsafe()
    })
  }

  private meet(fiber: AnyFiber): void {
    if (this.fibers.size === 0) this.firstFiberId = fiber.id
    const life: Lifetime = { from: this.points, to: Infinity }
    this.fibers.set(fiber, life)
    fiber.addObserver(() => {
      life.to = this.points
    })
  }

  shouldYield(fiber: AnyFiber): boolean {
    if (!this.fibers.has(fiber)) this.meet(fiber)
    if (this.isAbandoned) return this.steps++ > abandonSteps && fiber.currentOpCount > 1
    this.probe?.step(fiber)
    // an operation that was not seen, for its fiber has a tracer of its own, is over
    if (this.during !== undefined) {
      this.due.push(this.during)
      this.during = undefined
      return true
    }
    this.fingerprint = (Math.imul(this.fingerprint, 31) + fiber.id - this.firstFiberId) | 0
    const act = this.tick(fiber)
    if (act !== undefined) {
      if (this.decisions.mode === "before") {
        this.due.push(act)
        return true
      }
      this.during = act
    }
    // the first operation is the resumption itself: to preempt there would never make progress
    if (fiber.currentOpCount <= 1) return false
    if (this.steps > this.decisions.maxSteps) return true
    return !this.isPlain && this.choices.choose("preemption", 2, this.decisions.preemption) === 1
  }

  /** Evaluates an operation, and the action that comes during it. */
  private evaluate<X>(primitive: EffectPrimitive<X>, fiber: AnyFiber): X {
    const act = this.during
    this.during = undefined
    // an interruption is noted now, and takes the place of what the operation hands on. One that opens an uninterruptible region hands nothing
    // on: nobody can interrupt between its beginning and the region, so that the action comes behind it
    const isRegion = act !== undefined && opensRegion(primitive)
    if (!isRegion) act?.()
    this.probe?.begin(fiber, primitive)
    try {
      return primitive["~effect/Effect/evaluate"](fiber)
    } finally {
      if (isRegion) act()
    }
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.tasks.push(task), flush: () => {} }
  }

  /** Runs until nothing can happen any more, or the steps or the time are used up. */
  drain(): "quiet" | "livelock" | "late" {
    const maxMillis = this.decisions.maxMillis ?? 86_400_000
    while (this.steps <= this.decisions.maxSteps) {
      const act = this.due.shift()
      if (act !== undefined) {
        act()
        continue
      }
      if (this.tasks.length === 0) {
        if (this.clock.currentTimeMillisUnsafe() > maxMillis) return "late"
        if (this.clock.advance()) continue
        return "quiet"
      }
      this.tick()?.()
      this.next()()
    }
    return "livelock"
  }

  private next(): () => void {
    if (this.isPlain) return this.tasks.shift()!
    // a fiber may also be held up for so long that timers come first
    if (this.choices.choose("delay", 2, this.decisions.preemption / 4) === 1) this.clock.advance(holdUpMillis)
    const count = this.tasks.length
    return this.tasks.splice(count > 1 ? this.choices.choose("task", count) : 0, 1)[0]!
  }

  alive(): ReadonlyArray<AnyFiber> {
    return Array.from(this.fibers.keys()).filter((fiber) => fiber.pollUnsafe() === undefined)
  }

  /** Ends what a run left behind, so that it holds nothing and does nothing when something outside answers. */
  abandon(): void {
    this.isAbandoned = true
    this.actions = undefined
    this.steps = 0
    for (const fiber of this.alive()) fiber.interruptUnsafe()
    while (this.steps++ < abandonSteps) {
      const task = this.tasks.shift()
      if (task !== undefined) task()
      else if (!this.clock.advance()) return
    }
  }
}

const choicesOf = (decisions: Decisions): Choices => {
  if (decisions.choices !== undefined) return decisions.choices.length === 0 ? plain : listed(decisions.choices)
  return decisions.seed === 0 ? plain : drawn(decisions.seed)
}

/** Runs a program once, asks about it, and ends what it left behind. */
export const runOnce = <A, E, B>(options: RunOptions<A, E>, ask: (ran: Ran<A, E>) => B): B => {
  const scheduler = new ExploringScheduler(options)
  const start = () => {
    const root = Effect.runForkWith(scheduler.context)(options.program(scheduler), { scheduler })
    return { root, stop: scheduler.drain() }
  }
  const { probe } = scheduler
  const { root, stop } = probe === undefined ? start() : probe.watch(start)
  const exit = root.pollUnsafe()
  const alive = scheduler.alive()
  const stalled = scheduler.clock.endlessCount > 0 ? "endless" : "deadlock"
  try {
    if (scheduler.unknown !== undefined) throw scheduler.unknown
    return ask({
      exit,
      points: scheduler.points,
      steps: scheduler.steps,
      millis: scheduler.clock.currentTimeMillisUnsafe(),
      acted: scheduler.acted,
      leakCount: alive.length,
      end: exit !== undefined ? "done" : stop === "quiet" ? stalled : stop,
      fingerprint: scheduler.fingerprint,
      choices: scheduler.choices.taken,
      faults: scheduler.faults,
      fibers: Array.from(scheduler.fibers.values()),
      probed: probe && {
        acted: scheduler.probedActions,
        waiting: alive.map((fiber) => ({ ...probe.situation(fiber), outside: probe.outside.get(fiber) })),
        begun: probe.begun
      }
    })
  } finally {
    if (alive.length > 0) scheduler.abandon()
  }
}
