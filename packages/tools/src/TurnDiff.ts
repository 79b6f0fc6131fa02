/**
 * The changes of the patches of a turn so far, as one unified diff.
 *
 * A {@link Tracker} keeps the content of each file before the first patch that touched it, and after the last one. So a
 * line that was changed twice is one change, and a change that was taken back is not in the diff. Changes that commands
 * make to a file between two patches are part of the diff; other files that they change are not.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TextDiff from "effect/TextDiff"
import * as Local from "@spindle/core/Local"
import * as NoteKind from "@spindle/core/NoteKind"
import type { Turn } from "@spindle/core/Turn"
import type { FileResult } from "./Patch.ts"

/**
 * The patches of a turn have changed files: the unified diff of the turn so far, with the headers of git; empty if
 * nothing is changed in the end. It is cut at {@link maxLength}.
 */
export const TurnDiffUpdated = NoteKind.make("turn.diff", {
  data: Schema.Struct({ diff: Schema.String, isCut: Schema.optionalKey(Schema.Literal(true)) })
})
/** @see {@link TurnDiffUpdated} */
export interface TurnDiff {
  readonly diff: string
  readonly isCut?: true
}

/** The longest diff that is recorded, in UTF-16 units. */
export const maxLength = 262_144

/** The most lines of one place that may differ for a smallest diff. A larger change is a removal and an addition. */
const maxEdits = 2_000

/** Files before the first and after the last patch. */
export interface Tracker {
  /** Takes the result of a patch into account. */
  readonly add: (files: ReadonlyArray<FileResult>) => void
  readonly diff: () => TurnDiff
}

/** A file at its present path. */
interface Tracked {
  /** Its path before the first patch; undefined if there was no such file. */
  readonly origin: string | undefined
  readonly content: string
}

/** Makes the tracker of one turn. */
export const makeTracker = (): Tracker => {
  /** The contents before, of each path that a patch has touched. */
  const before = new Map<string, string | undefined>()
  const now = new Map<string, Tracked>()
  return {
    add: (files) => {
      // the paths before the patch, because two files can change their places
      const earlier = new Map(now)
      const originOf = (path: string) => (before.get(path) === undefined ? undefined : path)
      for (const file of files) {
        if (!before.has(file.path)) before.set(file.path, file.before)
        now.delete(file.path)
      }
      for (const { after, movedFrom, path } of files) {
        if (after === undefined) continue
        const from = movedFrom ?? path
        now.set(path, { origin: earlier.get(from)?.origin ?? originOf(from), content: after })
      }
    },
    diff: () => {
      const parts: Array<string> = []
      const shown = new Set<string>()
      for (const [path, { content, origin }] of now) {
        // a second copy of a file that was moved is a new file
        const from =
          origin === undefined || shown.has(origin) || (origin !== path && now.has(origin)) ? undefined : origin
        if (from !== undefined) shown.add(from)
        parts.push(fileDiff(from, path, { before: from === undefined ? undefined : before.get(from), after: content }))
      }
      for (const [path, content] of before) {
        if (content === undefined || now.has(path) || shown.has(path)) continue
        parts.push(fileDiff(path, path, { before: content, after: undefined }))
      }
      const diff = parts.join("")
      return diff.length > maxLength ? { diff: diff.slice(0, maxLength), isCut: true } : { diff }
    }
  }
}

/** Returns the diff of one file, as git writes it; nothing if it has not changed. */
const fileDiff = (
  from: string | undefined,
  to: string,
  { after, before }: { readonly before: string | undefined; readonly after: string | undefined }
): string => {
  if (from === to && before === after) return ""
  const header = [`diff --git a/${from ?? to} b/${to}`]
  if (before === undefined) header.push("new file")
  if (after === undefined) header.push("deleted file")
  if (from !== undefined && from !== to) header.push(`rename from ${from}`, `rename to ${to}`)
  const fromFile = before === undefined ? "/dev/null" : `a/${from}`
  const toFile = after === undefined ? "/dev/null" : `b/${to}`
  const edits = TextDiff.lines(before ?? "", after ?? "", { maxEdits })
  return `${header.join("\n")}\n${TextDiff.unified(edits, { fromFile, toFile })}`
}

const trackerOfTurn = Local.make(makeTracker)

/**
 * Takes the result of a patch into account, and records the diff of the turn as a note. **Interruption**: as
 * `Turn.note`.
 */
export const record = (turn: Turn, files: ReadonlyArray<FileResult>): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (files.length === 0) return Effect.void
    const tracker = Local.get(trackerOfTurn, turn)
    tracker.add(files)
    return turn.note(TurnDiffUpdated, tracker.diff())
  })
