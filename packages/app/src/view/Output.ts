/** The head and the tail of a text that arrives in pieces. A value, so that a fold can keep it. */
import * as BoundedOutput from "@spindle/tools/BoundedOutput"
import * as Utf8 from "@spindle/tools/Utf8"

/** The kept text. `length` counts the complete text, in UTF-16 code units. */
export interface Output {
  readonly kept: BoundedOutput.BoundedValue
  readonly length: number
}

/** No text. */
export const empty: Output = { kept: BoundedOutput.empty(), length: 0 }

/** Returns the new part of a piece. Pieces can overlap earlier ones. */
export const freshOf = ({ length }: Output, piece: { readonly offset: number; readonly text: string }): string =>
  piece.offset < length ? piece.text.slice(length - piece.offset) : piece.text

/** Adds a piece. An offset above the length means that text was lost in between. A unit of it counts as one byte. */
export const add = (output: Output, piece: { readonly offset: number; readonly text: string }): Output => ({
  kept: BoundedOutput.add(
    BoundedOutput.skip(output.kept, Math.max(0, piece.offset - output.length)),
    Utf8.encode(freshOf(output, piece))
  ),
  length: Math.max(output.length, piece.offset + piece.text.length)
})

/** Joins head and tail, with a line between them that gives the size of the missing part. */
export const textOf = ({ kept }: Output): string => BoundedOutput.toText(BoundedOutput.toKept(kept))
