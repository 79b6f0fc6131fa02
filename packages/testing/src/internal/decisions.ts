/** The decisions of one run and its result: the types that the scheduler, the laws and the reports share. */
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Choice } from "./choices.ts"
import type { Outside, Situation } from "./probe.ts"

/** Any fiber. */
export type AnyFiber = Fiber.Fiber<unknown, unknown>

/** The decisions of one run, which is a pure function of them. */
export interface Decisions {
  /**
   * `before`: the running fiber yields and the action comes first, as when another fiber gets the thread. `during`: the
   * action runs inside the running operation, as when that operation resumes a fiber synchronously. It runs after an
   * operation that opens an uninterruptible region.
   */
  readonly mode: "before" | "during"
  /** Actions by name, each at its step from 1, in ascending order of steps. */
  readonly at: ReadonlyArray<readonly [action: string, step: number]>
  /** 0 runs tasks in order, without faults. Any other seed draws the next task, the preemptions and the faults. */
  readonly seed: number
  /** The choices that are not plain, by number. If they are given, nothing is drawn from the seed. */
  readonly choices?: ReadonlyArray<Choice> | undefined
  /** The likelihood that a fiber is preempted at a step, with a seed. */
  readonly preemption: number
  /** The likelihood that a fault happens at one of its points, with a seed. Default 0.1. */
  readonly faultRate?: number | undefined
  readonly maxSteps: number
  /** The virtual time that a run may take, in milliseconds. Default: a day. */
  readonly maxMillis?: number | undefined
}

/** The actions that a program arms, by name. */
export type ArmedActions = { readonly [name: string]: Effect.Effect<unknown, unknown> }

/** The stage of a run, which its program receives. */
export interface Stage {
  /** Makes each further step a point, at which these actions may run. */
  readonly arm: (actions: ArmedActions) => void
  /** Ends the points, and waits for the actions that have started. */
  readonly disarm: Effect.Effect<void>
  /** Sets the fiber that the action `interrupt` interrupts. */
  readonly target: (fiber: AnyFiber) => void
}

/** An action with its step, and the position of the fiber at whose step it came. */
export interface ActionPlace extends Situation {
  readonly action: string
  readonly step: number
}

/** The observations of a probe about a run. */
export interface ProbeResult {
  readonly actions: ReadonlyArray<ActionPlace>
  /** Fibers that have not ended. */
  readonly waiting: ReadonlyArray<Situation & { readonly outside: Outside | undefined }>
  readonly started: ReadonlyArray<Outside>
  /** The last operations before the first action, or before the end without one. */
  readonly trace: ReadonlyArray<string>
}

/** The first step of a fiber and its end, counted in points. */
export interface Lifetime {
  readonly from: number
  to: number
}

/** The result of a run. */
export interface RunResult<A, E> {
  readonly exit: Exit.Exit<A, E> | undefined
  /** Steps while armed. */
  readonly points: number
  readonly steps: number
  /** Virtual time, in milliseconds. */
  readonly millis: number
  /** The number of decided actions that ran. */
  readonly actionsCount: number
  /** The number of fibers that had not ended when nothing could run. */
  readonly leakCount: number
  /** `endless`: nothing can run, and a sleep has no end. `late`: the time was used up. */
  readonly end: "done" | "deadlock" | "endless" | "livelock" | "late"
  /** Equal for runs that took the same steps. */
  readonly fingerprint: number
  readonly choices: ReadonlyArray<Choice>
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  readonly fibers: ReadonlyArray<Lifetime>
  readonly probe: ProbeResult | undefined
}
