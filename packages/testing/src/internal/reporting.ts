/** From broken runs to the smallest case of each fault, and to the lines that people read. */
import type * as Effect from "effect/Effect"
import type { Choices } from "./choices.ts"
import { type Acted, type Decisions, type Ran, runOnce, type Stage } from "./exploringScheduler.ts"
import { faultOf, type Finding, findingOf, type FindingKind, type Laws, standing } from "./findings.ts"
import { shrink } from "./shrinking.ts"

/** A run that broke a law. `replay` runs it again. */
export interface Violation extends Finding {
  readonly decisions: Decisions
}

/** The smallest case of one fault. */
export interface Smallest extends Violation {
  /** How many runs showed the same fault. */
  readonly count: number
  /** Each action with its step, and where the fiber stood whose step it is. */
  readonly acted: ReadonlyArray<Acted>
  /** Faults that happened, in order, as `point: fault`. */
  readonly faults: ReadonlyArray<string>
  /** How many runs it took to find it. */
  readonly shrinkRuns: number
}

/** A program and what must hold of it. */
export interface Subject<A, E> {
  readonly program: (stage: Stage) => Effect.Effect<A, E>
  readonly laws: Laws<A, E>
}

/** A run and what is wrong with it. */
export interface Judged<A, E> {
  readonly ran: Ran<A, E>
  readonly finding: Finding | undefined
}

/** Runs once. */
export const judge = <A, E>(
  { laws, program }: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices; readonly isProbed?: boolean }
): Judged<A, E> => runOnce({ program, decisions, ...how }, (ran) => ({ ran, finding: findingOf(laws, ran) }))

/** Kinds whose finding says more with a probe. */
const isStall = (kind: FindingKind) => kind !== "law" && kind !== "not deterministic"

/** Runs once, and again with a probe if the program stalls or leaves something behind: to say who waits for what. */
export const judgeClosely = <A, E>(
  subject: Subject<A, E>,
  decisions: Decisions,
  how?: { readonly choices?: Choices }
): Judged<A, E> => {
  const judged = judge(subject, decisions, how)
  if (judged.finding === undefined || !isStall(judged.finding.kind)) return judged
  const { choices } = judged.ran
  const again = judge(subject, choices.length === 0 ? decisions : { ...decisions, choices }, { isProbed: true })
  return again.finding === undefined || again.ran.steps !== judged.ran.steps ? judged : again
}

/** Runs once more; answers what is different about it, if anything is. */
export const difference = <A, E>(subject: Subject<A, E>, ran: Ran<A, E>, decisions: Decisions): Finding | undefined => {
  const { ran: again } = judge(subject, decisions)
  if (ran.steps === again.steps && ran.fingerprint === again.fingerprint) return undefined
  const steps = ran.steps === again.steps ? `other ${ran.steps} steps` : `${ran.steps} steps, then ${again.steps}`
  return { kind: "not deterministic", law: `not deterministic: ${steps} with the same decisions` }
}

/** The decisions with the choices of the run, so that it can be repeated choice by choice. */
const spelledOut = <A, E>(subject: Subject<A, E>, decisions: Decisions): Decisions => {
  if (decisions.seed === 0 && decisions.choices === undefined) return decisions
  return { ...decisions, choices: judge(subject, decisions).ran.choices }
}

/** The smallest case of each fault among the violations, ten faults at most. */
export const smallestOf = <A, E>(
  subject: Subject<A, E>,
  violations: ReadonlyArray<Violation>,
  maxRuns: number
): ReadonlyArray<Smallest> =>
  Array.from(Map.groupBy(violations, faultOf))
    .slice(0, 10)
    .map(([fault, found]) => {
      const [first] = found as [Violation]
      const start = spelledOut(subject, fewest(found).decisions)
      const isAlike = (decisions: Decisions) => {
        const { finding } = judgeOf(fault)(subject, decisions)
        return finding !== undefined && faultOf(finding) === fault
      }
      if (!isAlike(start)) return { ...first, count: found.length, acted: [], faults: [], shrinkRuns: 1 }
      const { decisions, runs } = shrink(start, isAlike, maxRuns)
      const { finding, ran } = judge(subject, decisions, { isProbed: true })
      return {
        kind: first.kind,
        law: finding !== undefined && faultOf(finding) === fault ? finding.law : first.law,
        decisions,
        count: found.length,
        acted: ran.probed?.acted ?? [],
        faults: ran.faults,
        shrinkRuns: runs
      }
    })

const judgeOf = (fault: string) => (fault === "left the simulation" ? judgeClosely : judge)

/** The violation with the fewest actions, and among those the plainest. */
const fewest = (found: ReadonlyArray<Violation>): Violation =>
  found.reduce((best, one) => (weight(one.decisions) < weight(best.decisions) ? one : best))

const weight = ({ at, choices, mode, seed }: Decisions): number =>
  at.length * 1e6 + (seed === 0 && choices === undefined ? 0 : 1e5) + (mode === "before" ? 0 : 1e4) + (at[0]?.[1] ?? 0)

/** The lines of one smallest case; `call` is the beginning of the line that repeats it. */
export const lines = (smallest: Smallest, call: string): ReadonlyArray<string> => {
  const { acted, count, decisions, faults, law } = smallest
  return [
    `${count} x ${law}`,
    ...acted.map(
      (one) =>
        `  ${one.action} at step ${one.step}, ${decisions.mode} it: ${one.fiber === undefined ? one.operation : `fiber ${one.fiber} ${standing(one)}`}`
    ),
    ...(faults.length === 0 ? [] : [`  faults: ${faults.join(", ")}`]),
    `  schedule: ${scheduleOf(decisions)}`,
    `  ${call}, ${JSON.stringify(shortened(decisions))})`
  ]
}

const scheduleOf = ({ choices, seed }: Decisions): string => {
  if (choices !== undefined && choices.length > 0)
    return choices.map(([kind, index, chosen]) => `${kind} ${index}${chosen === 1 ? "" : ` (${chosen})`}`).join(", ")
  return seed === 0 || choices !== undefined ? "in order of arrival" : `drawn from seed ${seed}`
}

/** What a replay needs. */
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
