/**
 * Finds the smallest decisions that still show a fault: fewest actions, plainest schedule, mode `before`, earliest
 * steps.
 */
import type { Choice } from "./choices.ts"
import type { Decisions } from "./decisions.ts"
import type { Runs } from "./running.ts"

/** The smallest decisions that were found, and the number of runs. */
export interface Shrunk {
  readonly decisions: Decisions
  readonly runs: number
}

/** A search with a limited number of runs. */
class Shrinking<A, E> {
  best: Decisions
  runs = 0
  /** True if single actions were tried. */
  private hasTriedAlone = false
  private readonly shows: (decisions: Decisions) => Runs<A, E, boolean>
  private readonly maxRuns: number

  constructor(first: Decisions, shows: (decisions: Decisions) => Runs<A, E, boolean>, maxRuns: number) {
    this.best = first
    this.shows = shows
    this.maxRuns = maxRuns
  }

  get left(): number {
    return this.maxRuns - this.runs
  }

  /** Adopts other decisions if they still show the fault. */
  *try(other: Partial<Decisions>): Runs<A, E, boolean> {
    if (this.left <= 0) return false
    this.runs++
    const candidate = { ...this.best, ...other }
    if (!(yield* this.shows(candidate))) return false
    this.best = candidate
    return true
  }

  *dropActions(): Runs<A, E, boolean> {
    let isBetter = false
    for (let index = 0; index < this.best.at.length;) {
      if (yield* this.try({ at: this.best.at.toSpliced(index, 1) })) {
        isBetter = true
        index = 0
      } else index++
    }
    if (this.best.at.length !== 2 || this.hasTriedAlone) return isBetter
    return (yield* this.tryOneAction()) || isBetter
  }

  /** Tries one of two actions alone, at any step up to its own. */
  private *tryOneAction(): Runs<A, E, boolean> {
    this.hasTriedAlone = true
    const limit = Math.floor(this.left / 3)
    for (const [action, last] of this.best.at) {
      for (let step = 1; step <= Math.min(limit, last + 10); step++) {
        if (yield* this.try({ at: [[action, step]] })) return true
      }
    }
    return false
  }

  *simplifySchedule(): Runs<A, E, boolean> {
    const { choices, mode, seed } = this.best
    let isBetter = mode === "during" && (yield* this.try({ mode: "before" }))
    if (seed === 0 && choices === undefined) return isBetter
    if (yield* this.try({ seed: 0, choices: [] })) return true
    if (choices === undefined || choices.length === 0) return isBetter
    isBetter = (yield* this.try({ choices: [] })) || isBetter
    // removes halves, then quarters, and so on
    for (let size = Math.ceil(choices.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
      for (let from = 0; from < (this.best.choices?.length ?? 0);) {
        const list: ReadonlyArray<Choice> = this.best.choices ?? []
        if (yield* this.try({ choices: list.toSpliced(from, size) })) isBetter = true
        else from += size
      }
    }
    return isBetter
  }

  *moveEarlier(): Runs<A, E, boolean> {
    let isBetter = false
    for (let index = 0; index < this.best.at.length; index++) {
      const [action, step] = this.best.at[index]!
      const from = this.best.at[index - 1]?.[1] ?? 1
      // tries all earlier steps if there are few, else a sample
      const stride = Math.max(1, Math.ceil((2 * (step - from)) / Math.max(1, this.left)))
      for (let earlier = from; earlier < step; earlier += stride) {
        if (!(yield* this.try({ at: this.best.at.with(index, [action, earlier]) }))) continue
        isBetter = true
        break
      }
    }
    return isBetter
  }
}

/** Shrinks decisions that show a fault. `first` must be repeatable from its choices. The result shows the fault. */
export const shrink = function* <A, E>(
  first: Decisions,
  shows: (decisions: Decisions) => Runs<A, E, boolean>,
  maxRuns: number
): Runs<A, E, Shrunk> {
  const shrinking = new Shrinking(first, shows, maxRuns)
  let isBetter = true
  while (isBetter && shrinking.left > 0) {
    isBetter = yield* shrinking.dropActions()
    isBetter = (yield* shrinking.simplifySchedule()) || isBetter
    isBetter = (yield* shrinking.moveEarlier()) || isBetter
  }
  return { decisions: shrinking.best, runs: shrinking.runs }
}
