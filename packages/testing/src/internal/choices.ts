/**
 * The choices of one run: which task is next, whether a fiber is preempted or delayed, which fault happens.
 *
 * Choices are numbered from 0 for each kind, so that removing one does not shift those of other kinds. Choice 0 is
 * plain: the oldest task, no preemption, no fault. A run is repeated from its seed, or from its choices that were not
 * plain.
 */

/** The kinds of choices. */
export type ChoiceKind = "task" | "preemption" | "delay" | "fault"

/** A choice that was not plain: its kind, its number among those of its kind, and the chosen number. */
export type Choice = readonly [kind: ChoiceKind, index: number, chosen: number]

/** A source of choices. */
export interface Choices {
  /**
   * Returns a number below `count`, which is at least 2. For drawn choices, `likelihood` is that of any number except
   * 0; without it, all are equally likely.
   */
  readonly choose: (kind: ChoiceKind, count: number, likelihood?: number) => number
  /** The choices until now that were not plain. */
  readonly taken: ReadonlyArray<Choice>
}

/** Numbers in [0, 1) from a seed (mulberry32). */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/** Chooses plain always. */
export const plain: Choices = { choose: () => 0, taken: [] }

interface Question {
  readonly kind: ChoiceKind
  readonly index: number
  readonly count: number
  readonly likelihood: number | undefined
}

const recordChoices = (next: (question: Question) => number): Choices => {
  const taken: Array<Choice> = []
  const counts = { task: 0, preemption: 0, delay: 0, fault: 0 }
  return {
    taken,
    choose: (kind, count, likelihood) => {
      const index = counts[kind]++
      const chosen = next({ kind, index, count, likelihood })
      if (chosen !== 0) taken.push([kind, index, chosen])
      return chosen
    }
  }
}

/** Draws choices from a seed. */
export const draw = (seed: number): Choices => {
  const random = randomOf(seed)
  return recordChoices(({ count, likelihood }) => {
    if (likelihood === undefined) return Math.floor(random() * count)
    return random() < likelihood ? 1 + Math.floor(random() * (count - 1)) : 0
  })
}

/** Takes choices from a list. A choice that is not in the list, or not possible, is plain. */
export const fromList = (choices: ReadonlyArray<Choice>): Choices => {
  const byIndex = new Map(choices.map(([kind, index, chosen]) => [`${kind} ${index}`, chosen]))
  return recordChoices(({ count, index, kind }) => {
    const chosen = byIndex.get(`${kind} ${index}`) ?? 0
    return chosen < count ? chosen : 0
  })
}

/**
 * Searches all choices of a small program, depth first: each run repeats the one before up to a choice, and takes the
 * next.
 */
export class Search {
  private readonly preemptions: number
  private readonly faults: number
  private prefix: Array<number> = []
  private chosen: Array<number> = []
  private counts: Array<number> = []

  /** Limits the preemptions and the faults of one run. */
  constructor(preemptions: number, faults: number) {
    this.preemptions = preemptions
    this.faults = faults
  }

  /** The choices of the next run. */
  next(): Choices {
    const left = { preemption: this.preemptions, fault: this.faults, task: Infinity, delay: 0 }
    this.chosen = []
    this.counts = []
    return recordChoices(({ count, kind }) => {
      const next = this.prefix[this.chosen.length] ?? 0
      this.chosen.push(next)
      this.counts.push(left[kind] > 0 ? count : 1)
      if (next !== 0) left[kind]--
      return next
    })
  }

  /** Moves to the next choices. Returns false when all were made. */
  advance(): boolean {
    let index = this.chosen.length - 1
    while (index >= 0 && this.chosen[index]! + 1 >= this.counts[index]!) index--
    if (index < 0) return false
    this.prefix = [...this.chosen.slice(0, index), this.chosen[index]! + 1]
    return true
  }
}
