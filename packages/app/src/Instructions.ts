/**
 * The surroundings of the model: the instructions of the person and the project (`AGENTS.md`), and the environment.
 * Both are fragments of the history. They are recorded if the model does not know them, and if they have changed.
 *
 * ```
 * <home>/AGENTS.md            of the person, for every project
 * <root>/AGENTS.md            of the project: one file for each directory from the root down to the working directory;
 * <root>/<directory>/AGENTS.md  later ones are more specific
 * ```
 *
 * In each directory the first of these files that is not blank counts: `AGENTS.override.md`, `AGENTS.md`, then the
 * names of `project_doc_fallback_filenames`.
 */
import * as Path from "node:path"
import { type Fragment, type FragmentUpdate, none } from "@spindle/core/Fragments"
import * as TurnContext from "@spindle/core/TurnContext"
import type { NetworkPolicy } from "@spindle/tools/NetworkPolicy"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"

/** The reason why a file is left out, or not used completely. */
export const Problem = Schema.Union([
  Schema.TaggedStruct("NotUtf8", { path: Schema.String }),
  Schema.TaggedStruct("TooLarge", { path: Schema.String, limitBytes: Schema.Finite }),
  Schema.TaggedStruct("Unreadable", { path: Schema.String, detail: Schema.String })
])
/** @see {@link Problem} */
export type Problem = typeof Problem.Type

/** Describes a problem in one line. */
export const describe = (problem: Problem): string => {
  switch (problem._tag) {
    case "NotUtf8":
      return `${problem.path} is not used: it is not UTF-8 text`
    case "TooLarge":
      return `${problem.path} is cut off: instructions may have ${problem.limitBytes} bytes (project_doc_max_bytes)`
    case "Unreadable":
      return `${problem.path} is not used: ${problem.detail}`
  }
}

/** The files and directories that hold instructions. */
export interface Places {
  /** The directory of the person's own file. */
  readonly home: string
  readonly cwd: string
  /** The names of files that count in a directory without `AGENTS.md`. */
  readonly fallbackNames: ReadonlyArray<string>
  /**
   * The most bytes that the files of a project have together, up to 1 MiB; 0 reads none. The file of the person has the
   * same limit.
   */
  readonly maxBytes: number
  /** The names of files or directories that mark the root of a project. */
  readonly rootMarkers: ReadonlyArray<string>
}

/** Instructions that were read. `text` is empty if there are none. */
export interface Instructions {
  readonly text: string
  readonly problems: ReadonlyArray<Problem>
}

// the limit of `maxBytes`, because files are read into memory at each turn
const mostBytes = 1 << 20

/**
 * Reads the instructions. Files that cannot be used are left out, with a problem for each. **Interruption** closes the
 * file that is read.
 */
export const read = Effect.fnUntraced(function* (
  places: Places
): Effect.fn.Return<Instructions, never, FileSystem.FileSystem> {
  const problems: Array<Problem> = []
  const limit = Math.min(places.maxBytes, mostBytes)
  const own = yield* firstOf({ directory: places.home, names: names([]), limitBytes: limit }, problems)
  const project: Array<string> = []
  let left = limit
  for (const directory of yield* directoriesOf(places)) {
    if (left <= 0) break
    const found = yield* firstOf({ directory, names: names(places.fallbackNames), limitBytes: left }, problems)
    if (found === undefined) continue
    left -= found.sizeBytes
    project.push(found.text)
  }
  const parts = [own?.text, project.length === 0 ? undefined : project.join("\n\n")]
  return { text: parts.filter((part) => part !== undefined).join(projectHeading), problems }
})

const projectHeading = "\n\n--- project-doc ---\n\n"

const names = (fallbackNames: ReadonlyArray<string>) => ["AGENTS.override.md", "AGENTS.md", ...fallbackNames]

