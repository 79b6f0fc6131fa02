/**
 * Journals on disk: one file of JSON lines for each session, in the folder `YYYY/MM/DD` of a directory (contract J1,
 * J2, J7).
 *
 * - *Ownership*: a file is the journal of a session if it has the name of the session and its first record starts that
 *   session. Any other file is not listed and is never written to.
 * - *Damage*: damaged lines are skipped and stay where they are. Opening for writing moves unreadable bytes at the
 *   end to `<id>.jsonl.cut-<bytes>-<time>`.
 * - *Fence*: opening an existing journal for writing replaces its fence, `<id>.jsonl.fence`. An earlier writer that is
 *   still alive is refused before it acknowledges another write. The lease (`JournalLease`) is a second, independent
 *   protection.
 * - *Archive*: an empty `<id>.jsonl.archived` next to a journal marks it as archived.
 * - *Title*: `<id>.jsonl.title` repeats the title of the last `SessionRenamed` record, so that a list reads no
 *   journal. If a process dies between the two writes, the file has the earlier title until the journal is opened
 *   again.
 * - *Delete* removes the journal and its other files: cut bytes, fence, mark, title.
 * - *Durability*: an acknowledged record survives the death of the process. With `durability: "fsync"` it also
 *   survives a power failure, at the cost of one sync of the disk for each batch. Network file systems guarantee less;
 *   see the README.
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import type { JournalEntry, JournalFilter, JournalPage } from "../protocol/JournalEntry.ts"
import { Journal, type PageOptions } from "../ports/Journal.ts"
import { JournalLease } from "../ports/JournalLease.ts"
import type { SessionId } from "../protocol/Ids.ts"
import { JournalFailed, SessionBusy, SessionNotFound } from "../protocol/SessionError.ts"
import * as JournalPages from "../state/journalPages.ts"
import { acquireAll } from "./acquireAll.ts"
import * as Fence from "./fence.ts"
import { asJournalFailed, type Files, isNotFound, openRegular } from "./files.ts"
import { headOf } from "./head.ts"
import * as Paths from "./paths.ts"
import * as Sequence from "./sequence.ts"
import { readAll, refuseForeign, takeOver } from "./takeOver.ts"
import * as Titles from "./titles.ts"
import { makeWriter } from "./writer.ts"

/**
 * Keeps journals in files. Within one process a session has one writer. Between processes this holds only with a
 * {@link JournalLease}, and by default there is none. A second process may then open a session that is being written,
 * and the fence refuses the earlier writer at its next write. `@spindle/app/SessionLease` is a lease for Node.
 */
export const layer = (options: JournalFileOptions): Layer.Layer<Journal, never, FileSystem.FileSystem> =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const lease = yield* JournalLease
      return make({ fs, directory: options.directory, isSynced: options.durability === "fsync" }, lease)
    })
  )

/**
 * As {@link layer}, with options from the configuration. **Errors**: `ConfigError` if a value is missing or invalid.
 */
export const layerConfig = (
  options: Config.Wrap<JournalFileOptions>
): Layer.Layer<Journal, Config.ConfigError, FileSystem.FileSystem> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/**
 * Returns the path of the journal of a session; undefined for an id that does not contain the time at which it was
 * made.
 */
export const pathOf = (directory: string, sessionId: SessionId): string | undefined => {
  const day = Paths.dayOf(sessionId)
  return day === undefined ? undefined : Paths.journalPath(directory, day, sessionId)
}

/** The options of journals in files. */
export interface JournalFileOptions {
  readonly directory: string
  /**
   * The guarantee for acknowledged records. `process`: they survive the death of the process. `fsync`: they are on the
   * disk. Default: `process`.
   */
  readonly durability?: "process" | "fsync" | undefined
}

