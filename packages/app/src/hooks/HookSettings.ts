/**
 * Reads the commands that are hooks: `hooks.json` and the table `[hooks]` of the home, then `.spindle/hooks.json` of
 * the project.
 *
 * ```json
 * { "hooks": { "PreToolUse": [{ "matcher": "exec_command", "hooks": [{ "type": "command", "command": "./check" }] }] } }
 * ```
 *
 * A fault of one handler is reported as a problem with its place, and the other handlers run. The hooks of a project
 * run only if their file was trusted, by its hash.
 */
import { createHash } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { directoriesOf, readFile } from "../Instructions.ts"
import type { Settings } from "../Settings.ts"

/** The events that run hooks. */
export const events = [
  "SessionStart",
  "UserPromptSubmit",
  "PreToolUse",
  "PermissionRequest",
  "PostToolUse",
  "PreCompact",
  "PostCompact",
  "Stop",
  "Interrupt",
  "Notification",
  "SubagentStart",
  "SubagentStop"
] as const
/** @see {@link events} */
export type HookEvent = (typeof events)[number]

// the other events have no subject
const matched: ReadonlyArray<HookEvent> = [
  "SessionStart",
  "PreToolUse",
  "PermissionRequest",
  "PostToolUse",
  "PreCompact",
  "PostCompact",
  "Interrupt",
  "Notification"
]

/** One command. `order` is its place among all handlers. */
export interface Handler {
  readonly order: number
  readonly event: HookEvent
  /**
   * Selects the subject of an event: a tool, the way in which the session starts, the reason for a compaction or an
   * abort, the type of a notification. Undefined if everything is selected.
   */
  readonly matcher: RegExp | undefined
  readonly command: string
  readonly timeoutMillis: number
  /** True if a failure of the handler blocks the event. */
  readonly isClosed: boolean
  readonly statusMessage: string | undefined
  /** The file that declares it. */
  readonly source: string
}

/** The hooks of a project, including those that may not run. */
export interface ProjectHooks {
  readonly file: string
  /** The SHA-256 of the file, in hexadecimal. */
  readonly hash: string
  readonly isTrusted: boolean
  readonly handlers: ReadonlyArray<Handler>
}

/** The hooks that were found. `handlers` are those that may run. Each problem is a line that begins with its place. */
export interface HookSettings {
  readonly handlers: ReadonlyArray<Handler>
  readonly project: ProjectHooks | undefined
  readonly problems: ReadonlyArray<string>
}

/** No hooks. */
export const none: HookSettings = { handlers: [], project: undefined, problems: [] }

/** The part of the settings that is needed. */
export type Places = Pick<Settings, "home" | "configDirectory" | "hooks" | "projectDoc">

/** Reads the hooks of the home and of the project of a directory. */
export const load = Effect.fnUntraced(function* (
  places: Places,
  cwd: string
): Effect.fn.Return<HookSettings, never, FileSystem.FileSystem> {
  const problems: Array<string> = []
  const handlers: Array<Handler> = []
  const own = yield* layerOf(Path.join(places.configDirectory, "hooks.json"), problems)
  if (own !== undefined) addHandlers(handlers, own, problems)
  if (places.hooks !== undefined) {
    addHandlers(handlers, { source: places.hooks.source, text: undefined, table: places.hooks.table }, problems)
  }
  const file = yield* projectFile(places, cwd)
  const layer = yield* layerOf(file, problems)
  if (layer?.text === undefined) return { handlers, project: undefined, problems }
  const found: Array<Handler> = []
  addHandlers(found, { ...layer, before: handlers.length }, problems)
  const hash = hashOf(layer.text)
  const isTrusted = (yield* trustedHashes(places.home))[file] === hash
  if (!isTrusted && found.length > 0) {
    problems.push(`${file}: these hooks run only after they were trusted: spindle hooks trust`)
  }
  return {
    handlers: isTrusted ? [...handlers, ...found] : handlers,
    project: { file, hash, isTrusted, handlers: found },
    problems
  }
})

/** Returns the hooks file of the project of a directory. It may not exist. */
const projectFile = ({ projectDoc }: Places, cwd: string): Effect.Effect<string, never, FileSystem.FileSystem> =>
  Effect.map(directoriesOf({ cwd, rootMarkers: projectDoc.rootMarkers }), ([root = cwd]) =>
    Path.join(root, ".spindle", "hooks.json")
  )

/** Remembers that the hooks of a project may run as they are now. */
export const trust = Effect.fnUntraced(function* (
  places: Pick<Places, "home">,
  { file, hash }: ProjectHooks
): Effect.fn.Return<void, never, FileSystem.FileSystem> {
  const path = trustFile(places.home)
  const text = JSON.stringify({ ...(yield* trustedHashes(places.home)), [file]: hash }, undefined, 2)
  yield* Effect.promise(async () => {
    await Fs.mkdir(places.home, { recursive: true, mode: 0o700 })
    // a reader sees the old file or the new one
    const written = `${path}.${process.pid}`
    await Fs.writeFile(written, `${text}\n`, { mode: 0o600 })
    await Fs.rename(written, path)
  })
})

const trustFile = (home: string): string => Path.join(home, "trusted-hooks.json")

const Hashes = Schema.fromJsonString(Schema.Record(Schema.String, Schema.String))

