/** Finds the fault of a run. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type { RunResult } from "./decisions.ts"
import type { Situation } from "./probe.ts"

/**
 * The kinds of findings: nothing can run although the program has not ended; steps without end; a wait without end
 * while time passes; fibers that outlive the program; a wait for something outside the simulation; different steps with
 * the same decisions; a broken law.
 */
export type FindingKind =
  | "deadlock"
  | "livelock"
  | "unbounded wait"
  | "leaked fiber"
  | "left the simulation"
  | "not deterministic"
  | "law"

/** A fault of one run. */
export interface Finding {
  readonly kind: FindingKind
  /** The fault in words. It starts with the text of the law, or with the kind. */
  readonly law: string
}

/** The laws that must hold after a run. */
export interface Laws<A, E> {
  /** Returns the fault of a run that ended; undefined if there is none. */
  readonly law?: ((exit: Exit.Exit<A, E>) => string | undefined) | undefined
  /** The same by name. The first broken law counts, and the report starts with its name. */
  readonly laws?: { readonly [name: string]: (exit: Exit.Exit<A, E>) => string | undefined } | undefined
  /** Must hold for the result of the program. A text describes the fault. A program that fails breaks it. */
  readonly invariant?: ((value: A) => boolean | string | undefined) | undefined
}

/** Returns the first broken law of a run that ended. */
const brokenLaw = <A, E>({ invariant, law, laws }: Laws<A, E>, exit: Exit.Exit<A, E>): string | undefined => {
  const broken = law?.(exit)
  if (broken !== undefined) return broken
  for (const [name, one] of Object.entries(laws ?? {})) {
    const found = one(exit)
    if (found !== undefined) return found.startsWith(name) ? found : `${name}: ${found}`
  }
  if (invariant === undefined) return undefined
  if (exit._tag === "Failure") return "the program failed"
  const result = invariant(exit.value)
  if (result === true || result === undefined) return undefined
  return `the invariant is broken: ${result === false ? JSON.stringify(exit.value) : result}`
}

/** Returns the fault of a run; undefined if there is none. */
export const findingOf = <A, E>(laws: Laws<A, E>, result: RunResult<A, E>): Finding | undefined => {
  if (result.exit === undefined) return stallOf(result)
  const broken = brokenLaw(laws, result.exit)
  if (broken !== undefined) {
    return {
      kind: "law",
      law: result.exit._tag === "Failure" ? `${broken}: ${Cause.pretty(result.exit.cause)}` : broken
    }
  }
  return result.leakCount === 0 ? undefined : explain(result, "leaked fiber", `leaked fibers: ${result.leakCount}`)
}

const stallOf = (result: RunResult<unknown, unknown>): Finding => {
  switch (result.end) {
    case "livelock":
      return explain(result, "livelock", "livelock: the program takes steps without end")
    case "late":
      return explain(result, "unbounded wait", `unbounded wait: the program has not ended after ${result.millis} ms`)
    case "endless":
      return explain(result, "unbounded wait", "unbounded wait: nothing can run but a sleep without end")
    case "deadlock":
    case "done":
      return explain(result, "deadlock", "deadlock: nothing can run, and the program has not ended")
  }
}

/**
 * Adds which fibers wait for what, if there was a probe. A wait for something outside the simulation is a
 * separate finding.
 */
const explain = ({ probe }: RunResult<unknown, unknown>, kind: FindingKind, law: string): Finding => {
  if (probe === undefined) return { kind, law }
  const outside = probe.waiting.find((one) => one.outside !== undefined)
  if (outside?.outside !== undefined && kind !== "livelock") {
    const { place, type } = outside.outside
    return {
      kind: "left the simulation",
      law: `left the simulation at ${type} ${place}: ${nameOf(outside)} waits for it, ${positionOf(outside)}`
    }
  }
  const waiting = probe.waiting.slice(0, 8).map((one) => `${nameOf(one)} waits, ${positionOf(one)}`)
  const [started] = probe.started
  const hint = started === undefined ? [] : [`outside the simulation it began ${started.type} ${started.place}`]
  return { kind, law: [law, ...waiting, ...hint].join("; ") }
}

const nameOf = ({ fiber }: Situation): string => `fiber ${fiber}`

/** The position of a fiber in words. */
export const positionOf = ({ operation, place, stack }: Situation): string =>
  [
    ...(stack.length === 0 ? [] : [`in ${stack.join(" < ")}`]),
    `after ${operation}`,
    ...(place === undefined ? [] : [`yielded at ${place}`])
  ].join(", ")

/** The part that findings of the same fault share: the kind, and the clause or the words before the details. */
export const faultOf = ({ kind, law }: Finding): string => {
  if (kind !== "law") return kind
  const clause = /^[A-Z]+\d+/.exec(law)
  return clause === null ? law.split(":")[0]!.replace(/\d+/g, "#") : clause[0]
}
