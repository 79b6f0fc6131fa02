/**
 * One slot that runs one task at a time, and the owner that settles it.
 *
 * The supervisor decides *when* a task starts, is asked to stop and counts as ended. The `settle` function of a job
 * decides what that means for a conversation. The supervisor does not know sessions. A `Session` gives it jobs, and so
 * may any program that wants an abort to be an interruption with a timed race.
 *
 * ```
 *            start                exit                  settled
 *   Idle ───────────► Running ───────────► Settling ───────────► Idle
 *                        │                    ▲
 *                        │ abort              │ exit and clean-ups, or the end of the grace period
 *                        └──────► Aborting ───┘
 * ```
 *
 * Invariants, as the property test numbers them:
 * 1. A task starts from `Idle` only, so at most one runs (contract S1).
 * 2. Each start is followed by exactly one `settled` (S2).
 * 3. `abort` returns true exactly when it moves `Running` to `Aborting` (I1). The first reason stays.
 * 4. A job that was aborted settles as aborted, whatever its task returns, or as failed by its owner (S2).
 * 5. `Aborting` ends with the grace period at the latest (I3).
 *
 * When `awaitIdle` returns, the slot was free at some moment since the call, and for each job before that moment
 * `settle` had ended and `onFree` had run. The task and the clean-ups of a job that returned have ended, or their
 * `drain` has passed. Those of a job that was aborted have ended, or `settle` has received their names as stragglers.
 * Stragglers may still be running, and another job may have started since.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { forkDetached } from "./internal/detached.ts"
import { textOf } from "./internal/foreign.ts"
import { onExitSync } from "./internal/onExitSync.ts"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { Straggler } from "./protocol/SessionEvent.ts"

/** The state of a slot. */
export type State =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Aborting"; readonly reason: AbortReason }
  | { readonly _tag: "Settling" }

/** An event of a slot. */
export type SlotEvent =
  | { readonly _tag: "Start" }
  | { readonly _tag: "Exit" }
  | { readonly _tag: "Abort"; readonly reason: AbortReason }
  | { readonly _tag: "GraceOver" }
  | { readonly _tag: "OwnerFailed" }
  | { readonly _tag: "Settled" }

/** The slot before the first start, and between two jobs. */
export const idle: State = { _tag: "Idle" }

const settling: State = { _tag: "Settling" }

/** Returns the state after an event. An event that has no meaning in a state leaves it unchanged. Pure. */
export const next = (state: State, event: SlotEvent): State => {
  switch (event._tag) {
    case "Start":
      return state._tag === "Idle" ? { _tag: "Running" } : state
    case "Exit":
      // mutant abort-wins (I1: a turn that was asked to stop is aborted, even if its task returns):
      //   replace: `state._tag === "Running"` => `state._tag === "Running" || state._tag === "Aborting"`
      return state._tag === "Running" ? settling : state
    case "Abort":
      // mutant abort-once (I1: an abort stops a running turn only, and returns true once):
      //   replace: `state._tag === "Running"` => `state._tag !== "Idle"`
      return state._tag === "Running" ? { _tag: "Aborting", reason: event.reason } : state
    case "GraceOver":
      return state._tag === "Aborting" ? settling : state
    case "OwnerFailed":
      return state._tag === "Running" || state._tag === "Aborting" ? settling : state
    case "Settled":
      return state._tag === "Settling" ? idle : state
  }
}

/** The end of a job, for its `settle`. */
export type Ended<A, E> =
  | { readonly _tag: "Completed"; readonly value: A }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E> }
  | {
      readonly _tag: "Aborted"
      readonly reason: AbortReason
      /** Milliseconds since 1970 at which the abort was accepted. */
      readonly requestedAt: number
      /** The task, clean-ups and hooks that had not ended. `onStragglerEnd` is called when one ends later. */
      readonly stragglers: ReadonlyArray<Straggler>
    }

/**
 * An effect that an abort runs, by default concurrently with the interruption of the task and within the same grace
 * period.
 */
export interface Cleanup {
  readonly kind: Straggler["kind"]
  readonly name: string
  readonly run: (reason: AbortReason) => Effect.Effect<void>
  /**
   * The time that a job whose task has returned waits for this clean-up. It then runs with the reason `Parent`, because
   * the things that the job started have lost their parent. By default only an abort runs a clean-up.
   */
  readonly drain?: Duration.Input | undefined
  /**
   * True if an abort runs it only when the task has been fenced and the abort hooks have ended, within another grace
   * period. Default: false.
   */
  readonly afterHook?: boolean | undefined
}

