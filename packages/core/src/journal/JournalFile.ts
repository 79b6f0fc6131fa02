/**
 * Journals on disk: one file of JSON lines for each session, below `YYYY/MM/DD` of its directory (contract J1, J2, J7).
 *
 * - *Torn ends*: opening for writing keeps the longest valid prefix and puts what follows beside it, in
 *   `<id>.jsonl.cut-<bytes>-<time>`.
 * - *Fence*: opening an existing file for writing renames it away and writes its valid prefix to a new one. An earlier
 *   writer that still lives finds after its next write
 *   that the path is no longer its file, and is refused before that write is acknowledged. This and the lease
 *   (`JournalLease`) are two nets, not one.
 * - *Archive*: an empty `<id>.jsonl.archived` beside a journal says that it was put away.
 * - *Durability*: an acknowledged record survives the death of the process. With `durability: "fsync"` also the loss of
 *   power, at the price of the disk's latency
 *   for each batch. Network file systems give less; see the README.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import type { SessionId } from "../protocol/Ids.ts"
import * as RecordCodec from "./RecordCodec.ts"
import { JournalFailed, SessionBusy, SessionNotFound } from "../protocol/SessionError.ts"
import { Journal, type JournalEntry, type JournalWriter, type Opened } from "../ports/Journal.ts"
import { JournalLease } from "../ports/JournalLease.ts"
import { acquireAll } from "./acquireAll.ts"

/** Where journals live and how safe they are. */
export interface JournalFileOptions {
  readonly directory: string
  /** `process` (default): written before acknowledged. `fsync`: on the disk before acknowledged. */
  readonly durability?: "process" | "fsync"
}

/**
 * Journals in files. Inside one process a session has one writer. Between processes it has one only with a
 * {@link JournalLease}, and by default there is none: then a second process may open a session that is being written, and
 * its earlier writer is refused at its next write, by the fence. `@spindle/app/SessionLease` is a lease for Node.
 */
export const layer = (options: JournalFileOptions): Layer.Layer<Journal, never, FileSystem.FileSystem> =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const fs = yield* FileSystem.FileSystem
      const lease = yield* JournalLease
      return make(fs, lease, options)
    })
  )

const suffix = ".jsonl"
/**
 * One position is remembered for this many records, so that reading back from a number is not linear in what stands
 * before it.
 */
const indexEvery = 256

interface Host {
  readonly fs: FileSystem.FileSystem
  readonly options: JournalFileOptions
}

const make = (fs: FileSystem.FileSystem, lease: JournalLease, options: JournalFileOptions): Journal => {
  const host: Host = { fs, options }
  const held = new Set<SessionId>()
  // the lease is between processes; inside one, this set decides
  const hold = (sessionId: SessionId) =>
    Effect.acquireRelease(
      Effect.suspend(() =>
        held.has(sessionId)
          ? Effect.fail(new SessionBusy({ sessionId, holder: "this process" }))
          : Effect.sync(() => void held.add(sessionId))
      ),
      () => Effect.sync(() => void held.delete(sessionId))
    )
  const marking = (mark: (path: string) => Effect.Effect<void, PlatformError>) =>
    Effect.fnUntraced(
      function* (sessionId: SessionId) {
        yield* hold(sessionId)
        yield* lease.acquire(sessionId)
        const found = yield* find(host, sessionId)
        if (Option.isNone(found)) return yield* new SessionNotFound({ sessionId })
        // whole, and with an earlier writer that still lives left behind
        yield* takeOver(host, sessionId, found.value)
        yield* failing(sessionId, "archive", mark(archivedPath(found.value)))
      },
      Effect.scoped,
      Effect.uninterruptible
    )
  return {
    open: Effect.fnUntraced(function* (sessionId, mode) {
      yield* hold(sessionId)
      yield* lease.acquire(sessionId)
      if (mode === "create") return yield* create(host, sessionId)
      const found = yield* find(host, sessionId)
      if (Option.isNone(found)) return yield* new SessionNotFound({ sessionId })
      const archived = yield* failing(sessionId, "open", fs.exists(archivedPath(found.value)))
      if (archived) return yield* new SessionNotFound({ sessionId, archived })
      return yield* takeOver(host, sessionId, found.value)
    }, acquireAll),
    load: Effect.fnUntraced(function* (sessionId) {
      const found = yield* find(host, sessionId)
      if (Option.isNone(found)) return yield* new SessionNotFound({ sessionId })
      // another process may be taking the journal over, or have died in it
      const read = fs.readFile(found.value)
      const taken = Effect.catch(fs.readFile(takenPath(found.value)), () => read)
      const bytes = yield* failing(
        sessionId,
        "read",
        Effect.catch(read, () => taken)
      )
      const { records, sizeBytes } = RecordCodec.validPrefix(bytes)
      return { records, cutBytes: bytes.length - sizeBytes, cutFile: undefined }
    }),
    list: list(host, "used"),
    archive: marking((path) => fs.writeFile(path, new Uint8Array(), { mode: 0o600 })),
    unarchive: marking((path) => fs.remove(path, { force: true })),
    archived: list(host, "archived")
  }
}

