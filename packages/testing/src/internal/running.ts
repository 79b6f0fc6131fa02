/**
 * Makes the runs of an exploration, synchronously or asynchronously.
 *
 * An exploration is a coroutine: it yields each run and continues with its judged result. So the plan of the runs, the
 * shrinking and the report are the same in both modes.
 */
import type * as Effect from "effect/Effect"
import type { Choices } from "./choices.ts"
import type { Decisions, RunResult, Stage } from "./decisions.ts"
import { type Finding, findingOf, type Laws } from "./findings.ts"
import { runOnce, runOnceAsync } from "./scheduler.ts"

/** A program and its laws. */
export interface Subject<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  readonly laws: Laws<A, E>
}

/** A run to make. */
export interface RunRequest<A, E> {
  readonly subject: Subject<A, E>
  readonly decisions: Decisions
  /** The source of choices, instead of the decisions. */
  readonly choices?: Choices | undefined
  readonly isProbed?: boolean | undefined
}

/** A run and its finding. */
export interface Judged<A, E> {
  readonly result: RunResult<A, E>
  readonly finding: Finding | undefined
}

/** A coroutine that yields runs, continues with their results, and returns what follows from them. */
export type Runs<A, E, B> = Generator<RunRequest<A, E>, B, Judged<A, E>>

/** Yields one run, and returns its result. */
export const judge = function* <A, E>(
  subject: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices | undefined; readonly isProbed?: boolean | undefined }
): Runs<A, E, Judged<A, E>> {
  return yield { subject, decisions, ...how }
}

const toJudged =
  <A, E>({ laws }: Subject<A, E>) =>
  (result: RunResult<A, E>): Judged<A, E> => ({ result, finding: findingOf(laws, result) })

/** Makes all runs synchronously. */
export const makeRuns = <A, E, B>(runs: Runs<A, E, B>): B => {
  let next = runs.next()
  while (next.done !== true) {
    const { subject, ...how } = next.value
    next = runs.next(runOnce({ ...how, program: subject.program }, toJudged(subject)))
  }
  return next.value
}

/** The time, in milliseconds, after which the event loop of the platform gets a turn between two runs. */
const turnMillis = 50

/** Lets the event loop of the platform take a turn. */
const takeTurn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

/**
 * Makes all runs asynchronously. The event loop gets turns between two runs, never in one. The signal ends it between
 * two runs.
 */
export const makeRunsAsync = async <A, E, B>(runs: Runs<A, E, B>, signal: AbortSignal): Promise<B> => {
  // outside of the fiber that calls it
  await undefined
  let turnAt = performance.now() + turnMillis
  let next = runs.next()
  while (next.done !== true) {
    signal.throwIfAborted()
    const { subject, ...how } = next.value
    next = runs.next(await runOnceAsync({ ...how, program: subject.program }, toJudged(subject)))
    if (performance.now() < turnAt) continue
    await takeTurn()
    turnAt = performance.now() + turnMillis
  }
  return next.value
}
