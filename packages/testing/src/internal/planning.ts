/** Plans the steps at which an exploration runs its actions. */
import { randomOf } from "./choices.ts"
import type { Decisions, RunResult } from "./decisions.ts"

/** The runs of one entry of actions, and the number of all combinations from which they were taken. */
export interface Plan {
  readonly runs: Iterable<Decisions["at"]>
  readonly count: number
}

/** Plans each fiber except the root at each step of its life, or an even sample of `maxRuns` of them. */
export const planOfFibers = ({ fibers, points }: RunResult<unknown, unknown>, maxRuns: number): Plan => {
  const lives = fibers.map(({ from, to }, index) => ({ index, from: from + 1, to: Math.min(to, points) })).slice(1)
  const count = lives.reduce((sum, { from, to }) => sum + Math.max(0, to - from + 1), 0)
  const stride = Math.max(1, count / maxRuns)
  const runs = function* (): Generator<Decisions["at"]> {
    let seen = 0
    let next = 0
    for (const { from, index, to } of lives) {
      for (let step = from; step <= to; step++, seen++) {
        if (seen < next) continue
        next += stride
        yield [[`fiber:${index}`, step]]
      }
    }
  }
  return { runs: runs(), count }
}

/** Plans the actions of one entry at all combinations of ascending steps, or at a sample of `maxRuns` of them. */
export const plan = (names: ReadonlyArray<string>, points: number, maxRuns: number, seed: number): Plan => {
  const count = combinationsCount(names.length, points)
  const runs = count <= maxRuns ? combinations(names.length, points) : sample(names.length, points, { maxRuns, seed })
  return { runs: planNamed(names, runs), count }
}

const planNamed = function* (
  names: ReadonlyArray<string>,
  runs: Iterable<ReadonlyArray<number>>
): Generator<Decisions["at"]> {
  for (const steps of runs) yield names.map((name, index) => [name, steps[index]!] as const)
}

/** A sample of combinations: even for one action, drawn for several. */
const sample = function* (
  count: number,
  points: number,
  { maxRuns, seed }: { readonly maxRuns: number; readonly seed: number }
): Generator<ReadonlyArray<number>> {
  const random = randomOf(seed)
  const stride = points / maxRuns
  for (let made = 0; made < maxRuns; made++) {
    const steps =
      count === 1
        ? [1 + Math.floor((made + random()) * stride)]
        : Array.from({ length: count }, () => 1 + Math.floor(random() * points)).sort((a, b) => a - b)
    yield steps.map((step) => Math.min(step, points))
  }
}

/** The number of ascending combinations of steps, in which steps may be equal. */
const combinationsCount = (count: number, points: number): number => {
  let combinations = points === 0 ? 0 : 1
  for (let index = 1; index <= count; index++) combinations = (combinations * (points + index - 1)) / index
  return Math.round(combinations)
}

/** All combinations of ascending steps for a number of actions. */
const combinations = function* (count: number, points: number): Generator<ReadonlyArray<number>> {
  if (points === 0) return
  const steps = Array.from({ length: count }, () => 1)
  for (;;) {
    yield [...steps]
    let index = count - 1
    while (index >= 0 && steps[index] === points) index--
    if (index < 0) return
    const next = steps[index]! + 1
    for (let rest = index; rest < count; rest++) steps[rest] = next
  }
}
