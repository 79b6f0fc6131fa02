/**
 * The tool `apply_patch`: changes files by a {@link Patch}, all of them or none.
 *
 * Every path has to stay inside the working directory, symbolic links resolved. Nothing is written before the whole
 * patch is known to apply; then each file is replaced by a rename, and a failure in between puts back what was there.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Tool from "effect/ai/Tool"
import * as FileTransaction from "./internal/fileTransaction.ts"
import * as Workspace from "./internal/workspace.ts"
import * as Patch from "./Patch.ts"
import type { CallDisplay, FileChange } from "@spindle/core/Display"
import { CallId } from "@spindle/core/Ids"
import { Turn } from "@spindle/core/Turn"
import { ToolFailure } from "./ToolFailure.ts"
import * as Utf8 from "./Utf8.ts"

const description = `Changes files by a patch. The whole patch applies, or no file is changed. The format:

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

Give about three lines of context around each change, exactly as they are in the file. Changes of one file stand in its order. "*** Move to: path" \
after an update line renames the file; "*** End of File" after the lines of a change ties it to the end. Paths are relative to the working directory.`

/** The tool. Its success is a text that lists the files: `A` added, `M` changed or moved here, `D` deleted. */
export const tool = Tool.make("apply_patch", {
  description,
  parameters: Schema.Struct({ input: Schema.String.annotate({ description: "The whole patch." }) }),
  success: Schema.String,
  failure: ToolFailure.asText,
  failureMode: "return",
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
 * Applies a patch to the files below a directory, and answers the text for the model. **Interruption**: before the
 * first write nothing is changed; the writing is not interruptible. **Errors**: `ToolFailure`; no file is changed then,
 * unless its text says which could not be put back.
 */
export const apply = (
  input: string,
  options: { readonly cwd: string }
): Effect.Effect<string, ToolFailure, FileSystem.FileSystem | Path.Path> => Effect.map(commit(input, options), summary)

/** Applies a patch as {@link apply} does, and reports the changes that were made to the turn of the call. */
export const run = Effect.fnUntraced(function* (
  input: string,
  callId: string | undefined,
  options: { readonly cwd: string }
) {
  const turn = yield* Turn
  const report = (changes: ReadonlyArray<Patch.Change>) =>
    callId === undefined
      ? Effect.void
      : turn.detail(CallId.make(callId), { _tag: "Patch", changes: changes.map(fileChange) })
  // reported in the region that writes: an abort in between would lose what was done
  const plan = yield* Effect.onExit(commit(input, options), (exit) =>
    report(exit._tag === "Success" ? exit.value.changes : [])
  )
  return summary(plan)
})

const commit: (
  input: string,
  options: { readonly cwd: string }
) => Effect.Effect<Patch.Plan, ToolFailure, FileSystem.FileSystem | Path.Path> = Effect.fnUntraced(
  function* (input, { cwd }) {
    const patch = yield* Effect.fromResult(Patch.parse(input))
    const workspace = yield* Workspace.make(cwd)
    const targets = new Map<string, string>()
    for (const path of pathsOf(patch)) {
      const isDeleted = patch.files.some((file) => file._tag === "Delete" && file.path === path)
      targets.set(path, yield* workspace.resolve(path, isDeleted))
    }
    const plan = yield* Patch.plan(patch, {
      keyOf: (path) => targets.get(path)!,
      read: (path) => readText(path, targets.get(path)!)
    })
    yield* FileTransaction.commit(
      plan.files.map((file) => ({
        path: targets.get(file.path)!,
        content: file.after === undefined ? undefined : Utf8.encode(file.after),
        isThere: file.before !== undefined,
        modeOf: file.movedFrom === undefined ? undefined : targets.get(file.movedFrom)
      }))
    )
    return plan
  },
  Effect.mapError((error) =>
    error instanceof FileTransaction.CommitFailed
      ? new ToolFailure({ detail: error.message })
      : new ToolFailure({ detail: `The patch was not applied, and no file was changed.\n${error.message}` })
  )
)

const pathsOf = (patch: Patch.Patch): ReadonlySet<string> =>
  new Set(
    patch.files.flatMap((file) =>
      file._tag === "Update" && file.moveTo !== undefined ? [file.path, file.moveTo] : [file.path]
    )
  )

const readText = Effect.fnUntraced(function* (path: string, target: string) {
  const fileSystem = yield* FileSystem.FileSystem
  const refuse = (detail: string) => new Patch.PatchError({ path, detail })
  const bytes = yield* fileSystem.readFile(target).pipe(
    Effect.map((content): Uint8Array | undefined => content),
    Effect.catchReason("PlatformError", "NotFound", () => Effect.undefined),
    Effect.mapError((error) =>
      refuse(`cannot be read: ${error.reason._tag === "BadResource" ? "it is no file" : error.reason._tag}`)
    )
  )
  if (bytes === undefined) return undefined
  const text = Utf8.decodeStrict(bytes)
  return text ?? (yield* refuse("is not a text in UTF-8, and a patch changes only such files"))
})

const summary = (plan: Patch.Plan): string => {
  const lines = (letter: string, isWanted: (file: Patch.FileResult) => boolean) =>
    plan.files.filter(isWanted).map((file) => `${letter} ${file.path}`)
  const moved = new Set(plan.files.map((file) => file.movedFrom))
  return [
    plan.files.length === 0
      ? "Success. The files are as the patch wants them."
      : "Success. Updated the following files:",
    ...lines("A", (file) => file.before === undefined && file.movedFrom === undefined),
    ...lines("M", (file) => file.after !== undefined && (file.before !== undefined || file.movedFrom !== undefined)),
    ...lines("D", (file) => file.after === undefined && !moved.has(file.path)),
    ""
  ].join("\n")
}

/** The changes of a patch for whoever is asked; none when the text is no patch, which then does not apply. */
export const changesOf = (input: string): ReadonlyArray<Patch.Change> =>
  Result.match(Patch.parse(input), { onSuccess: Patch.changes, onFailure: () => [] })

/** Describes a call for people: the changes that the patch asks for; none when the text is no patch. */
export const display = (input: string): CallDisplay => ({ _tag: "Patch", changes: changesOf(input).map(fileChange) })

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
