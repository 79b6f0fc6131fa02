/**
 * One slot that runs one task at a time, and the owner that settles it.
 *
 * The supervisor decides *when* a task starts, is asked to stop and counts as ended; what that means for a conversation
 * is its caller's `settle`. It knows no session: a `Session` gives it jobs, and so may any program that wants abort as
 * interruption with a timed race.
 *
 * ```
 *            start                exit                  settled
 *   Idle ───────────► Running ───────────► Settling ───────────► Idle
 *                        │                    ▲
 *                        │ abort              │ exit and clean-ups, or the grace is over
 *                        └──────► Aborting ───┘
 * ```
 *
 * Invariants, as the property test numbers them:
 * 1. A task starts from `Idle` only, so at most one runs (contract S1).
 * 2. Each start is followed by exactly one `settled` (S2).
 * 3. `abort` answers true exactly when it moves `Running` to `Aborting` (I1); the first reason stays.
 * 4. From `Aborting` a job settles as aborted, whatever its task returns, or as failed by its owner (S2).
 * 5. `Aborting` is left after the grace at the latest (I3).
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Semaphore from "effect/Semaphore"
import type { AbortReason } from "./protocol/Outcome.ts"
import type { Straggler } from "./protocol/SessionEvent.ts"

/** Where a slot stands. */
export type State =
  | { readonly _tag: "Idle" }
  | { readonly _tag: "Running" }
  | { readonly _tag: "Aborting"; readonly reason: AbortReason }
  | { readonly _tag: "Settling"; readonly as: "returned" | "aborted" | "failed" }

/** What can happen to a slot. */
export type Signal =
  | { readonly _tag: "Start" }
  | { readonly _tag: "Exit" }
  | { readonly _tag: "Abort"; readonly reason: AbortReason }
  | { readonly _tag: "GraceOver" }
  | { readonly _tag: "OwnerFailed" }
  | { readonly _tag: "Settled" }

/** The slot before the first start, and between two jobs. */
export const idle: State = { _tag: "Idle" }

/** The pure rule: what a signal does to a slot. A signal that means nothing in a state leaves it as it is. */
export const next = (state: State, signal: Signal): State => {
  switch (signal._tag) {
    case "Start":
      return state._tag === "Idle" ? { _tag: "Running" } : state
    case "Exit":
      // mutant abort-wins (I1: a turn that was asked to stop is aborted, even if its task returns):
      //   replace: `state._tag === "Running"` => `state._tag === "Running" || state._tag === "Aborting"`
      return state._tag === "Running" ? { _tag: "Settling", as: "returned" } : state
    case "Abort":
      // mutant abort-once (I1: an abort stops a running turn only, and returns true once):
      //   replace: `state._tag === "Running"` => `state._tag !== "Idle"`
      return state._tag === "Running" ? { _tag: "Aborting", reason: signal.reason } : state
    case "GraceOver":
      return state._tag === "Aborting" ? { _tag: "Settling", as: "aborted" } : state
    case "OwnerFailed":
      return state._tag === "Running" || state._tag === "Aborting" ? { _tag: "Settling", as: "failed" } : state
    case "Settled":
      return state._tag === "Settling" ? idle : state
  }
}

/** How a job ended, for its `settle`. */
export type Ended<A, E> =
  | { readonly _tag: "Completed"; readonly value: A }
  | { readonly _tag: "Failed"; readonly cause: Cause.Cause<E> }
  | {
      readonly _tag: "Aborted"
      readonly reason: AbortReason
      /** Milliseconds since 1970 at which the abort was accepted. */
      readonly requestedAt: number
      /** What had not ended. Each reports its end to `stragglerEnded` later. */
      readonly stragglers: ReadonlyArray<Straggler>
    }

/** What an abort runs beside the interruption of the task, with the same grace. */
export interface Cleanup {
  readonly kind: Straggler["kind"]
  readonly name: string
  readonly run: (reason: AbortReason) => Effect.Effect<void>
  /**
   * How long a job that returned waits for this clean-up, which then runs as well, with the reason `Parent`: what the
   * job started has lost its parent. By default only an abort runs it.
   */
  readonly drain?: Duration.Input
}

