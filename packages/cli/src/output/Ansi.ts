/**
 * Text for a terminal: colours, widths, and the guard against text that would steer the terminal.
 */
import type { ColorMode } from "../args/Flags.ts"

/** Colours. Each returns its text unchanged if colours are off. */
export interface Palette {
  readonly bold: (text: string) => string
  readonly dim: (text: string) => string
  readonly red: (text: string) => string
  readonly green: (text: string) => string
  readonly yellow: (text: string) => string
  readonly cyan: (text: string) => string
}

/** Makes a palette, with colours or without. */
export const palette = (color: boolean): Palette => {
  const style = (on: number, off: number) => (text: string) =>
    color && text !== "" ? `\x1b[${on}m${text}\x1b[${off}m` : text
  return {
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
    cyan: style(36, 39)
  }
}

/**
 * Returns true if colours are written: as the mode says, and in mode `auto` on a terminal that is not dumb unless
 * `NO_COLOR` is set.
 */
export const usesColor = (
  mode: ColorMode,
  isTerminal: boolean,
  env: { readonly [name: string]: string | undefined }
): boolean => {
  if (mode !== "auto") return mode === "always"
  return isTerminal && !env["NO_COLOR"] && env["TERM"] !== "dumb"
}

// control characters without tab and line feed; characters that reorder text, or that show nothing: formats,
// separators of lines, characters that Unicode lets a font ignore, and the empty braille pattern
const hidden = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u.source
const unsafe = new RegExp(`(?![\\t\\n])${hidden}`, "gu")
// a joiner inside an emoji of several characters is not hidden
const joined = /(?<=\p{Extended_Pictographic}|\p{Emoji_Modifier}|\ufe0f)\u200d(?=\p{Extended_Pictographic})/u.source
const styled = /(?<=\p{Extended_Pictographic})[\ufe0e\ufe0f]|(?<=[#*0-9])\ufe0f(?=\u20e3)/u.source
const unsafeOutsideEmoji = new RegExp(`(?!${joined}|${styled})${unsafe.source}`, "gu")
// spaces that are not the space, and halves of characters
const unequal = new RegExp(`${unsafe.source}|(?! )\\p{Zs}|\\p{Cs}`, "gu")
const controls = /(?![\t\n\r])\p{Cc}/gu

const replaceCharacters = (pattern: RegExp, text: string): string =>
  text.replace(pattern, (character) => {
    const code = character.codePointAt(0)!
    if (code < 0x20) return String.fromCharCode(0x2400 + code)
    return code === 0x7f ? "\u2421" : `\\u{${code.toString(16)}}`
  })

/**
 * Makes every character visible that could control a terminal or hide a part of a text. Keeps tabs and line feeds, and
 * drops a carriage return before a line feed. A text can be passed piece by piece, because no control character is kept
 * in any context.
 */
export const toVisible = (text: string): string => replaceCharacters(unsafeOutsideEmoji, text.replaceAll("\r\n", "\n"))

/**
 * Works like {@link toVisible}, for a text that a person decides about: no two different texts look the same because of
 * a character that shows nothing or looks like a space.
 */
export const toExact = (text: string): string => replaceCharacters(unequal, text.replaceAll("\r\n", "\n"))

/** Makes control characters visible and keeps everything else, for a text that a program reads. */
export const escapeControls = (text: string): string => replaceCharacters(controls, text)

/** Returns a line of a command's output as a terminal would show it after carriage returns, without colours. */
export const outputLine = (line: string): string => {
  // oxlint-disable-next-line no-control-regex
  const plain = line.replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)/g, "")
  let end = plain.length
  while (plain[end - 1] === "\r") end--
  return toVisible(plain.slice(plain.lastIndexOf("\r", end - 1) + 1, end)).replaceAll("\t", "    ")
}

// variation selectors are marks
const zeroWidth = /^(?:\p{Mark}|\u200d)$/u
const emoji = /^\p{Emoji_Presentation}$/u

// oxlint-disable-next-line no-control-regex
const colors = /\x1b\[\d+m/g

/** Returns a text without the colours of a {@link palette}. */
export const stripColors = (text: string): string => text.replace(colors, "")

/** Returns the number of columns that a text without control characters takes. */
export const width = (text: string): number => {
  // oxlint-disable-next-line no-control-regex
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += widthOf(character)
  return columns
}

const widthOf = (character: string): number => {
  const code = character.codePointAt(0)!
  if (code < 0x300) return 1
  if (zeroWidth.test(character)) return 0
  const isWide =
    (code >= 0x1100 && code <= 0x115f) ||
    (code >= 0x2e80 && code <= 0xa4cf) ||
    (code >= 0xac00 && code <= 0xd7a3) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0xfe30 && code <= 0xfe6f) ||
    (code >= 0xff00 && code <= 0xff60) ||
    (code >= 0xffe0 && code <= 0xffe6) ||
    (code >= 0x20000 && code <= 0x3fffd)
  return isWide || emoji.test(character) ? 2 : 1
}

/** Cuts a text to a number of columns, with an ellipsis if something is missing. */
export const fit = (text: string, columns: number): string => {
  if (width(text) <= columns) return text
  let kept = ""
  let used = 0
  for (const character of text) {
    const next = widthOf(character)
    if (used + next > columns - 1) break
    kept += character
    used += next
  }
  return `${kept}…`
}

/** Keeps as much of the end of a text as a number of columns holds. */
export const fitEnd = (text: string, columns: number): string => {
  const characters = Array.from(text)
  let used = 0
  const from = characters.findLastIndex((character) => (used += widthOf(character)) > columns)
  return characters.slice(from + 1).join("")
}

/** Formats a time in milliseconds for people. */
export const duration = (millis: number): string => {
  if (millis < 9_950) return `${(Math.max(0, millis) / 1_000).toFixed(1)} s`
  const seconds = Math.round(millis / 1_000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** Formats a count; from ten thousand onwards in thousands. */
export const count = (value: number): string => (value < 10_000 ? String(value) : `${(value / 1_000).toFixed(1)}k`)

/** Formats a count of tokens. */
export const tokens = (value: number): string => `${count(value)} ${value === 1 ? "token" : "tokens"}`
