/**
 * How the tests find each mutant of core, by the name in its marker (`mutantMarkers.ts`). `npm run mutants` prints it together with
 * what the markers say. Docs: decision 20.
 */
import type { Row } from "./mutantMarkers.ts"
import type { races } from "./races.ts"

/** A row: one of the `races` finds the mutant, or the program of its name among the drawn `programs`. */
interface RowOfCore extends Row {
  readonly by: keyof typeof races | "program"
}

/** By name. */
export const mutants = {
  "register-before-run": { by: "program", breaks: /^deadlock/ },
  "own-exit": { by: "program", breaks: /I8 the next turn/ },
  "a-defect-is-an-end": { by: "dying", breaks: /^S5|^deadlock|^unbounded wait/ },
  "abort-once": { by: "program", breaks: /^I1|the program failed/ },
  "abort-wins": { by: "program", breaks: /^I1/ },
  "late-clean-ups": { by: "cleaningLate", breaks: /^I4/ },
  "stragglers-after-their-turn": { by: "program", breaks: /^I3/ },
  "replace-lock": { by: "replacements", breaks: /^S4/ },
  "run-detached": { by: "replacingItself", breaks: /^I9/ },
  "look-and-wait-for-idle": { by: "waitingForTheSlot", breaks: /^deadlock/ },
  "owner-hears-of-the-journal": { by: "program", breaks: /^livelock|^deadlock|the program failed/ },
  "write-then-tell": { by: "program", breaks: /^(W2|J1|P2)/ },
  "receipt-barrier": { by: "program", breaks: /^P2/ },
  "look-and-wait-for-the-write": { by: "program", breaks: /^deadlock/ },
  "look-and-wait-for-an-event": { by: "program", breaks: /^deadlock/ },
  "shut-before-the-last-wait": { by: "program", breaks: /^(W2|J1|P2|S2)/ },
  "replacing-holds-the-queue": { by: "queuedBesideAReplacement", breaks: /^S4/ },
  "replaced-starts-the-queue": { by: "queuedBesideAReplacement", breaks: /^P2/ },
  "idle-behind-a-replacement": { by: "waitingForIdle", breaks: /^S4/ },
  "waiting-gives-way": { by: "lookingForIdle", breaks: /^livelock/ },
  "idle-behind-the-queue": { by: "program", breaks: /P2 input waits|^P2|I8/ },
  "unnamed-input-starts": { by: "program", breaks: /^P2/ },
  "full-queue-starts": { by: "program", breaks: /I8 the next turn|P2 input waits/ },
  "rollback-between-turns": { by: "rollingBack", breaks: /^(J3|J4|I6)/ },
  "closed-takes-nothing": { by: "program", breaks: /S2 a session that has|^(P2|S2|J1)/ },
  "closed-replaces-nothing": { by: "program", breaks: /^(J8|S2)/ },
  fence: { by: "program", breaks: /^(S2|I3)/ },
  "closing-starts-nothing": { by: "program", breaks: /^I2/ },
  "closing-in-the-step-that-asks": { by: "goingOn", breaks: /^I2 QuestionOpened/ },
  "closing-in-the-step-that-requests": { by: "goingOn", breaks: /^I2 ModelRequested/ },
  "closing-before-it-is-sent": { by: "sendingSlowly", breaks: /^I2 a request was sent/ },
  "fence-behind-a-hook": { by: "slowHook", breaks: /^S2/ },
  "fence-in-an-answer": { by: "program", breaks: /^(S2|I3|I7)/ },
  "gate-with-the-last-look": { by: "program", breaks: /^P4/ },
  "register-before-announcing": { by: "program", breaks: /^(S2|A1|A2|deadlock|J3)/ },
  "settle-once": { by: "program", breaks: /^A1/ },
  "asker-leaves": { by: "stopsWaiting", breaks: /^A1/ },
  "questions-end-with-their-turn": { by: "leavingAQuestion", breaks: /^A1/ },
  "abort-wins-over-waiting": { by: "waitingForAnAnswer", breaks: /^A2/ },
  "request-given-up-ends": { by: "stopsWaiting", breaks: /^S5 a turn failed: a turn samples one request/ },
  "request-ends-once": { by: "program", breaks: /^J3/ },
  "owner-ends-the-request": { by: "program", breaks: /^(J3|I7)/ },
  "owner-closes-the-calls": { by: "program", breaks: /^I6/ },
  "recorded-before-it-is-sent": { by: "program", breaks: /^J8/ },
  "recorded-before-it-runs": { by: "lookingForItsCall", breaks: /^J8/ },
  "durable-before-the-slot-is-free": { by: "program", breaks: /I8 the next turn|^P2|^S2/ },
  "closing-before-a-handler": { by: "callingSlowly", breaks: /^I2 a handler started/ },
  "carried-once": { by: "takingTwice", breaks: /^(P2|P6)/ },
  "fence-behind-an-answer": { by: "samplingLate", breaks: /^I3 a straggler got/ },
  "closed-starts-no-queue": { by: "closingWithAQueue", breaks: /^livelock/ },
  "steers-what-runs": { by: "failingWithAnOpenGate", breaks: /P2 input waits/ },
  "answer-aborts-its-own-turn": { by: "endingWhileTold", breaks: /^A5 the next turn/ },
  "nothing-after-the-last-record": { by: "program", breaks: /^(W2|J1|P2|J3)/ },
  receipts: { by: "submittedTwice", breaks: /^(P1|P2|P6)/ },
  "one-opening-at-a-time": { by: "openedTwice", breaks: /^J2/ },
  "one-writer": { by: "heldTwice", breaks: /^J2/ },
  "file-fence": { by: "takingOver", breaks: /^J2 acknowledged after the take-over/ }
} as const satisfies { readonly [name: string]: RowOfCore }
