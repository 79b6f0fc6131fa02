/**
 * The tool `grep_files`: finds the files in which a line matches a pattern, the latest first.
 *
 * `rg` searches if it is installed, or else `git grep` in a repository, or else a walk that honours ignore files. Each
 * runs as a process of the turn, so that no pattern can block the session.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import type { Processes } from "@spindle/core/Processes"
import { Turn } from "@spindle/core/Turn"
import * as Globs from "../internal/project/globs.ts"
import * as RegularFile from "../internal/project/regularFile.ts"
import * as SystemReasons from "../internal/systemReasons.ts"
import * as Searches from "../internal/project/searches.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The number of files that a call returns, unless the model asks for another number. */
export const defaultLimit = 100
/** The most files that a call returns. */
export const maxLimit = 2_000
/** The longest glob, in characters: braces in braces make many of one. */
const maxInclude = 1_000
/** The most files that are compared by their time. */
const maxCompared = 10_000

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  pattern: Schema.String.annotate({ description: "The regular expression to look for in each line." }),
  include: Schema.optionalKey(
    Schema.String.annotate({ description: 'A glob that the files must match, such as "*.ts" or "src/**/*.{ts,tsx}".' })
  ),
  path: Schema.optionalKey(
    Schema.String.annotate({
      description: "The directory or file to search, relative to the working directory, which is the default."
    })
  ),
  limit: Schema.optionalKey(
    Schema.Finite.annotate({ description: "The most files to return, up to 2000. Default: 100." })
  )
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("grep_files", {
  description:
    "Returns the paths of the files that have a line which matches a regular expression, the latest changed first. Binary files and ignored files are left out.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
  dependencies: [Turn]
})

/** Describes a call for people: the pattern and the place. */
export const display = ({ path = ".", pattern }: Parameters): CallDisplay => ({ _tag: "Search", query: pattern, path })

/**
 * The place that the tool looks at. `node` is the program that runs JavaScript; it searches where neither `rg` nor git
 * can.
 */
export interface Options {
  readonly cwd: string
  readonly node: string
}

type Services = FileSystem.FileSystem | Path.Path | Processes | Turn

/**
 * Searches. **Interruption**: ends the process that searches. **Errors**: `ToolFailure` for an invalid pattern, a path
 * that does not exist, and a search that takes longer than 30 seconds.
 */
export const run: (
  params: Parameters,
  callId: string | undefined,
  options: Options
) => Effect.Effect<string, ToolFailure, Services> = Effect.fnUntraced(function* (params, callId, { cwd, node }) {
  const { include, limit = defaultLimit, path: name = ".", pattern } = params
  const refuse = (detail: string) => new ToolFailure({ detail: `cannot search ${name}: ${detail}` })
  if (pattern === "") return yield* refuse("the pattern is empty")
  if (pattern.includes("\0")) return yield* refuse("the pattern has a NUL character")
  if (!Number.isInteger(limit) || limit < 1) return yield* refuse("limit must be a whole number from 1")
  if (include !== undefined && include.length > maxInclude) {
    return yield* refuse(`include is longer than ${maxInclude} characters`)
  }
  const path = yield* Path.Path
  const place = yield* Effect.mapError(placeOf(path.resolve(cwd, name)), refuse)
  const found = yield* Effect.mapError(Searches.run({ ...place, pattern, callId, node }), refuse)
  const matches = include === undefined ? found.paths : found.paths.filter(Globs.matcher(include))
  const files = yield* sortByTime(place.directory, matches)
  if (files.length === 0) {
    return found.isCut
      ? "No matches found in the files that were searched. Search a smaller path."
      : "No matches found."
  }
  const shown = files.slice(0, Math.min(limit, maxLimit)).map((file) => path.join(place.directory, file))
  const isCut = files.length > shown.length || found.isCut || matches.length > maxCompared
  return [
    ...shown.map((file) => file.replaceAll(/[\r\n]/g, "�")),
    ...(isCut ? ["There are more files. Use a narrower pattern, include or path."] : [])
  ].join("\n")
})

/** Returns the directory in which to search and the name of the file to search in it, if there is one. */
const placeOf: (target: string) => Effect.Effect<Searches.Place, string, FileSystem.FileSystem | Path.Path> =
  Effect.fnUntraced(function* (target) {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (target.includes("\0")) return yield* Effect.fail("it is not a path")
    const { type } = yield* Effect.mapError(fileSystem.stat(target), SystemReasons.reasonOf)
    if (type === "Directory") return { directory: target, file: undefined }
    yield* RegularFile.stat(target)
    return { directory: path.dirname(target), file: path.basename(target) }
  })

/** Sorts files by the time of their last change, the latest first. Those that were removed meanwhile are left out. */
const sortByTime = Effect.fnUntraced(function* (directory: string, files: ReadonlyArray<string>) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const times = yield* Effect.forEach(
    files.slice(0, maxCompared),
    (file) =>
      Effect.match(fileSystem.stat(path.join(directory, file)), {
        onFailure: () => undefined,
        onSuccess: ({ mtime }) => ({ file, time: Option.match(mtime, { onNone: () => 0, onSome: Number }) })
      }),
    { concurrency: 16 }
  )
  return times
    .filter((one) => one !== undefined)
    .toSorted((one, two) => two.time - one.time || (one.file < two.file ? -1 : 1))
    .map(({ file }) => file)
})
