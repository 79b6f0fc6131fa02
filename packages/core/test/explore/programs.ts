/**
 * Programs that `SessionPrograms` generated, each of which finds some of the `mutants`. `controls.test.ts` runs them on
 * core unchanged, and on each mutant.
 */
import type { SessionProgram } from "@spindle/testing/SessionPrograms"

type Changes = Partial<Omit<SessionProgram, "task" | "seed">>

/** A program of one task. By default nothing happens to it, and its journal and inbox have the least that they can have. */
const programOf = (task: SessionProgram["task"], seed: number, changes: Changes = {}): SessionProgram => ({
  task,
  operations: [],
  faults: [],
  journalMillis: 0,
  inboxCapacity: 1,
  mode: "during",
  seed,
  ...changes
})

const approval = programOf("approval", 0, { journalMillis: 1 })
const signalled = programOf("signalled", 783)
const tools = programOf("tools", 419, { inboxCapacity: 512 })
const closedAtOnce = programOf("custom", 217, { operations: [{ operation: "close", step: 4 }], mode: "before" })

const failingApproval = programOf("approval", 396, {
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
  mode: "before"
})

const closedTools = programOf("tools", 60, {
  operations: [
    { operation: "deny", step: 1862 },
    { operation: "close", step: 491 },
    { operation: "approve", step: 334 }
  ],
  faults: [
    { point: "journal", fault: "drop", nth: 2 },
    { point: "tool", fault: "fail", nth: 2 }
  ],
  inboxCapacity: 512
})

const abortedStraggler = programOf("straggler", 490, {
  operations: [
    { operation: "approve", step: 1799 },
    { operation: "queue", step: 6 },
    { operation: "abort", step: 1153 }
  ],
  inboxCapacity: 512,
  mode: "before"
})

/** The programs by the name of their mutant. */
export const programs = {
  "register-before-run": programOf("answer", 1, { journalMillis: 1, inboxCapacity: 512 }),
  "notices-keep-no-input-out": programOf("tools", 0, {
    operations: [{ operation: "alongside", step: 150 }],
    journalMillis: 1,
    mode: "before"
  }),
  "own-exit": programOf("straggler", 840),
  "abort-once": approval,
  "abort-wins": signalled,
  "stragglers-after-their-turn": programOf("tools", 1, { mode: "before" }),
  "write-then-publish": approval,
  "receipt-when-durable": failingApproval,
  "check-record-and-wait": signalled,
  "check-events-and-wait": tools,
  "no-record-after-the-last-wait": closedTools,
  "idle-after-the-queue": programOf("approval", 165, {
    operations: [
      { operation: "replace", step: 2 },
      { operation: "replace", step: 8 }
    ],
    faults: [{ point: "journal", fault: "slow", nth: 0 }],
    inboxCapacity: 512,
    mode: "before"
  }),
  "late-input-starts": programOf("answer", 912, {
    operations: [
      { operation: "queue", step: 3000 },
      { operation: "approve", step: 579 }
    ],
    faults: [
      { point: "model", fault: "fail", nth: 6 },
      { point: "model", fault: "slow", nth: 4 }
    ],
    journalMillis: 1,
    inboxCapacity: 512
  }),
  "full-queue-starts": programOf("straggler", 1, {
    operations: [
      { operation: "queue", step: 4 },
      { operation: "deny", step: 2394 }
    ],
    faults: [{ point: "tool", fault: "slow", nth: 2 }],
    journalMillis: 1,
    mode: "before"
  }),
  "closed-accepts-nothing": closedAtOnce,
  "closed-replaces-nothing": closedAtOnce,
  fence: abortedStraggler,
  "aborting-starts-nothing": signalled,
  "fence-during-a-response": abortedStraggler,
  "gate-closes-with-last-check": programOf("custom", 480, {
    operations: [{ operation: "steer", step: 1082 }],
    journalMillis: 1,
    mode: "before"
  }),
  "register-before-announcing": programOf("signalled", 273, {
    operations: [
      { operation: "steer", step: 1611 },
      { operation: "steer", step: 9 }
    ],
    mode: "before"
  }),
  "settle-once": signalled,
  "request-ends-once": signalled,
  "owner-ends-the-request": tools,
  "owner-closes-the-calls": approval,
  "record-before-sending": programOf("answer", 1, {
    faults: [{ point: "journal", fault: "fail", nth: 2 }],
    journalMillis: 1,
    mode: "before"
  }),
  "durable-before-the-slot-is-free": signalled,
  "closed-records-nothing": closedTools
} satisfies { readonly [mutant: string]: SessionProgram }
