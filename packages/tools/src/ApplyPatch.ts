/**
 * The tool `apply_patch`: changes files by a {@link Patch}, all of them or none.
 *
 * Every path must be inside the working directory after symbolic links are resolved, and `SandboxPolicy.Current` must
 * allow writing it. Nothing is written before the complete patch is known to apply. Then files are written in place, so
 * that they keep their other names, owner, mode and attributes. A failure restores the earlier content.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Tool from "effect/ai/Tool"
import * as Files from "./internal/anchoredFiles.ts"
import * as FileTransaction from "./internal/patch/fileTransaction.ts"
import * as PatchJournal from "./internal/patch/patchJournal.ts"
import { hostName, markerName } from "./internal/marks.ts"
import * as Workspace from "./internal/workspace.ts"
import * as Patch from "./Patch.ts"
import * as SandboxPolicy from "./SandboxPolicy.ts"
import type { CallDisplay, FileChange } from "@spindle/core/Display"
import { CallId } from "@spindle/core/Ids"
import { Turn } from "@spindle/core/Turn"
import { textResult } from "./internal/textResult.ts"
import { ToolFailure } from "./ToolFailure.ts"
import * as TurnDiff from "./TurnDiff.ts"
import * as Utf8 from "./Utf8.ts"

const description = `Changes files by a patch. Either the complete patch applies, or no file is changed. The format:

*** Begin Patch
*** Update File: path/to/file
@@ optional line above the change, such as the head of a function
 a line of context, after one space
-a line to remove
+a line to add
*** Add File: path/to/new
+its first line
*** Delete File: path/to/old
*** End Patch

Give about three lines of context around each change, exactly as they are in the file. Give the changes of a file in the order of the file. \
"*** Move to: path" after an update line renames the file. "*** End of File" after the lines of a change puts it at the end of the file. \
Paths are relative to the working directory.`

/** The tool. It returns a list of the files: `A` added, `M` changed or moved here, `D` deleted. */
export const tool = Tool.make("apply_patch", {
  description,
  parameters: Schema.Struct({ input: Schema.String.annotate({ description: "The complete patch." }) }),
  ...textResult,
  dependencies: [Turn]
})

/** The grammar of a patch, for models that write it as plain text instead of JSON. */
export const freeform = {
  syntax: "lark",
  definition: `start: "*** Begin Patch" NL file+ "*** End Patch" NL?
file: added | deleted | updated
added: "*** Add File: " PATH NL ("+" TEXT NL)+
deleted: "*** Delete File: " PATH NL
updated: "*** Update File: " PATH NL moved? hunk+
       | "*** Update File: " PATH NL moved
moved: "*** Move to: " PATH NL
hunk: header* changed+ bottom?
header: "@@" (" " TEXT)? NL
changed: (" " | "-" | "+") TEXT NL
bottom: "*** End of File" NL
PATH: /[^\\r\\n]+/
TEXT: /[^\\r\\n]*/
NL: /\\r?\\n/
`
} as const

/**
 * The place at which a patch is applied: `cwd` is the absolute working directory, which no path leaves. `directory` is
 * where relative paths start, by default the working directory.
 */
export interface Options {
  readonly cwd: string
  readonly directory?: string | undefined
}

/** The services that applying a patch needs. */
export type Services = FileSystem.FileSystem | Path.Path

/**
 * Applies a patch to the files below a directory and returns the text for the model. **Interruption**: before the first
 * write nothing is changed; the writing is not interruptible. **Errors**: `ToolFailure`. No file is changed then,
 * except those that its text names as not restored.
 */
export const apply = (input: string, options: Options): Effect.Effect<string, ToolFailure, Services> =>
  Effect.uninterruptibleMask((restore) => Effect.map(commit(input, options, restore), ({ plan }) => summary(plan)))

/** The variable that names the directory in which a command reports its patches; see {@link applyInCommand}. */
export const reportsName = "SPINDLE_PATCHES"

