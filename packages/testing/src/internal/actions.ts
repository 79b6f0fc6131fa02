/**
 * The actions of one run: which are armed, which step each is scheduled at, and where they wait until they run.
 *
 * The scheduler counts its steps here. A step at which an action is scheduled returns it, and the scheduler decides
 * whether it comes before the next task or during the next operation.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ActionPlace, AnyFiber, ArmedActions, Decisions, Lifetime, Stage } from "./decisions.ts"
import type { Probe } from "./probe.ts"

/** Starts the action. */
export type StartAction = () => void

/** The part of the scheduler that the actions need. */
export interface Surroundings {
  readonly schedule: Decisions["at"]
  readonly fork: (action: Effect.Effect<unknown, unknown>) => AnyFiber
  readonly fibers: ReadonlyMap<AnyFiber, Lifetime>
  readonly probe: Probe | undefined
}

/** The actions of one run. */
export class Actions implements Stage {
  /** Steps while armed. */
  points = 0
  /** The number of actions that were started. */
  startedCount = 0
  /** The places of the started actions, if there is a probe. */
  readonly places: Array<ActionPlace> = []
  /** A scheduled action that the program did not arm. */
  unknownAction: Error | undefined
  private readonly surroundings: Surroundings
  private armed: ArmedActions | undefined
  private targetFiber: AnyFiber | undefined
  /** The number of entries of the schedule that were reached. */
  private reachedCount = 0
  /** The fibers of the actions that were started. */
  private readonly running: Array<AnyFiber> = []
  /** Actions to start before the next task, in order. */
  private readonly beforeTask: Array<StartAction> = []
  /** The action to start during the operation that is about to be evaluated. */
  private duringOperation: StartAction | undefined

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings
  }

  readonly arm = (actions: ArmedActions): void => {
    this.armed = { ...this.armed, ...actions }
  }

  readonly target = (fiber: AnyFiber): void => {
    this.targetFiber = fiber
  }

  readonly disarm = Effect.suspend(() => {
    this.armed = undefined
    return Effect.forEach(this.running, Fiber.await, { discard: true })
  })

  /** Ends the points without waiting for the actions that were started. */
  disarmUnsafe(): void {
    this.armed = undefined
  }

  /** Counts a step of a fiber, or one between two tasks. Returns the action that is scheduled at it. */
  countStep(fiber?: AnyFiber): StartAction | undefined {
    if (this.armed === undefined) return undefined
    this.points++
    const next = this.surroundings.schedule[this.reachedCount]
    if (next === undefined || next[1] > this.points) return undefined
    const [name] = next
    this.reachedCount++
    const action = this.armed[name] ?? this.interruption(name)
    if (action === undefined) {
      // thrown when the run is over: here it would be a defect of the fiber that takes the step
      const armed = Object.keys(this.armed).join(", ")
      this.unknownAction = new Error(`there is no action ${name}: the program armed ${armed}`)
      return undefined
    }
    return this.starter(name, action, fiber)
  }

  /** Starts the action before the next task. */
  startBeforeTask(start: StartAction): void {
    this.beforeTask.push(start)
  }

  /** Starts the action during the next operation. */
  startDuringOperation(start: StartAction): void {
    this.duringOperation = start
  }

  /**
   * Moves an action whose operation was not observed, because its fiber has its own tracer, to the next task.
   * Returns whether there was one.
   */
  deferUnobserved(): boolean {
    const start = this.takeForOperation()
    if (start === undefined) return false
    this.startBeforeTask(start)
    return true
  }

  takeForTask(): StartAction | undefined {
    return this.beforeTask.shift()
  }

  takeForOperation(): StartAction | undefined {
    const start = this.duringOperation
    this.duringOperation = undefined
    return start
  }

  private starter(name: string, action: Effect.Effect<unknown, unknown>, fiber: AnyFiber | undefined): StartAction {
    const { fork, probe } = this.surroundings
    const step = this.points
    return () => {
      // fibers below on the stack may have ended the points in the meantime
      if (this.armed === undefined) return
      this.startedCount++
      if (probe !== undefined) {
        probe.endTrace()
        this.places.push({ action: name, step, ...probe.situation(fiber) })
      }
      this.running.push(fork(action))
    }
  }

  /** `interrupt` interrupts the target, and `fiber:n` the n-th fiber. */
  private interruption(name: string): Effect.Effect<void> | undefined {
    if (name !== "interrupt" && !name.startsWith("fiber:")) return undefined
    return Effect.sync(() => {
      const { fibers } = this.surroundings
      const fiber = name === "interrupt" ? this.targetFiber : [...fibers.keys()][Number(name.slice("fiber:".length))]
      fiber?.interruptUnsafe()
    })
  }
}
