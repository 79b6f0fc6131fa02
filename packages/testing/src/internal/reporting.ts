/** Judges runs, finds the smallest case of each fault, and formats it. */
import type * as Effect from "effect/Effect"
import type { Choices } from "./choices.ts"
import type { ActionPlace, Decisions, RunResult, Stage } from "./decisions.ts"
import { faultOf, type Finding, findingOf, type FindingKind, type Laws, positionOf } from "./findings.ts"
import { runOnce } from "./scheduler.ts"
import { shrink } from "./shrinking.ts"

/** A run that broke a law. `replay` repeats it. */
export interface Violation extends Finding {
  readonly decisions: Decisions
}

/** The smallest case of one fault. */
export interface Smallest extends Violation {
  /** How many runs showed the fault. */
  readonly count: number
  /** Each action with its step, and the position of the fiber at whose step it came. */
  readonly actions: ReadonlyArray<ActionPlace>
  /** The last operations before the first action, one a line, with their fibers. */
  readonly trace: ReadonlyArray<string>
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  /** How many runs shrinking took. */
  readonly shrinkRuns: number
}

/** A program and its laws. */
export interface Subject<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  readonly laws: Laws<A, E>
}

/** A run and its finding. */
export interface Judged<A, E> {
  readonly result: RunResult<A, E>
  readonly finding: Finding | undefined
}

/** Runs a program once. */
export const judge = <A, E>(
  { laws, program }: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices | undefined; readonly isProbed?: boolean | undefined }
): Judged<A, E> => runOnce({ program, decisions, ...how }, (result) => ({ result, finding: findingOf(laws, result) }))

/** Whether a probe can explain a finding of this kind. */
const isStall = (kind: FindingKind) => kind !== "law" && kind !== "not deterministic"

/**
 * Runs a program once, and again with a probe if it stalls or leaves something behind, to find which fibers wait for
 * what.
 */
export const judgeClosely = <A, E>(
  subject: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices | undefined }
): Judged<A, E> => {
  const judged = judge(subject, decisions, how)
  if (judged.finding === undefined || !isStall(judged.finding.kind)) return judged
  const { choices } = judged.result
  const again = judge(subject, choices.length === 0 ? decisions : { ...decisions, choices }, { isProbed: true })
  return again.finding === undefined || again.result.steps !== judged.result.steps ? judged : again
}

/** Repeats a run, and returns how the steps differ, if they do. */
export const difference = <A, E>(
  subject: Subject<A, E>,
  result: RunResult<A, E>,
  decisions: Decisions
): Finding | undefined => {
  const { result: again } = judge(subject, decisions)
  if (result.steps === again.steps && result.fingerprint === again.fingerprint) return undefined
  const steps =
    result.steps === again.steps ? `other ${result.steps} steps` : `${result.steps} steps, then ${again.steps}`
  return { kind: "not deterministic", law: `not deterministic: ${steps} with the same decisions` }
}

/** Replaces the seed of decisions by the choices of its run, so that it can be repeated choice by choice. */
const withChoices = <A, E>(subject: Subject<A, E>, decisions: Decisions): Decisions => {
  if (decisions.seed === 0 && decisions.choices === undefined) return decisions
  return { ...decisions, choices: judge(subject, decisions).result.choices }
}

/** Finds the smallest case of each fault among the violations, for up to ten faults. */
export const smallestOf = <A, E>(
  subject: Subject<A, E>,
  violations: ReadonlyArray<Violation>,
  maxRuns: number
): ReadonlyArray<Smallest> =>
  Array.from(Map.groupBy(violations, faultOf))
    .slice(0, 10)
    .map(([fault, found]) => {
      const [first] = found as [Violation]
      const start = withChoices(subject, fewest(found).decisions)
      const isAlike = (decisions: Decisions) => {
        const { finding } = judgeOf(fault)(subject, decisions)
        return finding !== undefined && faultOf(finding) === fault
      }
      if (!isAlike(start)) return { ...first, count: found.length, actions: [], trace: [], faults: [], shrinkRuns: 1 }
      const { decisions, runs } = shrink(start, isAlike, maxRuns)
      const { finding, result } = judge(subject, decisions, { isProbed: true })
      return {
        kind: first.kind,
        law: finding !== undefined && faultOf(finding) === fault ? finding.law : first.law,
        decisions,
        count: found.length,
        actions: result.probe?.actions ?? [],
        trace: result.probe?.trace ?? [],
        faults: result.faults,
        shrinkRuns: runs
      }
    })

const judgeOf = (fault: string) => (fault === "left the simulation" ? judgeClosely : judge)

/** The violation with the fewest actions, and among those the one with the plainest decisions. */
const fewest = (found: ReadonlyArray<Violation>): Violation =>
  found.reduce((best, one) => (weight(one.decisions) < weight(best.decisions) ? one : best))

const weight = ({ at, choices, mode, seed }: Decisions): number =>
  at.length * 1e6 + (seed === 0 && choices === undefined ? 0 : 1e5) + (mode === "before" ? 0 : 1e4) + (at[0]?.[1] ?? 0)

/** How to format a smallest case. */
export interface LineOptions {
  /** Whether to list the steps before the first action. */
  readonly trace?: boolean | undefined
  /** Returns the lines that repeat the run. `decisions` is JSON. */
  readonly repeat: (decisions: string) => ReadonlyArray<string>
}

/** Formats a smallest case. */
export const lines = (smallest: Smallest, { repeat, trace = false }: LineOptions): ReadonlyArray<string> => {
  const { actions, count, decisions, faults, law, trace: steps } = smallest
  return [
    `${count} x ${law}`,
    ...(trace ? steps.map((step) => `    ${step}`) : []),
    ...actions.map((one) => {
      const position = one.fiber === undefined ? one.operation : `fiber ${one.fiber} ${positionOf(one)}`
      return `  ${one.action} at step ${one.step}, ${decisions.mode} it: ${position}`
    }),
    ...(faults.length === 0 ? [] : [`  faults: ${faults.join(", ")}`]),
    `  schedule: ${scheduleOf(decisions)}`,
    ...repeat(JSON.stringify(shortened(decisions))).map((line) => `  ${line}`)
  ]
}

const scheduleOf = ({ choices, seed }: Decisions): string => {
  if (choices !== undefined && choices.length > 0)
    return choices.map(([kind, index, chosen]) => `${kind} ${index}${chosen === 1 ? "" : ` (${chosen})`}`).join(", ")
  return seed === 0 || choices !== undefined ? "in order of arrival" : `drawn from seed ${seed}`
}

/** The decisions that a replay needs. */
const shortened = ({ at, choices, faultRate, mode, preemption, seed }: Decisions): Partial<Decisions> => ({
  mode,
  at,
  seed,
  ...(choices === undefined
    ? { preemption, ...(faultRate === undefined ? {} : { faultRate }) }
    : choices.length === 0 && seed === 0
      ? {}
      : { choices })
})