/** Returns the directories from the project's root down to the working directory; only the latter without a root. */
export const directoriesOf = Effect.fnUntraced(function* ({
  cwd,
  rootMarkers
}: Pick<Places, "cwd" | "rootMarkers">): Effect.fn.Return<ReadonlyArray<string>, never, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const directories: Array<string> = []
  for (let directory = Path.resolve(cwd); ; directory = Path.dirname(directory)) {
    directories.unshift(directory)
    for (const marker of rootMarkers) {
      if (yield* Effect.isSuccess(fileSystem.stat(Path.join(directory, marker)))) return directories
    }
    if (directory === Path.dirname(directory)) return directories.slice(-1)
  }
})

/** The text of a file, and the number of bytes that were read. */
export interface Found {
  readonly text: string
  readonly sizeBytes: number
}

interface Candidates {
  readonly directory: string
  readonly names: ReadonlyArray<string>
  readonly limitBytes: number
}

/** Returns the first file of these names that has text. A file that cannot be used does not hide the next. */
const firstOf = Effect.fnUntraced(function* (
  { directory, limitBytes, names }: Candidates,
  problems: Array<Problem>
): Effect.fn.Return<Found | undefined, never, FileSystem.FileSystem> {
  if (limitBytes <= 0) return undefined
  for (const name of names) {
    const path = Path.join(directory, name)
    const file = yield* readFile(path, limitBytes)
    if (file === undefined) continue
    if (file._tag !== "File") {
      problems.push(file)
      continue
    }
    if (file.text.trim() === "") continue
    if (file.isCut) problems.push({ _tag: "TooLarge", path, limitBytes })
    return file
  }
  return undefined
})

/** A file that was read, cut at the limit if it is longer. */
export interface ReadFile extends Found {
  readonly _tag: "File"
  readonly isCut: boolean
}

/**
 * Reads the beginning of a regular file. A directory, a pipe or a device counts as a missing file. **Interruption**
 * closes the file.
 */
export const readFile = Effect.fnUntraced(
  function* (
    path: string,
    limitBytes: number
  ): Effect.fn.Return<ReadFile | Problem | undefined, PlatformError, FileSystem.FileSystem> {
    const fileSystem = yield* FileSystem.FileSystem
    if ((yield* fileSystem.stat(path)).type !== "File") return undefined
    const bytes = yield* readStart(path, limitBytes + 1)
    const sizeBytes = bytes.length
    const isCut = sizeBytes > limitBytes
    const text = decode(bytes.subarray(0, Math.min(sizeBytes, limitBytes)), isCut)
    return text === undefined ? { _tag: "NotUtf8", path } : { _tag: "File", text, sizeBytes, isCut }
  },
  (effect, path) => Effect.catch(effect, (error) => Effect.succeed(readProblem(path, error)))
)

const readProblem = (path: string, { reason }: PlatformError): Problem | undefined => {
  const { code = reason._tag } = (reason.cause ?? {}) as { readonly code?: string }
  const isMissing = reason._tag === "NotFound" || code === "ENOTDIR"
  return isMissing ? undefined : { _tag: "Unreadable", path, detail: code }
}

/** Returns the first bytes of a file, at most `limitBytes`. */
const readStart = (path: string, limitBytes: number): Effect.Effect<Uint8Array, PlatformError, FileSystem.FileSystem> =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* (yield* FileSystem.FileSystem).open(path)
      const bytes = new Uint8Array(limitBytes)
      let sizeBytes = 0
      for (;;) {
        const count = yield* file.read(bytes.subarray(sizeBytes))
        if (count === 0) return bytes.subarray(0, sizeBytes)
        sizeBytes += count
      }
    })
  )

/** Decodes UTF-8; undefined for other bytes. A character that the limit has cut is left out. */
const decode = (bytes: Uint8Array, isCut: boolean): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: isCut })
  } catch {
    return undefined
  }
}

/** Returns the fragment with the instructions of a directory. */
export const instructionsFragment = (cwd: string, { problems, text }: Instructions): Fragment => ({
  name: instructionsName,
  text: [
    `# AGENTS.md instructions for ${cwd}`,
    "",
    "<INSTRUCTIONS>",
    ...(text === "" ? [] : [text]),
    ...problems.map((problem) => `[${describe(problem)}]`),
    "</INSTRUCTIONS>"
  ].join("\n")
})

