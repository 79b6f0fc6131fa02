/** At which steps of a program an exploration runs its actions. */
import { randomOf } from "./choices.ts"
import type { Ran } from "./exploringScheduler.ts"

/** Each fiber but the root at each step of its life, or as many of them, evenly, as there may be runs. */
export const planOfFibers = function* (
  { fibers, points }: Ran<unknown, unknown>,
  maxRuns: number
): Generator<ReadonlyArray<readonly [string, number]>> {
  const lives = fibers.map(({ from, to }, index) => ({ index, from: from + 1, to: Math.min(to, points) })).slice(1)
  const total = lives.reduce((sum, { from, to }) => sum + Math.max(0, to - from + 1), 0)
  const stride = Math.max(1, total / maxRuns)
  let count = 0
  let next = 0
  for (const { from, index, to } of lives) {
    for (let step = from; step <= to; step++, count++) {
      if (count < next) continue
      next += stride
      yield [[`fiber:${index}`, step]]
    }
  }
}

/** The steps at which the actions of one entry are run: all combinations in ascending order of steps, or a sample of them. */
export const plan = function* (
  names: ReadonlyArray<string>,
  points: number,
  maxRuns: number,
  seed: number
): Generator<ReadonlyArray<readonly [string, number]>> {
  if (points === 0) return
  const all = Array.from(combinations(names.length, points, maxRuns))
  if (all.length <= maxRuns) {
    for (const steps of all) yield names.map((name, index) => [name, steps[index]!] as const)
    return
  }
  const random = randomOf(seed)
  // points are taken evenly for one action, drawn for several
  const stride = points / maxRuns
  for (let count = 0; count < maxRuns; count++) {
    const steps =
      names.length === 1
        ? [1 + Math.floor((count + random()) * stride)]
        : names.map(() => 1 + Math.floor(random() * points)).sort((a, b) => a - b)
    yield names.map((name, index) => [name, Math.min(steps[index]!, points)] as const)
  }
}

/** Ascending steps for a number of actions; no more than one beyond the limit. */
const combinations = function* (count: number, points: number, limit: number): Generator<ReadonlyArray<number>> {
  const steps = Array.from({ length: count }, () => 1)
  for (let made = 0; made <= limit; made++) {
    yield [...steps]
    let index = count - 1
    while (index >= 0 && steps[index] === points) index--
    if (index < 0) return
    const next = steps[index]! + 1
    for (let rest = index; rest < count; rest++) steps[rest] = next
  }
}
