/** Breaks text into lines between words, piece by piece as it arrives. */
import * as Ansi from "./Ansi.ts"

/** The line that is being written. */
export interface Line {
  /** The number of columns that are used. */
  readonly column: number
  /** White space that is written only if a word follows in the same line. */
  readonly space: string
  /** The beginning of a word, which is placed when the word has ended. */
  readonly word: string
  /** True if the word is longer than a line and is written as it arrives. */
  readonly isLong: boolean
}

/** An empty line. */
export const empty: Line = { column: 0, space: "", word: "", isLong: false }

/** Adds a piece that went through `Ansi.toVisible`. Returns the text that can be written now. */
export const add = (line: Line, text: string, columns: number): readonly [line: Line, text: string] => {
  let written = ""
  let next = line
  for (const character of text) {
    if (character === "\n") {
      written += `${placeWord(next, columns)[1]}\n`
      next = empty
    } else if (character === " " || character === "\t") {
      const [before, rest] = placeWord(next, columns)
      written += rest
      next = { ...before, space: before.space + character, isLong: false }
    } else {
      const [before, rest] = breaksBefore(next, character) ? placeWord(next, columns) : ([next, ""] as const)
      const [after, long] = growWord({ ...before, word: before.word + character }, columns)
      written += rest + long
      next = after
    }
  }
  return [next, written]
}

/** Returns the rest of the text. Called when the text ends or something else begins. */
export const end = (line: Line, columns: number): string => placeWord(line, columns)[1]

/** Breaks a complete text. */
export const all = (text: string, columns: number): string => {
  const [line, written] = add(empty, text, columns)
  return written + end(line, columns)
}

/** Cuts a line into pieces that fit, for a word that is longer than a line. */
export const cut = (line: string, columns: number): ReadonlyArray<string> => {
  const pieces: Array<string> = []
  let piece = ""
  for (const character of line) {
    if (piece !== "" && Ansi.width(piece + character) > columns) {
      pieces.push(piece)
      piece = ""
    }
    piece += character
  }
  return [...pieces, piece]
}

/** Returns true if a character begins a word: a wide one does, unless it is joined to the one before it. */
const breaksBefore = ({ isLong, word }: Line, character: string): boolean =>
  !isLong && word !== "" && !word.endsWith("\u200d") && Ansi.width(character) === 2

/** Puts a word that has ended into the line, or into the next one if it does not fit. */
const placeWord = ({ column, space, word, isLong }: Line, columns: number): readonly [Line, string] => {
  if (word === "") return [{ column, space, word, isLong }, ""]
  const begin = columnAfter(column, space)
  const width = Ansi.width(word)
  if (column > 0 && begin + width > columns) return [{ ...empty, column: width }, `\n${word}`]
  return [{ ...empty, column: begin + width }, space + word]
}

/** Starts a new line for a word that is longer than a line. The terminal breaks it. */
const growWord = (line: Line, columns: number): readonly [Line, string] => {
  const width = Ansi.width(line.word)
  if (line.isLong) return [{ ...line, column: (line.column + width) % columns, word: "" }, line.word]
  if (width <= columns) return [line, ""]
  const [, text] = placeWord(line, columns)
  return [{ column: width % columns, space: "", word: "", isLong: true }, text]
}

const columnAfter = (column: number, space: string): number => {
  let at = column
  for (const character of space) at = character === "\t" ? at - (at % 8) + 8 : at + 1
  return at
}
