/** Finds the first difference between two histories. */
import type { Item } from "@spindle/core/Item"

/**
 * Formats an item as one line, without the parts that differ between runs: ids of items and submissions, and how long
 * an aborted call had run.
 */
const lineOf = (item: Item): string => {
  const { _tag, id: _, ...rest } = item
  const { submissionId: __, ...shown } = rest as typeof rest & { readonly submissionId?: string }
  if (item._tag === "ToolResult" && item.aborted !== undefined) {
    return `${_tag} ${JSON.stringify({ ...shown, output: "aborted", aborted: item.aborted.reason })}`
  }
  return `${_tag} ${JSON.stringify(shown)}`
}

/** Formats the lines around the first difference: recorded ones after `-`, requested ones after `+`. */
export const diff = (recorded: ReadonlyArray<Item>, requested: ReadonlyArray<Item>): string | undefined => {
  const [before, now] = [recorded.map(lineOf), requested.map(lineOf)]
  let first = 0
  while (first < Math.max(before.length, now.length) && before[first] === now[first]) first++
  if (first === before.length && first === now.length) return undefined
  const linesOf = (sign: string, line: string | undefined) => (line === undefined ? [] : [`${sign} ${clip(line)}`])
  return [
    `at item ${first + 1}:`,
    ...linesOf(" ", before[first - 1]),
    ...linesOf("-", before[first]),
    ...linesOf("+", now[first])
  ].join("\n")
}

/** Cuts a long line. */
const clip = (line: string): string => (line.length <= 500 ? line : `${line.slice(0, 500)} ... (${line.length})`)
