/**
 * How the tests find each mutant of delegates, by the name in its marker. A few markers are in core. `npm run mutants` prints this table
 * with the text of the markers. See decision 23.
 */
import type { cases } from "./cases.ts"

/** A row. One of the `cases` finds the mutant, or random trees do. */
interface RowOfDelegates {
  readonly by: keyof typeof cases | "trees"
  /** The law that it breaks. */
  readonly breaks: RegExp
}

/** The rows, by the name of the mutant. */
export const mutants = {
  "asks-concurrently": { by: "askingElsewhere", breaks: /^A3/ },
  "withdraws-what-the-child-settled": { by: "askingElsewhere", breaks: /^A2/ },
  "hands-over-in-one-step": { by: "handingOver", breaks: /^D2/ },
  "begins-the-end-in-its-region": { by: "endingABridge", breaks: /^deadlock/ },
  "releases-a-full-queue": { by: "endingAFullQueue", breaks: /^D2 the end/ },
  "keeps-what-is-queued": { by: "endingAFullQueue", breaks: /^D2 .* was queued/ },
  drains: { by: "lastWords", breaks: /^D2/ },
  "drains-for-so-long": { by: "hangingChild", breaks: /^D2|^unbounded wait/ },
  "leaves-a-child-that-hangs": { by: "hangingChild", breaks: /^D2/ },
  "refuses-pending-receipts": { by: "hangingChild", breaks: /^D2/ },
  "ends-with-its-scope": { by: "leavingABridge", breaks: /^D2/ },
  "ends-with-its-turn": { by: "bridgingInATurn", breaks: /^D2/ },
  "call-id-goes-up": { by: "bridgingInATurn", breaks: /^A3/ },
  "look-and-wait-for-room": { by: "readingAFullQueue", breaks: /^deadlock/ },
  linked: { by: "trees", breaks: /^(I3|D1)/ },
  detached: { by: "trees", breaks: /^D7 the detached/ },
  "registers-before-it-opens": { by: "startingDeaf", breaks: /^I3/ },
  "makes-none-when-refused": { by: "startingDeaf", breaks: /^D1/ },
  "ends-what-was-opened-meanwhile": { by: "startingDeaf", breaks: /^D1/ },
  "leaves-the-end-to-its-opener": { by: "startingDeaf", breaks: /^D1/ },
  "refuses-by-name": { by: "startingLate", breaks: /^D6/ },
  "gives-back-a-failed-start": { by: "failingStart", breaks: /^D6/ },
  "closes-its-scope": { by: "failingStart", breaks: /^D6 a start that failed holds its journal/ },
  "ends-with-the-session": { by: "trees", breaks: /^D1/ },
  "in-the-scope-of-the-session": { by: "trees", breaks: /^D1/ },
  "begins-its-end-in-its-region": { by: "endingADelegate", breaks: /^deadlock/ },
  "waits-for-its-delegates": { by: "trees", breaks: /^D1 a turn ended before/ },
  "bounded-without-a-bridge": { by: "hangingJournal", breaks: /^D1/ },
  deadline: { by: "trees", breaks: /^D7 delegate .* lived/ },
  "one-shot-ends-with-its-caller": { by: "stoppingTheCaller", breaks: /^D5/ },
  "one-shot-refused": { by: "refusedOnce", breaks: /^D5/ },
  "slot-of-a-settled": { by: "oneSlot", breaks: /^D6 a delegate that has settled keeps/ },
  "slot-of-an-ended": { by: "oneSlot", breaks: /^D6 a delegate that has ended keeps/ },
  "ended-is-settled": { by: "oneSlot", breaks: /^D6 no caller/ },
  "look-and-wait-to-settle": { by: "trees", breaks: /^D6 .* have not settled/ },
  "settles-after-its-input": { by: "twoInputs", breaks: /^D6/ },
  "settles-with-a-notice": { by: "noticeAtTheEnd", breaks: /^D6 .* have not settled/ },
  "slot-of-a-failed-session": { by: "failingJournal", breaks: /^D6/ },
  "slot-to-continue": { by: "oneSlot", breaks: /^D6 a delegate that had settled works/ },
  "slot-of-pending-input": { by: "handedAtTheEnd", breaks: /^D6/ },
  "slot-of-refused-input": { by: "oneSlot", breaks: /^D6 input/ },
  "counts-when-it-looks": { by: "trees", breaks: /^D6 .* work, .* may/ },
  "counts-in-the-entire-tree": { by: "trees", breaks: /^D6 .* work, .* may/ },
  "stops-when-spent": { by: "spending", breaks: /^D6/ },
  "stops-again-when-spent": { by: "spendingAgain", breaks: /^D6/ },
  "question-ends-with-its-asker": { by: "trees", breaks: /^A2 session .* shows/ },
  "abort-is-no-denial": { by: "trees", breaks: /^A2 .* Denied/ },
  "asker-is-not-interrupted": { by: "askingAParentThatStops", breaks: /^A2/ },
  "unique-ids": { by: "trees", breaks: /^A1 .* opened twice|^A3 session/ },
  "one-id-everywhere": { by: "trees", breaks: /^A3 session/ },
  "late-answers": { by: "answeringTwice", breaks: /^A1/ },
  "detached-asks-the-session": { by: "askingBetweenTurns", breaks: /^A3/ },
  "turns-take-their-own-questions": { by: "askingBetweenTurns", breaks: /^A3/ },
  "closing-starts-no-delegate": { by: "registeringSlowly", breaks: /^I2/ },
  evicts: { by: "trees", breaks: /^D1/ },
  "drains-all-at-once": { by: "returning", breaks: /^D1 the delegates/ },
  "notifies-each-time": { by: "reporting", breaks: /^D7 the parent got no notice/ },
  "notifies-once": { by: "reporting", breaks: /^D7 the parent got \d|^livelock/ },
  "counts-while-notifying": { by: "reporting", breaks: /^D7 the parent got no notice/ },
  "notifies-how-it-settled": { by: "continuingAtOnce", breaks: /^D7/ },
  "descendants-only": { by: "leavingItsSubtree", breaks: /^D6 an agent closes/ },
  "no-cycle-of-waits": { by: "leavingItsSubtree", breaks: /^D6 an agent waits/ },
  "meets-authority": { by: "withoutPermission", breaks: /^A4/ },
  "rejection-is-no-settling": { by: "reporting", breaks: /^D7 the parent got 3/ },
  wakes: { by: "waking", breaks: /^D7/ },
  trace: { by: "traced", breaks: /^O1/ },
  "hands-over-in-its-region": { by: "spawningDetached", breaks: /^D6/ },
  "returns-how-it-settled": { by: "continuingWhileAwaited", breaks: /^D6/ },
  "own-name": { by: "twoNames", breaks: /^D6/ }
} as const satisfies { readonly [name: string]: RowOfDelegates }

/** Mutants of core (decision 20) that random trees find too, each with the law that it breaks there. */
export const ofCore: { readonly [name: string]: RegExp } = {
  // a parent waits for its delegate in a call that the abort settles
  "owner-closes-the-calls": /^I6/,
  "settle-once": /^(A1|S2)/,
  "interrupted-asker-settles": /^A2 session/
}
