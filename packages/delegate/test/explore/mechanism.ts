/** What a row of the tables of mechanisms says. */
import type { cases } from "./cases.ts"

/** A mechanism of the sources. */
export interface Mechanism {
  /** What it sees to, as a sentence; begins with the clause. */
  readonly closes: string
  /** The file below `packages` that it is in. */
  readonly file: string
  /** What is there, exactly once, and what stands there without the mechanism. */
  readonly changes: ReadonlyArray<readonly [there: string, instead: string]>
  /** What shows the fault: one of the `cases`, or else random trees. */
  readonly by: keyof typeof cases | "trees"
  /** The finding. */
  readonly breaks: RegExp
}
