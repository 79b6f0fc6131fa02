/**
 * Patches as language models write them: files to add, delete, update and move, with lines of context instead of line
 * numbers.
 *
 * {@link parse} reads the text, {@link changes} describes it for the person who must approve it, and {@link plan}
 * computes every new content without writing any. All of them are pure, apart from the `read` that a plan is given.
 * `ApplyPatch` reads and writes the files.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Hunks from "./internal/patch/patchHunks.ts"
import type { FilePatch } from "./internal/patch/patchModel.ts"
import * as Parser from "./internal/patch/patchParser.ts"

export type { FilePatch, Hunk, HunkLine } from "./internal/patch/patchModel.ts"

/**
 * A patch cannot be read, or does not apply. `line` is the line of the patch at fault, counted from 1, and `path` is
 * the file as the patch names it. `detail` says what was expected and what was found instead. Only another patch can
 * succeed.
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

/** The changes of a patch, in order. A later change sees the result of an earlier one. */
export interface Patch {
  readonly files: ReadonlyArray<FilePatch>
}

/** The change of one file for people: `diff` is its lines in the unified format, without file headers. */
export interface Change {
  readonly path: string
  readonly kind: "add" | "delete" | "update" | "move"
  /** The new path of a moved file. */
  readonly movePath?: string
  readonly diff: ReadonlyArray<string>
}

/** A file before and after the patch; undefined if it does not exist. */
export interface FileResult {
  /** The path as the patch names it first. */
  readonly path: string
  readonly before: string | undefined
  readonly after: string | undefined
  /** The path of the file that is moved here. */
  readonly movedFrom: string | undefined
}

/** The result of a patch, of which nothing is written yet. */
export interface Plan {
  /** Each file that the patch changes, once, in the order of the patch. */
  readonly files: ReadonlyArray<FileResult>
  /** The changes with the numbers of their lines. */
  readonly changes: ReadonlyArray<Change>
}

/**
 * Reads a patch. It may be in a here-document or a code fence, and indented. Spaces after markers, carriage returns and
 * empty lines instead of empty lines of context are accepted. A patch without its end marker is refused, because it may
 * be cut off.
 */
export const parse = (text: string): Result.Result<Patch, PatchError> =>
  Result.mapBoth(Parser.parse(text), {
    onSuccess: (files) => ({ files }),
    onFailure: (failure) => new PatchError(failure)
  })

/** Returns the changes that a patch asks for, without line numbers and without the content of deleted files. */
export const changes = (patch: Patch): ReadonlyArray<Change> =>
  patch.files.map((file): Change => {
    switch (file._tag) {
      case "Add":
        return { path: file.path, kind: "add", diff: Hunks.contentLines(file.content, "+") }
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
 * Computes the result of a patch, or fails with the reason why it does not apply. `read` returns the text of a file,
 * undefined if it does not exist; it is called at most once for each file. `keyOf` returns the same key for paths of
 * the same file (default: the path).
 */
export const plan = Effect.fnUntraced(function* <E, R>(
  patch: Patch,
  options: {
    readonly read: (path: string) => Effect.Effect<string | undefined, E, R>
    readonly keyOf?: ((path: string) => string) | undefined
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

/**
 * Applies the change of one file to its state, and to the state of the path it moves to, which is the same otherwise.
 */
const applyFile = (file: FilePatch, state: FileState, target: FileState): Result.Result<Change, PatchError> => {
  const refuse = (detail: string, line = file.line) => Result.fail(new PatchError({ detail, line, path: file.path }))
  const content = state.after
  if (file._tag === "Add") {
    if (content !== undefined) return refuse("a file to add exists already; update it, or delete it first")
    state.after = file.content
    return Result.succeed({
      path: file.path,
      kind: "add",
      diff: Hunks.contentLines(file.content, "+")
    })
  }
  if (content === undefined) return refuse(`there is no such file to ${file._tag === "Delete" ? "delete" : "update"}`)
  if (file._tag === "Delete") {
    state.after = undefined
    return Result.succeed({
      path: file.path,
      kind: "delete",
      diff: Hunks.contentLines(content, "-")
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
