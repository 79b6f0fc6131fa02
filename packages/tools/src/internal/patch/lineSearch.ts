/** Finds lines in a file, in time that is linear in the file and the searched lines. */
import { identity } from "effect/Function"

/** A search in the lines of one file. */
export interface LineSearch {
  /**
   * Returns where `wanted` starts, at `from` or below, or at the very end only if `isAtEnd`; -1 if it is nowhere. The
   * strictest comparison that finds a place decides.
   */
  readonly seek: (wanted: ReadonlyArray<string>, from: number, isAtEnd: boolean) => number
  /** Returns where most of the wanted lines are, with the loosest comparison; -1 if none is in the file. */
  readonly findNearest: (wanted: ReadonlyArray<string>) => number
}

/** The number of wanted lines that are compared to find the nearest place. */
const nearestCount = 100

const ascii = /^[\0-\x7f]*$/

const withoutTypography = (text: string): string => {
  const trimmed = text.trim()
  return ascii.test(trimmed)
    ? trimmed
    : trimmed
        .replace(/[\u2010-\u2015\u2212]/g, "-")
        .replace(/[\u2018-\u201b]/g, "'")
        .replace(/[\u201c-\u201f]/g, '"')
        .replace(/[\u00a0\u2002-\u200a\u202f\u205f\u3000]/g, " ")
}

/** The comparisons of lines, the strictest first. */
const comparisons: ReadonlyArray<(text: string) => string> = [
  identity,
  (text) => text.trimEnd(),
  (text) => text.trim(),
  withoutTypography
]

/** The lines of a file as numbers: lines that compare as equal have the same number. */
interface Numbered {
  readonly lines: Int32Array
  /** Returns the number of a text; -1 if no line of the file is equal to it. */
  readonly numberOf: (text: string) => number
}

/** Numbers the lines of a file. A line that is its own normal form has the number that it has in `exact`. */
const number = (
  texts: ReadonlyArray<string>,
  normal: (text: string) => string,
  exact: Numbered | undefined
): Numbered => {
  const numbers = new Map<string, number>()
  const first = exact === undefined ? 0 : texts.length
  const numberOfKey = (key: string): number => {
    const found = exact?.numberOf(key) ?? -1
    return found === -1 ? (numbers.get(key) ?? -1) : found
  }
  const lines = new Int32Array(texts.length)
  for (let index = 0; index < texts.length; index++) {
    const text = texts[index]!
    const key = normal(text)
    if (exact !== undefined && key === text) {
      lines[index] = exact.lines[index]!
      continue
    }
    const found = numberOfKey(key)
    if (found === -1) numbers.set(key, first + numbers.size)
    lines[index] = found === -1 ? first + numbers.size - 1 : found
  }
  return { lines, numberOf: (text) => numberOfKey(normal(text)) }
}

/** Prepares the lines of a file. Each comparison is prepared at its first use. */
export const make = (texts: ReadonlyArray<string>): LineSearch => {
  const exact = number(texts, identity, undefined)
  const prepared: Array<Numbered | undefined> = [exact]
  const numberingOf = (index: number) => (prepared[index] ??= number(texts, comparisons[index]!, exact))
  return {
    seek: (wanted, from, isAtEnd) => {
      const start = isAtEnd ? Math.max(from, texts.length - wanted.length) : from
      for (let index = 0; index < comparisons.length; index++) {
        const { lines, numberOf } = numberingOf(index)
        const pattern = Int32Array.from(wanted, numberOf)
        const at = pattern.includes(-1) ? -1 : indexOf(lines, pattern, start)
        if (at !== -1) return at
      }
      return -1
    },
    findNearest: (wanted) => {
      const { lines, numberOf } = numberingOf(comparisons.length - 1)
      const pattern = wanted.slice(0, nearestCount).map((text) => (text.trim() === "" ? -1 : numberOf(text)))
      let best = -1
      let bestCount = 0
      for (let start = 0; start < lines.length; start++) {
        let count = 0
        for (let offset = 0; offset < pattern.length; offset++) if (pattern[offset] === lines[start + offset]) count++
        if (count > bestCount) {
          best = start
          bestCount = count
        }
      }
      return best
    }
  }
}

/** The search of Knuth, Morris and Pratt: no line is compared again after a mismatch. */
const indexOf = (lines: Int32Array, pattern: Int32Array, from: number): number => {
  const borders = bordersOf(pattern)
  let matched = 0
  for (let index = from; index < lines.length; index++) {
    while (matched > 0 && pattern[matched] !== lines[index]) matched = borders[matched - 1]!
    if (pattern[matched] === lines[index]) matched++
    if (matched === pattern.length) return index - matched + 1
  }
  return -1
}

/** For each prefix of a pattern, the length of its longest proper prefix that is also its suffix. */
const bordersOf = (pattern: Int32Array): Int32Array => {
  const borders = new Int32Array(pattern.length)
  for (let index = 1, length = 0; index < pattern.length; index++) {
    while (length > 0 && pattern[length] !== pattern[index]) length = borders[length - 1]!
    if (pattern[length] === pattern[index]) length++
    borders[index] = length
  }
  return borders
}
