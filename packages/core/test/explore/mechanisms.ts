/**
 * The mechanisms of core that close a race, each with the change that takes it out of the source, and what the explorer then finds. The tests load
 * core with one of them taken out (`withoutMechanism.ts`): production code has no switch. Docs: decision 20.
 */
import type { races } from "./races.ts"

/** A mechanism. */
export interface Mechanism {
  /** What it sees to, as a sentence; begins with the clause. */
  readonly closes: string
  /** The file below `packages` that it is in. */
  readonly file: string
  /** What is there, exactly once, and what stands there without the mechanism. */
  readonly changes: ReadonlyArray<readonly [there: string, instead: string]>
  /** What shows the fault: one of the `races`, or else the program of its name among the drawn `programs`. */
  readonly by: keyof typeof races | "program"
  /** The finding. */
  readonly breaks: RegExp
}

const access = "core/src/internal/turn/turnService.ts"
const ledger = "core/src/internal/turn/ledger.ts"
const recorder = "core/src/internal/log/recorder.ts"
const requests = "core/src/internal/turn/questions.ts"
const sampling = "core/src/internal/turn/sampling.ts"
const submissions = "core/src/internal/session/submissions.ts"
const supervisor = "core/src/TaskSupervisor.ts"
const toolCalls = "core/src/tasks/toolCalls.ts"
const turns = "core/src/internal/turn/turns.ts"
const session = "core/src/Session.ts"