/** A task and what its owner does around it. All effects run in the context that the supervisor was made in. */
export interface Job<A, E> {
  readonly name: string
  /** The task, with all that it needs. It gets the fibers and scopes of its own making. */
  readonly run: Effect.Effect<A, E>
  /**
   * Interrupt the task at the abort, or signal it (see `Slot.aborting`) and interrupt it when the grace is over
   * (contract I2).
   */
  readonly onAbort: "interrupt" | "signal"
  /** How long an abort waits for the task and the clean-ups; 0 is not at all. */
  readonly grace: Duration.Input
  /** Runs after an abort, when the task has ended or is fenced; it is waited for `abortHookLimit`. */
  readonly abortHook: ((reason: AbortReason) => Effect.Effect<void>) | undefined
  readonly abortHookLimit: Duration.Input
  /**
   * Runs exactly once, uninterruptible, when the job has ended and before the slot is free. It must be bounded in time.
   */
  readonly settle: (ended: Ended<A, E>) => Effect.Effect<void>
  /** Runs when the slot is free again, before whoever waits for that is told; it may start the next job. */
  readonly freed: () => void
  /** Runs when something ends that `settle` was told of as a straggler. */
  readonly stragglerEnded: (straggler: Straggler, afterMillis: number) => void
}

/** The view that a running job has of its slot. */
export interface Slot {
  /** Why the job is stopping; undefined while nobody asked. From then on it is *closing*. */
  readonly reason: () => AbortReason | undefined
  /** Whether the job counts as ended: each call of its task is to be refused. */
  readonly isFenced: () => boolean
  /** Waits for the request to stop. */
  readonly aborting: Effect.Effect<AbortReason>
  /** Adds a clean-up; answers the way to take it back. A clean-up that comes after the abort is started at once. */
  readonly onAbort: (cleanup: Cleanup) => () => void
}

