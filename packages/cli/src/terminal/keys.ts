/** A line that a person types at a keyboard in raw mode: a pure fold over what the keyboard sends. */

/** A line that is being typed; `end` says how it was ended. */
export interface Typed {
  readonly text: string
  readonly end: "open" | "entered" | "left"
}

/** A line of which nothing was typed. */
export const empty: Typed = { text: "", end: "open" }

const ctrlU = "\x15"
const erasing: ReadonlySet<string> = new Set(["\b", "\x7f"])

/**
 * The line after a piece from the keyboard. Enter ends it and Escape leaves it, backspace and Ctrl-U take away; other keys
 * that are no text do nothing. What is pasted behind a line break is let go of.
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