/**
 * Applies a patch as {@link apply} does, for a program that a command of a session runs. `variables` are its
 * environment. The session that runs the command finds the result and adds it to the diff of its turn. When the command
 * ends in the middle of a patch, the session finishes the patch or takes it back; after a crash, the next start of the
 * session does that. Without a session, or if the directory cannot be written, the patch is only applied.
 */
export const applyInCommand = (
  input: string,
  options: Options,
  variables: { readonly [name: string]: string | undefined }
): Effect.Effect<string, ToolFailure, Services> =>
  Effect.gen(function* () {
    const fileSystem = yield* FileSystem.FileSystem
    const directory = variables[reportsName]
    const made =
      directory !== undefined &&
      (yield* Effect.isSuccess(
        Effect.andThen(
          fileSystem.makeDirectory(directory, { recursive: true, mode: 0o700 }),
          fileSystem.access(directory, { writable: true })
        )
      ))
    const applied = apply(input, options)
    return yield* made
      ? applied.pipe(
          Effect.provideService(PatchJournal.Directory, directory),
          Effect.provideService(PatchJournal.Reporting, {
            host: variables[hostName],
            process: variables[markerName]
          })
        )
      : applied
  })

/**
 * Applies a patch as {@link apply} does, and reports the changes that were made to the turn of the call, and the diff
 * of all patches of the turn.
 */
export const run: (
  input: string,
  callId: string | undefined,
  options: Options
) => Effect.Effect<string, ToolFailure, Services | Turn> = Effect.fnUntraced(function* (input, callId, options) {
  const turn = yield* Turn
  const report = (changes: ReadonlyArray<Patch.Change>) =>
    callId === undefined
      ? Effect.void
      : turn.detail(CallId.make(callId), { _tag: "Patch", changes: placeChanges(changes, options).map(fileChange) })
  // reported in the region that writes: an abort in between would lose the report of changes that were made
  const { plan } = yield* Effect.uninterruptibleMask((restore) =>
    commit(input, options, restore).pipe(
      Effect.onExit((exit) => report(exit._tag === "Success" ? exit.value.plan.changes : [])),
      Effect.tap(({ files }) => TurnDiff.record(turn, files))
    )
  )
  return summary(plan)
})

/** Returns why a patch does not apply to the files as they are now, in words for the model; undefined if it does. */
export const check = (input: string, options: Options): Effect.Effect<string | undefined, never, Services> =>
  Effect.match(prepare(input, options), { onFailure: refusal, onSuccess: () => undefined })

/**
 * The check that the policy of the tool makes before anybody is asked. `CodingTools.layer` provides it, because a
 * policy is made without the services that it needs.
 */
export class Check extends Context.Reference<(input: string) => Effect.Effect<string | undefined>>(
  "@spindle/tools/ApplyPatch/Check",
  { defaultValue: () => () => Effect.undefined }
) {}

const refusal = (error: Patch.PatchError): string =>
  `The patch was not applied, and no file was changed.\n${error.message}`

/**
 * One patch of this program at a time, from its first look at a file: agents work in one directory at the same time.
 */
const lock = Semaphore.makeUnsafe(1)

/**
 * Runs in an uninterruptible region. `restore` is for the part that may be interrupted: nothing is changed before it.
 */
const commit = Effect.fnUntraced(function* (
  input: string,
  options: Options,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
) {
  yield* restore(lock.take(1))
  const committed = Effect.gen(function* () {
    const { files, plan, writes } = yield* Effect.mapError(
      restore(prepare(input, options)),
      (error) => new ToolFailure({ detail: refusal(error) })
    )
    yield* Effect.mapError(FileTransaction.commit(writes), ({ message }) => new ToolFailure({ detail: message }))
    return { plan, files }
  })
  return yield* Effect.ensuring(committed, lock.release(1))
})

/**
 * Computes the writes of a patch, and makes sure that they are possible. Changes nothing. `files` has the results by
 * their paths in the working directory, so that one file has one name in all patches.
 */
