/**
 * Snapshots of the working tree of a git repository: the changes between two of them can be taken back.
 *
 * A *change* has a snapshot from before and one from after. Taking it back restores every file that it changed, and
 * keeps the changes that others made. Taking back is a change as well, so it can be taken back itself.
 *
 * Snapshots belong to an owner, such as a session, and are in a separate directory: the repository of the user gets
 * no object, no ref and no lock. Files that git ignores are neither captured nor touched.
 */
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Git from "./Git.ts"
import type { FileRefused } from "./internal/anchoredFiles.ts"
import * as ChangePlan from "./internal/snapshots/changePlan.ts"
import * as Ignored from "./internal/snapshots/ignoredPaths.ts"
import * as Restoration from "./internal/snapshots/restoration.ts"
import * as Shadow from "./internal/snapshots/shadowRepository.ts"

export type { Conflict as PathProblem } from "./internal/snapshots/changePlan.ts"
export type { Captured, LeftOut, Limits as CaptureLimits } from "./internal/snapshots/shadowRepository.ts"

/** The bounds of snapshots. */
export interface Limits extends Shadow.Limits {
  /** The bytes of all snapshots of an owner. */
  readonly ownerBytes: number
  /** The time that one snapshot may take. */
  readonly duration: Duration.Input
}

/** The default bounds. */
export const limits: Limits = {
  fileBytes: 10 * 1024 * 1024,
  totalBytes: 256 * 1024 * 1024,
  files: 20_000,
  ownerBytes: 1024 * 1024 * 1024,
  duration: "10 minutes"
}

/** A change of the working tree, as it is stored. */
export class Change extends Schema.Opaque<Change>()(
  Schema.Struct({
    id: Schema.String,
    top: Schema.String,
    before: Shadow.Captured,
    /** Missing while the change is made, and after a crash of the program during it. */
    after: Schema.optionalKey(Shadow.Captured),
    /** The changes that this one took back. */
    takesBack: Schema.Array(Schema.String),
    /** The change that took this one back. */
    takenBackBy: Schema.optionalKey(Schema.String)
  }).annotate({ identifier: "SnapshotChange" })
) {}

/** The change of a path: its content is replaced, it is removed, or it exists again. */
export interface PathChange {
  readonly path: string
  readonly kind: "replaced" | "removed" | "created"
}

/** The effects of taking changes back. */
export interface Plan {
  /** The changes that are taken back, the latest first. */
  readonly changes: ReadonlyArray<Change>
  readonly paths: ReadonlyArray<PathChange>
  /** The paths that were changed by somebody else. Restoring needs force. */
  readonly conflicts: ReadonlyArray<ChangePlan.Conflict>
  /** The paths that are left as they are. */
  readonly untouched: ReadonlyArray<ChangePlan.Conflict>
  readonly steps: ReadonlyArray<Restoration.Step>
  /** The tree from which the plan starts. */
  readonly now: Shadow.Captured
  /** The repository whose files are restored. */
  readonly repository: Git.Repository
}

/** There is nothing to take back. */
export class NothingToUndo extends Schema.TaggedError<NothingToUndo>()("NothingToUndo", {
  wanted: Schema.Literals(["undo", "redo"])
}) {
  override get message() {
    return this.wanted === "undo" ? "there is no change of a turn to undo" : "there is no undo to take back"
  }
}

/** Paths were changed by somebody else since. Nothing was restored. */
export class UndoConflict extends Schema.TaggedError<UndoConflict>()("UndoConflict", {
  conflicts: Schema.Array(Schema.Struct({ path: Schema.String, detail: Schema.String }))
}) {
  override get message() {
    const named = this.conflicts.slice(0, 5).map(({ detail, path }) => `${path} ${detail}`)
    const more = this.conflicts.length - named.length
    return `nothing was restored: ${named.join("; ")}${more > 0 ? `; and ${more} more` : ""}`
  }
}

/** A snapshot could not be taken, read or restored. */
export class SnapshotFailed extends Schema.TaggedError<SnapshotFailed>()("SnapshotFailed", { detail: Schema.String }) {
  override get message() {
    return this.detail
  }
}

/** The result of recovering a restoration that a crash had cut. */
export interface Recovered {
  readonly result: "finished" | "rolledBack"
  readonly paths: ReadonlyArray<string>
  /** The paths that were changed after the crash, and are left as they are. */
  readonly untouched: ReadonlyArray<string>
}

