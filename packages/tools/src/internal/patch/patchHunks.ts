/** Finds the places of hunks in a file and applies them. */
import * as Result from "effect/Result"
import * as LineSearch from "./lineSearch.ts"
import type { Failure, Hunk, HunkLine } from "./patchModel.ts"
import * as TextLines from "../textLines.ts"

/** A content after its hunks, and the change in the unified format. */
export interface Applied {
  readonly content: string
  readonly diff: ReadonlyArray<string>
}

/** Returns lines of a hunk as the unified format writes them. */
export const diffLines = (lines: ReadonlyArray<HunkLine>): ReadonlyArray<string> =>
  lines.map(({ kind, text }) => `${kind === "context" ? " " : kind === "remove" ? "-" : "+"}${text}`)

/** Returns the lines of a content, each after `prefix`. */
export const contentLines = (content: string, prefix: "+" | "-"): ReadonlyArray<string> => {
  const { mark, texts } = TextLines.split(content)
  return texts.map((text, index) => `${prefix}${index === 0 ? mark : ""}${text}`)
}

/**
 * Applies hunks in order, each below the previous one. Lines that no hunk removes keep their bytes, and so do a byte
 * order mark and a missing end of the last line. An added line gets the line end of its neighbour.
 */
export const apply = (content: string, hunks: ReadonlyArray<Hunk>): Result.Result<Applied, Failure> => {
  const lines = TextLines.split(content)
  const search = LineSearch.make(lines.texts)
  const writer = makeWriter(lines)
  const diff: Array<string> = []
  for (const [index, hunk] of hunks.entries()) {
    const place = find({ lines: lines.texts, search, from: writer.position() }, hunk, index)
    if (Result.isFailure(place)) return Result.fail(place.failure)
    writer.copyUntil(place.success.start)
    for (const line of writer.change(place.success.lines)) diff.push(line)
  }
  writer.copyUntil(lines.texts.length)
  return Result.succeed({ content: writer.content(), diff })
}

/** Writes the new content of a file line by line. */
interface Writer {
  /** Returns how many lines of the file were copied or removed. */
  readonly position: () => number
  /** Copies the lines of the file before `end`. */
  readonly copyUntil: (end: number) => void
  /** Applies the lines of a hunk at the position, and returns them in the unified format. */
  readonly change: (lines: ReadonlyArray<HunkLine>) => ReadonlyArray<string>
  readonly content: () => string
}

const makeWriter = (file: TextLines.TextLines): Writer => {
  const usual = TextLines.usualEnd(file)
  const texts: Array<string> = []
  const ends: Array<string> = []
  let position = 0
  const copy = () => {
    texts.push(file.texts[position]!)
    ends.push(file.ends[position]!)
    position++
  }
  /**
   * Returns the line end of the line before the position, or else of the line at the position, or else the usual one.
   */
  const endHere = (): string => file.ends[position - 1] || file.ends[position] || usual
  return {
    position: () => position,
    copyUntil: (end) => {
      while (position < end) copy()
    },
    change: (lines) => {
      const [oldStart, newStart] = [position, texts.length]
      const shown: Array<HunkLine> = []
      for (const line of lines) {
        if (line.kind === "add") {
          // a byte order mark that the model repeats is the one that is kept
          texts.push(texts.length === 0 && file.mark !== "" ? line.text.replace(file.mark, "") : line.text)
          ends.push(endHere())
          shown.push(line)
          continue
        }
        // the line of the file, not the copy in the patch
        shown.push({ kind: line.kind, text: file.texts[position]! })
        if (line.kind === "context") copy()
        else position++
      }
      const ranges = `-${range(oldStart, position - oldStart)} +${range(newStart, texts.length - newStart)}`
      return [`@@ ${ranges} @@`].concat(diffLines(shown))
    },
    content: () => {
      const isOpen = file.texts.length > 0 && file.ends.at(-1) === ""
      const last = texts.length - 1
      const written = texts.map((text, index) =>
        index === last && isOpen ? text : `${text}${ends[index] === "" ? usual : ends[index]}`
      )
      return file.mark + written.join("")
    }
  }
}

const range = (from: number, count: number): string =>
  `${count === 0 ? from : from + 1}${count === 1 ? "" : `,${count}`}`

interface Place {
  readonly start: number
  readonly lines: ReadonlyArray<HunkLine>
}

/** The area in which a hunk is searched: these lines, at `from` or below. */
interface Area {
  readonly lines: ReadonlyArray<string>
  readonly search: LineSearch.LineSearch
  readonly from: number
}

const find = (area: Area, hunk: Hunk, index: number): Result.Result<Place, Failure> => {
  const { lines, search } = area
  let { from } = area
  for (const header of hunk.headers) {
    const at = search.seek([header], from, false)
    if (at === -1) {
      return Result.fail({
        detail: `hunk ${index + 1}: there is no line "${header}"${from === 0 ? "" : ` below line ${from}`}`,
        line: hunk.line
      })
    }
    from = at + 1
  }
  const wanted = hunk.lines.filter((line) => line.kind !== "add").map((line) => line.text)
  if (wanted.length === 0) {
    return Result.succeed({ start: hunk.isAtEnd || hunk.headers.length === 0 ? lines.length : from, lines: hunk.lines })
  }
  const start = search.seek(wanted, from, hunk.isAtEnd)
  if (start !== -1) return Result.succeed({ start, lines: hunk.lines })
  // an empty line before the next hunk may only separate the two
  const last = hunk.lines.at(-1)!
  if (wanted.length > 1 && last.kind === "context" && last.text === "") {
    const shorter = search.seek(wanted.slice(0, -1), from, hunk.isAtEnd)
    if (shorter !== -1) return Result.succeed({ start: shorter, lines: hunk.lines.slice(0, -1) })
  }
  return Result.fail({ detail: explain({ ...area, from }, wanted, { hunk, index }), line: hunk.line })
}

/** The most lines that a message quotes. */
const quotedCount = 12
/** The most of a line that a message quotes, in UTF-16 units. */
const quotedLength = 500

const quote = (lines: ReadonlyArray<string>): string => {
  const shown = lines.slice(0, quotedCount).map((line) => `  ${line.slice(0, quotedLength).trimEnd()}`)
  if (lines.length > quotedCount) shown.push(`  (${lines.length - quotedCount} more lines)`)
  return shown.join("\n")
}

/** Describes the expected lines, and quotes the nearest place in the file. */
const explain = (
  { from, lines, search }: Area,
  wanted: ReadonlyArray<string>,
  { hunk, index }: { readonly hunk: Hunk; readonly index: number }
): string => {
  const where = hunk.isAtEnd ? " at the end of the file" : from === 0 ? "" : ` below line ${from}`
  const expected = `hunk ${index + 1} does not apply: these lines are not in the file${where}\n${quote(wanted)}\n`
  const earlier = search.seek(wanted, 0, false)
  if (earlier !== -1) return `${expected}They are at line ${earlier + 1}; hunks must be in the order of the file.`
  const near = search.findNearest(wanted)
  if (near === -1) return `${expected}No line of the file is like one of them; read the file again.`
  const end = Math.min(lines.length, near + wanted.length)
  return `${expected}The closest place is line ${near + 1} to ${end}:\n${quote(lines.slice(near, end))}`
}