/**
 * An effect that runs after an abort, for at most `limit`. It is then interrupted, and named as a straggler if it keeps
 * running.
 */
export interface AbortHook {
  readonly name: string
  readonly limit: Duration.Input
  readonly run: (reason: AbortReason) => Effect.Effect<void>
}

/** A task, and what its owner does around it. All effects run in the context in which the supervisor was made. */
export interface Job<A, E, S = void> {
  readonly name: string
  /**
   * Returns the task, with everything that it needs. It is called once, when the slot holds the job and before the task
   * runs (contract S6), and must not throw.
   */
  readonly run: (slot: Slot) => Effect.Effect<A, E>
  /**
   * The effect of an abort on the task: `interrupt` interrupts it at once; `signal` completes `Slot.aborting`, and
   * interrupts it at the end of the grace period (I2).
   */
  readonly onAbort: "interrupt" | "signal"
  /** The time that an abort waits for the task and the clean-ups. With 0 it does not wait. */
  readonly grace: Duration.Input
  /** The hooks that run after an abort, one after the other, once the task has ended or been fenced. */
  readonly abortHooks: ReadonlyArray<AbortHook>
  /**
   * Settles the job. It runs exactly once, uninterruptible, when the job has ended and before the slot is free. It must
   * be bounded in time and must not die, or else the slot stays taken.
   */
  readonly settle: (ended: Ended<A, E>) => Effect.Effect<S>
  /** Called with the result of `settle` when the slot is free, before `awaitIdle` returns. It may start the next job. */
  readonly onFree: (settled: S) => void
  /** Called when a straggler whose name `settle` has received has ended. */
  readonly onStragglerEnd: (straggler: Straggler, afterMillis: number) => void
  /**
   * Called with a reason in words when a clean-up or an abort hook has died, or when a hook was cut off at its limit.
   */
  readonly onFailure: (of: Straggler, reason: string) => void
}

/** The view that a job has of its slot. */
export interface Slot {
  /** Returns the reason why the job is stopping, or undefined while it is not. A job that is stopping is *closing*. */
  readonly reason: () => AbortReason | undefined
  /** Returns whether the job counts as ended, so that each call of its task must be refused. */
  readonly isFenced: () => boolean
  /** Returns whether the job has returned or its abort is over, while it still holds the slot. */
  readonly isSettling: () => boolean
  /** Asks this job, and no later one, to stop. Returns at once; true if the job was running (I1). */
  readonly abort: (reason: AbortReason) => boolean
  /** Waits for the request to stop, and returns its reason. **Interruption** stops only the wait. */
  readonly aborting: Effect.Effect<AbortReason>
  /**
   * Runs an effect unless the job is stopping. If the abort of the job interrupts its task, it interrupts this effect
   * in the same step. A check of `reason` before the effect is not enough, because the abort may come between the two
   * (I2).
   */
  readonly unlessStopping: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Adds a clean-up and returns a function that removes it. A clean-up that is added after the clean-ups have started is
   * started at once.
   */
  readonly onAbort: (cleanup: Cleanup) => () => void
}

/** A supervisor of one slot. */
export interface TaskSupervisor {
  readonly state: () => State
  /** Starts a job at once if the slot is free, and returns whether it was free. */
  readonly start: <A, E, S>(job: Job<A, E, S>) => boolean
  /** Asks the running job to stop, and returns at once whether one was running (I1). */
  readonly abort: (reason: AbortReason) => boolean
  /** Ends the running job as failed, because its owner cannot continue. */
  readonly fail: (cause: Cause.Cause<unknown>) => void
  /** Waits until the slot is free; see the module for the guarantees. **Interruption** stops only the wait. */
  readonly awaitIdle: Effect.Effect<void>
}

/** The clean-ups of a job. Each is started once: with the others, or at once if it is added later. */
class Cleanups {
  private readonly waiting = new Set<Cleanup>()
  private start: ((cleanup: Cleanup) => void) | undefined

  add(cleanup: Cleanup): () => void {
    // mutant late-clean-ups (I3: a clean-up that is added after the abort starts at once): false
    if (this.start !== undefined) {
      this.start(cleanup)
      return () => {}
    }
    this.waiting.add(cleanup)
    return () => void this.waiting.delete(cleanup)
  }

  startAll(start: (cleanup: Cleanup) => void): void {
    this.start = start
    for (const cleanup of this.waiting) start(cleanup)
    this.waiting.clear()
  }
}