/** The reason why a snapshot was not taken, read or restored. */
export type Failure = Git.GitFailed | SnapshotFailed

/** The snapshots of owners. Operations of one owner run one after another. */
export interface Snapshots {
  /**
   * Takes the snapshot before a change, after a restoration that a crash has cut is finished or taken back.
   * **Interruption** leaves nothing.
   */
  readonly begin: (owner: string, cwd: string) => Effect.Effect<Change, Failure>
  /** Takes the snapshot after a change. **Interruption** leaves the change without it. */
  readonly complete: (owner: string, id: string) => Effect.Effect<Change, Failure>
  /** Returns the changes of an owner, the earliest first. */
  readonly list: (owner: string) => Effect.Effect<ReadonlyArray<Change>, Failure>
  /** Plans to take back the last changes of an owner, or with `redo` the last taking back. Recovers as `begin` does. */
  readonly plan: (
    owner: string,
    wanted: { readonly count: number } | { readonly redo: true }
  ) => Effect.Effect<Plan, Failure | NothingToUndo>
  /**
   * Restores the files of a plan, all of them or none. With `force` it restores those in conflict as well.
   * **Interruption** before the first file is moved leaves every file as it was, even in an uninterruptible region;
   * then it is not interruptible.
   */
  readonly restore: (
    owner: string,
    plan: Plan,
    options: { readonly force: boolean }
  ) => Effect.Effect<Change, Failure | UndoConflict>
  /** Finishes a restoration that a crash has cut, or takes it back. Undefined if there is none. */
  readonly recover: (owner: string) => Effect.Effect<Recovered | undefined, Failure>
  /** Removes the snapshots of every owner that is not kept. */
  readonly collect: (isKept: (owner: string) => boolean) => Effect.Effect<void, Failure>
}

/** The service key of {@link Snapshots}. */
export const Snapshots: Context.Service<Snapshots, Snapshots> = Context.Service("@spindle/tools/Snapshots")

/** The directory of snapshots, and their bounds. Only this program may use the directory. */
export interface Options {
  readonly directory: string
  readonly limits?: Partial<Limits> | undefined
}

/** The services that snapshots need. */
export type Services = FileSystem.FileSystem | Path.Path | Git.Git

/** Snapshots below a directory. */
export const layer = (options: Options): Layer.Layer<Snapshots, never, Services> =>
  Layer.effect(
    Snapshots,
    Effect.map(Effect.context<Services>(), (context) => {
      const store = { directory: options.directory, limits: { ...limits, ...options.limits } }
      const locks = new Map<string, Semaphore.Semaphore>()
      const run = <A, E>(owner: string, effect: Effect.Effect<A, E | PlatformError | FileRefused, Services>) => {
        const lock = locks.get(owner) ?? Semaphore.makeUnsafe(1)
        locks.set(owner, lock)
        return Semaphore.withPermit(lock, Effect.provideContext(toSnapshotFailed(effect), context))
      }
      return Snapshots.of({
        begin: (owner, cwd) => run(owner, begin(placeOf(store, owner), cwd)),
        complete: (owner, id) => run(owner, complete(placeOf(store, owner), id)),
        list: (owner) => run(owner, list(placeOf(store, owner))),
        plan: (owner, wanted) => run(owner, plan(placeOf(store, owner), wanted)),
        restore: (owner, planned, { force }) => run(owner, restore(placeOf(store, owner), planned, force)),
        recover: (owner) => run(owner, recover(placeOf(store, owner))),
        collect: (isKept) => Effect.provideContext(toSnapshotFailed(collect(store.directory, isKept)), context)
      })
    })
  )

/** {@link layer}, its options read from the configuration. */
export const layerConfig = (options: Config.Wrap<Options>): Layer.Layer<Snapshots, Config.ConfigError, Services> =>
  Layer.unwrap(Effect.map(Config.unwrap(options), layer))

/** Turns the errors of the file system into the errors of this service. */
const toSnapshotFailed = <A, E, R>(
  effect: Effect.Effect<A, E | PlatformError | FileRefused | Restoration.PathRefused, R>
): Effect.Effect<A, Exclude<E, PlatformError | FileRefused | Restoration.PathRefused> | SnapshotFailed, R> =>
  Effect.mapError(effect, (error) => {
    const { _tag, message } = error as { readonly _tag?: string; readonly message: string }
    if (_tag === "PlatformError") {
      return new SnapshotFailed({
        detail: `a file could not be read or written: ${Restoration.reasonOf(error as PlatformError)}`
      })
    }
    return _tag === "FileRefused" || _tag === "PathRefused"
      ? new SnapshotFailed({ detail: message })
      : (error as Exclude<E, PlatformError | FileRefused | Restoration.PathRefused>)
  })

