/** A line that a person types at a keyboard in raw mode: a pure fold over the pieces that the keyboard sends. */

/** A line that is being typed. `end` says whether and how it has ended. */
export interface Typed {
  readonly text: string
  readonly end: "open" | "entered" | "left"
}

/** An empty line. */
export const empty: Typed = { text: "", end: "open" }

const ctrlU = "\x15"
const erasing: ReadonlySet<string> = new Set(["\b", "\x7f"])

/**
 * Returns the line after a piece from the keyboard. Enter ends it, Escape leaves it, backspace and Ctrl-U erase. Other
 * keys that are not text do nothing. Pasted text after a line break is dropped.
 */
export const type = (typed: Typed, piece: string): Typed => {
  if (piece === "\x1b") return { ...typed, end: "left" }
  // an arrow key, for example
  if (piece.startsWith("\x1b")) return typed
  let { text } = typed
  for (const key of piece) {
    if (key === "\r" || key === "\n") return { text, end: "entered" }
    if (erasing.has(key)) text = Array.from(text).slice(0, -1).join("")
    else if (key === ctrlU) text = ""
    else if (key >= " ") text += key
  }
  return { text, end: "open" }
}
