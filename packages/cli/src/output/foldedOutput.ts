/** The output of a running command, of which its first and last lines are kept. */
import * as Ansi from "./Ansi.ts"

/** How many lines are shown as they are; beyond, the first and the last of them. */
const shownLimit = 12
const headCount = 4
const tailCount = 6
/** How much of one line is kept, in UTF-16 code units. */
const lineLimit = 4_096

/** What is kept. `offset` is how much of the output has come. */
export interface Folded {
  readonly head: ReadonlyArray<string>
  readonly tail: ReadonlyArray<string>
  readonly linesCount: number
  readonly rest: string
  readonly offset: number
}

/** No output. */
export const empty: Folded = { head: [], tail: [], linesCount: 0, rest: "", offset: 0 }

/** Adds a piece; one that was there already, as its offset says, is not added again. */
export const add = (folded: Folded, piece: { readonly offset: number; readonly text: string }): Folded => {
  const text = piece.offset < folded.offset ? piece.text.slice(folded.offset - piece.offset) : piece.text
  const lines = (folded.rest + text).split("\n")
  const rest = lines.pop()!.slice(-lineLimit)
  const whole = lines.map((line) => line.slice(-lineLimit))
  return {
    head:
      folded.head.length < shownLimit
        ? [...folded.head, ...whole.slice(0, shownLimit - folded.head.length)]
        : folded.head,
    tail: [...folded.tail, ...whole.slice(-tailCount)].slice(-tailCount),
    linesCount: folded.linesCount + whole.length,
    rest,
    offset: Math.max(folded.offset, piece.offset + piece.text.length)
  }
}

/** The lines to show, fit to be written. */
export const lines = (folded: Folded): ReadonlyArray<string> => {
  const all = folded.rest === "" ? folded : add(folded, { offset: folded.offset, text: "\n" })
  const hidden = all.linesCount - headCount - tailCount
  const shown =
    all.linesCount <= shownLimit ? all.head : [...all.head.slice(0, headCount), `… ${hidden} lines`, ...all.tail]
  return shown.map(Ansi.outputLine)
}
