/** The first difference between two histories, in words. */
import type { Item } from "@spindle/core/Item"

/** An item as one line, without what differs from run to run: ids of items and submissions, and how long an aborted call had run. */
const lineOf = (item: Item): string => {
  const { _tag, id: _, ...rest } = item
  const { submissionId: __, ...shown } = rest as typeof rest & { readonly submissionId?: string }
  if (item._tag === "ToolResult" && item.aborted !== undefined) {
    return `${_tag} ${JSON.stringify({ ...shown, output: "aborted", aborted: item.aborted.reason })}`
  }
  return `${_tag} ${JSON.stringify(shown)}`
}

/** Lines around the first difference: recorded ones behind `-`, asked ones behind `+`. */
export const diff = (recorded: ReadonlyArray<Item>, asked: ReadonlyArray<Item>): string | undefined => {
  const [before, now] = [recorded.map(lineOf), asked.map(lineOf)]
  let first = 0
  while (first < Math.max(before.length, now.length) && before[first] === now[first]) first++
  if (first === before.length && first === now.length) return undefined
  const shown = (sign: string, line: string | undefined) => (line === undefined ? [] : [`${sign} ${clipped(line)}`])
  return [
    `at item ${first + 1}:`,
    ...shown(" ", before[first - 1]),
    ...shown("-", before[first]),
    ...shown("+", now[first])
  ].join("\n")
}

/** Long lines are cut: what differs is named, not repeated in full. */
const clipped = (line: string): string => (line.length <= 500 ? line : `${line.slice(0, 500)} ... (${line.length})`)
