/** What is wrong with a run, by name. */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import type { Ran } from "./exploringScheduler.ts"
import type { Situation } from "./probe.ts"

/**
 * The kinds of what may be wrong: nothing can run although the program has not ended; steps without end; a wait without end while time passes; fibers that
 * outlive the program; a wait for the world outside; other steps with the same decisions; a broken law.
 */
export type FindingKind =
  | "deadlock"
  | "livelock"
  | "unbounded wait"
  | "leaked fiber"
  | "left the simulation"
  | "not deterministic"
  | "law"

/** What is wrong with one run. */
export interface Finding {
  readonly kind: FindingKind
  /** What is wrong, for people; begins with the law's own words, or with the kind. */
  readonly law: string
}

/** What must hold after a run. */
export interface Laws<A, E> {
  /** What is wrong with a run that ended; undefined if nothing is. */
  readonly law?: ((exit: Exit.Exit<A, E>) => string | undefined) | undefined
  /** The same, by name: the first that is broken counts, and its name comes first in the report. */
  readonly laws?: { readonly [name: string]: (exit: Exit.Exit<A, E>) => string | undefined } | undefined
  /** What the program answers must satisfy it; a program that fails breaks it. A text says what is wrong. */
  readonly invariant?: ((value: A) => boolean | string | undefined) | undefined
}

/** What broke in a run that ended. */
const brokenLaw = <A, E>({ invariant, law, laws }: Laws<A, E>, exit: Exit.Exit<A, E>): string | undefined => {
  const broken = law?.(exit)
  if (broken !== undefined) return broken
  for (const [name, one] of Object.entries(laws ?? {})) {
    const found = one(exit)
    if (found !== undefined) return found.startsWith(name) ? found : `${name}: ${found}`
  }
  if (invariant === undefined) return undefined
  if (exit._tag === "Failure") return "the program failed"
  const held = invariant(exit.value)
  if (held === true || held === undefined) return undefined
  return `the invariant is broken: ${held === false ? JSON.stringify(exit.value) : held}`
}

/** What is wrong with a run; undefined if nothing is. */
export const findingOf = <A, E>(laws: Laws<A, E>, ran: Ran<A, E>): Finding | undefined => {
  if (ran.exit === undefined) return stalled(ran)
  const broken = brokenLaw(laws, ran.exit)
  if (broken !== undefined) {
    return { kind: "law", law: ran.exit._tag === "Failure" ? `${broken}: ${Cause.pretty(ran.exit.cause)}` : broken }
  }
  return ran.leakCount === 0 ? undefined : explained(ran, "leaked fiber", `leaked fibers: ${ran.leakCount}`)
}

const stalled = (ran: Ran<unknown, unknown>): Finding => {
  switch (ran.end) {
    case "livelock":
      return explained(ran, "livelock", "livelock: the program takes steps without end")
    case "late":
      return explained(ran, "unbounded wait", `unbounded wait: the program has not ended after ${ran.millis} ms`)
    case "endless":
      return explained(ran, "unbounded wait", "unbounded wait: nothing can run but a sleep without end")
    case "deadlock":
    case "done":
      return explained(ran, "deadlock", "deadlock: nothing can run, and the program has not ended")
  }
}

/** With a probe, who waits for what; a wait for the world outside is a finding of its own. */
const explained = ({ probed }: Ran<unknown, unknown>, kind: FindingKind, law: string): Finding => {
  if (probed === undefined) return { kind, law }
  const outside = probed.waiting.find((one) => one.outside !== undefined)
  if (outside?.outside !== undefined && kind !== "livelock") {
    const { place, type } = outside.outside
    return {
      kind: "left the simulation",
      law: `left the simulation at ${type} ${place}: ${nameOf(outside)} waits for it, ${standing(outside)}`
    }
  }
  const waiting = probed.waiting.slice(0, 8).map((one) => `${nameOf(one)} waits, ${standing(one)}`)
  const [begun] = probed.begun
  const hint = begun === undefined ? [] : [`outside the simulation it began ${begun.type} ${begun.place}`]
  return { kind, law: [law, ...waiting, ...hint].join("; ") }
}

const nameOf = ({ fiber }: Situation): string => `fiber ${fiber}`

/** Where a fiber stands, in words. */
export const standing = ({ operation, stack }: Situation): string =>
  stack.length === 0 ? `after ${operation}` : `in ${stack.join(" < ")}, after ${operation}`

/** What findings of the same fault have in common: the kind, and the clause or the words before the details. */
export const faultOf = ({ kind, law }: Finding): string => {
  if (kind !== "law") return kind
  const clause = /^[A-Z]+\d+/.exec(law)
  return clause === null ? law.split(":")[0]!.replace(/\d+/g, "#") : clause[0]
}