const failing = <A, R>(
  sessionId: SessionId,
  operation: JournalFailed["operation"],
  effect: Effect.Effect<A, PlatformError, R>
): Effect.Effect<A, JournalFailed, R> =>
  Effect.mapError(effect, (cause) => new JournalFailed({ sessionId, operation, detail: cause.message, cause }))

const fileName = (sessionId: SessionId): string => encodeURIComponent(sessionId) + suffix

/** The session whose journal has this path; undefined for a file of somebody else. */
const sessionOf = (path: string): SessionId | undefined => {
  const name = path.slice(path.lastIndexOf("/") + 1)
  try {
    const sessionId = decodeURIComponent(name.slice(0, -suffix.length)) as SessionId
    return fileName(sessionId) === name ? sessionId : undefined
  } catch {
    // the name is no encoded id
    return undefined
  }
}

/** The day that an id of version 7 was drawn, as a path; undefined for ids of another form. */
const dayOf = (sessionId: SessionId): string | undefined => {
  const match = /^([\da-f]{8})-([\da-f]{4})-7/.exec(sessionId)
  return match === null ? undefined : dayPath(Number.parseInt(match[1]! + match[2]!, 16))
}

const dayPath = (timeMillis: number): string => new Date(timeMillis).toISOString().slice(0, 10).replaceAll("-", "/")

/**
 * The path of a session's file: computed from its id, or searched. A file that a crash left renamed away is found as
 * well.
 */
const find = Effect.fnUntraced(function* ({ fs, options }: Host, sessionId: SessionId) {
  const day = dayOf(sessionId)
  const computed = day === undefined ? undefined : `${options.directory}/${day}/${fileName(sessionId)}`
  const there = (path: string) =>
    failing(
      sessionId,
      "open",
      Effect.map(Effect.all([fs.exists(path), fs.exists(takenPath(path))]), ([a, b]) => a || b)
    )
  if (computed !== undefined) return (yield* there(computed)) ? Option.some(computed) : Option.none<string>()
  if (!(yield* failing(sessionId, "open", fs.exists(options.directory)))) return Option.none<string>()
  const all = yield* failing(sessionId, "open", fs.readDirectory(options.directory, { recursive: true }))
  const name = fileName(sessionId)
  const relative = all.find(
    (path) => path === name || path.endsWith(`/${name}`) || path.endsWith(`/${takenPath(name)}`)
  )
  return Option.map(Option.fromUndefinedOr(relative), (path) => `${options.directory}/${settledPath(path)}`)
})

const archivedPath = (path: string): string => `${path}.archived`
const takenPath = (path: string): string => `${path}.taken`
/** The path of a journal that may have been renamed away. */
const settledPath = (path: string): string =>
  path.endsWith(takenPath(suffix)) ? path.slice(0, -takenPath("").length) : path

