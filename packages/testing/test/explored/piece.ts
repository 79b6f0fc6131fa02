/**
 * A piece of Effect under the explorer: a program that uses it, and what must hold when the program is stopped at any
 * step.
 */
import * as Effect from "effect/Effect"
import * as Interrupts from "@spindle/testing/Interrupts"

/** One exploration. */
export interface Piece {
  readonly module: string
  /** The program and the way in which it is stopped, in words. */
  readonly program: string
  /** The law that must hold afterwards, in words. */
  readonly law: string
  /** True if the program awaits promises. */
  readonly isAsync: boolean
  readonly explore: Effect.Effect<Interrupts.Report>
}

/** Options of an exploration. The invariant returns a description of what is wrong, in a few words. */
interface Options<A> extends Interrupts.Options<A, unknown> {
  readonly isAsync?: boolean
}

/** Makes a piece. */
export const piece = <A>(
  [module, program, law]: readonly [module: string, program: string, law: string],
  run: Interrupts.Program<A, unknown>,
  { isAsync = false, ...own }: Options<A>
): Piece => {
  const options = { seeds: [0, 1], maxShrinks: 200, ...own }
  return {
    module,
    program,
    law,
    isAsync,
    explore: isAsync ? Interrupts.exploreAsync(run, options) : Effect.sync(() => Interrupts.explore(run, options))
  }
}

/** A row of the table: what was explored, and what was found. */
export interface Row extends Piece {
  readonly report: Interrupts.Report
  readonly findings: ReadonlyArray<string>
}

/** Explores pieces. */
export const exploreAll = (pieces: ReadonlyArray<Piece>): Effect.Effect<ReadonlyArray<Row>> =>
  Effect.forEach(pieces, (one) =>
    Effect.map(one.explore, (report) => ({
      ...one,
      report,
      findings: report.smallest.map(({ law, count }) => `${firstLine(law)} (${count})`)
    }))
  )

const firstLine = (law: string): string => law.split("\n")[0]!.replace("the invariant is broken: ", "")

/** A table in Markdown. It has no durations, so that it is the same in each run. */
export const format = (rows: ReadonlyArray<Row>): string =>
  [
    "| module | what is stopped | law | steps | points | findings |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows.map(({ findings, isAsync, law, module, program, report }) => {
      const steps = isAsync ? `${report.steps}, with promises` : report.steps
      return `| ${module} | ${program} | ${law} | ${steps} | ${report.points} | ${findings.join("; ") || "none"} |`
    })
  ].join("\n")
