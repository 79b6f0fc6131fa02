/**
 * The journal of the patches that are being written, so that a crash of the program leaves none of them half done.
 *
 * ```
 * write the journal ─► change the files ─► mark the journal ─► remove copies ─► remove the journal
 *                      └ a crash here is rolled back          └ a crash here is finished
 * ```
 *
 * A patch is written in place, and {@link recover} looks at each file to see how far that came. A file that has
 * anything else than a mixture of its old and its new content was changed since, and is left alone.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { uuidV7 } from "@spindle/core/Ids"
import * as Files from "../anchoredFiles.ts"
import type { FileResult } from "../../Patch.ts"
import * as SandboxPolicy from "../../SandboxPolicy.ts"
import * as Utf8 from "../../Utf8.ts"
import * as LeftProcesses from "../leftProcesses.ts"

/** The directory of the journals. Without one, a crash can leave a patch half done. */
export class Directory extends Context.Reference<string | undefined>("@spindle/tools/PatchJournal/Directory", {
  defaultValue: () => undefined
}) {}

/**
 * Set for a patch whose result another program collects: the patch of a command of a session. `host` is the mark of the
 * program that runs the command, and `process` the process of the command. The journal of such a patch stays until
 * {@link collect} has read it.
 */
export class Reporting extends Context.Reference<
  { readonly host: string | undefined; readonly process: string | undefined } | undefined
>("@spindle/tools/PatchJournal/Reporting", { defaultValue: () => undefined }) {}

/** A step of a patch: its change of one path. */
export const Step = Schema.Struct({
  path: Schema.String,
  before: Schema.optionalKey(Schema.Uint8ArrayFromBase64),
  after: Schema.optionalKey(Schema.Uint8ArrayFromBase64),
  /** The number of the file that was there before. */
  inode: Schema.optionalKey(Schema.BigIntFromString),
  /** The path of the file that is moved here. */
  movedFrom: Schema.optionalKey(Schema.String),
  /** The name that the file before gets while another file takes its path. */
  aside: Schema.optionalKey(Schema.String),
  /** The copy of the old content of a file that is overwritten at this path. */
  copy: Schema.optionalKey(Schema.String)
})
/** @see {@link Step} */
export type Step = typeof Step.Type

const Journal = Schema.Struct({
  /** `reported`: everything is done, and the result waits for {@link collect}. */
  phase: Schema.Literals(["writing", "done", "reported"]),
  /**
   * The mark of the program that writes the patch, or of the program that runs the command, if this host has such
   * marks.
   */
  host: Schema.optionalKey(Schema.String),
  /** The mark of the program that a command runs to write the patch. */
  writer: Schema.optionalKey(Schema.String),
  /** The process of that command. */
  process: Schema.optionalKey(Schema.String),
  startedAt: Schema.Finite,
  steps: Schema.Array(Step),
  /** The directories that are made, the upper ones first. */
  directories: Schema.Array(Schema.String)
})
type Journal = typeof Journal.Type

const journalJson = Schema.fromJsonString(Journal)

type Services = FileSystem.FileSystem | Path.Path
type Failure = Files.FileRefused | PlatformError

/** The result of recovering a patch that a crash had cut. */
export interface Recovered {
  readonly result: "finished" | "rolledBack"
  readonly paths: ReadonlyArray<string>
  /** The paths that were changed after the crash, and are left as they are. */
  readonly untouched: ReadonlyArray<string>
}

/** The journal of one patch. */
export interface Entry {
  /** Marks that every file is written. */
  readonly markDone: Effect.Effect<void, PlatformError, FileSystem.FileSystem>
  /** Ends the journal: nothing is left to do. */
  readonly remove: Effect.Effect<void, PlatformError, FileSystem.FileSystem>
}

const none: Entry = { markDone: Effect.void, remove: Effect.void }