/** The directory of an owner. */
interface Place {
  readonly directory: string
  readonly limits: Limits
}

const placeOf = (store: Place, owner: string): Place => ({
  ...store,
  directory: `${store.directory}/${encodeURIComponent(owner)}`
})

const changesOf = ({ directory }: Place): string => `${directory}/changes`

const shadowOf = ({ directory }: Place, repository: Git.Repository): Shadow.Shadow => ({
  // the end of a path is more specific than its beginning, and the length of a file name is limited
  directory: `${directory}/trees/${encodeURIComponent(repository.top).slice(-180)}`,
  repository
})

const capture = Effect.fnUntraced(function* (place: Place, shadow: Shadow.Shadow) {
  const used = (yield* list(place)).reduce((sum, one) => sum + one.before.bytes + (one.after?.bytes ?? 0), 0)
  if (used > place.limits.ownerBytes) {
    const detail = `the snapshots hold ${megabytes(used)}; the limit is ${megabytes(place.limits.ownerBytes)}`
    return yield* new SnapshotFailed({ detail })
  }
  return yield* Effect.timeoutOrElse(Shadow.capture(shadow, place.limits), {
    duration: place.limits.duration,
    orElse: () =>
      Effect.fail(
        new SnapshotFailed({
          detail: `the snapshot was not complete after ${Duration.format(Duration.fromInputUnsafe(place.limits.duration))}`
        })
      )
  })
})

const megabytes = (bytes: number): string => `${Math.floor(bytes / 1_048_576)} MiB`

const begin = Effect.fnUntraced(function* (place: Place, cwd: string) {
  // mutant recovers-before-a-snapshot (S12: a snapshot never shows files that are half restored): drop
  yield* recover(place)
  const repository = yield* Git.repositoryOf(cwd)
  const before = yield* capture(place, shadowOf(place, repository))
  const id = yield* nextId(place)
  return yield* save(place, { id, top: repository.top, before, takesBack: [] })
})

const complete = Effect.fnUntraced(function* (place: Place, id: string) {
  const change = (yield* list(place)).find((one) => one.id === id)
  if (change === undefined) return yield* new SnapshotFailed({ detail: `there is no snapshot ${id}` })
  const repository = yield* Git.repositoryOf(change.top)
  return yield* save(place, { ...change, after: yield* capture(place, shadowOf(place, repository)) })
})

/** Returns the next id. Ids count up, so that their order is that of the changes. */
const nextId = (place: Place) =>
  Effect.map(list(place), (changes) => String(Number(changes.at(-1)?.id ?? 0) + 1).padStart(6, "0"))

const changeJson = Schema.fromJsonString(Change)

/** Writes a file so that it has either its old or its new content. */
const writeFile = Effect.fnUntraced(function* (path: string, content: string) {
  const fileSystem = yield* FileSystem.FileSystem
  yield* fileSystem.makeDirectory(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 })
  yield* fileSystem.writeFileString(`${path}~`, content)
  yield* fileSystem.rename(`${path}~`, path)
})

const save = Effect.fnUntraced(function* (place: Place, change: Change) {
  const content = yield* Effect.orDie(Schema.encodeEffect(changeJson)(change))
  yield* writeFile(`${changesOf(place)}/${change.id}.json`, content)
  return change
})

const list = Effect.fnUntraced(function* (
  place: Place
): Effect.fn.Return<ReadonlyArray<Change>, PlatformError | SnapshotFailed, FileSystem.FileSystem> {
  const fileSystem = yield* FileSystem.FileSystem
  const directory = changesOf(place)
  if (!(yield* fileSystem.exists(directory))) return []
  const names = (yield* fileSystem.readDirectory(directory)).filter((name) => name.endsWith(".json"))
  return yield* Effect.forEach(names.toSorted(), (name) => readJson(`${directory}/${name}`, changeJson))
})

const readJson = Effect.fnUntraced(function* <A>(path: string, schema: Schema.Codec<A, string>) {
  const fileSystem = yield* FileSystem.FileSystem
  const content = yield* fileSystem.readFileString(path)
  return yield* Effect.mapError(
    Schema.decodeEffect(schema)(content),
    (error) => new SnapshotFailed({ detail: `cannot read ${path}: ${error.message}` })
  )
})

