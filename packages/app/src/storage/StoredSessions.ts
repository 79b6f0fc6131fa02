/**
 * The sessions below a home: their journals and their other data, and how they are found. A search never opens a
 * journal for writing.
 */
import * as FileSystem from "node:fs"
import * as Path from "node:path"
import { Journal, type JournalEntry } from "@spindle/core/Journal"
import type { SessionId } from "@spindle/core/Ids"
import * as JournalFile from "@spindle/core/JournalFile"
import { textOf } from "@spindle/core/Input"
import type { JournalFailed } from "@spindle/core/SessionError"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as SessionStores from "@spindle/core/SessionStores"
import * as Git from "@spindle/tools/Git"
import * as Snapshots from "@spindle/tools/Snapshots"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as EffectFileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as EffectPath from "effect/Path"
import * as Schema from "effect/Schema"
import type { ChildProcessSpawner } from "effect/process/ChildProcessSpawner"
import * as SessionLease from "./SessionLease.ts"

/** Returns the session that started this one, and the name of this one there; undefined for one without a parent. */
export const parentOf = (
  records: ReadonlyArray<JournalRecord>
): { readonly id: string; readonly name: string | undefined } | undefined => {
  const first = records[0]
  if (first?._tag !== "SessionStarted" || first.meta["parent"] === undefined) return undefined
  return { id: first.meta["parent"], name: first.meta["name"] }
}

/** Returns the working directory of a session; undefined if its journal has none. */
export const directoryOf = (records: ReadonlyArray<JournalRecord>): string | undefined =>
  records[0]?._tag === "SessionStarted" ? records[0].meta["cwd"] : undefined

/** Returns true if two paths name the same directory, after symbolic links are resolved. */
export const isSameDirectory = (one: string, other: string): boolean => realPath(one) === realPath(other)

const realPath = (path: string): string => {
  try {
    return FileSystem.realpathSync(path)
  } catch {
    // the directory no longer exists
    return path
  }
}

/**
 * Finds the session that was written last, has a turn and has no parent; undefined if there is none. With `cwd`, only a
 * session of that directory counts. It reads each journal that it skips, and logs a warning for one that cannot be
 * read.
 */
export const findLatest = Effect.fnUntraced(function* (options: {
  readonly cwd?: string | undefined
}): Effect.fn.Return<SessionId | undefined, JournalFailed, Journal> {
  const { cwd } = options
  const journal = yield* Journal
  for (const { sessionId } of yield* journal.list) {
    const records = yield* Effect.catch(
      Effect.map(journal.load(sessionId), (opened) => opened.records),
      (error) => Effect.as(Effect.logWarning(`${error.message}; it was skipped`), [])
    )
    const directory = directoryOf(records)
    const isHere = cwd === undefined || (directory !== undefined && isSameDirectory(directory, cwd))
    if (isHere && parentOf(records) === undefined && records.some(({ _tag }) => _tag === "TurnStarted")) {
      return sessionId
    }
  }
  return undefined
})

/** More than one session has an id that begins like this. */
export class SessionAmbiguous extends Schema.TaggedError<SessionAmbiguous>()("SessionAmbiguous", {
  prefix: Schema.String,
  count: Schema.Finite
}) {
  override get message() {
    return `${this.count} sessions have an id that begins with ${this.prefix}; give more of it`
  }
}

/**
 * Returns the id that begins with `prefix`, archived sessions included; the prefix itself if there is none. **Errors**:
 * `SessionAmbiguous` if there are several.
 */
export const find = Effect.fnUntraced(function* (
  prefix: string
): Effect.fn.Return<SessionId, JournalFailed | SessionAmbiguous, Journal> {
  const journal = yield* Journal
  const ids = [...(yield* journal.list), ...(yield* journal.archived)].map(({ sessionId }) => sessionId)
  const found = ids.filter((id) => id.startsWith(prefix))
  if (found.length === 0 || ids.some((id) => id === prefix)) return prefix as SessionId
  return found.length === 1 ? found[0]! : yield* new SessionAmbiguous({ prefix, count: found.length })
})

/** One session in a list. `parent` and `name` are set for an agent that another session started. */
export interface Summary {
  readonly id: SessionId
  readonly updated: string
  readonly turns: number
  readonly cwd: string | undefined
  /** The first input, or the description of the first task if that came before. */
  readonly firstInput: string | undefined
  readonly parent?: string
  readonly name?: string
}

/** Summarizes a session from its records. */
export const summaryOf = (entry: JournalEntry, records: ReadonlyArray<JournalRecord>): Summary => {
  const parent = parentOf(records)
  return {
    id: entry.sessionId,
    updated: new Date(entry.updatedAt).toISOString(),
    turns: records.filter((record) => record._tag === "TurnStarted").length,
    cwd: directoryOf(records),
    firstInput: records.map(textOfBeginning).find((text) => text !== undefined && text.trim() !== ""),
    ...(parent === undefined ? {} : { parent: parent.id, ...(parent.name === undefined ? {} : { name: parent.name }) })
  }
}

const textOfBeginning = (record: JournalRecord): string | undefined => {
  if (record._tag === "InputAccepted") return textOf(record.input)
  return record._tag === "TaskNote" ? record.message : undefined
}

/** Returns the file that `spindle trace` writes for a session by default. */
export const pageOf = (home: string, sessionId: SessionId): string => Path.join(home, "traces", `${sessionId}.html`)

/**
 * The data of sessions below a home, outside their journals: snapshots of files, and pages of `spindle trace`. It is
 * deleted with the session (contract J9).
 */
export const stores = (home: string): Layer.Layer<never, never, Snapshots.Snapshots> => {
  const pages: SessionStores.SessionStore = {
    name: "page",
    delete: (sessionId) =>
      Effect.try({
        try: () => FileSystem.rmSync(pageOf(home, sessionId), { force: true }),
        catch: (error) => new Cause.UnknownError(error, `the page cannot be deleted: ${String(error)}`)
      })
  }
  const snapshotStore = Effect.map(Snapshots.Snapshots, ({ collect }): SessionStores.SessionStore => ({
    name: "snapshots",
    delete: (sessionId) => collect((owner) => owner !== sessionId)
  }))
  return Layer.provideMerge(Layer.unwrap(Effect.map(snapshotStore, SessionStores.layer)), SessionStores.layer(pages))
}

/** The journals below a home, each leased by one process of this machine (contract J2). */
export const journals = (home: string): Layer.Layer<Journal, never, EffectFileSystem.FileSystem | EffectPath.Path> =>
  JournalFile.layer({ directory: Path.join(home, "sessions") }).pipe(Layer.provide(SessionLease.layer(home)))

/** The snapshots of sessions below a home, and git. */
export const snapshots = (
  home: string
): Layer.Layer<
  Snapshots.Snapshots | Git.Git,
  never,
  EffectFileSystem.FileSystem | EffectPath.Path | ChildProcessSpawner
> => Snapshots.layer({ directory: Path.join(home, "snapshots") }).pipe(Layer.provideMerge(Git.layer))
