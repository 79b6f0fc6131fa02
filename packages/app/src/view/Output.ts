/** The head and the tail of a text that arrives in pieces: a value, so that a fold can hold it. */

/** How many UTF-16 code units are kept: half of them for each end. */
const limit = 1_048_576

/** What is kept. `length` counts the complete text. */
export interface Output {
  readonly head: string
  readonly tail: string
  readonly length: number
}

/** No text. */
export const empty: Output = { head: "", tail: "", length: 0 }

/** Returns the part of a piece that is new: pieces can overlap what came before. */
export const freshOf = ({ length }: Output, piece: { readonly offset: number; readonly text: string }): string =>
  piece.offset < length ? piece.text.slice(length - piece.offset) : piece.text

/** Adds a piece. An offset above the length means that some text was lost in between. */
export const add = (output: Output, piece: { readonly offset: number; readonly text: string }): Output => {
  const text = freshOf(output, piece)
  const length = Math.max(output.length, piece.offset + piece.text.length)
  // after a gap the head is complete
  const isHeadComplete = piece.offset > output.length || output.length > output.head.length
  const room = isHeadComplete ? 0 : limit / 2 - output.head.length
  if (room >= text.length) return { ...output, head: output.head + text, length }
  const tail = output.tail + text.slice(room)
  // cut rarely: each cut copies the tail
  const kept = tail.length > limit ? tail.slice(-limit / 2) : tail
  return { head: output.head + text.slice(0, room), tail: kept, length }
}

/** Joins head and tail, with a line between them that says how much is missing. */
export const textOf = ({ head, length, tail }: Output): string => {
  const kept = tail.slice(-limit / 2)
  const missing = length - head.length - kept.length
  return missing > 0 ? `${head}\n[... ${missing} characters left out ...]\n${kept}` : head + kept
}
