/**
 * Patches as language models write them: files to add, delete, update and move, with lines of context instead of line
 * numbers.
 *
 * {@link parse} reads the text, {@link changes} says what it wants for whoever has to agree, {@link plan} computes
 * every new content without writing one. All pure, apart from the reader that a plan is given; `ApplyPatch` reads and
 * writes the files.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Hunks from "./internal/patchHunks.ts"
import * as Parser from "./internal/patchParser.ts"

/**
 * A patch cannot be read, or does not apply. `line` is the line of the patch, counted from 1, that is to blame; `path`
 * the file as the patch names it. Trying again helps only with another patch; `detail` says what was expected and what
 * is there instead.
 */
export class PatchError extends Schema.TaggedError<PatchError>()("PatchError", {
  detail: Schema.String,
  line: Schema.optionalKey(Schema.Finite),
  path: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    const where = [this.path, this.line === undefined ? undefined : `line ${this.line} of the patch`].filter(
      (part) => part !== undefined
    )
    return where.length === 0 ? this.detail : `${where.join(", ")}: ${this.detail}`
  }
}

/** A line of a hunk: context, or removed, or added. */
export interface HunkLine {
  readonly kind: "context" | "remove" | "add"
  readonly text: string
}

/** A place in a file and what becomes of it. */
export interface Hunk {
  /** The lines after `@@`, in order: each is looked for below the one before, and the hunk below them all. */
  readonly headers: ReadonlyArray<string>
  readonly lines: ReadonlyArray<HunkLine>
  /** Whether it says that it stands at the end of the file. */
  readonly isAtEnd: boolean
  /** Its first line in the patch, counted from 1. */
  readonly line: number
}

/** What a patch does to one file; `line` is where it says so, counted from 1. */
export type FilePatch =
  | { readonly _tag: "Add"; readonly path: string; readonly content: string; readonly line: number }
  | { readonly _tag: "Delete"; readonly path: string; readonly line: number }
  | {
      readonly _tag: "Update"
      readonly path: string
      readonly moveTo: string | undefined
      readonly hunks: ReadonlyArray<Hunk>
      readonly line: number
    }

/** What a patch does, in order. A later part sees what an earlier one did. */
export interface Patch {
  readonly files: ReadonlyArray<FilePatch>
}

/** A change of one file as it is shown: `diff` are its lines in the unified format, without file headers. */
export interface Change {
  readonly path: string
  readonly kind: "add" | "delete" | "update" | "move"
  /** Where a moved file goes. */
  readonly movePath?: string
  readonly diff: ReadonlyArray<string>
}

/** A file before and after the whole patch; undefined is a file that is not there. */
export interface FileResult {
  /** The path as the patch names it first. */
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
  /** The path of the file that was moved here, for whoever keeps its mode. */
  readonly movedFrom: string | undefined
}

/** What a patch comes to: nothing of it is written yet. */
export interface Plan {
  /** Each file that ends up different, once, in the order of the patch. */
  readonly files: ReadonlyArray<FileResult>
  /** The changes with the numbers of their lines. */
  readonly changes: ReadonlyArray<Change>
}

/**
 * Reads a patch. Tolerated around it: a here-document and a code fence; in it: spaces after markers, carriage returns,
 * empty lines for lines of context that are empty. A patch without its end is refused, since it may be cut off.
 */
export const parse = (text: string): Result.Result<Patch, PatchError> =>
  Result.mapBoth(Parser.parse(text), {
    onSuccess: (files) => ({ files }),
    onFailure: (failure) => new PatchError(failure)
  })

/**
 * What a patch wants to change, by the patch alone: without the numbers of lines, and without the content of deleted
 * files.
 */
export const changes = (patch: Patch): ReadonlyArray<Change> =>
  patch.files.map((file): Change => {
    switch (file._tag) {
      case "Add":
        return { path: file.path, kind: "add", diff: Hunks.contentLines(file.content).map((line) => `+${line}`) }
      case "Delete":
        return { path: file.path, kind: "delete", diff: [] }
      case "Update":
        return updateChange(
          file,
          file.hunks.flatMap((hunk) => [["@@", ...hunk.headers].join(" "), ...Hunks.diffLines(hunk.lines)])
        )
    }
  })

/**
 * Computes what a patch comes to, or says why it does not apply. `read` answers the text of a file, undefined when
 * there is none; it is called once for each file at most. `keyOf` answers the same key for paths that are the same file
 * (default: the path itself).
 */
export const plan = Effect.fnUntraced(function* <E, R>(
  patch: Patch,
  options: {
    readonly read: (path: string) => Effect.Effect<string | undefined, E, R>
    readonly keyOf?: (path: string) => string
  }
) {
  const keyOf = options.keyOf ?? ((path: string) => path)
  const states = new Map<string, FileState>()
  const changed: Array<Change> = []
  const stateOf = Effect.fnUntraced(function* (path: string) {
    const key = keyOf(path)
    let state = states.get(key)
    if (state === undefined) {
      const before = yield* options.read(path)
      state = { path, before, after: before, movedFrom: undefined }
      states.set(key, state)
    }
    return state
  })
  for (const file of patch.files) {
    const state = yield* stateOf(file.path)
    const target = file._tag === "Update" && file.moveTo !== undefined ? yield* stateOf(file.moveTo) : state
    changed.push(yield* Effect.fromResult(applyFile(file, state, target)))
  }
  const files: ReadonlyArray<FileResult> = Array.from(states.values()).filter((state) => state.before !== state.after)
  const result: Plan = { files, changes: changed }
  return result
})

interface FileState {
  readonly path: string
  readonly before: string | undefined
  after: string | undefined
  movedFrom: string | undefined
}

/** Applies one part of a patch to the states of its file and of where it goes, which is the same unless it moves. */
const applyFile = (file: FilePatch, state: FileState, target: FileState): Result.Result<Change, PatchError> => {
  const refuse = (detail: string, line = file.line) => Result.fail(new PatchError({ detail, line, path: file.path }))
  const content = state.after
  if (file._tag === "Add") {
    if (content !== undefined) return refuse("a file to add exists already; update it, or delete it first")
    state.after = file.content
    return Result.succeed({
      path: file.path,
      kind: "add",
      diff: Hunks.contentLines(file.content).map((line) => `+${line}`)
    })
  }
  if (content === undefined) return refuse(`there is no such file to ${file._tag === "Delete" ? "delete" : "update"}`)
  if (file._tag === "Delete") {
    state.after = undefined
    return Result.succeed({
      path: file.path,
      kind: "delete",
      diff: Hunks.contentLines(content).map((line) => `-${line}`)
    })
  }
  if (target !== state && target.after !== undefined)
    return refuse(`the file to move to exists already: ${file.moveTo}`)
  const applied = Hunks.apply(content, file.hunks)
  if (Result.isFailure(applied)) return refuse(applied.failure.detail, applied.failure.line)
  state.after = undefined
  target.after = applied.success.content
  if (target !== state) target.movedFrom = state.movedFrom ?? state.path
  return Result.succeed(updateChange(file, applied.success.diff))
}

const updateChange = (file: FilePatch & { readonly _tag: "Update" }, diff: ReadonlyArray<string>): Change =>
  file.moveTo === undefined
    ? { path: file.path, kind: "update", diff }
    : { path: file.path, kind: "move", movePath: file.moveTo, diff }
