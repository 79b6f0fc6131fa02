/** Finds the places of hunks in a file, and applies them. */
import * as Result from "effect/Result"
import type { Hunk, HunkLine } from "../Patch.ts"

/** Why hunks do not apply, and at which line of the patch. */
export interface Failure {
  readonly detail: string
  readonly line: number
}

/** A content after its hunks, and the change in the unified format. */
export interface Applied {
  readonly content: string
  readonly diff: ReadonlyArray<string>
}

/** The lines of a content, without the empty one behind its last line end. */
export const contentLines = (content: string): Array<string> => {
  if (content === "") return []
  const lines = content.split("\n")
  if (lines.at(-1) === "") lines.pop()
  return lines
}

/** Lines of a hunk as the unified format writes them. */
export const diffLines = (lines: ReadonlyArray<HunkLine>): ReadonlyArray<string> =>
  lines.map(({ kind, text }) => `${kind === "context" ? " " : kind === "remove" ? "-" : "+"}${text}`)

const withoutPunctuation = (text: string): string =>
  text
    .trim()
    .replace(/[\u2010-\u2015\u2212]/g, "-")
    .replace(/[\u2018-\u201b]/g, "'")
    .replace(/[\u201c-\u201f]/g, '"')
    .replace(/[\u00a0\u2002-\u200a\u202f\u205f\u3000]/g, " ")

/** How lines are compared, the strictest way first. */
const comparisons: ReadonlyArray<(text: string) => string> = [
  (text) => text,
  (text) => text.trimEnd(),
  (text) => text.trim(),
  withoutPunctuation
]

/**
 * Where `wanted` stands in `lines`, at `from` or below; at the very end only if `isAtEnd`. The strictest comparison
 * wins.
 */
const seek = (lines: ReadonlyArray<string>, wanted: ReadonlyArray<string>, from: number, isAtEnd: boolean): number => {
  const last = lines.length - wanted.length
  for (const normal of comparisons) {
    const pattern = wanted.map(normal)
    const have = lines.map((line, index) => (index < from ? "" : normal(line)))
    for (let start = isAtEnd ? Math.max(from, last) : from; start <= last; start++) {
      if (pattern.every((text, offset) => text === have[start + offset])) return start
    }
  }
  return -1
}

interface Place {
  readonly start: number
  readonly lines: ReadonlyArray<HunkLine>
}

/** Applies hunks in order, each below the one before. */
export const apply = (content: string, hunks: ReadonlyArray<Hunk>): Result.Result<Applied, Failure> => {
  const lines = contentLines(content)
  // a file with carriage returns keeps them: an added line gets one as well
  const ending =
    lines.length > 0 && lines.every((line, index) => line.endsWith("\r") || isLastOpen(content, lines, index))
  const result: Array<string> = []
  const diff: Array<string> = []
  let position = 0
  for (const [index, hunk] of hunks.entries()) {
    const place = find(lines, hunk, index, position)
    if (Result.isFailure(place)) return Result.fail(place.failure)
    const { start, lines: hunkLines } = place.success
    result.push(...lines.slice(position, start))
    const oldStart = start
    const newStart = result.length
    position = start
    const shown: Array<HunkLine> = []
    for (const line of hunkLines) {
      if (line.kind === "add") {
        result.push(ending ? `${line.text}\r` : line.text)
        shown.push(line)
        continue
      }
      // the file's own line is kept, not the patch's memory of it
      const own = lines[position++]!
      if (line.kind === "context") result.push(own)
      shown.push({ kind: line.kind, text: own })
    }
    const range = (from: number, count: number) => `${count === 0 ? from : from + 1}${count === 1 ? "" : `,${count}`}`
    diff.push(
      `@@ -${range(oldStart, position - oldStart)} +${range(newStart, result.length - newStart)} @@`,
      ...diffLines(shown)
    )
  }
  result.push(...lines.slice(position))
  const isClosed = content === "" || content.endsWith("\n")
  return Result.succeed({ content: result.length === 0 ? "" : result.join("\n") + (isClosed ? "\n" : ""), diff })
}

const isLastOpen = (content: string, lines: ReadonlyArray<string>, index: number): boolean =>
  index > 0 && index === lines.length - 1 && !content.endsWith("\n")

const find = (
  lines: ReadonlyArray<string>,
  hunk: Hunk,
  index: number,
  position: number
): Result.Result<Place, Failure> => {
  let from = position
  for (const header of hunk.headers) {
    const at = seek(lines, [header], from, false)
    if (at === -1) {
      return Result.fail({
        detail: `hunk ${index + 1}: there is no line "${header}"${from === 0 ? "" : ` below line ${from}`}`,
        line: hunk.line
      })
    }
    from = at + 1
  }
  const old = hunk.lines.filter((line) => line.kind !== "add")
  if (old.length === 0) {
    return Result.succeed({ start: hunk.isAtEnd || hunk.headers.length === 0 ? lines.length : from, lines: hunk.lines })
  }
  const wanted = old.map((line) => line.text)
  const start = seek(lines, wanted, from, hunk.isAtEnd)
  if (start !== -1) return Result.succeed({ start, lines: hunk.lines })
  // an empty line before the next hunk may be meant as its separation
  const last = hunk.lines.at(-1)!
  if (wanted.length > 1 && last.kind === "context" && last.text === "") {
    const shorter = seek(lines, wanted.slice(0, -1), from, hunk.isAtEnd)
    if (shorter !== -1) return Result.succeed({ start: shorter, lines: hunk.lines.slice(0, -1) })
  }
  return Result.fail({ detail: explain(lines, wanted, hunk, index, from), line: hunk.line })
}

/** How many lines a message quotes at most. */
const quotedCount = 12

const quote = (lines: ReadonlyArray<string>): string => {
  const shown = lines.slice(0, quotedCount).map((line) => `  ${line.trimEnd()}`)
  if (lines.length > quotedCount) shown.push(`  (${lines.length - quotedCount} more lines)`)
  return shown.join("\n")
}

/** Says what was expected, and shows the place in the file that comes closest. */
const explain = (
  lines: ReadonlyArray<string>,
  wanted: ReadonlyArray<string>,
  hunk: Hunk,
  index: number,
  from: number
): string => {
  const where = hunk.isAtEnd ? " at the end of the file" : from === 0 ? "" : ` below line ${from}`
  const expected = `hunk ${index + 1} does not apply: these lines are not in the file${where}\n${quote(wanted)}\n`
  const earlier = seek(lines, wanted, 0, false)
  if (earlier !== -1) return `${expected}They stand at line ${earlier + 1}; hunks have to be in the order of the file.`
  const near = nearest(lines, wanted)
  if (near === -1) return `${expected}No line of the file is like one of them; read the file again.`
  const end = Math.min(lines.length, near + wanted.length)
  return `${expected}The closest place is line ${near + 1} to ${end}:\n${quote(lines.slice(near, end))}`
}

/** The place where the most lines agree, whatever their spaces; -1 if nowhere one does. */
const nearest = (lines: ReadonlyArray<string>, wanted: ReadonlyArray<string>): number => {
  const normal = lines.map(withoutPunctuation)
  const pattern = wanted.slice(0, 100).map(withoutPunctuation)
  let best = -1
  let bestCount = 0
  for (let start = 0; start < normal.length; start++) {
    let count = 0
    for (const [offset, text] of pattern.entries()) {
      if (text !== "" && text === normal[start + offset]) count++
    }
    if (count > bestCount) {
      best = start
      bestCount = count
    }
  }
  return best
}
