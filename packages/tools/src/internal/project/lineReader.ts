/** Splits bytes into lines as they arrive, and keeps those that are wanted, each up to a length. */
import * as Utf8 from "../../Utf8.ts"

/** A line of a text, from 1. */
export interface Line {
  readonly number: number
  readonly text: string
}

/** The lines to keep. No more lines are read once those have `maxCharacters`. */
export interface Wanted {
  readonly offset: number
  readonly limit: number
  readonly lineCharacters: number
  readonly maxCharacters: number
}

/** Reads lines. */
export interface LineReader {
  readonly push: (bytes: Uint8Array) => void
  /** Ends the last line. */
  readonly end: () => void
  /** Returns true once all wanted lines have been read. */
  readonly isDone: () => boolean
  /** Returns the lines that were kept, and the number of lines that were read. */
  readonly result: () => { readonly lines: ReadonlyArray<Line>; readonly total: number }
}

const newline = 10

/** Makes a reader. Bytes that are not UTF-8 become U+FFFD. */
export const make = ({ limit, lineCharacters, maxCharacters, offset }: Wanted): LineReader => {
  // a character has at most four bytes; one more shows that the line is longer
  const keptBytes = (lineCharacters + 1) * 4
  const lines: Array<Line> = []
  let total = 0
  let size = 0
  let pieces: Array<Uint8Array> = []
  let keptCount = 0
  let isOpen = false
  const isWanted = () => total + 1 >= offset
  const isDone = () => total >= offset + limit - 1 || size > maxCharacters
  const add = (piece: Uint8Array) => {
    isOpen = true
    if (!isWanted() || keptCount >= keptBytes) return
    const kept = piece.slice(0, keptBytes - keptCount)
    keptCount += kept.length
    pieces.push(kept)
  }
  const endLine = () => {
    if (isWanted()) {
      const text = cut(Utf8.decode(concat(pieces, keptCount)), lineCharacters)
      lines.push({ number: total + 1, text })
      size += text.length + 1
    }
    total++
    pieces = []
    keptCount = 0
    isOpen = false
  }
  return {
    push: (bytes) => {
      let start = 0
      while (!isDone()) {
        const at = bytes.indexOf(newline, start)
        if (at < 0) break
        add(bytes.subarray(start, at))
        endLine()
        start = at + 1
      }
      if (!isDone() && start < bytes.length) add(bytes.subarray(start))
    },
    end: () => {
      if (isOpen && !isDone()) endLine()
    },
    isDone,
    result: () => ({ lines, total })
  }
}

const concat = (pieces: ReadonlyArray<Uint8Array>, size: number): Uint8Array => {
  const [first] = pieces
  if (pieces.length === 1 && first !== undefined) return first
  const all = new Uint8Array(size)
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

const cut = (text: string, characters: number): string => {
  const line = text.endsWith("\r") ? text.slice(0, -1) : text
  return line.length <= characters ? line : `${line.slice(0, characters).toWellFormed()}…`
}
