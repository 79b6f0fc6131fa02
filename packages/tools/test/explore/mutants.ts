/**
 * The row of each mutant of this package, by the name in its marker: how the tests find it. `npm run mutants` prints
 * it. See decision 20.
 */
import type { cases } from "./cases.ts"

interface RowOfTools {
  readonly by: keyof typeof cases
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** The rows, by the name of the mutant. */
export const mutants = {
  "journal-before-staging": { by: "crashing", breaks: /^S12 left over/ },
  "moving-is-journalled": { by: "crashing", breaks: /^S12 half restored/ },
  "finished-restoration-is-concluded": { by: "crashing", breaks: /^S12 recovered twice/ },
  "failed-restoration-is-discarded": { by: "filling", breaks: /^S12 left over/ },
  "failed-move-is-taken-back": { by: "filling", breaks: /^S12 half restored/ },
  "recovers-before-a-snapshot": { by: "snapshotting", breaks: /^S12 recovered twice/ },
  "foreign-change-is-kept": { by: "changing", breaks: /^S12 overwritten/ },
  "same-age-is-wanted": { by: "starting", breaks: /^X1 not found/ },
  "ages-are-forgotten": { by: "reusing", breaks: /^X1 not found/ },
  "unread-is-not-foreign": { by: "failing", breaks: /^X1 not found/ }
} as const satisfies { readonly [name: string]: RowOfTools }
