/** What a tool call asks for, as far as a person or a client is shown it. */
import type { ToolCall, ToolResult } from "@spindle/core/Item"

/** A call as it is recorded. */
export type Call = ToolCall
/** A result as it is recorded. */
export type Result = ToolResult

/** The shell command of an `exec_command` call; undefined for other tools and for arguments that make no sense. */
export const commandOf = (call: Pick<Call, "name" | "params">): string | undefined =>
  call.name === "exec_command" ? field(call.params, "cmd") : undefined

/** The patch of an `apply_patch` call; undefined as for {@link commandOf}. */
export const patchOf = (call: Pick<Call, "name" | "params">): string | undefined =>
  call.name === "apply_patch" ? field(call.params, "input") : undefined

/** The texts of a list in a JSON object. */
export const fieldList = (value: unknown, name: string): ReadonlyArray<string> => {
  const found = typeof value === "object" && value !== null ? (value as { [key: string]: unknown })[name] : undefined
  return Array.isArray(found) ? found.filter((one) => typeof one === "string") : []
}

/** A text in a JSON object. */
export const field = (value: unknown, name: string): string | undefined => {
  const found = typeof value === "object" && value !== null ? (value as { [key: string]: unknown })[name] : undefined
  return typeof found === "string" ? found : undefined
}

/**
 * The exit code that the result of a command tells, in a line of its head or as a field; null when it tells none: the
 * command was ended, or ran too long. For when the end of the process is told after the result.
 */
export const exitCodeOf = ({ output }: Pick<Result, "output">): number | null => {
  const code = typeof output === "object" && output !== null ? (output as { exitCode?: unknown }).exitCode : undefined
  if (typeof code === "number") return code
  const head = typeof output === "string" ? output.split("\nOutput:\n", 1)[0]! : ""
  const found = /^Process exited with code (\d+)$/m.exec(head)
  return found === null ? null : Number(found[1])
}

/** What the model reads of a result, as text. */
export const outputText = (result: Pick<Result, "output">): string =>
  typeof result.output === "string" ? result.output : (JSON.stringify(result.output) ?? "")

/** What the result of a command tells of what it printed, in the form that the model reads. */
export const printedOf = ({ output }: Pick<Result, "output">): string => {
  const text = outputText({ output })
  const at = text.indexOf("\nOutput:\n")
  return at === -1 ? "" : text.slice(at + "\nOutput:\n".length)
}