/** One slot. */
export interface TaskSupervisor {
  readonly state: () => State
  /**
   * Starts a job in a free slot, at once, and answers whether the slot was free. `registered` runs before the task does
   * (S6).
   */
  readonly start: <A, E>(job: Job<A, E>, registered: (slot: Slot) => Job<A, E>["run"]) => boolean
  /** Asks the running job to stop, and answers at once (I1). */
  readonly abort: (reason: AbortReason) => boolean
  /** Ends the running job as failed, because its owner cannot go on. */
  readonly fail: (cause: Cause.Cause<unknown>) => void
  /** Waits until the slot is free. **Interruption** stops only the wait. */
  readonly awaitIdle: Effect.Effect<void>
  /** Runs one transition at a time, in order of arrival; used by whoever replaces a job. */
  readonly turnstile: <A, E, R>(transition: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs an effect in a fiber that outlives its caller, and waits for it. **Interruption** stops only the wait. */
  readonly outlive: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/**
 * Starts a fiber that nobody else interrupts: the one place where a fiber may outlive its waiter. Owners of jobs,
 * tasks, clean-ups and transitions are started here; each ends by itself or through its supervisor.
 */
const detach = <A, E>(
  context: Context.Context<never>,
  effect: Effect.Effect<A, E>,
  uninterruptible = false
): Fiber.Fiber<A, E> => Effect.runForkWith(context)(effect, { uninterruptible })

class RunningJob implements Slot {
  private hasLeft = false
  private owner: (() => void) | undefined
  private asked: Deferred.Deferred<AbortReason> | undefined
  cleanups: Set<Cleanup> | undefined
  late: ((cleanup: Cleanup) => void) | undefined
  why: AbortReason | undefined
  requestedAt = 0
  fenced = false
  failure: Cause.Cause<unknown> | undefined
  stragglers: ReadonlyArray<Open> = []
  readonly aborting = Effect.suspend(() =>
    this.why === undefined ? Deferred.await((this.asked ??= Deferred.makeUnsafe())) : Effect.succeed(this.why)
  )
  readonly reason = () => this.why
  // mutant fence (I3: the turn of a straggler rejects every call): false
  readonly isFenced = () => this.fenced
  readonly onAbort = (cleanup: Cleanup) => {
    // mutant late-clean-ups (I3: a clean-up that is added after the abort starts at once): false
    if (this.late !== undefined) {
      this.late(cleanup)
      return () => {}
    }
    this.cleanups ??= new Set()
    this.cleanups.add(cleanup)
    return () => void this.cleanups?.delete(cleanup)
  }

  /** The job is no longer running: it returned, was asked to stop, or its owner failed. Its owner begins, once. */
  leave(): void {
    if (this.hasLeft) return
    this.hasLeft = true
    this.owner?.()
  }

  /** Says what the owner of the job is; one that has left by now is its at once. */
  ownedBy(owner: () => void): void {
    this.owner = owner
    if (this.hasLeft) owner()
  }

  ask(reason: AbortReason, requestedAt: number): void {
    this.why = reason
    this.requestedAt = requestedAt
    if (this.asked !== undefined) Deferred.doneUnsafe(this.asked, Effect.succeed(reason))
  }
}

/** Makes a supervisor whose fibers run in the context of the caller. */
export const make: Effect.Effect<TaskSupervisor> = Effect.gen(function* () {
  return makeUnsafe(yield* Effect.context<never>(), yield* Clock.Clock)
})

/** The same, for callers that have context and clock at hand. */
export const makeUnsafe = (context: Context.Context<never>, clock: Clock.Clock): TaskSupervisor =>
  new Supervisor(context, clock)

class Supervisor implements TaskSupervisor {
  private slot: State = idle
  private current: RunningJob | undefined
  private gate: Semaphore.Semaphore | undefined
  /** Made when somebody waits. */
  private idleWaiters: Set<() => void> | undefined
  private readonly context: Context.Context<never>
  private readonly clock: Clock.Clock
  constructor(context: Context.Context<never>, clock: Clock.Clock) {
    this.context = context
    this.clock = clock
  }

  state(): State {
    return this.slot
  }

  private signal(what: Signal): boolean {
    const before = this.slot
    this.slot = next(before, what)
    return this.slot !== before
  }

  start<A, E>(job: Job<A, E>, registered: (slot: Slot) => Job<A, E>["run"]): boolean {
    if (!this.signal({ _tag: "Start" })) return false
    const running = new RunningJob()
    // mutant register-before-run (S6: a task is in its slot before it runs): drop
    this.current = running
    const task = detach(this.context, registered(running))
    task.addObserver((exit) => {
      // a straggler of an earlier job ends nothing
      // mutant own-exit (I3: the exit of a straggler ends no later turn): drop
      if (this.current !== running) return
      // a task that nobody else interrupted has stopped itself: no failure, but an abort with all that belongs to one
      // (S5)
      if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return void this.abort("Interrupted")
      // mutant a-defect-is-an-end (S5: a task that dies has ended, and its slot is free):
      //   insert: if (exit._tag === "Failure" && Cause.hasDies(exit.cause)) return
      if (this.signal({ _tag: "Exit" })) running.leave()
    })
    // mutant register-before-run (S6): insert: this.current = running
    running.ownedBy(() => void detach(this.context, this.own({ job, running, task }), true))
    return true
  }

  /**
   * The owner: the only one who settles. Not interruptible, and bounded by the grace, the hook's limit and `settle`.
   */
  private own<A, E>(attempt: Attempt<A, E>): Effect.Effect<void> {
    const { job, running, task } = attempt
    const ended = Effect.suspend(() =>
      this.slot._tag === "Aborting"
        ? Effect.map(stop(this.context, attempt), (open) => this.aborted(attempt, open))
        : Effect.map(drain(this.context, running), () => this.returned(running, task))
    )
    return Effect.flatMap(ended, (how) => {
      running.fenced = true
      // mutant stragglers-after-their-turn (I3: the end of a straggler is reported after the record that names it):
      //   replace: `Effect.map(job.settle(how), () => {` => `Effect.suspend(() => {`
      return Effect.map(job.settle(how), () => {
        // one that ended while its job was settled is reported now: after the record that names it
        for (const { fiber, straggler } of running.stragglers) {
          fiber.addObserver(() =>
            job.stragglerEnded(straggler, this.clock.currentTimeMillisUnsafe() - running.requestedAt)
          )
        }
        // mutant stragglers-after-their-turn (I3):
        //   replace: return Effect.map(job.settle(how), () => this.settled(job.freed))
        this.settled(job.freed)
      })
    })
  }

  private aborted<A, E>({ running, task }: Attempt<A, E>, open: ReadonlyArray<Open>): Ended<A, E> {
    if (!this.signal({ _tag: "GraceOver" })) return this.returned(running, task)
    running.stragglers = open.filter(({ fiber }) => fiber.pollUnsafe() === undefined)
    return {
      _tag: "Aborted",
      reason: running.why!,
      requestedAt: running.requestedAt,
      stragglers: running.stragglers.map(({ straggler }) => straggler)
    }
  }

  private returned<A, E>(running: RunningJob, task: Fiber.Fiber<A, E>): Ended<A, E> {
    if (running.failure !== undefined) {
      task.interruptUnsafe()
      return { _tag: "Failed", cause: running.failure as Cause.Cause<never> }
    }
    const exit = task.pollUnsafe()!
    if (exit._tag === "Success") return { _tag: "Completed", value: exit.value }
    return { _tag: "Failed", cause: exit.cause }
  }

  private settled(freed: () => void): void {
    this.signal({ _tag: "Settled" })
    this.current = undefined
    freed()
    if (this.slot._tag !== "Idle" || this.idleWaiters === undefined) return
    const waiters = this.idleWaiters
    this.idleWaiters = undefined
    for (const wake of waiters) wake()
  }

  abort(reason: AbortReason): boolean {
    if (!this.signal({ _tag: "Abort", reason })) return false
    const running = this.current!
    running.ask(reason, this.clock.currentTimeMillisUnsafe())
    running.leave()
    return true
  }

  fail(cause: Cause.Cause<unknown>): void {
    if (!this.signal({ _tag: "OwnerFailed" })) return
    const running = this.current!
    running.failure = cause
    running.fenced = true
    running.leave()
  }

  get awaitIdle(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => this.whenIdle(resume))
  }

  private whenIdle(resume: (effect: Effect.Effect<void>) => void): Effect.Effect<void> | void {
    // mutant look-and-wait-for-idle (I2: a fiber that waits for the slot checks it atomically with registration): drop
    if (this.slot._tag === "Idle") return resume(Effect.void)
    const wake = () => resume(Effect.void)
    this.idleWaiters ??= new Set()
    this.idleWaiters.add(wake)
    return Effect.sync(() => void this.idleWaiters?.delete(wake))
  }

  turnstile<A, E, R>(transition: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    this.gate ??= Semaphore.makeUnsafe(1)
    // mutant turnstile (S4: transitions of a slot do not overlap): replace: return transition
    return Semaphore.withPermit(this.gate, transition)
  }

  outlive<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    // mutant outlive (I9: a replacement keeps running when the task that asked for it ends): replace: return effect
    return Effect.suspend(() => Fiber.join(detach(this.context, effect)))
  }
}