class RunningJob implements Slot {
  readonly cleanups = new Cleanups()
  /** The clean-ups that wait for the abort hooks. */
  readonly lateCleanups = new Cleanups()
  requestedAt = 0
  failure: Cause.Cause<unknown> | undefined
  stragglers: ReadonlyArray<Open> = []
  private abortedFor: AbortReason | undefined
  private hasFence = false
  private hasLeft = false
  private owner: (() => void) | undefined
  private readonly requested = Deferred.makeUnsafe<AbortReason>()
  private readonly supervisor: Supervisor
  private readonly onAbortOf: Job<never, never, never>["onAbort"]
  /** The fibers that an abort interrupts in its own step. */
  private readonly atAbort = new Set<Fiber.Fiber<unknown, unknown>>()
  constructor(supervisor: Supervisor, onAbort: Job<never, never, never>["onAbort"]) {
    this.supervisor = supervisor
    this.onAbortOf = onAbort
  }

  // mutant fence (I3: the turn of a straggler rejects every call): false
  readonly isFenced = () => this.hasFence

  /** Fences the job: it counts as ended, even if its task is still running. */
  fence(): void {
    this.hasFence = true
  }

  reason(): AbortReason | undefined {
    return this.abortedFor
  }

  isSettling(): boolean {
    return this.supervisor.holds(this) && this.supervisor.state()._tag === "Settling"
  }

  abort(reason: AbortReason): boolean {
    // mutant answer-aborts-its-own-turn (A5: the answer Abort stops the turn that asked, and not the next one):
    //   replace: `this.supervisor.holds(this)` => `true`
    return this.supervisor.holds(this) && this.supervisor.abort(reason)
  }

  onAbort(cleanup: Cleanup): () => void {
    return (cleanup.afterHook === true ? this.lateCleanups : this.cleanups).add(cleanup)
  }

  get aborting(): Effect.Effect<AbortReason> {
    return Deferred.await(this.requested)
  }

  unlessStopping<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
      if (this.hasFence || this.abortedFor !== undefined) return Effect.interrupt
      if (this.onAbortOf === "signal" || this.atAbort.has(fiber)) return effect
      this.atAbort.add(fiber)
      return onExitSync(effect, () => this.atAbort.delete(fiber))
    })
  }

  /** Starts the owner, once: the job has returned, was asked to stop, or its owner has failed. */
  leave(): void {
    if (this.hasLeft) return
    this.hasLeft = true
    this.owner?.()
  }

  /** Sets the function that starts the owner of the job. It is called at once if the job has left already. */
  setOwner(owner: () => void): void {
    this.owner = owner
    if (this.hasLeft) owner()
  }

  request(reason: AbortReason, requestedAt: number): void {
    this.abortedFor = reason
    this.requestedAt = requestedAt
    Deferred.doneUnsafe(this.requested, Effect.succeed(reason))
    for (const fiber of this.atAbort) fiber.interruptUnsafe()
  }
}

/** Makes a supervisor whose fibers run in the context of the caller. */
export const make: Effect.Effect<TaskSupervisor> = Effect.gen(function* () {
  return makeUnsafe(yield* Effect.context<never>(), yield* Clock.Clock)
})

/** Makes a supervisor from a context and a clock, outside of an effect. */
export const makeUnsafe = (context: Context.Context<never>, clock: Clock.Clock): TaskSupervisor =>
  new Supervisor(context, clock)

class Supervisor implements TaskSupervisor {
  private slot: State = idle
  private current: RunningJob | undefined
  private readonly idleWaiters = new Set<() => void>()
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  constructor(context: Context.Context<never>, clock: Clock.Clock) {
    this.context = context
    this.clock = clock
  }

  state(): State {
    return this.slot
  }

  holds(job: RunningJob): boolean {
    return this.current === job
  }

  /** Applies an event, and returns whether it changed the slot. */
  private advance(event: SlotEvent): boolean {
    const before = this.slot
    this.slot = next(before, event)
    return this.slot !== before
  }

