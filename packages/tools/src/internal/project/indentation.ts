/** Finds the block of lines around a line by their indentation. */
import type { Line } from "./lineReader.ts"

/** The wanted block. `levels` is the number of outer levels that it includes, 0 for all. */
export interface Wanted {
  readonly anchor: number
  readonly levels: number
  readonly limit: number
  /** True if other blocks of the outermost level belong to it. */
  readonly hasSiblings: boolean
  /** True if the comments above it belong to it. */
  readonly hasHeader: boolean
}

const tabWidth = 4
const isBlank = ({ text }: Line): boolean => text.trim() === ""
const isComment = ({ text }: Line): boolean => /^\s*(#|\/\/|--|\/?\*)/.test(text)

/** True if a line closes the block above it, such as a brace. */
const isCloser = ({ text }: Line): boolean => /^\s*([}\])]|end\b|<\/)/.test(text)

const widthOf = (text: string): number => {
  let width = 0
  for (const char of text) {
    if (char === " ") width++
    else if (char === "\t") width += tabWidth
    else break
  }
  return width
}

/** The indentation of each line. A blank line has that of the line before it. */
const widthsOf = (lines: ReadonlyArray<Line>): ReadonlyArray<number> => {
  let last = 0
  return lines.map((line) => (last = isBlank(line) ? last : widthOf(line.text)))
}

/** Returns the width of the outermost lines of the block. */
const outermostWidth = (widths: ReadonlyArray<number>, at: number, levels: number): number => {
  if (levels === 0) return 0
  let width = widths[at]!
  let left = levels
  for (let index = at - 1; index >= 0 && left > 0; index--) {
    if (widths[index]! >= width) continue
    width = widths[index]!
    left--
  }
  return width
}

/**
 * Returns the block around a line: the lines next to it that are as deep as its outermost line, and that line itself.
 */
export const blockOf = (lines: ReadonlyArray<Line>, wanted: Wanted): ReadonlyArray<Line> => {
  const { anchor, hasHeader, hasSiblings, levels, limit } = wanted
  const widths = widthsOf(lines)
  const least = outermostWidth(widths, anchor - 1, levels)
  const isOuter = (index: number) => widths[index] === least && !isBlank(lines[index]!)
  const isInside = (index: number) => lines[index] !== undefined && widths[index]! >= least
  let [first, last] = [anchor - 1, anchor - 1]
  let isTopped = isOuter(first)
  let isClosed = false
  const hasMoreAbove = () =>
    isInside(first - 1) && (hasSiblings || !isTopped || (hasHeader && isComment(lines[first - 1]!)))
  const hasMoreBelow = () =>
    isInside(last + 1) && (hasSiblings || (!isClosed && (!isOuter(last + 1) || isCloser(lines[last + 1]!))))
  for (let isGrowing = true; isGrowing && last - first + 1 < limit;) {
    isGrowing = false
    if (hasMoreAbove()) {
      first--
      isTopped ||= isOuter(first)
      isGrowing = true
    }
    if (last - first + 1 < limit && hasMoreBelow()) {
      last++
      isClosed ||= isOuter(last)
      isGrowing = true
    }
  }
  while (first < anchor - 1 && isBlank(lines[first]!)) first++
  while (last > anchor - 1 && isBlank(lines[last]!)) last--
  return lines.slice(first, last + 1)
}