const make = (files: Files, lease: JournalLease): Journal => {
  const { fs } = files
  const held = new Set<SessionId>()
  // the lease is between processes; within one, this set decides
  const hold = (sessionId: SessionId) =>
    Effect.acquireRelease(
      Effect.suspend(() =>
        held.has(sessionId)
          ? Effect.fail(new SessionBusy({ sessionId, holder: "this process" }))
          : Effect.sync(() => void held.add(sessionId))
      ),
      () => Effect.sync(() => void held.delete(sessionId))
    )
  const change = <E>(apply: (sessionId: SessionId, path: string) => Effect.Effect<void, E, Scope.Scope>) =>
    Effect.fnUntraced(
      function* (sessionId: SessionId) {
        yield* hold(sessionId)
        yield* lease.acquire(sessionId)
        yield* apply(sessionId, yield* find(files, sessionId))
      },
      Effect.scoped,
      Effect.uninterruptible
    )
  const mark = (changeMark: (path: string) => Effect.Effect<void, PlatformError>) =>
    change((sessionId, path) =>
      Effect.andThen(
        // repairs the journal, and refuses an earlier writer that is still alive
        takeOver(files, sessionId, path),
        changeMark(Paths.archivedPath(path)).pipe(asJournalFailed("archive", sessionId))
      )
    )
  const listOf = (archived: boolean) => Effect.map(page(files, { archived }), ({ entries }) => entries)
  return {
    open: Effect.fnUntraced(function* (sessionId, mode) {
      yield* hold(sessionId)
      yield* lease.acquire(sessionId)
      if (mode === "create") return yield* create(files, sessionId)
      const path = yield* find(files, sessionId)
      const archived = yield* fs.exists(Paths.archivedPath(path)).pipe(asJournalFailed("open", sessionId))
      if (archived) return yield* new SessionNotFound({ sessionId, archived })
      return yield* takeOver(files, sessionId, path)
    }, acquireAll),
    load: Effect.fnUntraced(function* (sessionId) {
      const path = yield* find(files, sessionId)
      return yield* load(files, sessionId, path)
    }),
    list: listOf(false),
    archive: mark((path) => fs.writeFile(path, new Uint8Array(), { mode: 0o600 })),
    unarchive: mark((path) => fs.remove(path, { force: true })),
    archived: listOf(true),
    page: (options) => page(files, options),
    // an earlier writer that is still alive is refused at its next write, because its file is no longer there
    delete: change((sessionId, path) => remove(files, sessionId, path))
  }
}

/**
 * Returns the path of the journal of a session. If its id contains a time, the path is computed; otherwise the file is
 * searched for.
 */
const find = Effect.fnUntraced(function* ({ directory, fs }: Files, sessionId: SessionId) {
  if (!sessionId.isWellFormed()) return yield* new SessionNotFound({ sessionId })
  const opening = asJournalFailed("open", sessionId)
  const day = Paths.dayOf(sessionId)
  if (day !== undefined) {
    const path = Paths.journalPath(directory, day, sessionId)
    const exists = (yield* fs.exists(path).pipe(opening)) || (yield* fs.exists(Paths.takenPath(path)).pipe(opening))
    return exists ? path : yield* new SessionNotFound({ sessionId })
  }
  const paths = (yield* fs.exists(directory).pipe(opening))
    ? yield* fs.readDirectory(directory, { recursive: true }).pipe(opening)
    : []
  const found = paths.find((path) => Paths.sessionOf(Paths.originalPath(path)) === sessionId)
  if (found === undefined) return yield* new SessionNotFound({ sessionId })
  return `${directory}/${Paths.originalPath(found)}`
})

/** Reads a journal. Meanwhile another process may give the file its name back; see `takeOver`. */
const load = Effect.fnUntraced(function* (files: Files, sessionId: SessionId, path: string) {
  const read = (from: string) => Effect.scoped(Effect.flatMap(openRegular(files.fs, from), readAll))
  const { sequence, sizeBytes } = yield* read(path).pipe(
    Effect.catchIf(isNotFound, () => read(Paths.takenPath(path))),
    Effect.catchIf(isNotFound, () => read(path)),
    asJournalFailed("read", sessionId)
  )
  // a file without any record is new, or foreign
  if (sequence.records.length === 0) yield* refuseForeign(files, sessionId, path)
  return Sequence.openedOf(sequence, { cutBytes: sizeBytes - sequence.sizeBytes, cutFile: undefined })
})

const create = Effect.fnUntraced(function* (files: Files, sessionId: SessionId) {
  const { directory, fs } = files
  const opening = asJournalFailed("open", sessionId)
  if (!sessionId.isWellFormed()) {
    const detail = "the id contains half of a character, which no file name can carry"
    return yield* new JournalFailed({ sessionId, operation: "open", detail })
  }
  // a file with this id may be in the folder of any day, and under the name that an earlier version left
  const existing = yield* find(files, sessionId).pipe(Effect.catchTag("SessionNotFound", () => Effect.undefined))
  const detail = "a journal of this id exists already"
  if (existing !== undefined) return yield* new JournalFailed({ sessionId, operation: "open", detail })
  const day = Paths.dayOf(sessionId) ?? Paths.dayAt(yield* Clock.currentTimeMillis)
  const path = Paths.journalPath(directory, day, sessionId)
  const makeFile = fs.open(path, { flag: "ax", mode: 0o600 })
  const file = yield* makeFile.pipe(
    Effect.catchIf(isNotFound, () =>
      Effect.andThen(fs.makeDirectory(`${directory}/${day}`, { recursive: true }), makeFile)
    ),
    opening
  )
  return yield* makeWriter({ files, sessionId, path, file, fence: Fence.none, isNew: true }, Sequence.empty, noCut)
})