/** A job in the slot, and the fiber of its task. */
interface Attempt<A, E> {
  readonly job: Job<A, E>
  readonly running: RunningJob
  readonly task: Fiber.Fiber<A, E>
}

/** Something that an abort waits for. */
interface Open {
  readonly straggler: Straggler
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/**
 * The timed race of an abort (I2, I3): task and clean-ups side by side against the grace, then the hook. Answers what
 * took part.
 */
const stop = Effect.fnUntraced(function* <A, E>(
  context: Context.Context<never>,
  { job, running, task }: Attempt<A, E>
) {
  const reason = running.why!
  const open: Array<Open> = [{ straggler: { kind: "task", name: job.name }, fiber: task }]
  const begin = ({ kind, name, run }: Cleanup) =>
    void open.push({
      straggler: { kind, name },
      fiber: detach(
        context,
        Effect.suspend(() => run(reason))
      )
    })
  running.late = begin
  if (job.onAbort === "interrupt") task.interruptUnsafe()
  for (const cleanup of running.cleanups ?? []) begin(cleanup)
  if (open.some(({ fiber }) => fiber.pollUnsafe() === undefined)) {
    yield* Effect.timeoutOption(allEnded(open), job.grace)
    if (task.pollUnsafe() === undefined) task.interruptUnsafe()
  }
  running.fenced = true
  if (job.abortHook !== undefined) {
    const { abortHook } = job
    const hook = detach(
      context,
      Effect.suspend(() => abortHook(reason))
    )
    yield* Effect.timeoutOption(Fiber.await(hook), job.abortHookLimit)
    open.push({ straggler: { kind: "hook", name: `${job.name} abort hook` }, fiber: hook })
    hook.interruptUnsafe()
  }
  return open
})

/**
 * Ends what a job leaves behind that returned, side by side, each within its own limit; what is late goes on alone. The
 * job is fenced before: nothing joins.
 */
const drain = (context: Context.Context<never>, running: RunningJob): Effect.Effect<void> => {
  running.fenced = true
  if (running.cleanups === undefined) return Effect.void
  const ending = Array.from(running.cleanups).flatMap(({ drain: limit, run }) => {
    if (limit === undefined) return []
    // mutant drains-all-at-once (D1: a turn that returned asks all its delegates to end at once): drop
    const fiber = detach(
      context,
      Effect.suspend(() => run("Parent"))
    )
    // mutant drains-all-at-once (D1): replace: `Fiber.await(fiber)` => `Effect.suspend(() => run("Parent"))`
    return [Effect.timeoutOption(Fiber.await(fiber), limit)]
  })
  // mutant drains-all-at-once (D1): replace: return Effect.all(ending, { discard: true })
  return Effect.all(ending, { concurrency: "unbounded", discard: true })
}

/** Waits for everything that is open, clean-ups included that join while it waits. */
const allEnded = Effect.fnUntraced(function* (open: ReadonlyArray<Open>) {
  for (let index = 0; index < open.length; index++) yield* Fiber.await(open[index]!.fiber)
})