/** By name. */
export const mechanisms = {
  "register-before-run": {
    closes: "S6 a task is in its slot before it runs",
    file: supervisor,
    changes: [
      ["this.current = running\n    const task", "const task"],
      ["running.ownedBy(() =>", "this.current = running\n    running.ownedBy(() =>"]
    ],
    by: "program",
    breaks: /^deadlock/
  },
  "own-exit": {
    closes: "I3 the end of a straggler ends no later turn",
    file: supervisor,
    changes: [["if (this.current !== running) return\n", ""]],
    by: "program",
    breaks: /I8 the next turn/
  },
  "a-defect-is-an-end": {
    closes: "S5 a task that dies has ended, and its slot is free",
    file: supervisor,
    changes: [
      [
        `if (this.signal({ _tag: "Exit" })) running.leave()`,
        `if (!(exit._tag === "Failure" && Cause.hasDies(exit.cause)) && this.signal({ _tag: "Exit" })) running.leave()`
      ]
    ],
    by: "dying",
    breaks: /^S5|^deadlock|^unbounded wait/
  },
  "abort-once": {
    closes: "I1 an abort moves a running turn only, and answers true once",
    file: supervisor,
    changes: [
      [
        `return state._tag === "Running" ? { _tag: "Aborting", reason: signal.reason } : state`,
        `return state._tag === "Idle" ? state : { _tag: "Aborting", reason: signal.reason }`
      ]
    ],
    by: "program",
    breaks: /^I1|the program failed/
  },
  "abort-wins": {
    closes: "I1 a turn that was asked to stop is aborted, also when its task returns",
    file: supervisor,
    changes: [
      [
        `return state._tag === "Running" ? { _tag: "Settling", as: "returned" } : state`,
        `return state._tag === "Running" || state._tag === "Aborting" ? { _tag: "Settling", as: "returned" } : state`
      ]
    ],
    by: "program",
    breaks: /^I1/
  },
  "late-clean-ups": {
    closes: "I3 a clean-up that is added after the abort is started at once",
    file: supervisor,
    changes: [["if (this.late !== undefined) {", "if (this.late === undefined && this.late !== undefined) {"]],
    by: "cleaningLate",
    breaks: /^I4/
  },
  "stragglers-after-their-turn": {
    closes: "I3 the end of a straggler is told after the record that names it",
    file: supervisor,
    changes: [
      ["return Effect.map(job.settle(how), () => {", "return Effect.suspend(() => {"],
      [
        "this.settled(job.freed)\n      })",
        "return Effect.map(job.settle(how), () => this.settled(job.freed))\n      })"
      ]
    ],
    by: "program",
    breaks: /^I3/
  },
  turnstile: {
    closes: "S4 transitions of a slot do not overlap",
    file: supervisor,
    changes: [["return Semaphore.withPermit(this.gate, transition)", "return transition"]],
    by: "transitions",
    breaks: /^S4/
  },
  outlive: {
    closes: "I9 a replacement outlives the task that asked for it",
    file: supervisor,
    changes: [["return Effect.suspend(() => Fiber.join(detach(this.context, effect)))", "return effect"]],
    by: "replacingItself",
    breaks: /^I9/
  },
  "look-and-wait-for-idle": {
    closes: "I2 whoever waits for the slot looks in the step that registers",
    file: supervisor,
    changes: [[`if (this.slot._tag === "Idle") return resume(Effect.void)\n`, ""]],
    by: "waitingForTheSlot",
    breaks: /^deadlock/
  },
  "owner-hears-of-the-journal": {
    closes: "S2 a journal that fails ends the turn, whose task waits for it",
    file: session,
    changes: [["supervisor.fail(Cause.fail(error))\n", ""]],
    by: "program",
    breaks: /^livelock|^deadlock|the program failed/
  },
  "write-then-tell": {
    closes: "J1 what is told is in the journal",
    file: recorder,
    changes: [
      ["const written =", "for (const event of batch) this.publish(event)\n      const written ="],
      ["for (const event of batch) this.publish(event)\n    this.wake()", "this.wake()"]
    ],
    by: "program",
    breaks: /^(W2|J1|P2)/
  },
  "receipt-barrier": {
    closes: "P2 a receipt waits until its input is durable",
    file: submissions,
    changes: [[": Effect.as(barrier(kernel, dispatched.span), receipt)", ": Effect.succeed(receipt)"]],
    by: "program",
    breaks: /^P2/
  },
  "look-and-wait-for-the-write": {
    closes: "P2 whoever waits for a record looks in the step that registers",
    file: recorder,
    changes: [["if (this.durable >= seq) return resume(Effect.void)\n", ""]],
    by: "program",
    breaks: /^deadlock/
  },
  "look-and-wait-for-an-event": {
    closes: "W2 a subscriber looks in the step that registers",
    file: "core/src/internal/log/subscribers.ts",
    changes: [
      [
        "if (one.pending.length > 0 || one.ended || (one.behind && one.cursor <= this.published)) {",
        "if (one.ended && this.failed !== undefined) {"
      ]
    ],
    by: "program",
    breaks: /^deadlock/
  },
  "shut-before-the-last-wait": {
    closes: "S7 nothing is recorded behind the last wait of a session that closes",
    file: session,
    changes: [["kernel.recorder.closed = true\n", ""]],
    by: "program",
    breaks: /^(W2|J1|P2|S2)/
  },
  "replacing-holds-the-queue": {
    closes: "S4 between a replaced turn and its replacement no input starts",
    file: submissions,
    changes: [["this.owed = kernel.replacing > 0", "this.owed = false"]],
    by: "queuedBesideAReplacement",
    breaks: /^S4/
  },
  "replaced-starts-the-queue": {
    closes: "P2 a replacement that lets go starts the queue that it held back",
    file: submissions,
    changes: [["if (this.owed && this.kernel.replacing === 0) this.startHead()", ""]],
    by: "queuedBesideAReplacement",
    breaks: /^P2/
  },
  "idle-behind-a-replacement": {
    closes: "S4 a session is not idle between a turn and its replacement",
    file: session,
    changes: [
      ["if (kernel.replacing > 0) return Effect.andThen(supervisor.turnstile(Effect.yieldNow), awaitIdle)\n", ""]
    ],
    by: "waitingForIdle",
    breaks: /^S4/
  },
  "waiting-gives-way": {
    closes: "S4 whoever waits for a replacement lets it get to the turnstile",
    file: session,
    changes: [["supervisor.turnstile(Effect.yieldNow)", "supervisor.turnstile(Effect.void)"]],
    by: "lookingForIdle",
    breaks: /^livelock/
  },
  "idle-behind-the-queue": {
    closes: "P2 a session is not idle while the head of the queue is about to start",
    file: session,
    changes: [
      [
        "return kernel.next === undefined ? Effect.void : Effect.andThen(Fiber.await(kernel.next), awaitIdle)",
        "return Effect.void"
      ]
    ],
    by: "program",
    breaks: /P2 input waits|^P2|I8/
  },
  "unnamed-input-starts": {
    closes: "P2 input that comes after the end of a turn was told starts",
    file: submissions,
    changes: [["this.kernel.unnamed = true", "this.kernel.unnamed = false"]],
    by: "program",
    breaks: /^P2/
  },
  "full-queue-starts": {
    closes: "P2 a kept queue that is full starts when input is refused",
    file: submissions,
    changes: [[`if (refusal._tag === "InboxFull" && op.expectedTurnId === undefined) this.goOn()`, ""]],
    by: "program",
    breaks: /I8 the next turn|P2 input waits/
  },
  "rollback-between-turns": {
    closes: "J4 a rollback is refused while a turn runs",
    file: submissions,
    changes: [
      [
        `if (state.turn !== undefined) return rejected(submissionId, { _tag: "TurnRunning", turnId: state.turn.turnId })`,
        ""
      ]
    ],
    by: "rollingBack",
    breaks: /^(J3|J4|I6)/
  },
  "closed-takes-nothing": {
    closes: "S7 a session that is closed or has failed takes no operation",
    file: submissions,
    changes: [
      [
        `if (kernel.closed || kernel.recorder.failure !== undefined) return rejected(submissionId, { _tag: "SessionClosed" })`,
        ""
      ]
    ],
    by: "program",
    breaks: /S2 a session that has|^(P2|S2|J1)/
  },
  "closed-replaces-nothing": {
    closes: "S2 a session that is closed or has failed starts no task",
    file: turns,
    changes: [
      ["if (kernel.closed || kernel.recorder.failure !== undefined) {", "if (kernel.closed && !kernel.closed) {"]
    ],
    by: "program",
    breaks: /^(J8|S2)/
  },
  fence: {
    closes: "I3 a straggler's turn refuses it everything",
    file: supervisor,
    changes: [["readonly isFenced = () => this.fenced", "readonly isFenced = () => false"]],
    by: "program",
    breaks: /^(S2|I3)/
  },
  "closing-starts-nothing": {
    closes: "I2 a turn that was asked to stop starts nothing",
    file: ledger,
    changes: [["return this.slot.isFenced() || this.slot.reason() !== undefined", "return this.slot.isFenced()"]],
    by: "program",
    breaks: /^I2/
  },
  "closing-in-the-step-that-asks": {
    closes: "I2 whether a turn closes is looked at in the step that records a question",
    file: requests,
    changes: [["if (isClosing(kernel, ledger)) return Effect.interrupt", ""]],
    by: "goingOn",
    breaks: /^I2 QuestionOpened/
  },
  "closing-in-the-step-that-requests": {
    closes: "I2 whether a turn closes is looked at in the step that records a request",
    file: sampling,
    changes: [["if (ledger.isClosing()) return yield* Effect.interrupt\n  ledger.openAttempt", "ledger.openAttempt"]],
    by: "goingOn",
    breaks: /^I2 ModelRequested/
  },
  "closing-before-it-is-sent": {
    closes: "I2 it is looked at again when the record of a request is written",
    file: sampling,
    changes: [["if (ledger.isClosing()) return yield* Effect.interrupt\n  const items", "const items"]],
    by: "sendingSlowly",
    breaks: /^I2 a request was sent/
  },
  "fence-behind-a-hook": {
    closes: "I3 a straggler that comes back from a prompt hook carries nothing",
    file: access,
    changes: [["if (fenced()) return Effect.interrupt\n    // an abort", "// an abort"]],
    by: "slowHook",
    breaks: /^S2/
  },
  "fence-in-an-answer": {
    closes: "I3 what a straggler still receives of an answer is left out",
    file: sampling,
    changes: [["if (finish !== undefined || ledger.slot.isFenced()) break", "if (finish !== undefined) break"]],
    by: "program",
    breaks: /^(S2|I3|I7)/
  },
  "gate-with-the-last-look": {
    closes: "P4 closing the gate and the last look into the inbox are one step",
    file: access,
    changes: [[`if (waiting().length > 0 && kernel.policy.leftoverInput === "request") return false`, ""]],
    by: "program",
    breaks: /^P4/
  },
  "register-before-announcing": {
    closes: "A1 a question is registered before it is announced",
    file: requests,
    changes: [
      [
        "kernel.requests.set(questionId, { turnId, settle })",
        "const { requests } = kernel\n  Effect.runForkWith(kernel.context)(Effect.andThen(Effect.yieldNow, Effect.sync(() => requests.set(questionId, { turnId, settle }))))"
      ]
    ],
    by: "program",
    breaks: /^(S2|A1|A2|deadlock|J3)/
  },
  "settle-once": {
    closes: "A1 the first answer settles a question, and the others find none",
    file: requests,
    changes: [["if (kernel.requests?.delete(questionId) !== true) return", "kernel.requests?.delete(questionId)"]],
    by: "program",
    breaks: /^A1/
  },
  "asker-leaves": {
    closes: "A1 a question whose asker has left is settled",
    file: requests,
    changes: [[`settle({ _tag: "Cancelled", by: ledger?.slot.reason() === undefined ? "end" : "abort" })`, ""]],
    by: "stopsWaiting",
    breaks: /^A1/
  },
  "questions-end-with-their-turn": {
    closes: "A1 what is open when a turn ends is settled before its terminal record",
    file: turns,
    changes: [[`Requests.cancelAll(kernel, ledger.origin.turnId, reason === undefined ? "end" : "abort")`, ""]],
    by: "leavingAQuestion",
    breaks: /^A1/
  },
  "abort-wins-over-waiting": {
    closes: "A2 whoever waits for an answer learns of an abort when it comes",
    file: requests,
    changes: [[`Effect.as(ledger.slot.aborting, { _tag: "Cancelled", by: "abort" } as const)`, "Effect.never"]],
    by: "waitingForAnAnswer",
    breaks: /^A2/
  },
  "request-given-up-ends": {
    closes: "I7 a request that its task gives up is ended in the ledger",
    file: sampling,
    changes: [[`ledger.endRequest(Cause.hasInterrupts(exit.cause) ? "aborted" : "failed", undefined, "aborted")`, ""]],
    by: "stopsWaiting",
    breaks: /^S5 a turn failed: a turn samples one request/
  },
  "request-ends-once": {
    closes: "I7 a request ends once, in the ledger",
    file: ledger,
    changes: [["const requestId = this.openRequest\n", "const requestId = this.openRequest ?? this.lastRequest\n"]],
    by: "program",
    breaks: /^J3/
  },
  "owner-ends-the-request": {
    closes: "I3 the owner ends the request of a task that hangs",
    file: turns,
    changes: [[`ledger.endRequest(reason === undefined ? "failed" : "aborted", undefined, "aborted")`, ""]],
    by: "program",
    breaks: /^(J3|I7)/
  },
  "owner-closes-the-calls": {
    closes: "I6 the owner answers the calls that are open",
    file: turns,
    changes: [["ledger.closeCalls(reason)", ""]],
    by: "program",
    breaks: /^I6/
  },
  "recorded-before-it-is-sent": {
    closes: "J8 a request is durable before it is sent",
    file: sampling,
    changes: [["yield* flush\n", ""]],
    by: "program",
    breaks: /^J8/
  },
  "recorded-before-it-runs": {
    closes: "J8 a call is durable before its handler starts",
    file: toolCalls,
    changes: [["yield* turn.flush\n", ""]],
    by: "lookingForItsCall",
    breaks: /^J8/
  },
  "durable-before-the-slot-is-free": {
    closes: "S2 the terminal record is durable before the next turn may start",
    file: turns,
    changes: [["yield* Effect.ignore(barrier(kernel, ledger.origin.span))\n", ""]],
    by: "program",
    breaks: /I8 the next turn|^P2|^S2/
  },
  "closing-before-a-handler": {
    closes: "I2 it is looked at again when the record of a call is written",
    file: toolCalls,
    changes: [["if ((yield* turn.abortReason) !== undefined) return yield* Effect.interrupt\n", ""]],
    by: "callingSlowly",
    breaks: /^I2 a handler started/
  },
  "carried-once": {
    closes: "P6 input that left the inbox while its hook ran is not carried again",
    file: access,
    changes: [
      [
        "if (!kernel.recorder.state.inbox.some((one) => one.submissionId === entry.submissionId))\n      return Effect.succeed(false)\n",
        ""
      ]
    ],
    by: "takingTwice",
    breaks: /^(P2|P6)/
  },
  "fence-behind-an-answer": {
    closes: "I3 a straggler whose answer has ended is interrupted, and gets none of it",
    file: sampling,
    changes: [["if (ledger.slot.isFenced()) return yield* Effect.interrupt\n", ""]],
    by: "samplingLate",
    breaks: /^I3 a straggler got/
  },
  "closed-starts-no-queue": {
    closes: "S7 a session that is closed or has failed does not start its queue",
    file: submissions,
    changes: [["if (kernel.closed || kernel.recorder.failure !== undefined) return undefined\n", ""]],
    by: "closingWithAQueue",
    breaks: /^livelock/
  },
  "steers-what-runs": {
    closes: "P4 input joins a turn that runs, and none that is asked to stop or has ended",
    file: submissions,
    changes: [[`const running = supervisor.state()._tag === "Running" ? ledger : undefined`, "const running = ledger"]],
    by: "failingWithAnOpenGate",
    breaks: /P2 input waits/
  },
  "answer-aborts-its-own-turn": {
    closes: "A5 the answer Abort reaches the turn that asked, and not the one after it",
    file: requests,
    changes: [[`if (decision._tag === "Abort" && isCurrent())`, `if (decision._tag === "Abort")`]],
    by: "endingWhileTold",
    breaks: /^A5 the next turn/
  },
  "nothing-after-the-last-record": {
    closes: "J5 after a failure, and after the close, nothing is recorded",
    file: recorder,
    changes: [["if (this.failure !== undefined || this.closed) return record\n", ""]],
    by: "program",
    breaks: /^(W2|J1|P2|J3)/
  },
  receipts: {
    closes: "P6 a submission that comes again gets its receipt, and runs once",
    file: submissions,
    changes: [["if (known !== undefined) return", "if (known !== known) return"]],
    by: "submittedTwice",
    breaks: /^(P1|P2|P6)/
  },
  "one-opening-at-a-time": {
    closes: "J2 clients of one host that open a session at once get the same",
    file: "core/src/Sessions.ts",
    changes: [["Semaphore.makeUnsafe(1)", "Semaphore.makeUnsafe(99)"]],
    by: "openedTwice",
    breaks: /^J2/
  },
  "one-writer": {
    closes: "J2 a journal has one writer",
    file: "core/src/ports/Journal.ts",
    changes: [["if (journal?.held === true) return", "if (journal?.held !== journal?.held) return"]],
    by: "heldTwice",
    breaks: /^J2/
  },
  "file-fence": {
    closes: "J2 a writer that lost its journal is refused before its write is acknowledged",
    file: "core/src/journal/writer.ts",
    changes: [["if (!isHeld) return", "if (isHeld !== isHeld) return"]],
    by: "takingOver",
    breaks: /^J2 acknowledged after the take-over/
  }
} as const satisfies { readonly [name: string]: Mechanism }