  start<A, E, S>(job: Job<A, E, S>): boolean {
    if (!this.advance({ _tag: "Start" })) return false
    const running = new RunningJob(this, job.onAbort)
    // mutant register-before-run (S6: a task is in its slot before it runs): drop
    this.current = running
    const task = forkDetached(this.context, job.run(running))
    task.addObserver((exit) => {
      // a straggler of an earlier job must not end a later one
      // mutant own-exit (I3: the exit of a straggler ends no later turn): drop
      if (this.current !== running) return
      // a task that only interrupted itself has not failed: its job is aborted (S5)
      if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return void this.abort("Interrupted")
      // mutant defect-frees-the-slot (S5: a task that dies has ended, and its slot is free):
      //   insert: if (exit._tag === "Failure" && Cause.hasDies(exit.cause)) return
      if (this.advance({ _tag: "Exit" })) running.leave()
    })
    // mutant register-before-run (S6): insert: this.current = running
    running.setOwner(() => void forkDetached(this.context, this.own({ job, running, task }), { uninterruptible: true }))
    return true
  }

  /**
   * The owner, which alone settles the job. It is not interruptible. The grace period, the hooks and `settle` bound its
   * time.
   */
  private own<A, E, S>(attempt: Attempt<A, E, S>): Effect.Effect<void> {
    const { job, running, task } = attempt
    const ended = Effect.suspend(() =>
      this.slot._tag === "Aborting"
        ? Effect.map(stop(this.context, attempt), (open) => this.endOfAbort(attempt, open))
        : Effect.map(drain(this.context, attempt), () => this.endOfReturn(running, task))
    )
    return Effect.flatMap(ended, (how) => {
      running.fence()
      // mutant stragglers-after-their-turn (I3: the end of a straggler is reported after the record that names it):
      //   replace: `Effect.map(job.settle(how), (settled) => {` => `Effect.suspend(() => {`
      return Effect.map(job.settle(how), (settled) => {
        // a straggler that ended while its job was settled is reported now, after the record that names it
        for (const { fiber, straggler } of running.stragglers) {
          fiber.addObserver(() =>
            job.onStragglerEnd(straggler, this.clock.currentTimeMillisUnsafe() - running.requestedAt)
          )
        }
        // mutant stragglers-after-their-turn (I3):
        //   replace: return Effect.map(job.settle(how), (settled) => this.free(() => job.onFree(settled)))
        this.free(() => job.onFree(settled))
      })
    })
  }

  private endOfAbort<A, E, S>({ running, task }: Attempt<A, E, S>, open: ReadonlyArray<Open>): Ended<A, E> {
    // the owner may have failed in the meantime
    if (!this.advance({ _tag: "GraceOver" })) return this.endOfReturn(running, task)
    running.stragglers = open.filter(({ fiber }) => fiber.pollUnsafe() === undefined)
    return {
      _tag: "Aborted",
      reason: running.reason()!,
      requestedAt: running.requestedAt,
      stragglers: running.stragglers.map(({ straggler }) => straggler)
    }
  }

  private endOfReturn<A, E>(running: RunningJob, task: Fiber.Fiber<A, E>): Ended<A, E> {
    if (running.failure !== undefined) {
      task.interruptUnsafe()
      return { _tag: "Failed", cause: running.failure as Cause.Cause<never> }
    }
    const exit = task.pollUnsafe()!
    if (exit._tag === "Success") return { _tag: "Completed", value: exit.value }
    return { _tag: "Failed", cause: exit.cause }
  }

  private free(onFree: () => void): void {
    this.advance({ _tag: "Settled" })
    this.current = undefined
    onFree()
    if (this.slot._tag !== "Idle" || this.idleWaiters.size === 0) return
    const waiters = [...this.idleWaiters]
    this.idleWaiters.clear()
    for (const wake of waiters) wake()
  }

  abort(reason: AbortReason): boolean {
    if (!this.advance({ _tag: "Abort", reason })) return false
    const running = this.current!
    running.request(reason, this.clock.currentTimeMillisUnsafe())
    running.leave()
    return true
  }

  fail(cause: Cause.Cause<unknown>): void {
    if (!this.advance({ _tag: "OwnerFailed" })) return
    const running = this.current!
    running.failure = cause
    running.fence()
    running.leave()
  }

  get awaitIdle(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => this.whenIdle(resume))
  }

  private whenIdle(resume: (effect: Effect.Effect<void>) => void): Effect.Effect<void> | void {
    // mutant check-slot-and-wait (I2: a fiber that waits for the slot checks it atomically with registration): drop
    if (this.slot._tag === "Idle") return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.idleWaiters.add(wake)
    return Effect.sync(() => void this.idleWaiters.delete(wake))
  }
}

/** A job in the slot, and the fiber of its task. */
interface Attempt<A, E, S> {
  readonly job: Job<A, E, S>
  readonly running: RunningJob
  readonly task: Fiber.Fiber<A, E>
}

