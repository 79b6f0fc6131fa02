/**
 * Programs that `SessionPrograms` generated, each of which finds one of the `mutants`. `controls.test.ts` runs them on
 * core unchanged, and on the mutant.
 */
import type { SessionProgram } from "@spindle/testing/SessionPrograms"

/** The programs by the name of their mutant. */
export const programs = {
  "register-before-run": {
    task: "answer",
    operations: [],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 512,
    mode: "during",
    seed: 1
  },
  "notices-keep-no-input-out": {
    task: "tools",
    operations: [{ operation: "alongside", step: 150 }],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "before",
    seed: 0
  },
  "own-exit": {
    task: "straggler",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 840
  },
  "abort-once": {
    task: "approval",
    operations: [],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "during",
    seed: 0
  },
  "abort-wins": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "stragglers-after-their-turn": {
    task: "tools",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "before",
    seed: 1
  },
  "journal-failure-ends-the-turn": {
    task: "approval",
    operations: [
      { operation: "abort", step: 2990 },
      { operation: "steer", step: 2018 },
      { operation: "steer", step: 573 }
    ],
    faults: [
      { point: "journal", fault: "fail", nth: 7 },
      { point: "model", fault: "fail", nth: 1 }
    ],
    journalMillis: 1,
    inboxCapacity: 512,
    mode: "before",
    seed: 396
  },
  "write-then-publish": {
    task: "approval",
    operations: [],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "during",
    seed: 0
  },
  "receipt-when-durable": {
    task: "approval",
    operations: [
      { operation: "abort", step: 2990 },
      { operation: "steer", step: 2018 },
      { operation: "steer", step: 573 }
    ],
    faults: [
      { point: "journal", fault: "fail", nth: 7 },
      { point: "model", fault: "fail", nth: 1 }
    ],
    journalMillis: 1,
    inboxCapacity: 512,
    mode: "before",
    seed: 396
  },
  "check-record-and-wait": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "check-events-and-wait": {
    task: "tools",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "during",
    seed: 419
  },
  "no-record-after-the-last-wait": {
    task: "tools",
    operations: [
      { operation: "deny", step: 1862 },
      { operation: "close", step: 491 },
      { operation: "approve", step: 334 }
    ],
    faults: [
      { point: "journal", fault: "drop", nth: 2 },
      { point: "tool", fault: "fail", nth: 2 }
    ],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "during",
    seed: 60
  },
  "idle-after-the-queue": {
    task: "approval",
    operations: [
      { operation: "replace", step: 2 },
      { operation: "replace", step: 8 }
    ],
    faults: [{ point: "journal", fault: "slow", nth: 0 }],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "before",
    seed: 165
  },
  "ends-in-one-step": {
    task: "tools",
    operations: [{ operation: "steer", step: 1503 }],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 50
  },
  "late-input-starts": {
    task: "answer",
    operations: [
      { operation: "queue", step: 3000 },
      { operation: "approve", step: 579 }
    ],
    faults: [
      { point: "model", fault: "fail", nth: 6 },
      { point: "model", fault: "slow", nth: 4 }
    ],
    journalMillis: 1,
    inboxCapacity: 512,
    mode: "during",
    seed: 912
  },
  "full-queue-starts": {
    task: "straggler",
    operations: [
      { operation: "queue", step: 4 },
      { operation: "deny", step: 2394 }
    ],
    faults: [{ point: "tool", fault: "slow", nth: 2 }],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "before",
    seed: 1
  },
  "closed-accepts-nothing": {
    task: "custom",
    operations: [{ operation: "close", step: 4 }],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "before",
    seed: 217
  },
  "closed-replaces-nothing": {
    task: "custom",
    operations: [{ operation: "close", step: 4 }],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "before",
    seed: 217
  },
  fence: {
    task: "straggler",
    operations: [
      { operation: "approve", step: 1799 },
      { operation: "queue", step: 6 },
      { operation: "abort", step: 1153 }
    ],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "before",
    seed: 490
  },
  "aborting-starts-nothing": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "fence-during-a-response": {
    task: "straggler",
    operations: [
      { operation: "approve", step: 1799 },
      { operation: "queue", step: 6 },
      { operation: "abort", step: 1153 }
    ],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "before",
    seed: 490
  },
  "gate-closes-with-last-check": {
    task: "custom",
    operations: [{ operation: "steer", step: 1082 }],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "before",
    seed: 480
  },
  "register-before-announcing": {
    task: "signalled",
    operations: [
      { operation: "steer", step: 1611 },
      { operation: "steer", step: 9 }
    ],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "before",
    seed: 273
  },
  "settle-once": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "request-ends-once": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "owner-ends-the-request": {
    task: "tools",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "during",
    seed: 419
  },
  "owner-closes-the-calls": {
    task: "approval",
    operations: [],
    faults: [],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "during",
    seed: 0
  },
  "record-before-sending": {
    task: "answer",
    operations: [],
    faults: [{ point: "journal", fault: "fail", nth: 2 }],
    journalMillis: 1,
    inboxCapacity: 1,
    mode: "before",
    seed: 1
  },
  "durable-before-the-slot-is-free": {
    task: "signalled",
    operations: [],
    faults: [],
    journalMillis: 0,
    inboxCapacity: 1,
    mode: "during",
    seed: 783
  },
  "closed-records-nothing": {
    task: "tools",
    operations: [
      { operation: "deny", step: 1862 },
      { operation: "close", step: 491 },
      { operation: "approve", step: 334 }
    ],
    faults: [
      { point: "journal", fault: "drop", nth: 2 },
      { point: "tool", fault: "fail", nth: 2 }
    ],
    journalMillis: 0,
    inboxCapacity: 512,
    mode: "during",
    seed: 60
  }
} as const satisfies { readonly [mutant: string]: SessionProgram }