const create = Effect.fnUntraced(function* (host: Host, sessionId: SessionId) {
  const { fs, options } = host
  const day = dayOf(sessionId)
  const exists = Effect.suspend(() =>
    Effect.fail(new JournalFailed({ sessionId, operation: "open", detail: "there is a journal of this id already" }))
  )
  const directory = `${options.directory}/${day ?? dayPath(yield* Clock.currentTimeMillis)}`
  const path = `${directory}/${fileName(sessionId)}`
  // an id that does not say its day may stand below any; a take-over that died has left only the renamed file
  const there =
    day === undefined
      ? Effect.map(find(host, sessionId), Option.isSome)
      : failing(sessionId, "open", fs.exists(takenPath(path)))
  if (yield* there) return yield* exists
  const exclusive = fs.open(path, { flag: "ax", mode: 0o600 })
  const file = yield* Effect.catch(exclusive, (error) =>
    reasonOf(error) === "AlreadyExists"
      ? exists
      : reasonOf(error) === "NotFound"
        ? failing(sessionId, "open", Effect.andThen(fs.makeDirectory(directory, { recursive: true }), exclusive))
        : failing(sessionId, "open", Effect.fail(error))
  )
  return yield* writer(host, {
    file,
    sessionId,
    path,
    prefix: { records: [], sizeBytes: 0, offsets: [] },
    cut: { cutBytes: 0, cutFile: undefined }
  })
})

const reasonOf = (error: PlatformError): string => error.reason._tag

/**
 * The fence: the file is renamed away, and its valid prefix becomes the new file; an earlier writer is left with the
 * old one.
 */
const takeOver = Effect.fnUntraced(function* (host: Host, sessionId: SessionId, path: string) {
  const { fs } = host
  const taken = takenPath(path)
  const opening = <A>(effect: Effect.Effect<A, PlatformError>) => failing(sessionId, "open", effect)
  // a take-over that died after its rename left only the renamed file
  // mutant moved-before-it-is-read (J2: a journal is renamed before it is read, so that no later write is
  //   acknowledged):
  //   insert: const read = yield* opening(fs.readFile(path))
  if (yield* opening(fs.exists(path))) yield* opening(fs.rename(path, taken))
  // mutant moved-before-it-is-read (J2): replace: const bytes = read
  const bytes = yield* opening(fs.readFile(taken))
  const prefix = RecordCodec.validPrefix(bytes)
  const cutBytes = bytes.length - prefix.sizeBytes
  const cutFile = cutBytes === 0 ? undefined : `${path}.cut-${cutBytes}-${yield* Clock.currentTimeMillis}`
  if (cutFile !== undefined) yield* opening(fs.writeFile(cutFile, bytes.subarray(prefix.sizeBytes), { mode: 0o600 }))
  const fresh = `${path}.new`
  yield* opening(fs.writeFile(fresh, bytes.subarray(0, prefix.sizeBytes), { mode: 0o600 }))
  if (host.options.durability === "fsync")
    yield* opening(Effect.scoped(Effect.flatMap(fs.open(fresh, { flag: "r+" }), (file) => file.sync)))
  yield* opening(fs.rename(fresh, path))
  yield* opening(fs.remove(taken))
  const file = yield* failing(sessionId, "open", fs.open(path, { flag: "a", mode: 0o600 }))
  return yield* writer(host, { file, sessionId, path, prefix, cut: { cutBytes, cutFile } })
})

declare const TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }
const encoder = new TextEncoder()

/** A file that is ready to be written: what it holds, and what was cut from it. */
interface Ready {
  readonly file: FileSystem.File
  readonly sessionId: SessionId
  readonly path: string
  readonly prefix: RecordCodec.ValidPrefix
  readonly cut: Omit<Opened, "records">
}

