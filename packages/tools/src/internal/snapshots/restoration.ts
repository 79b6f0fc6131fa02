/**
 * Puts files of a working tree back, all of them or none, even if the program dies in between.
 *
 * ```
 * write the journal ─► write every new file next to its place ─► check, mark the journal ─► move into place ─► done
 * └────────── a crash here is rolled back ──────────┘             └── a crash here is finished ──┘
 * ```
 *
 * Everything that needs space on the disk is done before the first file changes. The contents of both sides are in the
 * object store, so the journal names them only.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import type { Git, GitFailed } from "../../Git.ts"
import * as Utf8 from "../../Utf8.ts"
import * as Files from "../anchoredFiles.ts"
import { isBeyondLink } from "./beyondLink.ts"
import { blobIdOf } from "./blobId.ts"
import * as Shadow from "./shadowRepository.ts"
import type * as Path from "effect/Path"

/** A step of a restoration: its change of one path. */
export const Step = Schema.Struct({
  path: Schema.String,
  from: Schema.optionalKey(Shadow.TreeEntry),
  to: Schema.optionalKey(Shadow.TreeEntry),
  /** The path of the new file until it is moved into place. */
  staged: Schema.optionalKey(Schema.String)
})
/** @see {@link Step} */
export type Step = typeof Step.Type

/** A restoration as its journal has it. */
export const Journal = Schema.Struct({
  phase: Schema.Literals(["staging", "moving"]),
  steps: Schema.Array(Step)
})
/** @see {@link Journal} */
export type Journal = typeof Journal.Type

type Services = FileSystem.FileSystem | Path.Path | Git
type Failure = Files.FileRefused | PlatformError | GitFailed

/** A path that cannot be restored as planned. */
export class PathRefused extends Schema.TaggedError<PathRefused>()("PathRefused", {
  path: Schema.String,
  detail: Schema.String,
  /** True if some files have their new content and others could not be moved back. */
  isHalfDone: Schema.Boolean
}) {
  override get message() {
    return `${this.path} ${this.detail}`
  }
}

const refuse = (path: string, detail: string) => new PathRefused({ path, detail, isHalfDone: false })

/** The number of contents that are read at once. */
const chunkFiles = 64

const dirname = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0))

const at = ({ repository: { top } }: Shadow.Shadow, path: string): string => pathIn(top, path)

/** Returns what is at a path; undefined if there is nothing, or if it is beyond a symbolic link. */
export const infoOf = Effect.fnUntraced(function* (shadow: Shadow.Shadow, path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  if (yield* isBeyondLink(shadow.repository.top, path)) return undefined
  return yield* Effect.orElseSucceed(fileSystem.lstat(at(shadow, path)), () => undefined)
})

const pathIn = (top: string, path: string): string => (path === "" ? top : `${top}/${path}`)

/** Returns the steps with the paths at which their new files are staged: in the nearest directory that exists. */
export const planStaging = Effect.fnUntraced(function* (shadow: Shadow.Shadow, id: string, steps: ReadonlyArray<Step>) {
  const typeOf = (path: string) => Effect.map(infoOf(shadow, path), (info) => info?.type)
  return yield* Effect.forEach(
    steps,
    Effect.fnUntraced(function* (step, index) {
      if (step.to === undefined) return step
      let directory = dirname(step.path)
      while (directory !== "" && (yield* typeOf(directory)) !== "Directory") directory = dirname(directory)
      const name = `.spindle-${id}-${index}~`
      return { ...step, staged: directory === "" ? name : `${directory}/${name}` }
    })
  )
})

/** Writes every new file next to its place. Changes no file of the tree. */
export const stage = Effect.fnUntraced(function* (
  shadow: Shadow.Shadow,
  steps: ReadonlyArray<Step>
): Effect.fn.Return<void, Failure | PathRefused, Services> {
  const puts = steps.filter((step) => step.to !== undefined)
  for (let start = 0; start < puts.length; start += chunkFiles) {
    const chunk = puts.slice(start, start + chunkFiles)
    const contents = yield* Shadow.contents(
      shadow,
      chunk.map((step) => step.to!.oid)
    )
    yield* Effect.forEach(chunk, (step, index) =>
      Effect.mapError(write(shadow, step, contents[index]!), toPathRefused(step))
    )
  }
})

const toPathRefused =
  ({ path }: Step) =>
  (error: Failure): Failure | PathRefused =>
    error._tag === "FileRefused" ? refuse(path, error.detail) : error

