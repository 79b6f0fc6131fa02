/** A line that a person types at a keyboard in raw mode: a pure fold over the pieces that the keyboard sends. */

/** A line that is being typed. `end` is the way in which it ended, or `open`. */
export interface Typed {
  readonly text: string
  readonly end: "open" | "entered" | "left"
}

/** An empty line. */
export const empty: Typed = { text: "", end: "open" }

/** The Escape key, and the first character of the sequences that other keys send. */
export const escape = "\x1b"

const ctrlU = "\x15"
const erasing: ReadonlySet<string> = new Set(["\b", "\x7f"])

// oxlint-disable-next-line no-control-regex
const tokenPattern = /\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~])|\x1b|[^\x1b]+/g
// oxlint-disable-next-line no-control-regex
const unfinishedPattern = /\x1b(?:O|\[[0-?]*[ -/]*)?$/

/**
 * Splits the input from a keyboard into texts, sequences of keys such as arrows, and {@link escape}. `rest` is the
 * beginning of a sequence at the end, or an Escape key.
 */
export const split = (piece: string): { readonly tokens: ReadonlyArray<string>; readonly rest: string } => {
  const rest = unfinishedPattern.exec(piece)?.[0] ?? ""
  return { tokens: piece.slice(0, piece.length - rest.length).match(tokenPattern) ?? [], rest }
}

/**
 * Returns the line after a piece from the keyboard. Enter ends it, Escape leaves it, backspace and Ctrl-U erase. Other
 * keys that are not text do nothing. Pasted text after a line break is dropped.
 */
export const type = (typed: Typed, piece: string): Typed => {
  let next = typed
  for (const token of piece.match(tokenPattern) ?? []) {
    if (token === escape) return { ...next, end: "left" }
    if (!token.startsWith(escape)) next = typeText(next, token)
    if (next.end !== "open") return next
  }
  return next
}

const typeText = (typed: Typed, keys: string): Typed => {
  let { text } = typed
  for (const key of keys) {
    if (key === "\r" || key === "\n") return { text, end: "entered" }
    if (erasing.has(key)) text = Array.from(text).slice(0, -1).join("")
    else if (key === ctrlU) text = ""
    else if (key >= " ") text += key
  }
  return { text, end: "open" }
}