const plan = Effect.fnUntraced(function* (place: Place, wanted: { readonly count: number } | { readonly redo: true }) {
  yield* recover(place)
  const all = (yield* list(place)).toReversed().filter((one) => one.takenBackBy === undefined)
  const changes =
    "redo" in wanted
      ? all.filter((one) => one.takesBack.length > 0).slice(0, 1)
      : all.filter((one) => one.takesBack.length === 0).slice(0, wanted.count)
  const [latest] = changes
  if (latest === undefined) return yield* new NothingToUndo({ wanted: "redo" in wanted ? "redo" : "undo" })
  const foreign = changes.find((one) => one.top !== latest.top)
  if (foreign !== undefined) {
    return yield* new SnapshotFailed({ detail: `the turns worked in two repositories: ${latest.top}, ${foreign.top}` })
  }
  const repository = yield* Git.repositoryOf(latest.top)
  const shadow = shadowOf(place, repository)
  const now = yield* capture(place, shadow)
  // after a crash, nothing tells the changes of the turn from those of the user
  const unknown = changes.filter((one) => one.after === undefined)
  const treeAfter = (one: Change) => one.after?.tree ?? now.tree
  const differences = yield* Effect.forEach(changes, (one) =>
    Shadow.differences(shadow, one.before.tree, treeAfter(one))
  )
  const ignored = changes.flatMap(({ after = now, before }, index) =>
    Ignored.among(differences[index]!, before.ignored, after.ignored)
  )
  // where nothing is, nothing can be lost
  const existing = yield* Effect.filter(ignored, (path) =>
    Effect.map(Restoration.infoOf(shadow, path), (info) => info !== undefined)
  )
  const planned = ChangePlan.plan({
    changes: differences,
    since: yield* Shadow.differences(shadow, treeAfter(latest), now.tree),
    leftOut: new Set(
      [now, ...changes.flatMap((one) => [one.before, one.after ?? now])].flatMap((one) =>
        one.leftOut.map(({ path }) => path)
      )
    ),
    ignored: new Set(existing)
  })
  const result: Plan = {
    ...planned,
    changes,
    now,
    repository,
    paths: planned.steps.map(({ from, path, to }) => ({
      path,
      kind: to === undefined ? "removed" : from === undefined ? "created" : "replaced"
    })),
    conflicts:
      unknown.length === 0
        ? planned.conflicts
        : planned.steps.map(({ path }) => ({
            path,
            detail: "may have been changed since: the program died in the turn"
          }))
  }
  return result
})

const journalJson = Schema.fromJsonString(
  Schema.Struct({
    ...Restoration.Journal.fields,
    top: Schema.String,
    id: Schema.String,
    now: Shadow.Captured,
    takesBack: Schema.Array(Schema.String)
  })
)
type StoredJournal = typeof journalJson.Type

const journalOf = ({ directory }: Place): string => `${directory}/restoration.json`

const writeJournal = Effect.fnUntraced(function* (place: Place, journal: StoredJournal) {
  yield* writeFile(journalOf(place), yield* Effect.orDie(Schema.encodeEffect(journalJson)(journal)))
})

const removeJournal = (place: Place) =>
  Effect.flatMap(FileSystem.FileSystem, (fileSystem) => fileSystem.remove(journalOf(place), { force: true }))

const restore = Effect.fnUntraced(function* (place: Place, plan: Plan, force: boolean) {
  const { changes, conflicts, now, repository, steps } = plan
  if (conflicts.length > 0 && !force) return yield* new UndoConflict({ conflicts })
  const shadow = shadowOf(place, repository)
  const id = yield* nextId(place)
  const journal: StoredJournal = {
    phase: "staging",
    id,
    top: repository.top,
    now,
    takesBack: changes.map((one) => one.id),
    steps: yield* Restoration.planStaging(shadow, id, steps)
  }
  return yield* Effect.interruptible(stage(place, shadow, journal)).pipe(
    Effect.andThen(move(place, shadow, journal)),
    // mutant failed-restoration-is-discarded (S12: a restoration that fails removes what it has staged): drop
    Effect.onError((cause) => abandon(place, { journal, cause })),
    // the journal outlives a failure here, so the next start concludes the restoration
    Effect.andThen(conclude(place, shadow, journal)),
    Effect.uninterruptible
  )
})

