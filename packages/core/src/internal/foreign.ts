/**
 * Reads what foreign code has thrown. Its getters may throw as well, and a turn must be settled anyway (contract S2).
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

/** The tag or the name of an error; `Defect` if it has none that can be read. */
export const tagOf = (error: unknown): string => read(error, "_tag") ?? read(error, "name") ?? "Defect"

/** The message of an error, if it has one that can be read. */
export const messageOf = (error: unknown): string | undefined => read(error, "message")

/** An error as text: its message, or else the error itself. */
export const textOf = (error: unknown): string =>
  messageOf(error) ?? boundText(typeof error === "string" ? error : format(error))