const prepare = Effect.fnUntraced(function* (input: string, { cwd, directory }: Options) {
  const patch = yield* Effect.fromResult(Patch.parse(input))
  const workspace = yield* Workspace.make(cwd, directory)
  const targets = yield* resolve(patch, workspace)
  const policy = yield* SandboxPolicy.Current
  for (const [path, target] of targets) {
    const detail = SandboxPolicy.refusalOf(policy, target)
    if (detail !== undefined) return yield* new Patch.PatchError({ path, detail })
  }
  const seen = new Map<string, Files.Seen>()
  const plan = yield* Patch.plan(patch, {
    keyOf: (path) => targets.get(path)!,
    read: (path) => readText(path, targets.get(path)!, seen)
  })
  const writes = writesOf(plan, targets, seen)
  yield* checkNames(
    plan.files.map(({ path }) => path),
    writes
  )
  yield* Effect.forEach(plan.files, (file) => checkDirectory(file.path, targets.get(file.path)!), { discard: true })
  const path = yield* Path.Path
  const { root } = workspace
  const files = plan.files.map((file) => ({
    ...file,
    path: path.relative(root, targets.get(file.path)!),
    movedFrom: file.movedFrom === undefined ? undefined : path.relative(root, targets.get(file.movedFrom)!)
  }))
  return { plan, writes, files }
})

/** Returns the real path for each path that the patch names. */
const resolve = Effect.fnUntraced(function* (patch: Patch.Patch, workspace: Workspace.Workspace) {
  const targets = new Map<string, string>()
  for (const file of patch.files) {
    if (file._tag === "Delete") targets.set(file.path, yield* workspace.resolve(file.path, true))
  }
  for (const file of patch.files) {
    if (!targets.has(file.path)) targets.set(file.path, yield* workspace.resolve(file.path, false))
    if (file._tag !== "Update" || file.moveTo === undefined) continue
    if (!targets.has(file.moveTo)) targets.set(file.moveTo, yield* workspace.resolve(file.moveTo, false))
    if ((yield* workspace.resolve(file.path, true)) !== targets.get(file.path)) {
      const detail = "is a symbolic link, which a patch cannot move"
      return yield* new Patch.PatchError({ path: file.path, line: file.line, detail })
    }
  }
  return targets
})

const readText = Effect.fnUntraced(function* (path: string, target: string, seen: Map<string, Files.Seen>) {
  const refuse = (detail: string) => new Patch.PatchError({ path, detail })
  const file = yield* Effect.mapError(Files.look(target), (error) =>
    refuse(error._tag === "FileRefused" ? error.detail : `cannot be read: ${error.reason._tag}`)
  )
  if (file === undefined) return undefined
  seen.set(target, file)
  const text = Utf8.decodeStrict(file.content)
  return text ?? (yield* refuse("is not text in UTF-8, and a patch changes only such files"))
})

/**
 * Returns the writes of a plan. A file that is moved stays the same file at its first new path; a second new path gets
 * a copy.
 */
const writesOf = (
  { files }: Patch.Plan,
  targets: ReadonlyMap<string, string>,
  seen: ReadonlyMap<string, Files.Seen>
): ReadonlyArray<FileTransaction.FileWrite> => {
  const changed = new Set(files.map((file) => targets.get(file.path)!))
  const moved = new Set<string>()
  const sourceOf = (movedFrom: string | undefined): FileTransaction.FileWrite["source"] => {
    const path = movedFrom === undefined ? undefined : targets.get(movedFrom)!
    const file = path === undefined ? undefined : seen.get(path)
    if (path === undefined || file === undefined || !changed.has(path) || moved.has(path)) return undefined
    moved.add(path)
    return { path, seen: file }
  }
  const sources = files.map((file) => sourceOf(file.movedFrom))
  return files.map(({ after, movedFrom, path }, index) => ({
    path: targets.get(path)!,
    seen: seen.get(targets.get(path)!),
    content: after === undefined ? undefined : Utf8.encode(after),
    source: sources[index],
    isMovedAway: moved.has(targets.get(path)!),
    mode: movedFrom === undefined ? undefined : seen.get(targets.get(movedFrom)!)?.info.mode
  }))
}