const writer = Effect.fnUntraced(function* ({ fs, options }: Host, { cut, file, path, prefix, sessionId }: Ready) {
  const inode = Option.getOrUndefined((yield* failing(sessionId, "open", file.stat)).ino)
  let sizeBytes = prefix.sizeBytes
  let count = prefix.records.length
  let refused: JournalFailed | undefined
  /** Where every `indexEvery`-th record begins. */
  const index = prefix.offsets.filter((_, seq) => seq % indexEvery === 0)

  const fenced = Effect.suspend(() =>
    Effect.fail(
      new JournalFailed({ sessionId, operation: "fence", detail: "another writer has taken the journal over" })
    )
  )
  const stillOurs = Effect.matchEffect(fs.stat(path), {
    onFailure: () => fenced,
    onSuccess: (info) => (Option.getOrUndefined(info.ino) === inode ? Effect.void : fenced)
  })

  const append: JournalWriter["append"] = (records) =>
    Effect.suspend(() => {
      if (refused !== undefined) return Effect.fail(refused)
      const lines = records.map((record) => encoder.encode(RecordCodec.encode(record) + "\n"))
      const bytes = joined(lines)
      const written = failing(sessionId, "append", file.writeAll(bytes))
      const durable =
        options.durability === "fsync" ? Effect.andThen(written, failing(sessionId, "flush", file.sync)) : written
      // mutant file-fence (J2: a writer that lost its journal is rejected before its write is acknowledged):
      //   replace: `Effect.andThen(durable, stillOurs)` => `durable`
      return Effect.matchEffect(Effect.andThen(durable, stillOurs), {
        onFailure: (error) => {
          refused = error
          // what was not acknowledged does not stay; if even that fails the next opening cuts it
          const restore = error.operation === "fence" ? Effect.void : Effect.ignore(file.truncate(sizeBytes))
          return Effect.andThen(restore, Effect.fail(error))
        },
        onSuccess: () =>
          Effect.sync(() => {
            for (const line of lines) {
              if (count % indexEvery === 0) index.push(sizeBytes)
              sizeBytes += line.length
              count++
            }
          })
      })
    }).pipe(Effect.uninterruptible)

  const read: JournalWriter["read"] = Effect.fnUntraced(function* (from, limit) {
    if (from >= count || limit <= 0) return []
    const first = Math.floor(from / indexEvery)
    const start = index[first]!
    const end = index[Math.floor((from + limit - 1) / indexEvery) + 1] ?? sizeBytes
    const bytes = yield* failing(sessionId, "read", readRange(fs, path, { start, end }))
    const { records } = RecordCodec.validPrefix(bytes, first * indexEvery)
    return records.slice(from - first * indexEvery, from - first * indexEvery + limit)
  })

  return { opened: { records: prefix.records, ...cut }, coalesces: true, append, read } satisfies JournalWriter
})

const joined = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const readRange = (
  fs: FileSystem.FileSystem,
  path: string,
  { end, start }: { readonly start: number; readonly end: number }
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(path, { flag: "r" })
      const bytes = new Uint8Array(end - start)
      let filled = 0
      while (filled < bytes.length) {
        const got = yield* file.read(bytes.subarray(filled), { position: BigInt(start + filled) })
        if (got === 0) break
        filled += got
      }
      return bytes.subarray(0, filled)
    })
  )

const list = (
  { fs, options }: Host,
  wanted: "used" | "archived"
): Effect.Effect<ReadonlyArray<JournalEntry>, JournalFailed> =>
  Effect.gen(function* () {
    if (!(yield* fs.exists(options.directory))) return []
    const paths = yield* fs.readDirectory(options.directory, { recursive: true })
    const present = new Set(paths)
    const entries: Array<JournalEntry> = []
    for (const found of paths) {
      const path = settledPath(found)
      if (!path.endsWith(suffix) || (path !== found && present.has(path))) continue
      if (present.has(archivedPath(path)) !== (wanted === "archived")) continue
      const sessionId = sessionOf(path)
      if (sessionId === undefined) continue
      // a file that another process takes over just now is there again under its name, or will be
      const info = yield* Effect.catchIf(
        fs.stat(`${options.directory}/${found}`),
        (error) => reasonOf(error) === "NotFound",
        () => Effect.undefined
      )
      if (info?.type !== "File") continue
      entries.push({
        sessionId,
        updatedAt: Option.match(info.mtime, { onNone: () => 0, onSome: (time) => time.getTime() }),
        sizeBytes: Number(info.size)
      })
    }
    return entries.sort((a, b) => b.updatedAt - a.updatedAt)
  }).pipe(
    Effect.mapError(
      (cause) => new JournalFailed({ sessionId: "*" as SessionId, operation: "list", detail: cause.message, cause })
    )
  )
