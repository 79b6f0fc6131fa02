/** Values of JSON that came from outside, and texts that may go out. */
import { nestsTooDeep } from "@spindle/core/Item"

/** A JSON object of which nothing is known. */
export interface Json {
  readonly [key: string]: unknown
}

/** Whether a value has fields. Arrays do not count. */
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The value of a text, or undefined when the text is not JSON, or is nested too deep to be written again. */
export const parse = (text: string): unknown => {
  try {
    return nestsTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The value if it is a text that says something, else undefined. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value : undefined

/**
 * `JSON.stringify` without half surrogate pairs, which strict readers refuse: each becomes U+FFFD. Throws where
 * `JSON.stringify` does; undefined becomes `null`.
 */
export const stringify = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "null"
  // JSON.stringify escapes exactly the halves, in lower case; an escaped backslash is passed over
  return text.includes("\\ud") ? text.replace(/(\\\\)|\\ud[89a-f][\da-f]{2}/g, (_, kept) => kept ?? "\ufffd") : text
}

/** A text as it is, without half surrogate pairs; any other value as JSON. */
export const jsonText = (value: unknown): string =>
  typeof value === "string" ? value.toWellFormed() : stringify(value)

/** A text of at most `length` characters; a longer one ends in `…`, and is not cut inside a character. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length).replace(/[\ud800-\udbff]$/, "")}…`