/** Writes the journal of a patch before its first change. Does nothing without a {@link Directory}. */
export const begin = Effect.fnUntraced(function* (
  changes: Pick<Journal, "steps" | "directories">
): Effect.fn.Return<Entry, PlatformError, FileSystem.FileSystem> {
  const directory = yield* Directory
  if (directory === undefined) return none
  const fileSystem = yield* FileSystem.FileSystem
  const startedAt = yield* Clock.currentTimeMillis
  const reporting = yield* Reporting
  const { mark } = yield* LeftProcesses.make(fileSystem)
  const host = reporting?.host ?? mark
  const path = `${directory}/${uuidV7(startedAt)}.json`
  const journal: Journal = {
    phase: "writing",
    ...(host === undefined ? {} : { host }),
    ...(reporting === undefined || mark === undefined ? {} : { writer: mark }),
    ...(reporting?.process === undefined ? {} : { process: reporting.process }),
    startedAt,
    ...changes
  }
  yield* fileSystem.makeDirectory(directory, { recursive: true, mode: 0o700 })
  yield* write(path, journal)
  return {
    markDone: write(path, { ...journal, phase: "done" }),
    remove: reporting === undefined ? fileSystem.remove(path) : write(path, { ...journal, phase: "reported" })
  }
})

/** Writes a journal so that it has either its old or its new content. */
const write = Effect.fnUntraced(function* (path: string, journal: Journal) {
  const fileSystem = yield* FileSystem.FileSystem
  yield* fileSystem.writeFileString(`${path}~`, yield* Effect.orDie(Schema.encodeEffect(journalJson)(journal)))
  yield* fileSystem.rename(`${path}~`, path)
})

/**
 * The time, in milliseconds, for which a patch counts as one that is still being written if it cannot be known whether
 * its host has ended.
 */
const freshMillis = 60_000

/**
 * Finishes or rolls back the patches of programs that died while they wrote them. It may run again after a crash. A
 * patch that cannot be recovered, such as one with a damaged journal, is a warning in the log, and its journal stays
 * for the next start. So does the journal of a patch that `SandboxPolicy.Current` does not allow. `gone` are commands
 * of this program that have ended: a patch that such a command was writing is cut, too, although its host lives.
 * **Interruption**: not interruptible in a patch. **Errors**: those of the file system.
 */
export const recover = Effect.fnUntraced(function* (
  directory: string,
  gone: ReadonlySet<string> = new Set()
): Effect.fn.Return<ReadonlyArray<Recovered>, PlatformError, Services> {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(directory))) return []
  const { hasEnded } = yield* LeftProcesses.make(fileSystem)
  const now = yield* Clock.currentTimeMillis
  const recovered: Array<Recovered> = []
  for (const name of (yield* fileSystem.readDirectory(directory)).filter((one) => one.endsWith(".json")).toSorted()) {
    const path = `${directory}/${name}`
    const one = Effect.gen(function* () {
      const journal = yield* Schema.decodeEffect(journalJson)(yield* fileSystem.readFileString(path))
      const ended = journal.host === undefined ? undefined : yield* hasEnded(journal.host)
      const isLeft = ended ?? now - journal.startedAt > freshMillis
      if (journal.phase === "reported") return yield* isLeft ? fileSystem.remove(path) : Effect.void
      const isCut =
        isLeft ||
        (journal.process !== undefined && gone.has(journal.process)) ||
        (journal.writer !== undefined && (yield* hasEnded(journal.writer)) === true)
      if (!isCut || !(yield* isAllowed(journal))) return
      const done = yield* Effect.uninterruptible(conclude(journal))
      recovered.push(done)
      // a patch that was finished is still a change of the session
      const isReported = !isLeft && done.result === "finished"
      yield* isReported ? write(path, { ...journal, phase: "reported" }) : fileSystem.remove(path)
    })
    yield* Effect.catch(one, ({ message }) =>
      Effect.logWarning(`cannot finish or undo the patch of ${path}, which a crash has cut: ${message}`)
    )
  }
  return recovered
})

/**
 * Returns true if a directory has journals of patches that are still being written, or were cut. **Errors**: those of
 * the file system.
 */