/** The name of the fragment with the instructions. */
export const instructionsName = "agents_md"

/** The name of the fragment with the environment. */
export const environmentName = "environment_context"

/** The environment of a turn: names and values, in order. A name consists of letters and underscores. */
export type Environment = ReadonlyArray<readonly [name: string, value: string]>

/**
 * Returns the fragment with the changes of the environment since these fragments; undefined if there are none. Without
 * an earlier fragment it has the complete environment.
 */
export const environmentFragment = (current: Environment, known: ReadonlyArray<Fragment>): Fragment | undefined => {
  const before = new Map<string, string>()
  for (const { name, text } of known) {
    if (name !== environmentName) continue
    for (const [, field, value] of text.matchAll(fieldLine)) before.set(field!, value!)
  }
  const changed = current.filter(([name, value]) => before.get(name) !== escape(value))
  if (changed.length === 0) return undefined
  const lines = changed.map(([name, value]) => `  <${name}>${escape(value)}</${name}>`)
  return { name: environmentName, text: ["<environment_context>", ...lines, "</environment_context>"].join("\n") }
}

const fieldLine = /^ {2}<([a-z_]+)>(.*)<\/\1>$/gm

const escape = (value: string): string =>
  value
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll(/[\r\n]+/g, " ")

/** The options of the fragments. */
export interface Options {
  readonly places: TurnContext.ByTurn<Places>
  /** Returns the environment of a turn with a context, at a time in milliseconds. */
  readonly environment: (now: number, context: TurnContext.TurnContext) => Environment
  /** Further fragments, each with another name. Recorded if the model does not know them, or knows another text. */
  readonly further?: Effect.Effect<FragmentUpdate, never, FileSystem.FileSystem> | undefined
}

/** Makes the fragments of a turn: instructions, environment, then the further ones. */
export const make =
  ({ environment, further = Effect.succeed(none), places }: Options) =>
  (known: ReadonlyArray<Fragment>): Effect.Effect<FragmentUpdate, never, FileSystem.FileSystem> =>
    Effect.gen(function* () {
      const context = yield* TurnContext.ofTurn
      const at = TurnContext.valueIn(places, context)
      const instructions = yield* read(at)
      const more = yield* further
      const now = yield* Clock.currentTimeMillis
      const isKnown = ({ name, text }: Fragment) => known.findLast((one) => one.name === name)?.text === text
      const own = instructionsFragment(at.cwd, instructions)
      const wasKnown = known.some(({ name }) => name === instructionsName)
      const isEmpty = instructions.text === "" && instructions.problems.length === 0
      const isDue = isEmpty ? wasKnown && !isKnown(own) : !isKnown(own)
      const surroundings = environmentFragment(environment(now, context), known)
      const changed = more.fragments.filter((one) => !isKnown(one))
      return {
        fragments: [...(isDue ? [own] : []), ...(surroundings === undefined ? [] : [surroundings]), ...changed],
        warnings: [...(isDue ? instructions.problems.map(describe) : []), ...(changed.length > 0 ? more.warnings : [])]
      }
    })

/** Returns the network that commands reach, as the environment names it. */
export const networkOf = (network: NetworkPolicy): Environment => {
  if (typeof network === "boolean") return [["network_access", network ? "enabled" : "restricted"]]
  const { allowed, denied } = network
  return [
    ["network_access", "restricted"],
    ["allowed_hosts", allowed.join(" ")],
    ...(denied.length === 0 ? [] : [["denied_hosts", denied.join(" ")] as const])
  ]
}

/** Returns the day of a time here, and the time zone, as the environment names them. */
export const dateOf = (now: number, timeZone: string): Environment => [
  ["current_date", dayOf(now)],
  ["timezone", timeZone]
]

/** Returns the day of a time here, as ISO 8601 writes it. */
export const dayOf = (now: number): string => {
  const date = new Date(now)
  const twoDigits = (value: number) => String(value).padStart(2, "0")
  return `${date.getFullYear()}-${twoDigits(date.getMonth() + 1)}-${twoDigits(date.getDate())}`
}
