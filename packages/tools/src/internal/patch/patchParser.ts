/** Reads the text of a patch, line by line. */
import * as Result from "effect/Result"
import type { Failure, FilePatch, Hunk, HunkLine } from "./patchModel.ts"

const beginMarker = "*** Begin Patch"
const endMarker = "*** End Patch"
const addMarker = "*** Add File: "
const deleteMarker = "*** Delete File: "
const updateMarker = "*** Update File: "
const moveMarker = "*** Move to: "
const endOfFileMarker = "*** End of File"

interface Reader {
  readonly lines: ReadonlyArray<string>
  /** For each line the first line from there onwards that is not blank; for the last ones the number of lines. */
  readonly nextFilled: Int32Array
  /** The number of the first line in the text, counted from 1. */
  readonly firstLine: number
  index: number
}

const makeReader = (lines: ReadonlyArray<string>, firstLine: number): Reader => {
  const nextFilled = new Int32Array(lines.length + 1).fill(lines.length)
  for (let index = lines.length - 1; index >= 0; index--) {
    nextFilled[index] = lines[index]!.trim() === "" ? nextFilled[index + 1]! : index
  }
  return { lines, nextFilled, firstLine, index: 0 }
}

/** Reads a patch. */
export const parse = (text: string): Result.Result<ReadonlyArray<FilePatch>, Failure> =>
  Result.flatMap(body(text), parseFiles)