const everySession = "*" as SessionId

const noCut = { cutBytes: 0, cutFile: undefined }

const page = (files: Files, options: PageOptions): Effect.Effect<JournalPage, JournalFailed> => {
  const start = JournalPages.startOf(options.cursor)
  return start === undefined
    ? Effect.fail(JournalPages.malformedCursor(options.cursor))
    : asJournalFailed("list", everySession)(pageFrom(files, start, options))
}

const pageFrom = Effect.fnUntraced(function* (
  files: Files,
  start: JournalPages.Place,
  { archived = false, limit, ...filter }: PageOptions
) {
  const candidates = yield* candidatesOf(files, archived, filter)
  const entries: Array<JournalEntry> = []
  for (const { hasTitle, path, ...entry } of JournalPages.sortFrom(start, candidates)) {
    // one more than the page, which shows that another page follows
    if (entries.length > (limit ?? Infinity)) break
    const title = hasTitle ? yield* undefinedIfUnreadable(Titles.read(files, path)) : undefined
    if (!JournalPages.selectsTitle(filter, title)) continue
    if (!(yield* isJournal(files, entry.sessionId, path))) continue
    entries.push(title === undefined ? entry : { ...entry, title })
  }
  return JournalPages.pageOf(entries, limit)
})

/** Returns the files that have the name of a journal, as entries. */
const candidatesOf = Effect.fnUntraced(function* ({ directory, fs }: Files, archived: boolean, filter: JournalFilter) {
  if (!(yield* fs.exists(directory))) return []
  const paths = yield* fs.readDirectory(directory, { recursive: true })
  const present = new Set(paths)
  const candidates: Array<JournalEntry & { readonly path: string; readonly hasTitle: boolean }> = []
  for (const found of paths) {
    const original = Paths.originalPath(found)
    const sessionId = Paths.sessionOf(original)
    if (sessionId === undefined || present.has(Paths.archivedPath(original)) !== archived) continue
    if (original !== found && present.has(original)) continue
    const path = `${directory}/${found}`
    const info = yield* undefinedIfUnreadable(fs.stat(path))
    if (info === undefined) continue
    const updatedAt = Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() })
    const entry = { sessionId, updatedAt, sizeBytes: Number(info.size) }
    const hasTitle = present.has(Paths.titlePath(original))
    if (JournalPages.selectsPlace(filter, entry)) candidates.push({ ...entry, path, hasTitle })
  }
  return candidates
})

/** Returns whether a file is the journal of a session. A file that cannot be read is not known to be one. */
const isJournal = ({ fs }: Files, sessionId: SessionId, path: string) =>
  Effect.map(undefinedIfUnreadable(headOf(fs, path, sessionId)), (head) => head === "journal")

const undefinedIfUnreadable = <A, R>(reading: Effect.Effect<A, PlatformError, R>) =>
  Effect.catchIf(
    reading,
    (error) => isNotFound(error) || error.reason._tag === "PermissionDenied",
    () => Effect.undefined
  )

/** Removes the files of a journal, the journal itself last, so that an incomplete deletion can be repeated. */
const remove = Effect.fnUntraced(function* (files: Files, sessionId: SessionId, path: string) {
  const { fs } = files
  const deleting = asJournalFailed("delete", sessionId)
  for (const file of [path, Paths.takenPath(path)]) {
    if (yield* fs.exists(file).pipe(deleting)) yield* refuseForeign(files, sessionId, file)
  }
  const folder = path.slice(0, path.lastIndexOf("/"))
  const names = (yield* fs.readDirectory(folder).pipe(deleting)).filter((name) => Paths.belongsTo(name, sessionId))
  // the name of the journal itself is the shortest
  for (const name of names.sort((a, b) => b.length - a.length)) {
    yield* fs.remove(`${folder}/${name}`, { force: true }).pipe(deleting)
  }
})