export const hasUnfinished = Effect.fnUntraced(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  if (!(yield* fileSystem.exists(directory))) return false
  const names = (yield* fileSystem.readDirectory(directory)).filter((one) => one.endsWith(".json"))
  const phaseOf = (name: string) =>
    Effect.option(Effect.flatMap(fileSystem.readFileString(`${directory}/${name}`), Schema.decodeEffect(journalJson)))
  const journals = yield* Effect.forEach(names, phaseOf)
  return journals.some((one) => Option.isSome(one) && one.value.phase !== "reported")
})

/**
 * Returns true if the policy in force allows every path of a journal. A command can write anything into its journals.
 */
const isAllowed = Effect.fnUntraced(function* ({ directories, steps }: Journal) {
  const policy = yield* SandboxPolicy.Current
  if (policy._tag === "FullAccess") return true
  const named = steps.flatMap(({ aside, copy, movedFrom, path }) => [path, aside, copy, movedFrom])
  for (const path of [...directories, ...named]) {
    if (path !== undefined && SandboxPolicy.refusalOf(policy, yield* realPath(path)) !== undefined) return false
  }
  return true
})

/** The path with the symbolic links of its directory resolved, as far as that exists. */
const realPath = (name: string): Effect.Effect<string, never, Services> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const [directory, base] = [path.dirname(path.resolve(name)), path.basename(name)]
    if (directory === path.resolve(name)) return directory
    const real = yield* Effect.option(fileSystem.realPath(directory))
    return path.join(Option.isSome(real) ? real.value : yield* realPath(directory), base)
  })

/**
 * Returns the results of the patches that commands have reported to a directory, in order, with paths relative to
 * `cwd`, and removes their journals. One that cannot be read is a warning in the log. **Errors**: those of the file
 * system.
 */
export const collect = Effect.fnUntraced(function* (
  directory: string,
  cwd: string
): Effect.fn.Return<ReadonlyArray<ReadonlyArray<FileResult>>, PlatformError, Services> {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (!(yield* fileSystem.exists(directory))) return []
  const root = yield* Effect.orElseSucceed(fileSystem.realPath(cwd), () => cwd)
  const textOf = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Utf8.decode(bytes))
  const results: Array<ReadonlyArray<FileResult>> = []
  for (const name of (yield* fileSystem.readDirectory(directory)).filter((one) => one.endsWith(".json")).toSorted()) {
    const file = `${directory}/${name}`
    const one = Effect.gen(function* () {
      const { phase, steps } = yield* Schema.decodeEffect(journalJson)(yield* fileSystem.readFileString(file))
      if (phase !== "reported") return
      yield* fileSystem.remove(file)
      results.push(
        steps.map(({ after, before, movedFrom, path: target }) => ({
          path: path.relative(root, target),
          before: textOf(before),
          after: textOf(after),
          movedFrom: movedFrom === undefined ? undefined : path.relative(root, movedFrom)
        }))
      )
    })
    yield* Effect.catch(one, ({ message }) => Effect.logWarning(`cannot read the patch of a command: ${message}`))
  }
  return results
})

const conclude = Effect.fnUntraced(function* ({ directories, phase, steps }: Journal) {
  const paths = steps.map(({ path }) => path)
  if (phase === "done") {
    yield* removeCopies(steps)
    // the file that was there before a removal or a replacement
    yield* Effect.forEach(steps, ({ aside }) => (aside === undefined ? Effect.void : removeFile(aside)), {
      discard: true
    })
    return { result: "finished", paths, untouched: [] } satisfies Recovered
  }
  const untouched: Array<string> = []
  for (const step of steps.toReversed()) {
    if (!(yield* undoPut(step, steps))) untouched.push(step.path)
  }
  for (const step of steps.toReversed()) {
    if (!(yield* undoAside(step)) && !untouched.includes(step.path)) untouched.push(step.path)
  }
  yield* removeCopies(steps)
  for (const directory of directories.toReversed()) yield* removeEmpty(directory)
  return { result: "rolledBack", paths, untouched } satisfies Recovered
})

