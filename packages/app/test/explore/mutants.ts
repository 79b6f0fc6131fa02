/**
 * How the tests find each mutant of the tasks of the application, by the name in its marker; one marker is in core. `npm run mutants`
 * prints this table with the text of the markers. See decision 20.
 */
import type { cases } from "./cases.ts"

/** A row: one of the `cases` finds the mutant. */
interface RowOfApp {
  readonly by: keyof typeof cases
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** The rows, by the name of the mutant. */
export const mutants = {
  "task-registered-before-it-runs": { by: "runningAlongside", breaks: /^S12 1 commands started and 0 ended/ },
  "command-in-its-region": { by: "running", breaks: /^S12 1 commands started and 0 ended/ },
  "aborted-command-is-reported": { by: "running", breaks: /^S12 1 commands and 0 records/ },
  "review-left-by-its-hook": { by: "reviewing", breaks: /^S12 not ended once/ },
  "review-left-once": { by: "reviewing", breaks: /^S12 not ended once/ },
  "undo-ended-by-its-hook": { by: "undoing", breaks: /^S12 not ended once|^S12 \d restorations/ },
  "undo-ended-once": { by: "undoing", breaks: /^S12 not ended once|^S12 \d restorations/ },
  "undo-outlives-its-task": { by: "undoing", breaks: /^S12 \d restorations/ },
  "undo-waits-for-its-end": { by: "undoing", breaks: /^S12 \d restorations/ },
  "calls-wait-for-the-snapshot": { by: "gating", breaks: /^S12 a call ran before the snapshot/ },
  "one-snapshot-a-turn": { by: "gating", breaks: /^S12 a turn took two snapshots/ },
  "no-snapshot-after-its-turn": { by: "gating", breaks: /^S12 a snapshot from before a turn/ },
  "mention-selects-its-app": { by: "mentioning", breaks: /^M4 a turn offers \[\]/ },
  "selection-noted-once": { by: "mentioning", breaks: /^M4 a turn notes 2/ }
} as const satisfies { readonly [name: string]: RowOfApp }
