/** Random trees under random schedules: one run for each seed. */
import type { SessionEvent } from "@spindle/core/SessionEvent"
import * as Simulation from "@spindle/testing/Simulation"
import * as TreeLaws from "./treeLaws.ts"
import * as TreeRun from "./treeRun.ts"
import { sizeOf, treeOf, type TreeSpec } from "./treeSpec.ts"

/** What many runs did and found. */
export interface Figures {
  readonly trees: number
  readonly delegates: number
  readonly deepest: number
  readonly requests: number
  readonly decided: number
  readonly aborts: number
  readonly refused: number
  readonly steps: number
  readonly violations: ReadonlyArray<{ readonly seed: number; readonly law: string }>
}

const count = (told: ReadonlyMap<unknown, ReadonlyArray<SessionEvent>>, is: (event: SessionEvent) => boolean) =>
  Array.from(told.values()).reduce((sum, events) => sum + events.filter(is).length, 0)

/** Runs one tree. In every second tree, fibers are delayed at random, even while time passes. */
export const runTree = (seed: number, spec: TreeSpec = treeOf(seed)) => {
  const isTimed = seed % 2 === 0
  return Simulation.run(seed, TreeRun.run(spec), {
    law: (exit) =>
      exit._tag === "Failure" ? `the program failed: ${exit.cause}` : TreeLaws.broken(exit.value, isTimed),
    preemption: isTimed ? 0 : 0.1,
    maxSteps: 1_000_000
  })
}

/** Runs the trees of a number of seeds, starting with the first one. */
export const simulate = (first: number, runs: number): Figures => {
  const sums = { delegates: 0, deepest: 0, requests: 0, decided: 0, aborts: 0, refused: 0, steps: 0 }
  const violations: Array<Figures["violations"][number]> = []
  for (let seed = first; seed < first + runs; seed++) {
    const spec = treeOf(seed)
    const { exit, finding, steps } = runTree(seed, spec)
    sums.steps += steps
    if (finding !== undefined) violations.push({ seed, law: `${finding.kind}: ${finding.law}` })
    if (exit?._tag !== "Success") continue
    const { refused, told } = exit.value
    sums.deepest = Math.max(sums.deepest, sizeOf(spec.root).depth)
    sums.delegates += told.size - 1
    sums.requests += count(told, (event) => event._tag === "QuestionOpened")
    sums.decided += count(told, (event) => event._tag === "QuestionSettled" && event.decision._tag !== "Cancelled")
    sums.aborts += count(told, (event) => event._tag === "TurnAborted")
    sums.refused += refused.length
  }
  return { trees: runs, ...sums, violations }
}
