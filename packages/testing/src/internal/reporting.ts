/** Judges runs, finds the smallest case of each fault, and formats it. */
import type { Choices } from "./choices.ts"
import type { ActionPlace, Decisions, RunResult } from "./decisions.ts"
import { faultOf, type Finding, type FindingKind, positionOf } from "./findings.ts"
import { judge, type Judged, type Runs, type Subject } from "./running.ts"
import { shrink } from "./shrinking.ts"

/** A run that broke a law. `replay` repeats it. */
export interface Violation extends Finding {
  readonly decisions: Decisions
}

/** The smallest case of one fault. */
export interface Smallest extends Violation {
  /** The number of runs that showed the fault. */
  readonly count: number
  /** Each action with its step, and the position of the fiber at whose step it came. */
  readonly actions: ReadonlyArray<ActionPlace>
  /** The last operations before the first action, one a line, with their fibers. */
  readonly trace: ReadonlyArray<string>
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  /** The number of runs that shrinking took. */
  readonly shrinkRuns: number
}

/** True if a probe can explain a finding of this kind. */
const isStall = (kind: FindingKind) => kind !== "law" && kind !== "not deterministic"

/**
 * Runs a program once, and again with a probe if it stalls or leaves something running, to find which fibers wait for
 * what.
 */
export const judgeClosely = function* <A, E>(
  subject: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices | undefined }
): Runs<A, E, Judged<A, E>> {
  const judged = yield* judge(subject, decisions, how)
  if (judged.finding === undefined || !isStall(judged.finding.kind)) return judged
  const { choices } = judged.result
  const again = yield* judge(subject, choices.length === 0 ? decisions : { ...decisions, choices }, { isProbed: true })
  return again.finding === undefined || again.result.steps !== judged.result.steps ? judged : again
}

/** Repeats a run, and returns a finding if the steps differ. */
export const difference = function* <A, E>(
  subject: Subject<A, E>,
  result: RunResult<A, E>,
  decisions: Decisions
): Runs<A, E, Finding | undefined> {
  const { result: again } = yield* judge(subject, decisions)
  if (result.steps === again.steps && result.fingerprint === again.fingerprint) return undefined
  const steps =
    result.steps === again.steps ? `other ${result.steps} steps` : `${result.steps} steps, then ${again.steps}`
  return { kind: "not deterministic", law: `not deterministic: ${steps} with the same decisions` }
}

/** Replaces the seed of decisions by the choices of its run, so that it can be repeated choice by choice. */
const withChoices = function* <A, E>(subject: Subject<A, E>, decisions: Decisions): Runs<A, E, Decisions> {
  if (decisions.seed === 0 && decisions.choices === undefined) return decisions
  const { result } = yield* judge(subject, decisions)
  return { ...decisions, choices: result.choices }
}

/** Finds the smallest case of each fault among the violations, for up to ten faults. */
export const smallestOf = function* <A, E>(
  subject: Subject<A, E>,
  violations: ReadonlyArray<Violation>,
  maxRuns: number
): Runs<A, E, ReadonlyArray<Smallest>> {
  const all: Array<Smallest> = []
  for (const [fault, found] of Array.from(Map.groupBy(violations, faultOf)).slice(0, 10)) {
    all.push(yield* smallestOfFault(subject, { fault, found }, maxRuns))
  }
  return all
}

const smallestOfFault = function* <A, E>(
  subject: Subject<A, E>,
  { fault, found }: { readonly fault: string; readonly found: ReadonlyArray<Violation> },
  maxRuns: number
): Runs<A, E, Smallest> {
  const [first] = found as [Violation]
  const start = yield* withChoices(subject, smallestViolation(found).decisions)
  const isAlike = function* (decisions: Decisions): Runs<A, E, boolean> {
    const { finding } = yield* judgeOf(fault)(subject, decisions)
    return finding !== undefined && faultOf(finding) === fault
  }
  if (!(yield* isAlike(start))) {
    return { ...first, count: found.length, actions: [], trace: [], faults: [], shrinkRuns: 1 }
  }
  const { decisions, runs } = yield* shrink(start, isAlike, maxRuns)
  const { finding, result } = yield* judge(subject, decisions, { isProbed: true })
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
}

const judgeOf = (fault: string) => (fault === "left the simulation" ? judgeClosely : judge)

/** The violation with the fewest actions, and among those the one with the plainest decisions. */
const smallestViolation = (found: ReadonlyArray<Violation>): Violation =>
  found.reduce((best, one) => (weight(one.decisions) < weight(best.decisions) ? one : best))

const weight = ({ at, choices, mode, seed }: Decisions): number =>
  at.length * 1e6 + (seed === 0 && choices === undefined ? 0 : 1e5) + (mode === "before" ? 0 : 1e4) + (at[0]?.[1] ?? 0)

/** Options of the lines of a smallest case. */
export interface LineOptions {
  /** True to list the steps before the first action. */
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
    ...repeat(JSON.stringify(withoutDefaults(decisions))).map((line) => `  ${line}`)
  ]
}

const scheduleOf = ({ choices, seed }: Decisions): string => {
  if (choices !== undefined && choices.length > 0)
    return choices.map(([kind, index, chosen]) => `${kind} ${index}${chosen === 1 ? "" : ` (${chosen})`}`).join(", ")
  return seed === 0 || choices !== undefined ? "in order of arrival" : `drawn from seed ${seed}`
}

/** The decisions that a replay needs. */
const withoutDefaults = ({ at, choices, faultRate, mode, preemption, seed }: Decisions): Partial<Decisions> => ({
  mode,
  at,
  seed,
  ...(choices === undefined
    ? { preemption, ...(faultRate === undefined ? {} : { faultRate }) }
    : choices.length === 0 && seed === 0
      ? {}
      : { choices })
})