const write = Effect.fnUntraced(function* (shadow: Shadow.Shadow, step: Step, content: Uint8Array) {
  const target = at(shadow, step.staged!)
  if (step.to!.mode === "120000") return yield* Files.createLink(target, Utf8.decode(content))
  const mode = yield* modeOf(shadow, step.path, step.to!.mode === "100755")
  yield* Files.create(target, content, mode)
})

/** Returns the mode of a file that is replaced, with or without the right to execute it; undefined for the default. */
const modeOf = Effect.fnUntraced(function* (shadow: Shadow.Shadow, path: string, isExecutable: boolean) {
  const info = yield* infoOf(shadow, path)
  if (info?.type !== "File") return isExecutable ? 0o755 : undefined
  const mode = info.mode & 0o777
  // those who may read an executable file may execute it
  return isExecutable ? mode | ((mode & 0o444) >> 2) : mode & ~0o111
})

/** Removes the staged files from a working tree. */
export const discard = (top: string, steps: ReadonlyArray<Step>) =>
  Effect.forEach(steps, ({ staged }) => (staged === undefined ? Effect.void : remove(pathIn(top, staged))), {
    discard: true
  })

const remove = (
  path: string
): Effect.Effect<void, Files.FileRefused | PlatformError, FileSystem.FileSystem | Path.Path> =>
  Effect.catchReason(Files.remove(path), "PlatformError", "NotFound", () => Effect.void)

/**
 * Moves every file into place. If that fails, everything is moved back. **Errors**: `PathRefused` for the first path.
 */
export const move = Effect.fnUntraced(function* (shadow: Shadow.Shadow, steps: ReadonlyArray<Step>) {
  const done: Array<Step> = []
  for (const step of sortSteps(steps)) {
    done.push(step)
    const moved = yield* Effect.result(apply(shadow, step))
    if (moved._tag === "Success") continue
    const left: Array<string> = []
    // mutant failed-move-is-taken-back (S12: files that were moved before one that cannot be moved are put back): drop
    for (const one of sortSteps(done.map(({ from, path, to }) => reverse({ path, from, to })))) {
      if ((yield* Effect.result(recreate(shadow, one)))._tag === "Failure") left.push(one.path)
    }
    const rest = left.length === 0 ? "every file is as it was" : `not put back: ${left.join(", ")}`
    const detail = `could not be restored: ${reasonOf(moved.failure)}; ${rest}`
    return yield* new PathRefused({ path: step.path, detail, isHalfDone: left.length > 0 })
  }
})

const reverse = ({ from, path, to }: { readonly [K in keyof Step]: Step[K] | undefined }): Step => ({
  path: path!,
  ...(to === undefined ? {} : { from: to }),
  ...(from === undefined ? {} : { to: from })
})

/**
 * Sorts removals first, the deepest before those above, because a file may take the place of a directory, and the
 * reverse.
 */
const sortSteps = (steps: ReadonlyArray<Step>): ReadonlyArray<Step> => [
  ...steps.filter((step) => step.to === undefined).toReversed(),
  ...steps.filter((step) => step.to !== undefined)
]

const apply = Effect.fnUntraced(function* (shadow: Shadow.Shadow, step: Step) {
  const target = at(shadow, step.path)
  if (step.staged === undefined) {
    yield* remove(target)
    return yield* removeEmptyParents(shadow, step.path)
  }
  yield* makeParents(shadow, step.path)
  if ((yield* infoOf(shadow, step.path))?.type === "Directory") yield* removeEmpty(shadow, step.path)
  yield* Files.replace(at(shadow, step.staged), target)
})

/** Removes a directory that has nothing but empty directories in it. */
const removeEmpty = (
  shadow: Shadow.Shadow,
  directory: string
): Effect.Effect<void, Failure, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    for (const name of yield* fileSystem.readDirectory(at(shadow, directory))) {
      const path = `${directory}/${name}`
      const { type } = yield* fileSystem.lstat(at(shadow, path))
      if (type === "Directory") yield* removeEmpty(shadow, path)
    }
    yield* Files.removeDirectory(at(shadow, directory))
  })

/** Brings a path to the content that a step has, from the object store. */
const recreate = Effect.fnUntraced(function* (shadow: Shadow.Shadow, step: Step) {
  if (step.to === undefined) return yield* apply(shadow, step)
  if (yield* has(shadow, step.path, step.to)) return
  const staged = { ...step, staged: `${step.path}.spindle~` }
  const [content] = yield* Shadow.contents(shadow, [step.to.oid])
  yield* makeParents(shadow, step.path)
  yield* remove(at(shadow, staged.staged))
  yield* write(shadow, staged, content!)
  yield* apply(shadow, staged)
})

