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
import type * as Scheduler from "effect/Scheduler"
import { VirtualClock } from "./virtualClock.ts"

/** What one run does: a pure function of these values. */
export interface Decisions {
  /**
   * `before`: the running fiber yields and the action comes first, as when another fiber gets the thread. `during`: the action runs inside
   * the running operation, as when that resumes a fiber synchronously.
   */
  readonly mode: "before" | "during"
  /** Actions by name, each at its step from 1, in ascending order of steps. */
  readonly at: ReadonlyArray<readonly [action: string, step: number]>
  /** 0 runs tasks in order; any other seed draws the next task and the preemptions. */
  readonly seed: number
  /** How likely a fiber is preempted at a step, with a seed. */
  readonly preemption: number
  readonly maxSteps: number
}

/** How a run ended. */
export interface Ran<A, E> {
  readonly exit: Exit.Exit<A, E> | undefined
  /** Steps while armed. */
  readonly points: number
  readonly steps: number
  /** How many of its actions were run. */
  readonly acted: number
  /** How many fibers had not ended when nothing could run any more. */
  readonly leakCount: number
  readonly end: "done" | "deadlock" | "livelock"
}

/** What the program of a run is given. */
export interface Stage {
  readonly arm: (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }) => void
  readonly disarm: Effect.Effect<void>
}

/** How long a seeded schedule holds up whatever could run, at most, before the next timer fires. */
const holdUpMillis = 200

type AnyFiber = Fiber.Fiber<unknown, unknown>

class ExploringScheduler implements Scheduler.Scheduler, Stage {
  readonly executionMode = "sync" as const
  readonly tasks: Array<() => void> = []
  readonly fibers = new Set<AnyFiber>()
  readonly clock = new VirtualClock()
  readonly context = Context.make(Clock.Clock, this.clock)
  steps = 0
  points = 0
  acted = 0
  private launched = 0
  /** Actions that come before every task, in order. */
  private readonly due: Array<() => void> = []
  private readonly running: Array<AnyFiber> = []
  private actions: { readonly [name: string]: Effect.Effect<unknown, unknown> } | undefined
  private readonly decisions: Decisions
  private readonly random: () => number

  constructor(decisions: Decisions) {
    this.decisions = decisions
    this.random = randomOf(decisions.seed)
  }

  readonly arm = (actions: { readonly [name: string]: Effect.Effect<unknown, unknown> }): void => {
    this.actions = actions
  }

  readonly disarm = Effect.suspend(() => {
    this.actions = undefined
    return Effect.forEach(this.running, Fiber.await, { discard: true })
  })

  /** Counts a step; answers the action that is due at it. */
  private tick(): (() => void) | undefined {
    this.steps++
    if (this.actions === undefined) return undefined
    this.points++
    const due = this.decisions.at[this.launched]
    if (due === undefined || due[1] > this.points) return undefined
    const action = this.actions[due[0]]
    if (action === undefined) throw new Error(`there is no action ${due[0]}`)
    this.launched++
    return () => {
      // fibers that stood below on the stack may have come to the end of the points first
      if (this.actions === undefined) return
      this.acted++
      this.running.push(Effect.runForkWith(this.context)(action, { scheduler: this }))
    }
  }

  shouldYield(fiber: AnyFiber): boolean {
    this.fibers.add(fiber)
    const act = this.tick()
    if (act !== undefined) {
      if (this.decisions.mode === "before") {
        this.due.push(act)
        return true
      }
      act()
    }
    // the first operation is the resumption itself: to preempt there would never make progress
    if (this.steps > this.decisions.maxSteps) return fiber.currentOpCount > 1
    return this.decisions.seed !== 0 && fiber.currentOpCount > 1 && this.random() < this.decisions.preemption
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return { scheduleTask: (task) => void this.tasks.push(task), flush: () => {} }
  }

  /** Runs until nothing can happen any more; answers false when the steps are used up. */
  drain(): boolean {
    while (this.steps <= this.decisions.maxSteps) {
      const act = this.due.shift()
      if (act !== undefined) {
        act()
        continue
      }
      if (this.tasks.length === 0) {
        if (this.clock.advance()) continue
        return true
      }
      // with a seed a fiber may also be held up for so long that timers come first
      if (this.decisions.seed !== 0 && this.random() < this.decisions.preemption / 4) this.clock.advance(holdUpMillis)
      this.tick()?.()
      const index = this.decisions.seed === 0 ? 0 : Math.floor(this.random() * this.tasks.length)
      this.tasks.splice(index, 1)[0]!()
    }
    return false
  }
}

/** mulberry32: numbers in [0, 1) from a seed. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Runs a program once. */
export const runOnce = <A, E>(program: (stage: Stage) => Effect.Effect<A, E>, decisions: Decisions): Ran<A, E> => {
  const scheduler = new ExploringScheduler(decisions)
  const root = Effect.runForkWith(scheduler.context)(program(scheduler), { scheduler })
  const quiet = scheduler.drain()
  const exit = root.pollUnsafe()
  return {
    exit,
    points: scheduler.points,
    steps: scheduler.steps,
    acted: scheduler.acted,
    leakCount: [...scheduler.fibers].filter((fiber) => fiber.pollUnsafe() === undefined).length,
    end: !quiet ? "livelock" : exit === undefined ? "deadlock" : "done"
  }
}