/** Returns the lines between the markers of begin and end, without a here-document or code fence around them. */
const body = (text: string): Result.Result<Reader, Failure> => {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line))
  const begin = lines.findIndex((line) => line.trim() === beginMarker)
  if (begin === -1) return Result.fail({ detail: `a patch begins with "${beginMarker}"`, line: 1 })
  const end = lines.findLastIndex((line) => line.trim() === endMarker)
  if (end < begin) return Result.fail({ detail: `a patch ends with "${endMarker}"`, line: lines.length })
  const isOpening = (line: string) => line.trimStart().startsWith("```") || line.includes("<<")
  const before = lines.slice(0, begin).findIndex((line) => line.trim() !== "" && !isOpening(line))
  if (before !== -1) return Result.fail({ detail: `"${beginMarker}" is not the first line`, line: before + 1 })
  const after = lines.slice(end + 1).findIndex((line) => !/^(?:```|\w*['"]?\)?;?)$/.test(line.trim()))
  if (after !== -1) return Result.fail({ detail: `text after "${endMarker}"`, line: end + after + 2 })
  const indent = /^\s*/.exec(lines[begin]!)![0]
  return Result.succeed(makeReader(withoutIndent(lines.slice(begin + 1, end), indent), begin + 2))
}

/**
 * Removes the indentation of the first marker from all lines if all have it, otherwise from the markers that have it.
 */
const withoutIndent = (lines: ReadonlyArray<string>, indent: string): ReadonlyArray<string> => {
  if (indent === "") return lines
  const isComplete = lines.every((line) => line.startsWith(indent) || line.trim() === "")
  const isMarker = (line: string) => line.startsWith(`${indent}*** `) || line.startsWith(`${indent}@@`)
  return lines.map((line) => (isComplete || isMarker(line) ? line.slice(indent.length) : line))
}

const lineOf = (reader: Reader): number => reader.firstLine + reader.index

const pathAfter = (line: string | undefined, marker: string): string | undefined => {
  if (line === undefined || !line.startsWith(marker.trimEnd())) return undefined
  return line.slice(marker.trimEnd().length).trim()
}

const isFileMarker = (line: string): boolean =>
  [addMarker, deleteMarker, updateMarker].some((marker) => line.startsWith(marker.trimEnd()))

const parseFiles = (reader: Reader): Result.Result<ReadonlyArray<FilePatch>, Failure> => {
  const files: Array<FilePatch> = []
  while (reader.index < reader.lines.length) {
    if (reader.lines[reader.index]!.trim() === "") {
      reader.index++
      continue
    }
    const file = parseFile(reader)
    if (Result.isFailure(file)) return Result.fail(file.failure)
    files.push(file.success)
  }
  return files.length === 0
    ? Result.fail({ detail: "the patch names no file", line: reader.firstLine })
    : Result.succeed(files)
}

const parseFile = (reader: Reader): Result.Result<FilePatch, Failure> => {
  const line = lineOf(reader)
  const marker = reader.lines[reader.index]!
  const added = pathAfter(marker, addMarker)
  const deleted = pathAfter(marker, deleteMarker)
  const updated = pathAfter(marker, updateMarker)
  const path = added ?? deleted ?? updated
  if (path === undefined) {
    return Result.fail({ detail: `expected "${addMarker}", "${deleteMarker}" or "${updateMarker}" and a path`, line })
  }
  if (path === "") return Result.fail({ detail: "the path is missing", line })
  reader.index++
  if (added !== undefined) return parseAdd(reader, path, line)
  if (deleted !== undefined) return Result.succeed({ _tag: "Delete", path, line })
  return parseUpdate(reader, path, line)
}

const parseAdd = (reader: Reader, path: string, line: number): Result.Result<FilePatch, Failure> => {
  const content: Array<string> = []
  for (; reader.index < reader.lines.length; reader.index++) {
    const text = reader.lines[reader.index]!
    if (isFileMarker(text)) break
    if (text.startsWith("+")) content.push(`${text.slice(1)}\n`)
    else if (text.trim() !== "") {
      return Result.fail({ detail: `each line of an added file begins with "+"`, line: lineOf(reader) })
    } else if (nextLine(reader)?.startsWith("+") === true) content.push("\n")
  }
  return Result.succeed({ _tag: "Add", path, content: content.join(""), line })
}

const parseUpdate = (reader: Reader, path: string, line: number): Result.Result<FilePatch, Failure> => {
  const moveTo = pathAfter(reader.lines[reader.index], moveMarker)
  if (moveTo === "") return Result.fail({ detail: "the path to move to is missing", line: lineOf(reader) })
  if (moveTo !== undefined) reader.index++
  const hunks: Array<Hunk> = []
  while (reader.index < reader.lines.length && !isFileMarker(reader.lines[reader.index]!)) {
    if (reader.lines[reader.index]!.trim() === "" && isBlankUntilMarker(reader)) {
      reader.index++
      continue
    }
    const hunk = parseHunk(reader)
    if (Result.isFailure(hunk)) return Result.fail(hunk.failure)
    hunks.push(hunk.success)
  }
  if (hunks.length === 0 && moveTo === undefined) return Result.fail({ detail: "an update without a change", line })
  return Result.succeed({ _tag: "Update", path, moveTo: moveTo === path ? undefined : moveTo, hunks, line })
}

/** Returns the next line that is not blank. */
const nextLine = (reader: Reader): string | undefined => reader.lines[reader.nextFilled[reader.index]!]

const isBlankUntilMarker = (reader: Reader): boolean => {
  const next = nextLine(reader)
  return next === undefined || isFileMarker(next)
}

const parseHunk = (reader: Reader): Result.Result<Hunk, Failure> => {
  const line = lineOf(reader)
  const headers: Array<string> = []
  while (reader.lines[reader.index]?.startsWith("@@") === true) {
    const header = headerOf(reader.lines[reader.index]!)
    if (header !== "") headers.push(header)
    reader.index++
  }
  const lines: Array<HunkLine> = []
  let isAtEnd = false
  for (; reader.index < reader.lines.length; reader.index++) {
    const text = reader.lines[reader.index]!
    if (text.trimEnd() === endOfFileMarker) {
      isAtEnd = true
      reader.index++
      break
    }
    if (text.startsWith("@@") || isFileMarker(text) || (text === "" && isBlankUntilMarker(reader))) break
    const parsed = parseHunkLine(text)
    if (parsed === undefined) {
      return Result.fail({ detail: `a line of an update begins with " ", "-", "+" or "@@"`, line: lineOf(reader) })
    }
    lines.push(parsed)
  }
  if (lines.length === 0) return Result.fail({ detail: "a hunk without lines", line })
  return Result.succeed({ headers, lines, isAtEnd, line })
}

/** Returns the text of a header: `@@ text` or `@@ text @@`, without the line numbers of a unified diff. */
const headerOf = (line: string): string => {
  const text = line
    .slice(2)
    .replace(/^ -\d+(,\d+)? \+\d+(,\d+)? @@/, "")
    .trimEnd()
  const inner = text.endsWith("@@") ? text.slice(0, -2).trimEnd() : text
  return inner.startsWith(" ") ? inner.slice(1) : inner
}

const parseHunkLine = (line: string): HunkLine | undefined => {
  switch (line[0]) {
    case undefined:
      return { kind: "context", text: "" }
    case " ":
      return { kind: "context", text: line.slice(1) }
    case "-":
      return { kind: "remove", text: line.slice(1) }
    case "+":
      return { kind: "add", text: line.slice(1) }
    default:
      return undefined
  }
}
