/** Random files, random edits of them, and the patches that say these edits. */
import { Schema } from "effect"

/** A whole number from 0 to a maximum. */
export const small = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

/**
 * A file of distinct lines, and the fate of each: kept, removed, or replaced; and the number of lines that are added
 * before it.
 */
export const Edits = Schema.Array(
  Schema.Struct({
    indent: small(3),
    text: Schema.Literals(["a", " b", "+", "-x", "@@ y", "*** z", "{", "é"]),
    fate: small(5),
    added: small(9)
  })
)

/** A line of a file and its fate. */
export interface Line {
  readonly text: string
  readonly isRemoved: boolean
  readonly added: ReadonlyArray<string>
}

/** The lines of a file, no two of them equal. */
export const linesOf = (edits: typeof Edits.Type): ReadonlyArray<Line> =>
  edits.map(({ added, fate, indent, text }, index) => ({
    text: `${" ".repeat(indent)}${text} ${index}`,
    isRemoved: fate >= 4,
    added: added >= 7 ? Array.from({ length: added - 6 }, (_, number) => `${text} new ${index}.${number}`) : []
  }))

/** Writes the hunks of a patch with `context` lines of context around each change. */
export const hunksOf = (lines: ReadonlyArray<Line>, context: number): ReadonlyArray<string> => {
  const isChanged = (line: Line | undefined) => line !== undefined && (line.isRemoved || line.added.length > 0)
  const isShown = (index: number) => {
    for (let near = index - context; near <= index + context; near++) if (isChanged(lines[near])) return true
    return false
  }
  const hunks: Array<string> = []
  let isOpen = false
  for (const [index, line] of lines.entries()) {
    if (isShown(index)) {
      if (!isOpen) hunks.push("@@")
      hunks.push(...line.added.map((text) => `+${text}`), `${line.isRemoved ? "-" : " "}${line.text}`)
    }
    isOpen = isShown(index)
  }
  return hunks
}

/** Lines as a content. */
export const joined = (lines: ReadonlyArray<string>, isClosed: boolean) =>
  lines.length === 0 ? "" : lines.join("\n") + (isClosed ? "\n" : "")
