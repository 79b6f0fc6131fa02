/** The parts of a patch. `Patch` exports them; the parser and the search of places use them. */

/** One line of a hunk: context, removed or added. */
export interface HunkLine {
  readonly kind: "context" | "remove" | "add"
  readonly text: string
}

/** One place of a file and its change. */
export interface Hunk {
  /** The lines after `@@`, in order. Each is searched below the previous one, and the hunk below them all. */
  readonly headers: ReadonlyArray<string>
  readonly lines: ReadonlyArray<HunkLine>
  /** True if the hunk is marked as the end of the file. */
  readonly isAtEnd: boolean
  /** Its first line in the patch, counted from 1. */
  readonly line: number
}

/** The change of one file; `line` is the line of its marker in the patch, counted from 1. */
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

/** The reason why a patch cannot be read or does not apply, and the line of the patch. */
export interface Failure {
  readonly detail: string
  readonly line: number
}
