/** The tool `list_dir`: returns the entries of a directory and of the directories below it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import type { CallDisplay } from "@spindle/core/Display"
import * as SystemReasons from "../internal/systemReasons.ts"
import { ToolFailure } from "../ToolFailure.ts"

/** The number of entries that a call returns, unless the model asks for another number. */
export const defaultLimit = 25
/** The most entries that a call returns. */
export const maxLimit = 1_000
/** The number of levels that a call returns, unless the model asks for another number. */
export const defaultDepth = 2
/** The number of characters of a name that are returned. */
export const nameCharacters = 500

const count = (description: string) => Schema.optionalKey(Schema.Finite.annotate({ description }))

/** The arguments of the tool. */
export const Parameters = Schema.Struct({
  dir_path: Schema.String.annotate({ description: "The directory, relative to the working directory or absolute." }),
  offset: count("The number of the first entry, from 1. Default: 1."),
  limit: count("The most entries to return, up to 1000. Default: 25."),
  depth: count("How many levels of directories to look into. Default: 2.")
})
/** @see {@link Parameters} */
export type Parameters = typeof Parameters.Type

/** The tool. */
export const tool = Tool.make("list_dir", {
  description:
    "Returns the entries of a directory, sorted by name, with those of its directories below them. Names of directories end in /, of symbolic links in @, and of what is no regular file in ?.",
  parameters: Parameters,
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return"
})

/** Describes a call for people: the directory. */
export const display = ({ dir_path: path }: Parameters): CallDisplay => ({ _tag: "Read", path })

type Services = FileSystem.FileSystem | Path.Path

/**
 * Lists a directory. Symbolic links are not followed below it. **Interruption**: stops looking. **Errors**:
 * `ToolFailure` for a path that is not a directory or cannot be read, and for an offset after the last entry.
 */
export const run: (
  params: Parameters,
  options: { readonly cwd: string }
) => Effect.Effect<string, ToolFailure, Services> = Effect.fnUntraced(function* (params, { cwd }) {
  const path = yield* Path.Path
  const { depth = defaultDepth, dir_path: name, limit = defaultLimit, offset = 1 } = params
  const refuse = (detail: string) => new ToolFailure({ detail: `cannot list ${name}: ${detail}` })
  for (const [argument, value] of Object.entries({ offset, limit, depth })) {
    if (!Number.isInteger(value) || value < 1) return yield* refuse(`${argument} must be a whole number from 1`)
  }
  const target = path.resolve(cwd, name)
  const until = offset - 1 + Math.min(limit, maxLimit)
  const listing: Listing = { lines: [], until: until + 1, depth }
  yield* Effect.mapError(list(listing, target, 1), refuse)
  const { lines } = listing
  if (lines.length === 0) return `${target} is empty.`
  if (offset > lines.length) return yield* refuse(`it has ${lines.length} entries, and offset is ${offset}`)
  const more = lines.length > until ? [`There are more entries. Continue with offset ${until + 1}.`] : []
  return [`${target}:`, ...lines.slice(offset - 1, until), ...more].join("\n")
})

/** The entries that were found. No more than `until` are looked for. */
interface Listing {
  readonly lines: Array<string>
  readonly until: number
  readonly depth: number
}

const list = (listing: Listing, directory: string, level: number): Effect.Effect<void, string, Services> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    if (directory.includes("\0")) return yield* Effect.fail("it is not a path")
    // a FIFO is not opened, and a file has no entries
    const { type } = yield* Effect.mapError(fileSystem.stat(directory), SystemReasons.reasonOf)
    if (type !== "Directory") return yield* Effect.fail("it is not a directory")
    const names = yield* Effect.mapError(fileSystem.readDirectory(directory), SystemReasons.reasonOf)
    for (const name of names.toSorted()) {
      if (listing.lines.length >= listing.until) return
      const entry = path.join(directory, name)
      const info = yield* Effect.option(fileSystem.lstat(entry))
      // it has been removed meanwhile
      if (info._tag === "None") continue
      const sign = signs[info.value.type] ?? "?"
      const line = `${"  ".repeat(level - 1)}${name.slice(0, nameCharacters).toWellFormed()}${sign}`
      listing.lines.push(line.replaceAll(/[\r\n]/g, "�"))
      if (sign === "/" && level < listing.depth) {
        yield* Effect.catch(list(listing, entry, level + 1), (reason) =>
          Effect.sync(() => void listing.lines.push(`${"  ".repeat(level)}(${reason})`))
        )
      }
    }
  })

const signs: { readonly [type: string]: string } = { Directory: "/", SymbolicLink: "@", File: "" }