/** A file or symbolic link as it is now. */
interface Present {
  readonly inode: bigint | undefined
  readonly seen: Files.Seen
}

/** Returns the file at a path; `Other` for anything that a patch cannot have written, such as a directory. */
const look = (path: string): Effect.Effect<Present | "Other" | undefined, PlatformError, Services> =>
  Effect.matchEffect(Files.look(path), {
    onSuccess: (seen) => Effect.succeed(seen && { inode: Option.getOrUndefined(seen.info.ino), seen }),
    onFailure: (error) =>
      error._tag === "FileRefused"
        ? Effect.succeed("Other" as const)
        : error.reason._tag === "NotFound"
          ? Effect.undefined
          : Effect.fail(error)
  })

/** True if a content can result from a crash while one content was written over the other. */
const isMixture = (content: Uint8Array, before: Uint8Array, after: Uint8Array): boolean =>
  content.length <= Math.max(before.length, after.length) &&
  content.every((byte, index) => byte === before[index] || byte === after[index])

const nothing = new Uint8Array()

/**
 * Takes back the content that was written at a path. Returns false if another file is at the path, which then stays.
 */
const undoPut = Effect.fnUntraced(function* (
  { after, aside, before, inode, movedFrom, path }: Step,
  steps: ReadonlyArray<Step>
) {
  if (after === undefined) return true
  const now = yield* look(path)
  if (now === undefined) return before === undefined || aside !== undefined
  if (now === "Other") return false
  const { content } = now.seen
  const source = steps.find((step) => step.path === movedFrom)
  if (source?.aside !== undefined && now.inode === source.inode) {
    if (!isMixture(content, source.before!, after)) return false
    yield* restore(path, now, source.before!)
    yield* moveTo(path, source.aside)
    return true
  }
  if (before !== undefined && now.inode === inode) {
    // the file itself: it was not moved aside, or not yet
    if (aside !== undefined) return true
    if (!isMixture(content, before, after)) return false
    yield* restore(path, now, before)
    return true
  }
  if ((before !== undefined && aside === undefined) || !isMixture(content, nothing, after)) return false
  yield* Files.remove(path)
  return true
})

const restore = (path: string, { seen }: Present, content: Uint8Array): Effect.Effect<void, Failure, Services> =>
  isMixture(seen.content, content, content) && seen.content.length === content.length
    ? Effect.void
    : Files.restore(path, { ...seen, content })

/** Renames a file, and removes the empty file that an earlier attempt has left at the new name. */
const moveTo = Effect.fnUntraced(function* (from: string, to: string) {
  const there = yield* look(to)
  if (there !== undefined && there !== "Other" && there.seen.content.length === 0) yield* Files.remove(to)
  yield* Files.rename(from, to)
})

/** Moves a file back that was moved aside. Returns false if another file is at its path, which then stays. */
const undoAside = Effect.fnUntraced(function* ({ aside, inode, path }: Step) {
  const there = aside === undefined ? undefined : yield* look(aside)
  if (aside === undefined || there === undefined || there === "Other") return true
  if (there.inode !== inode) {
    yield* Files.remove(aside)
    return true
  }
  const now = yield* look(path)
  if (now === "Other" || (now !== undefined && now.seen.content.length > 0)) return false
  yield* moveTo(aside, path)
  return true
})

const removeCopies = (steps: ReadonlyArray<Step>) =>
  Effect.forEach(steps, ({ copy }) => (copy === undefined ? Effect.void : removeFile(copy)), { discard: true })

/** Removes a file if it and its directory exist. */
const removeFile = (path: string): Effect.Effect<void, Failure, Services> =>
  Effect.catchReason(Files.remove(path), "PlatformError", "NotFound", () => Effect.void)

const removeEmpty = Effect.fnUntraced(function* (directory: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const names = yield* Effect.catchReason(
    fileSystem.readDirectory(directory),
    "PlatformError",
    "NotFound",
    () => Effect.undefined
  )
  if (names?.length === 0) yield* Files.removeDirectory(directory)
})