const stage = Effect.fnUntraced(function* (place: Place, shadow: Shadow.Shadow, journal: StoredJournal) {
  // mutant journal-before-staging (S12: files are staged after the journal that names them is written): drop
  yield* writeJournal(place, journal)
  yield* Restoration.stage(shadow, journal.steps)
  yield* Restoration.check(shadow, journal.steps)
})

const move = Effect.fnUntraced(function* (place: Place, shadow: Shadow.Shadow, journal: StoredJournal) {
  // mutant moving-is-journalled (S12: a restoration that has begun to move files is finished by the next start): drop
  yield* writeJournal(place, { ...journal, phase: "moving" })
  yield* Restoration.move(shadow, journal.steps)
})

/** Removes the staged files of a restoration, unless only the next start can finish it. */
const abandon = (
  place: Place,
  { cause, journal }: { readonly journal: StoredJournal; readonly cause: Cause.Cause<unknown> }
) => {
  const error = Cause.squash(cause)
  if (error instanceof Restoration.PathRefused && error.isHalfDone) return Effect.void
  return Effect.catch(
    Effect.andThen(Restoration.discard(journal.top, journal.steps), removeJournal(place)),
    (failure) => Effect.logWarning(`files of an undo could not be removed: ${failure.message}`)
  )
}

/** Records that changes were taken back, and forgets the journal. It may run again after a crash. */
const conclude = Effect.fnUntraced(function* (place: Place, shadow: Shadow.Shadow, journal: StoredJournal) {
  const after = yield* Shadow.capture(shadow, place.limits)
  const { id, now, takesBack, top } = journal
  const all = yield* list(place)
  const took = all.filter((one) => takesBack.includes(one.id))
  for (const one of took) {
    yield* save(place, { ...one, takenBackBy: id })
    // the changes that an undo took back exist again once the undo is taken back
    for (const again of all.filter(({ takenBackBy }) => takenBackBy === one.id)) {
      const { takenBackBy: _, ...rest } = again
      yield* save(place, rest)
    }
  }
  const isRedo = took.some((one) => one.takesBack.length > 0)
  const change: Change = { id, top, before: now, after, takesBack, ...(isRedo ? { takenBackBy: id } : {}) }
  yield* save(place, change)
  yield* removeJournal(place)
  return change
})

const recover = Effect.fnUntraced(function* (
  place: Place
): Effect.fn.Return<Recovered | undefined, Failure | PlatformError | FileRefused | Restoration.PathRefused, Services> {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(journalOf(place)))) return undefined
  const journal = yield* readJson(journalOf(place), journalJson)
  const paths = journal.steps.map((step) => step.path)
  if (journal.phase === "staging") {
    yield* Restoration.discard(journal.top, journal.steps)
    yield* removeJournal(place)
    return { result: "rolledBack", paths, untouched: [] } satisfies Recovered
  }
  const shadow = shadowOf(place, yield* Git.repositoryOf(journal.top))
  return yield* Effect.uninterruptible(
    Effect.gen(function* () {
      const untouched = yield* Restoration.finish(shadow, journal.steps)
      // mutant finished-restoration-is-concluded (S12: a restoration that the next start finishes is a change): drop
      yield* conclude(place, shadow, journal)
      return { result: "finished", paths, untouched } satisfies Recovered
    })
  )
})

const collect = Effect.fnUntraced(function* (directory: string, isKept: (owner: string) => boolean) {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(directory))) return
  for (const name of yield* fileSystem.readDirectory(directory)) {
    if (!isKept(decodeURIComponent(name))) yield* fileSystem.remove(`${directory}/${name}`, { recursive: true })
  }
})

const reasons: { readonly [reason in Shadow.LeftOut["reason"]]: string } = {
  large: "too large",
  many: "more than a snapshot holds",
  repository: "another repository",
  unreadable: "not readable",
  special: "not a file",
  name: "a name that is not UTF-8"
}

/** Describes the paths that a snapshot left out, for a person; undefined if it left out none. */
export const describeLeftOut = ({ leftOut }: Pick<Shadow.Captured, "leftOut">): string | undefined => {
  if (leftOut.length === 0) return undefined
  const named = leftOut.slice(0, 3).map(({ path, reason }) => `${path} (${reasons[reason]})`)
  const more = leftOut.length - named.length
  return `an undo of this turn will not restore ${named.join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}