/** Refuses to write one file under two of its names, because the second write would find the result of the first. */
const checkNames = Effect.fnUntraced(function* (
  names: ReadonlyArray<string>,
  writes: ReadonlyArray<FileTransaction.FileWrite>
) {
  const written = new Map<string, string>()
  for (const [index, { content, isMovedAway, seen, source }] of writes.entries()) {
    // a file that is moved away leaves its path to a new one
    const { dev, ino } = (source?.seen ?? (isMovedAway ? undefined : seen))?.info ?? {}
    if (content === undefined || ino === undefined || Option.isNone(ino)) continue
    const file = `${dev}:${ino.value}`
    const other = written.get(file)
    if (other !== undefined) {
      const detail = `is the same file as ${other} (a hard link): change it under one of its names`
      return yield* new Patch.PatchError({ path: names[index]!, detail })
    }
    written.set(file, names[index]!)
  }
})

/** Makes sure that the directory of a file, or the nearest one that exists, can be written. */
const checkDirectory = Effect.fnUntraced(function* (name: string, target: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  let directory = path.dirname(target)
  while (!(yield* Effect.orElseSucceed(fileSystem.exists(directory), () => false))) directory = path.dirname(directory)
  if (yield* Effect.isSuccess(fileSystem.access(directory, { writable: true }))) return
  return yield* new Patch.PatchError({ path: name, detail: `cannot be written: no permission for ${directory}` })
})

const summary = (plan: Patch.Plan): string => {
  const lines = (letter: string, isWanted: (file: Patch.FileResult) => boolean) =>
    plan.files.filter(isWanted).map((file) => `${letter} ${file.path}`)
  const moved = new Set(plan.files.map((file) => file.movedFrom))
  return [
    plan.files.length === 0 ? "Success. The files already had this content." : "Success. Updated the following files:",
    ...lines("A", (file) => file.before === undefined && file.movedFrom === undefined),
    ...lines("M", (file) => file.after !== undefined && (file.before !== undefined || file.movedFrom !== undefined)),
    ...lines("D", (file) => file.after === undefined && !moved.has(file.path)),
    ""
  ].join("\n")
}

/** Returns the changes of a patch for the person who must approve it; none if the text is not a patch. */
export const changesOf = (input: string, options: Options): ReadonlyArray<Patch.Change> =>
  Result.match(Patch.parse(input), {
    onSuccess: (patch) => placeChanges(Patch.changes(patch), options),
    onFailure: () => []
  })

/** Describes a call for people: the changes that the patch asks for; none if the text is not a patch. */
export const display = (input: string, options: Options): CallDisplay => ({
  _tag: "Patch",
  changes: changesOf(input, options).map(fileChange)
})

/** Names the files of changes by paths that are relative to the working directory, or absolute. */
const placeChanges = (
  changes: ReadonlyArray<Patch.Change>,
  { cwd, directory = cwd }: Options
): ReadonlyArray<Patch.Change> => {
  if (directory === cwd) return changes
  const toAbsolute = (path: string) => (path.startsWith("/") ? path : `${directory}/${path}`)
  return changes.map((change) => ({
    ...change,
    path: toAbsolute(change.path),
    ...(change.movePath === undefined ? {} : { movePath: toAbsolute(change.movePath) })
  }))
}

/** The longest diff of one file that is recorded for people, in UTF-16 units. */
const diffLength = 262_144

const fileChange = ({ diff, kind, movePath, path }: Patch.Change): FileChange => {
  const lines = kind === "add" || kind === "delete" ? [rangeOf(kind, diff.length), ...diff] : diff
  const text = lines.join("\n")
  return {
    path,
    change: kind === "move" ? "update" : kind,
    ...(movePath === undefined ? {} : { movePath }),
    ...(diff.length === 0 || text.length > diffLength ? {} : { diff: text })
  }
}

const rangeOf = (kind: "add" | "delete", count: number): string => {
  const range = count === 1 ? "1" : `1,${count}`
  return kind === "add" ? `@@ -0,0 +${range} @@` : `@@ -${range} +0,0 @@`
}