const makeParents = Effect.fnUntraced(function* (shadow: Shadow.Shadow, path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const missing: Array<string> = []
  for (let one = dirname(path); one !== "" && !(yield* fileSystem.exists(at(shadow, one))); one = dirname(one)) {
    missing.unshift(one)
  }
  yield* Effect.forEach(missing, (one) => Files.makeDirectory(at(shadow, one)), { discard: true })
})

/** Removes the directories above a removed file that are empty now. */
const removeEmptyParents = Effect.fnUntraced(function* (shadow: Shadow.Shadow, path: string) {
  const fileSystem = yield* FileSystem.FileSystem
  for (let one = dirname(path); one !== ""; one = dirname(one)) {
    const names = yield* Effect.orElseSucceed(fileSystem.readDirectory(at(shadow, one)), () => [one])
    if (names.length > 0) return
    yield* Files.removeDirectory(at(shadow, one))
  }
})

/** Returns true if a path has exactly this content on disk. */
const has = Effect.fnUntraced(function* (shadow: Shadow.Shadow, path: string, entry: Shadow.TreeEntry | undefined) {
  const fileSystem = yield* FileSystem.FileSystem
  const target = at(shadow, path)
  const info = yield* infoOf(shadow, path)
  if (entry === undefined || info === undefined) return entry === undefined && info === undefined
  if (entry.mode === "120000") {
    if (info.type !== "SymbolicLink") return false
    const [content] = yield* Shadow.contents(shadow, [entry.oid])
    return (yield* fileSystem.readLink(target)) === Utf8.decode(content!)
  }
  if (info.type !== "File" || ((info.mode & 0o100) !== 0) !== (entry.mode === "100755")) return false
  return (yield* blobIdOf(shadow.repository.objectFormat, yield* fileSystem.readFile(target))) === entry.oid
})

/**
 * Finishes a restoration whose program died while it moved files. A file that has neither the old nor the new content
 * was changed since, and is left alone. Returns the paths of these.
 */
export const finish = Effect.fnUntraced(function* (shadow: Shadow.Shadow, steps: ReadonlyArray<Step>) {
  const left: Array<string> = []
  for (const step of sortSteps(steps)) {
    if (yield* has(shadow, step.path, step.to)) continue
    // mutant foreign-change-is-kept (S12: what the user changed after a crash is kept): true
    if (yield* has(shadow, step.path, step.from)) yield* recreate(shadow, step)
    else left.push(step.path)
  }
  yield* discard(shadow.repository.top, steps)
  return left
})

/**
 * Makes sure that nothing has changed since the tree was captured from which a restoration starts. **Errors**:
 * `PathRefused` for a path that has.
 */
export const check = Effect.fnUntraced(function* (shadow: Shadow.Shadow, steps: ReadonlyArray<Step>) {
  const changed = new Set(yield* Shadow.changedPaths(shadow))
  const removed = new Set(steps.flatMap((step) => (step.from === undefined ? [] : [step.path])))
  const unknown = "exists, and is ignored or was left out of the snapshot"
  for (const { from, path, to } of steps) {
    if (changed.has(path)) return yield* refuse(path, "changed while it was about to be restored")
    if (to !== undefined) {
      for (let one = dirname(path); one !== ""; one = dirname(one)) {
        const type = (yield* infoOf(shadow, one))?.type ?? "Directory"
        if (type !== "Directory" && !removed.has(one)) return yield* refuse(one, unknown)
      }
    }
    if (from !== undefined) continue
    const info = yield* infoOf(shadow, path)
    if (info !== undefined && !(info.type === "Directory" && (yield* isGoing(shadow, path, removed)))) {
      return yield* refuse(path, unknown)
    }
  }
})

/** Returns true if a directory has only files that the restoration removes. */
const isGoing = (
  shadow: Shadow.Shadow,
  directory: string,
  removed: ReadonlySet<string>
): Effect.Effect<boolean, PlatformError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    for (const name of yield* fileSystem.readDirectory(at(shadow, directory))) {
      const path = `${directory}/${name}`
      const { type } = yield* fileSystem.lstat(at(shadow, path))
      const goes = type === "Directory" ? yield* isGoing(shadow, path, removed) : removed.has(path)
      if (!goes) return false
    }
    return true
  })

/** Describes a failure for people: that of the system by its code, such as `ENOSPC`, with the path if it is known. */
export const reasonOf = (error: Failure): string => {
  if (error._tag !== "PlatformError") return error.message
  const { reason } = error
  const { code } = (reason.cause ?? {}) as { readonly code?: unknown }
  if (typeof code !== "string") return error.message
  const path = "pathOrDescriptor" in reason ? reason.pathOrDescriptor : undefined
  return typeof path === "string" ? `${path}: ${code}` : code
}
