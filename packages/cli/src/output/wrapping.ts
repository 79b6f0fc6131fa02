/** Breaks text into lines between its words, piece by piece as it comes. */
import * as Ansi from "./Ansi.ts"

/** The line that is being written. */
export interface Line {
  /** How many columns are taken. */
  readonly column: number
  /** White space that is written only when a word follows it in the same line. */
  readonly space: string
  /** The beginning of a word: where it stands is known when it has ended. */
  readonly word: string
  /** Whether the word that comes is longer than a line, and is written as it comes. */
  readonly isLong: boolean
}

/** A line without anything. */
export const empty: Line = { column: 0, space: "", word: "", isLong: false }

/** Adds a piece, fit to be written (`Ansi.visible`); answers what of the text can be written now. */
export const add = (line: Line, text: string, columns: number): readonly [line: Line, text: string] => {
  let written = ""
  let next = line
  for (const character of text) {
    if (character === "\n") {
      written += `${placed(next, columns)[1]}\n`
      next = empty
    } else if (character === " " || character === "\t") {
      const [before, rest] = placed(next, columns)
      written += rest
      next = { ...before, space: before.space + character, isLong: false }
    } else {
      const [before, rest] = breaksBefore(next, character) ? placed(next, columns) : ([next, ""] as const)
      const [after, long] = grown({ ...before, word: before.word + character }, columns)
      written += rest + long
      next = after
    }
  }
  return [next, written]
}

/** What still waits when the text has ended, or something else begins. */
export const end = (line: Line, columns: number): string => placed(line, columns)[1]

/** Breaks a whole text. */
export const all = (text: string, columns: number): string => {
  const [line, written] = add(empty, text, columns)
  return written + end(line, columns)
}

/** A wide character is a word of its own, unless it is joined to what stands before it. */
const breaksBefore = ({ isLong, word }: Line, character: string): boolean =>
  !isLong && word !== "" && !word.endsWith("\u200d") && Ansi.width(character) === 2

/** The word is at its end: it goes into the line, or into the next one when it does not fit. */
const placed = ({ column, space, word, isLong }: Line, columns: number): readonly [Line, string] => {
  if (word === "") return [{ column, space, word, isLong }, ""]
  const begin = afterSpace(column, space)
  const width = Ansi.width(word)
  if (column > 0 && begin + width > columns) return [{ ...empty, column: width }, `\n${word}`]
  return [{ ...empty, column: begin + width }, space + word]
}

/** A word that no line can hold begins a line, and is broken by the terminal. */
const grown = (line: Line, columns: number): readonly [Line, string] => {
  const width = Ansi.width(line.word)
  if (line.isLong) return [{ ...line, column: (line.column + width) % columns, word: "" }, line.word]
  if (width <= columns) return [line, ""]
  const [, text] = placed(line, columns)
  return [{ column: width % columns, space: "", word: "", isLong: true }, text]
}

const afterSpace = (column: number, space: string): number => {
  let at = column
  for (const character of space) at = character === "\t" ? at - (at % 8) + 8 : at + 1
  return at
}
