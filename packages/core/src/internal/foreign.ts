/**
 * Reads values that foreign code has thrown. Their getters may throw as well, and a turn must be settled anyway
 * (contract S2).
 */
import { format } from "effect/Formatter"
import { boundText } from "../protocol/foreignText.ts"

const read = (value: unknown, key: "_tag" | "name" | "message"): string | undefined => {
  try {
    const found = (value as { readonly [key: string]: unknown } | null | undefined)?.[key]
    return typeof found === "string" ? boundText(found) : undefined
  } catch {
    return undefined
  }
}

/** Returns the tag or the name of an error; `Defect` if neither can be read. */
export const tagOf = (error: unknown): string => read(error, "_tag") ?? read(error, "name") ?? "Defect"

/** Returns the message of an error, if it can be read. */
export const messageOf = (error: unknown): string | undefined => read(error, "message")

/** Returns an error as text: its message, or else the formatted error. */
export const textOf = (error: unknown): string =>
  messageOf(error) ?? boundText(typeof error === "string" ? error : format(error))
