/**
 * How the tests find each mutant of core, by the name in its marker (`mutantMarkers.ts`). `npm run mutants` prints it together with
 * what the markers say. Docs: decision 20.
 */
import type { Row } from "./mutantMarkers.ts"
import type { races } from "./races.ts"

/** A row: the mutant is found by one of the `races`, or by the generated program of its name in `programs`. */
interface RowOfCore extends Row {
  readonly by: keyof typeof races | "program"
}

/** The rows by the name of their mutant. */
export const mutants = {
  "register-before-run": { by: "program", breaks: /^deadlock/ },
  "notices-keep-no-input-out": { by: "program", breaks: /I8 the next turn/ },
  "own-exit": { by: "program", breaks: /I8 the next turn/ },
  "defect-frees-the-slot": { by: "dying", breaks: /^S5|^deadlock|^unbounded wait/ },
  "abort-once": { by: "program", breaks: /^I1|the program failed/ },
  "abort-wins": { by: "program", breaks: /^I1/ },
  "late-clean-ups": { by: "cleaningLate", breaks: /^I4/ },
  "stragglers-after-their-turn": { by: "program", breaks: /^I3/ },
  "replace-lock": { by: "replacements", breaks: /^S4/ },
  "run-detached": { by: "replacingItself", breaks: /^I9/ },
  "check-slot-and-wait": { by: "waitingForTheSlot", breaks: /^deadlock/ },
  "journal-failure-ends-the-turn": { by: "program", breaks: /^livelock|^deadlock|the program failed/ },
  "write-then-publish": { by: "program", breaks: /^(W2|J1|P2)/ },
  "receipt-when-durable": { by: "program", breaks: /^P2/ },
  "check-record-and-wait": { by: "program", breaks: /^deadlock/ },
  "check-events-and-wait": { by: "program", breaks: /^deadlock/ },
  "no-record-after-the-last-wait": { by: "program", breaks: /^(W2|J1|P2|S2)/ },
  "replacement-holds-the-queue": { by: "queuedDuringAReplacement", breaks: /^S4/ },
  "replacement-resumes-the-queue": { by: "queuedDuringAReplacement", breaks: /^P2/ },
  "idle-after-replacements": { by: "waitingForIdle", breaks: /^S4/ },
  "waiting-yields": { by: "lookingForIdle", breaks: /^livelock/ },
  "idle-after-the-queue": { by: "program", breaks: /P2 input waits|^P2|I8/ },
  "late-input-starts": { by: "program", breaks: /^P2/ },
  "ends-in-one-step": { by: "program", breaks: /^P2/ },
  "full-queue-starts": { by: "program", breaks: /I8 the next turn|P2 input waits/ },
  "compaction-keeps-late-items": { by: "recordingMeanwhile", breaks: /^S11 a compaction lost "late"/ },
  "remote-compaction-must-gain": { by: "remotelyGainingTooLittle", breaks: /^S11 a compaction freed too little/ },
  "compaction-must-gain": { by: "gainingTooLittle", breaks: /^S11 a compaction freed too little/ },
  "no-task-joins-an-ended-turn": { by: "startingAtTheEnd", breaks: /^P2 a turn that completed/ },
  "turn-owns-its-tasks": { by: "abortedWithATask", breaks: /^(I4|S7)/ },
  "owner-reports-for-tasks": { by: "stayingWithAnAbort", breaks: /P2 input waits|^J3/ },
  "rollback-between-turns": { by: "rollingBack", breaks: /^(J3|J4|I6)/ },
  "closed-accepts-nothing": { by: "program", breaks: /S2 a session that has|^(P2|S2|J1)/ },
  "closed-replaces-nothing": { by: "program", breaks: /^(J8|S2)/ },
  fence: { by: "program", breaks: /^(S2|I3)/ },
  "aborting-starts-nothing": { by: "program", breaks: /^I2/ },
  "abort-checked-with-question": { by: "continuingAfterAbort", breaks: /^I2 QuestionOpened/ },
  "abort-checked-with-request": { by: "continuingAfterAbort", breaks: /^I2 ModelRequested/ },
  "abort-checked-before-sending": { by: "sendingSlowly", breaks: /^I2 a request was sent/ },
  "fence-after-a-hook": { by: "slowHook", breaks: /^S2/ },
  "fence-during-a-response": { by: "program", breaks: /^(S2|I3|I7)/ },
  "gate-closes-with-last-check": { by: "program", breaks: /^P4/ },
  "register-before-announcing": { by: "program", breaks: /^(S2|A1|A2|deadlock|J3)/ },
  "settle-once": { by: "program", breaks: /^A1/ },
  "interrupted-asker-settles": { by: "stopsWaiting", breaks: /^A1/ },
  "questions-end-with-their-turn": { by: "leavingAQuestion", breaks: /^A1/ },
  "abort-wins-over-waiting": { by: "waitingForAnAnswer", breaks: /^A2/ },
  "abandoned-request-ends": { by: "stopsWaiting", breaks: /^S5 a turn failed: a turn samples one request/ },
  "request-ends-once": { by: "program", breaks: /^J3/ },
  "owner-ends-the-request": { by: "program", breaks: /^(J3|I7)/ },
  "owner-closes-the-calls": { by: "program", breaks: /^I6/ },
  "record-before-sending": { by: "program", breaks: /^J8/ },
  "record-before-running": { by: "lookingForItsCall", breaks: /^J8/ },
  "durable-before-the-slot-is-free": { by: "program", breaks: /I8 the next turn|^P2|^S2/ },
  "abort-checked-before-handler": { by: "callingSlowly", breaks: /^I2 a handler started/ },
  "carried-once": { by: "takingTwice", breaks: /^(P2|P6)/ },
  "fence-after-a-response": { by: "samplingLate", breaks: /^I3 a straggler got/ },
  "closed-starts-no-queue": { by: "closingWithAQueue", breaks: /^livelock/ },
  "steers-running-turns-only": { by: "failingWithAnOpenGate", breaks: /P2 input waits/ },
  "answer-aborts-its-own-turn": { by: "endingDuringTheAnswer", breaks: /^A5 the next turn/ },
  "closed-records-nothing": { by: "program", breaks: /^(W2|J1|P2|J3)/ },
  receipts: { by: "submittedTwice", breaks: /^(P1|P2|P6)/ },
  "one-opening-at-a-time": { by: "openedTwice", breaks: /^J2/ },
  "one-writer": { by: "heldTwice", breaks: /^J2/ },
  "file-fence": { by: "takingOver", breaks: /^J2 acknowledged after the take-over/ }
} as const satisfies { readonly [name: string]: RowOfCore }
