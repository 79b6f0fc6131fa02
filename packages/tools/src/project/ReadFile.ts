/**
 * The tool `read_file`: returns numbered lines of a text file, or the block around a line by its indentation.
 *
 * A slice is read in pieces, so that the size of the file does not matter. Only regular files are opened.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import * as Indentation from "../internal/project/indentation.ts"
import * as LineReader from "../internal/project/lineReader.ts"
import * as RegularFile from "../internal/project/regularFile.ts"
import * as SystemReasons from "../internal/systemReasons.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The number of lines that a call returns, unless the model asks for another number. */
export const defaultLimit = 2_000
/** The number of characters of a line that are returned. */
export const lineCharacters = 500
/** The most characters that a call returns. */
export const maxCharacters = 40_000
/** The most bytes of a file that are searched for a line. */
export const maxScannedBytes = 268_435_456
/** The largest file whose indentation is looked at, in bytes. */
export const maxIndentedBytes = 8_388_608

const count = (description: string) => Schema.optionalKey(Schema.Finite.annotate({ description }))
const flag = (description: string) => Schema.optionalKey(Schema.Boolean.annotate({ description }))

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  file_path: Schema.String.annotate({ description: "The file, relative to the working directory or absolute." }),
  offset: count("The number of the first line, from 1. Default: 1."),
  limit: count("The most lines to return. Default: 2000."),
  mode: Schema.optionalKey(
    Schema.Literals(["slice", "indentation"]).annotate({
      description: "slice returns the lines from offset. indentation returns the block around a line. Default: slice."
    })
  ),
  indentation: Schema.optionalKey(
    Schema.Struct({
      anchor_line: count("The line whose block is returned. Default: offset."),
      max_levels: count("How many outer levels of indentation to include; 0 means all. Default: 0."),
      include_siblings: flag("Whether to include the other blocks of the outermost level. Default: false."),
      include_header: flag("Whether to include the comments above the block. Default: true."),
      max_lines: count("The most lines to return. Default: limit.")
    })
  )
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("read_file", {
  description:
    "Returns lines of a text file, each as `L` and its number, a colon and its text. Lines of more than 500 characters are cut.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return"
})

/** Describes a call for people: the file. */
export const display = ({ file_path: path }: Parameters): CallDisplay => ({ _tag: "Read", path })

/**
 * Reads lines. **Interruption**: stops reading. **Errors**: `ToolFailure` for a file that is missing, not a regular
 * file or binary, and for lines that it does not have.
 */
export const run: (
  params: Parameters,
  options: { readonly cwd: string }
) => Effect.Effect<string, ToolFailure, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(function* (
  params,
  { cwd }
) {
  const { file_path: name } = params
  const path = yield* Path.Path
  const offset = yield* positive(params, "offset", params.offset ?? 1)
  const limit = yield* positive(params, "limit", params.limit ?? defaultLimit)
  const target = path.resolve(cwd, name)
  const lines =
    params.mode === "indentation"
      ? block(target, yield* blockOf(params, offset, limit))
      : slice(target, { offset, limit })
  const found = yield* Effect.mapError(lines, (detail) => new ToolFailure({ detail: `cannot read ${name}: ${detail}` }))
  return found.length === 0 ? "The file is empty." : textOf(found)
})

const positive = ({ file_path: name }: Parameters, argument: string, value: number) =>
  Number.isInteger(value) && value >= 1
    ? Effect.succeed(value)
    : Effect.fail(new ToolFailure({ detail: `cannot read ${name}: ${argument} must be a whole number from 1` }))

const slice = Effect.fnUntraced(function* (
  target: string,
  { limit, offset }: { readonly offset: number; readonly limit: number }
) {
  yield* RegularFile.stat(target)
  const reader = LineReader.make({ offset, limit, lineCharacters, maxCharacters })
  const fileSystem = yield* FileSystem.FileSystem
  const read = Effect.scoped(
    Effect.gen(function* () {
      const file = yield* Effect.mapError(fileSystem.open(target), SystemReasons.reasonOf)
      for (let scanned = 0; !reader.isDone();) {
        const piece = yield* Effect.mapError(file.readAlloc(65_536), SystemReasons.reasonOf)
        if (piece._tag === "None") return reader.end()
        if (scanned === 0 && RegularFile.isBinary(piece.value)) return yield* Effect.fail("it is a binary file")
        scanned += piece.value.length
        if (scanned > maxScannedBytes) {
          return yield* Effect.fail(`line ${offset} is not in its first ${maxScannedBytes} bytes`)
        }
        reader.push(piece.value)
      }
    })
  )
  yield* read
  const { lines, total } = reader.result()
  if (lines.length === 0 && offset > 1) return yield* Effect.fail(`it has ${total} lines, and offset is ${offset}`)
  return lines
})

const blockOf = Effect.fnUntraced(function* (params: Parameters, offset: number, limit: number) {
  const { anchor_line, include_header, include_siblings, max_levels = 0, max_lines } = params.indentation ?? {}
  return {
    anchor: yield* positive(params, "anchor_line", anchor_line ?? offset),
    levels: max_levels === 0 ? 0 : yield* positive(params, "max_levels", max_levels),
    limit: Math.min(limit, yield* positive(params, "max_lines", max_lines ?? limit)),
    hasSiblings: include_siblings ?? false,
    hasHeader: include_header ?? true
  }
})

const block = Effect.fnUntraced(function* (target: string, wanted: Indentation.Wanted) {
  const bytes = yield* RegularFile.readAll(target, maxIndentedBytes)
  if (RegularFile.isBinary(bytes)) return yield* Effect.fail("it is a binary file")
  const reader = LineReader.make({ offset: 1, limit: Infinity, lineCharacters, maxCharacters: Infinity })
  reader.push(bytes)
  reader.end()
  const { lines, total } = reader.result()
  if (wanted.anchor > total) return yield* Effect.fail(`it has ${total} lines, and anchor_line is ${wanted.anchor}`)
  return Indentation.blockOf(lines, wanted)
})

const textOf = (lines: ReadonlyArray<LineReader.Line>): string => {
  let size = 0
  const shown: Array<string> = []
  for (const { number, text } of lines) {
    const line = `L${number}: ${text}`
    size += line.length + 1
    if (size > maxCharacters) return [...shown, `The rest is not shown. Continue with offset ${number}.`].join("\n")
    shown.push(line)
  }
  return shown.join("\n")
}
