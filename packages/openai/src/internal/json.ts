/** Reads JSON from outside, and writes JSON and texts that strict readers accept. */
import { nestsTooDeep } from "@spindle/core/Item"

/** A JSON object with unknown fields. */
export interface Json {
  readonly [key: string]: unknown
}

/** Returns true if a value is an object. Arrays do not count. */
export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Returns the value of a JSON text; undefined if it is not JSON, or is nested too deep to be written again. */
export const parse = (text: string): unknown => {
  try {
    return nestsTooDeep(text) ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Returns the value if it is a text that is not blank; undefined for any other. */
export const textOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.trim() !== "" ? value : undefined

/**
 * Writes a value like `JSON.stringify`, without half surrogate pairs, which strict readers refuse: each becomes U+FFFD.
 * Undefined becomes `null`. Throws where `JSON.stringify` does.
 */
export const stringify = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "null"
  // JSON.stringify escapes exactly the halves, in lower case; an escaped backslash is skipped
  return text.includes("\\ud") ? text.replace(/(\\\\)|\\ud[89a-f][\da-f]{2}/g, (_, kept) => kept ?? "\ufffd") : text
}

/** Returns a text without half surrogate pairs, and any other value as JSON. */
export const jsonText = (value: unknown): string =>
  typeof value === "string" ? value.toWellFormed() : stringify(value)

/** Shortens a text to at most `length` characters. A cut text ends in `…` and is not cut inside a character. */
export const shorten = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length).replace(/[\ud800-\udbff]$/, "")}…`