/** Something that an abort waits for. */
interface Open {
  readonly straggler: Straggler
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/**
 * Runs the timed race of an abort (I2, I3): first the task and the clean-ups, concurrently, within the grace period;
 * then the hooks; and then the clean-ups that wait for the hooks, within another grace period. Returns everything that
 * took part.
 */
const stop = Effect.fnUntraced(function* <A, E, S>(
  context: Context.Context<never>,
  { job, running, task }: Attempt<A, E, S>
) {
  const reason = running.reason()!
  const open: Array<Open> = [{ straggler: { kind: "task", name: job.name }, fiber: task }]
  if (job.onAbort === "interrupt") task.interruptUnsafe()
  running.cleanups.startAll((cleanup) => void open.push(startCleanup(context, job, { cleanup, reason })))
  if (open.some(({ fiber }) => fiber.pollUnsafe() === undefined)) {
    yield* Effect.timeoutOption(allEnded(open), job.grace)
    if (task.pollUnsafe() === undefined) task.interruptUnsafe()
  }
  running.fence()
  for (const { limit, name, run } of job.abortHooks) {
    const straggler = { kind: "hook", name } as const
    const hook = startWatched(context, job, { of: straggler, effect: Effect.suspend(() => run(reason)) })
    const exit = yield* Effect.timeoutOption(Fiber.await(hook), limit)
    if (exit._tag === "None") {
      job.onFailure(straggler, `it was cut off after ${Duration.format(Duration.fromInputUnsafe(limit))}`)
    }
    open.push({ straggler, fiber: hook })
    hook.interruptUnsafe()
  }
  const late: Array<Open> = []
  running.lateCleanups.startAll((cleanup) => void late.push(startCleanup(context, job, { cleanup, reason })))
  if (late.length > 0) yield* Effect.timeoutOption(allEnded(late), job.grace)
  return [...open, ...late]
})

/**
 * Runs the clean-ups with a `drain` of a job that returned, concurrently, each bounded by its `drain`; one that takes
 * longer continues detached. The job is fenced first.
 */
const drain = <A, E, S>(context: Context.Context<never>, { job, running }: Attempt<A, E, S>): Effect.Effect<void> => {
  running.fence()
  const ending: Array<Effect.Effect<unknown>> = []
  const start = ({ drain: limit, kind, name, run }: Cleanup): void => {
    if (limit === undefined) return
    // mutant drains-all-at-once (D1: a turn that returned asks all its delegates to end at once): drop
    const fiber = startWatched(context, job, { of: { kind, name }, effect: Effect.suspend(() => run("Parent")) })
    // mutant drains-all-at-once (D1): replace: `Fiber.await(fiber)` => `Effect.suspend(() => run("Parent"))`
    ending.push(Effect.timeoutOption(Fiber.await(fiber), limit))
  }
  running.cleanups.startAll(start)
  running.lateCleanups.startAll(start)
  if (ending.length === 0) return Effect.void
  // mutant drains-all-at-once (D1): replace: return Effect.all(ending, { discard: true })
  return Effect.all(ending, { concurrency: "unbounded", discard: true })
}

/** Starts a clean-up of an abort, and returns what the abort waits for. */
const startCleanup = <A, E, S>(
  context: Context.Context<never>,
  job: Job<A, E, S>,
  { cleanup, reason }: { readonly cleanup: Cleanup; readonly reason: AbortReason }
): Open => {
  const straggler = { kind: cleanup.kind, name: cleanup.name }
  return {
    straggler,
    fiber: startWatched(context, job, { of: straggler, effect: Effect.suspend(() => cleanup.run(reason)) })
  }
}

/** Starts a clean-up or a hook, and reports it if it dies. */
const startWatched = <A, E, S>(
  context: Context.Context<never>,
  { onFailure }: Job<A, E, S>,
  { effect, of }: { readonly effect: Effect.Effect<void>; readonly of: Straggler }
): Fiber.Fiber<void> => {
  const fiber = forkDetached(context, effect)
  fiber.addObserver((exit) => {
    if (exit._tag === "Failure" && !Cause.hasInterruptsOnly(exit.cause)) onFailure(of, textOf(Cause.squash(exit.cause)))
  })
  return fiber
}

/** Waits until everything in the list has ended, including clean-ups that are added meanwhile. */
const allEnded = Effect.fnUntraced(function* (open: ReadonlyArray<Open>) {
  for (let index = 0; index < open.length; index++) yield* Fiber.await(open[index]!.fiber)
})