/** Returns the hashes of the files that were trusted, by path; none if the list cannot be read. */
const trustedHashes = (home: string): Effect.Effect<typeof Hashes.Type, never, FileSystem.FileSystem> =>
  Effect.map(readFile(trustFile(home), limitBytes), (file) => {
    if (file?._tag !== "File") return {}
    const decoded = Schema.decodeUnknownExit(Hashes)(file.text)
    return decoded._tag === "Success" ? decoded.value : {}
  })

const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex")

const limitBytes = 1 << 20

/** The hooks of one file. Without `text` they come from a table, whose places are not known. */
interface Layer {
  readonly source: string
  readonly text: string | undefined
  readonly table: unknown
  /** The number of handlers in earlier files. */
  readonly before?: number
}

const layerOf = Effect.fnUntraced(function* (
  path: string,
  problems: Array<string>
): Effect.fn.Return<Layer | undefined, never, FileSystem.FileSystem> {
  const file = yield* readFile(path, limitBytes)
  if (file === undefined) return undefined
  if (file._tag !== "File" || file.isCut) {
    const why =
      file._tag === "NotUtf8" ? "it is not UTF-8 text" : file._tag === "Unreadable" ? file.detail : "too large"
    problems.push(`${path}: cannot read the hooks: ${why}`)
    return undefined
  }
  try {
    const parsed: unknown = JSON.parse(file.text)
    const table = isTable(parsed) ? (parsed["hooks"] ?? {}) : parsed
    return { source: path, text: file.text, table }
  } catch (error) {
    problems.push(`${path}: cannot read the hooks: ${String((error as Error).message).split("\n")[0]}`)
    return undefined
  }
})

interface Table {
  readonly [key: string]: unknown
}

const isTable = (value: unknown): value is Table => typeof value === "object" && value !== null && !Array.isArray(value)

const addHandlers = (all: Array<Handler>, layer: Layer, problems: Array<string>): void => {
  const { before = 0, source, table } = layer
  const addProblem = (name: string, what: string) => problems.push(`${placeOf(layer, name)}: ${what}`)
  if (!isTable(table)) return void problems.push(`${source}: hooks must be a table of events`)
  for (const [name, groups] of Object.entries(table)) {
    const event = events.find((one) => one === name)
    if (event === undefined) {
      addProblem(name, `unknown hook event ${name}; there are: ${events.join(", ")}`)
      continue
    }
    if (!Array.isArray(groups)) {
      addProblem(name, `${name} must be a list`)
      continue
    }
    for (const group of groups as ReadonlyArray<unknown>) {
      const decoded = Schema.decodeUnknownExit(Group)(group)
      if (decoded._tag === "Failure") {
        addProblem(name, `each entry of ${name} needs hooks, a list of { type = "command", command, timeout }`)
        continue
      }
      const matcher = matcherOf(event, decoded.value.matcher)
      if (matcher === "invalid") {
        addProblem(name, `the matcher ${decoded.value.matcher} of ${name} is not a regular expression`)
        continue
      }
      for (const { command, failure, statusMessage, timeout = timeoutOf(event), type } of decoded.value.hooks) {
        if (type !== "command" || command === undefined || command.trim() === "") {
          addProblem(name, `${name} has a hook that is no command; only type "command" with a command runs`)
          continue
        }
        all.push({
          order: before + all.length,
          event,
          matcher,
          command,
          timeoutMillis: Math.max(1, timeout) * 1_000,
          isClosed: failure === "closed",
          statusMessage,
          source
        })
      }
    }
  }
}

const Group = Schema.Struct({
  matcher: Schema.optionalKey(Schema.String),
  hooks: Schema.Array(
    Schema.Struct({
      type: Schema.String,
      command: Schema.optionalKey(Schema.String),
      timeout: Schema.optionalKey(Schema.Finite),
      failure: Schema.optionalKey(Schema.Literals(["open", "closed"])),
      statusMessage: Schema.optionalKey(Schema.String)
    })
  )
})

/** Returns the default limit in seconds. It is short for `Interrupt`, because the end of an aborted turn waits. */
const timeoutOf = (event: HookEvent): number => (event === "Interrupt" ? 1 : 600)

/** Returns the time that an aborted turn waits for its hooks: the limit of the slowest, and the time to end it. */
export const interruptLimitMillis = ({ handlers }: Pick<HookSettings, "handlers">): number =>
  Math.max(1_000, ...handlers.flatMap((one) => (one.event === "Interrupt" ? [one.timeoutMillis + 1_000] : [])))

const matcherOf = (event: HookEvent, text: string | undefined): RegExp | undefined | "invalid" => {
  if (text === undefined || text === "" || text === "*" || !matched.includes(event)) return undefined
  try {
    return new RegExp(text)
  } catch {
    return "invalid"
  }
}

/** Returns the file, with line and column of the first key of this name if its text is known. */
const placeOf = ({ source, text }: Layer, name: string): string => {
  const at = text?.indexOf(JSON.stringify(name)) ?? -1
  if (text === undefined || at < 0) return source
  const before = text.slice(0, at).split("\n")
  return `${source}:${before.length}:${before.at(-1)!.length + 1}`
}

/** Returns the handlers of an event whose matcher selects the subject. */
export const select = (
  handlers: ReadonlyArray<Handler>,
  event: HookEvent,
  subject: string | undefined
): ReadonlyArray<Handler> =>
  handlers.filter(
    (one) => one.event === event && (one.matcher === undefined || subject === undefined || one.matcher.test(subject))
  )
