/**
 * The mechanisms that repair what the reference does wrong with delegates, or close a race, each with the change that takes it out of the source, and
 * what is then found. `core/test/explore/withoutMechanism.ts` loads the sources without one of them. Docs: decision 23.
 */
import type { Mechanism } from "./mechanism.ts"
import { ofBridges } from "./mechanismsOfBridges.ts"

const agents = "delegate/src/SubAgents.ts"
const handle = "delegate/src/internal/handle.ts"
const launching = "delegate/src/internal/launching.ts"
const tracking = "delegate/src/internal/tracking.ts"
const tree = "delegate/src/internal/tree.ts"
const upward = "delegate/src/internal/upward.ts"
const access = "core/src/internal/turn/turnService.ts"
const requests = "core/src/internal/turn/questions.ts"

/** By name. */
export const mechanisms = {
  ...ofBridges,
  // start and end
  linked: {
    closes: "D1 a delegate ends with the turn that started it",
    file: handle,
    changes: [["if (isDetached) return announced", "return announced"]],
    by: "trees",
    breaks: /^(I3|D1)/
  },
  detached: {
    closes: "D7 a detached delegate goes on when its turn ends",
    file: handle,
    changes: [["if (isDetached) return announced", ""]],
    by: "trees",
    breaks: /^D7 the detached/
  },
  "registers-before-it-opens": {
    closes: "I3 a delegate is registered before it is made",
    file: launching,
    changes: [
      [
        "yield* handle.register\n      yield* restore(open(handle, tenants, options))",
        "yield* restore(open(handle, tenants, options))\n      yield* handle.register"
      ]
    ],
    by: "announcingSlowly",
    breaks: /^I3/
  },
  "makes-none-when-refused": {
    closes: "D6 a delegate whose registration is refused is not made",
    file: launching,
    changes: [
      [
        "yield* handle.register\n      yield* restore(open(handle, tenants, options))",
        "yield* restore(open(handle, tenants, options))\n      yield* Effect.exit(handle.register)"
      ]
    ],
    by: "startingDeaf",
    breaks: /^D1/
  },
  "ends-what-was-opened-meanwhile": {
    closes: "D6 a delegate that was ended while it was made is not left",
    file: launching,
    changes: [["if (handle.isEnding) {\n    yield* handle.discard\n    return yield* aborted(node)\n  }\n", ""]],
    by: "startingDeaf",
    breaks: /^D1/
  },
  "leaves-the-end-to-who-opens": {
    closes: "D1 a delegate that is being opened is ended by whoever opens it",
    file: handle,
    changes: [["if (this.session === undefined) return awaited\n", ""]],
    by: "startingDeaf",
    breaks: /^D1/
  },
  "registers-before-it-announces": {
    closes: "I3 a delegate that is announced is named by its turn",
    file: handle,
    changes: [
      [
        "return Effect.flatMap(turn.onAbort(cleanup), (remove) => {\n      this.unregister = remove\n      return announced\n    })",
        "return Effect.andThen(announced, Effect.map(turn.onAbort(cleanup), (remove) => {\n      this.unregister = remove\n    }))"
      ]
    ],
    by: "announcingSlowly",
    breaks: /^I3/
  },
  "refuses-by-name": {
    closes: "D6 a start after the abort fails by name",
    file: launching,
    changes: [["const isStopping = (yield* turn.abortReason) !== undefined", "const isStopping = false"]],
    by: "startingLate",
    breaks: /^D6/
  },
  "gives-back-a-failed-start": {
    closes: "D6 a start that fails leaves nothing",
    file: launching,
    changes: [["if (Exit.isFailure(opened)) {\n    yield* handle.discard\n", "if (Exit.isFailure(opened)) {\n"]],
    by: "startingInVain",
    breaks: /^D6/
  },
  "closes-its-scope": {
    closes: "D1 the end of a delegate closes what it was made of",
    file: handle,
    changes: [
      [
        "scope === undefined ? Effect.void : Scope.close(scope, Exit.void)",
        "scope === undefined ? Effect.void : Effect.void"
      ]
    ],
    by: "startingInVain",
    breaks: /^D6 a start that failed holds its journal/
  },
  "ends-with-the-session": {
    closes: "D1 a delegate ends with the session that started it",
    file: launching,
    changes: [[`yield* Scope.addFinalizer(scope, handle.end("Shutdown"))`, ""]],
    by: "trees",
    breaks: /^D1/
  },
  "in-the-scope-of-the-session": {
    closes: "D1 a delegate lives in the scope of the session that started it",
    file: launching,
    changes: [
      [`const scope = yield* Scope.fork(tenants, "sequential")`, `const scope = yield* Scope.make("sequential")`]
    ],
    by: "trees",
    breaks: /^D1/
  },
  "begins-its-end-in-its-region": {
    closes: "D1 an end that has begun comes about",
    file: handle,
    changes: [
      [
        "return Effect.uninterruptibleMask((restore) => {\n      const awaited = restore(Deferred.await(this.over))",
        "return Effect.suspend(() => {\n      const awaited = Deferred.await(this.over)"
      ],
      [
        "return Effect.andThen(stopped, this.finish)",
        "return Effect.uninterruptible(Effect.andThen(stopped, this.finish))"
      ]
    ],
    by: "endingADelegate",
    breaks: /^deadlock/
  },
  "waits-for-its-delegates": {
    closes: "D1 a turn that returns waits for its delegates",
    file: handle,
    changes: [["drain: this.config.delegateDeadline,\n", "drain: 0,\n"]],
    by: "trees",
    breaks: /^D1 a turn ended before/
  },
  "bounded-without-a-bridge": {
    closes: "D1 a one-shot delegate that hangs is waited for up to the drain deadline",
    file: handle,
    changes: [
      [
        "yield* Effect.timeoutOption(Fiber.await(stopping), this.config.delegateDeadline)",
        "yield* Fiber.await(stopping)"
      ]
    ],
    by: "hangingJournal",
    breaks: /^D1/
  },
  deadline: {
    closes: "D7 a delegate ends at its deadline",
    file: launching,
    changes: [["if (handle.node.endsAt < Infinity) {", "if (handle.node.endsAt < 0) {"]],
    by: "trees",
    breaks: /^D7 delegate .* lived/
  },
  "one-shot-ends-with-its-caller": {
    closes: "D5 a one-shot delegate ends with whoever waits for it",
    file: "delegate/src/Delegate.ts",
    changes: [
      [
        `child.end(Exit.isSuccess(exit) ? "Shutdown" : "Parent")`,
        `Exit.isSuccess(exit) ? child.end("Shutdown") : Effect.void`
      ]
    ],
    by: "stoppingTheCaller",
    breaks: /^D5/
  },
  "one-shot-refused": {
    closes: "D5 a one-shot delegate whose input is refused fails",
    file: "delegate/src/Delegate.ts",
    changes: [[`if (receipt._tag !== "Rejected") return child.settled`, "return child.settled"]],
    by: "refusedOnce",
    breaks: /^D5/
  },
  // slots
  "slot-of-a-settled": {
    closes: "D6 a delegate that has settled has no slot",
    file: tracking,
    changes: [["this.parent.count(-1)", "if (this.isOver) this.parent.count(-1)"]],
    by: "oneSlot",
    breaks: /^D6 a delegate that has settled keeps/
  },
  "slot-of-an-ended": {
    closes: "D6 a delegate that has ended has no slot",
    file: tracking,
    changes: [
      ["this.isOver = true\n    this.release()", "this.isOver = true\n    this.hasSlot = false\n    this.release()"]
    ],
    by: "oneSlot",
    breaks: /^D6 a delegate that has ended keeps/
  },
  "ended-is-settled": {
    closes: "D6 whoever waits for a delegate learns of its end",
    file: tracking,
    changes: [["this.isOver = true\n    this.release()", "this.release()"]],
    by: "oneSlot",
    breaks: /^D6 nobody/
  },
  "look-and-wait-to-settle": {
    closes: "D6 whoever waits for a delegate looks in the step that registers",
    file: tracking,
    changes: [["if (holds()) return resume(Effect.void)", ""]],
    by: "trees",
    breaks: /^D6 .* have not settled/
  },
  "settles-behind-its-input": {
    closes: "D6 a delegate has not settled while its input waits for a turn",
    file: tracking,
    changes: [[`|| (this.status._tag === "Completed" && this.waiting.size > 0)`, ""]],
    by: "twoInputs",
    breaks: /^D6/
  },
  "settles-with-a-notice": {
    closes: "D6 a notice holds up no settling",
    file: tracking,
    changes: [[`if (event.delivery === "wait") return\n`, ""]],
    by: "noticeAtTheEnd",
    breaks: /^D6 .* have not settled/
  },
  "slot-of-a-failed-session": {
    closes: "D6 a delegate whose session has failed has no slot",
    file: tracking,
    changes: [
      [
        `if (event._tag === "SessionFailed" || (isTerminal(event) && !this.goesOn)) this.release()`,
        "if (isTerminal(event) && !this.goesOn) this.release()"
      ]
    ],
    by: "failingJournal",
    breaks: /^D6/
  },
  "slot-to-go-on": {
    closes: "D6 a delegate that has settled needs a slot to go on",
    file: handle,
    changes: [[`isInput ? this.tracking.begin(id) : undefined`, "undefined"]],
    by: "oneSlot",
    breaks: /^D6 a delegate that had settled works/
  },
  "slot-of-what-it-was-handed": {
    closes: "D6 a delegate whose session has input in hand has not settled",
    file: tracking,
    changes: [["this.handed !== undefined || ", ""]],
    by: "handedAtTheEnd",
    breaks: /^D6/
  },
  "slot-of-refused-input": {
    closes: "D6 input that is refused has no slot",
    file: handle,
    changes: [["Effect.sync(() => this.tracking.answered(id))", "Effect.void"]],
    by: "oneSlot",
    breaks: /^D6 input/
  },
  "counts-when-it-looks": {
    closes: "D6 a slot is taken in the step that looks for one",
    file: launching,
    changes: [
      [
        "if (refused !== undefined) return yield* refused\n",
        "if (refused !== undefined) return yield* refused\n  node.count(-1)\n"
      ],
      ["handle.isDetached) yield* Effect.forkIn", "(node.count(1), handle.isDetached)) yield* Effect.forkIn"]
    ],
    by: "trees",
    breaks: /^D6 .* work, .* may/
  },
  "counts-in-the-whole-tree": {
    closes: "D6 a limit holds for the whole tree below",
    file: tree,
    changes: [["this.upward = [this, ...(parent?.upward ?? [])]", "this.upward = [this]"]],
    by: "trees",
    breaks: /^D6 .* work, .* may/
  },
  "stops-when-spent": {
    closes: "D6 what works is stopped when the tokens are spent",
    file: handle,
    changes: [[`if (!isDone || one !== this) Effect.runSync(one.abort("Budget"))`, ""]],
    by: "spending",
    breaks: /^D6/
  },
  "stops-again-when-spent": {
    closes: "D6 who goes on behind the end of the tokens is stopped",
    file: tracking,
    changes: [["if (spent !== undefined || (!isDone && this.parent.isSpent))", "if (spent !== undefined)"]],
    by: "spendingOn",
    breaks: /^D6/
  },
  // questions
  "question-ends-with-its-asker": {
    closes: "A2 a question whose asker has left is withdrawn above",
    file: upward,
    changes: [
      ["Effect.forkChild(asked, { startImmediately: true })", "Effect.forkDetach(asked, { startImmediately: true })"]
    ],
    by: "trees",
    breaks: /^A2 session .* shows/
  },
  "abort-is-no-denial": {
    closes: "A2 the end of a parent is no refusal",
    file: upward,
    changes: [
      [`by: "deadline" } as const) : yield* Effect.never`, `by: "deadline" } as const) : ({ _tag: "Denied" } as const)`]
    ],
    by: "trees",
    breaks: /^A2 .* Denied/
  },
  "asker-is-not-interrupted": {
    closes: "A2 a parent that closes interrupts no asker below it",
    file: upward,
    changes: [
      [
        "return yield* Cause.hasInterruptsOnly(exit.cause) ? Effect.never : Effect.failCause(exit.cause)",
        "return yield* Effect.failCause(exit.cause)"
      ]
    ],
    by: "askingAParentThatStops",
    breaks: /^A2/
  },
  "unique-ids": {
    closes: "A3 each question has an id of its own",
    file: requests,
    changes: [
      [
        "const questionId = isFree ? given : (kernel.newId() as QuestionId)",
        "const questionId = `${ledger.origin.turnId}` as QuestionId"
      ]
    ],
    by: "trees",
    breaks: /^A1 .* opened twice|^A3 session/
  },
  "one-id-everywhere": {
    closes: "A3 a request has one id wherever it is shown",
    file: requests,
    changes: [
      [
        "const questionId = isFree ? given : (kernel.newId() as QuestionId)",
        "const questionId = kernel.newId() as QuestionId"
      ]
    ],
    by: "trees",
    breaks: /^A3 session/
  },
  "late-answers": {
    closes: "A1 an answer that comes late, or twice, is refused by name",
    file: "core/src/internal/session/submissions.ts",
    changes: [
      [
        `return rejected(submissionId, { _tag: "UnknownQuestion", questionId: op.questionId })`,
        `return { _tag: "Accepted", submissionId }`
      ]
    ],
    by: "answeringTwice",
    breaks: /^A1/
  },
  "detached-asks-the-session": {
    closes: "A3 a question of a detached delegate is at its parent also when that rests",
    file: launching,
    changes: [["handle.isDetached ? turn.session.ask(question) : turn.ask(question)", "turn.ask(question)"]],
    by: "askingBetweenTurns",
    breaks: /^A3/
  },
  "turns-take-their-own-questions": {
    closes: "A3 the end of a turn takes no question of the session with it",
    file: requests,
    changes: [["if (turnId === of) settle", "settle"]],
    by: "askingBetweenTurns",
    breaks: /^A3/
  },
  "closing-starts-no-delegate": {
    closes: "I2 whether a turn closes is looked at in the step that records a delegate",
    file: access,
    changes: [
      [
        'if (ledger.isClosing()) return Effect.interrupt\n        recorder.append({\n          _tag: "DelegateStarted"',
        'recorder.append({\n          _tag: "DelegateStarted"'
      ]
    ],
    by: "registeringSlowly",
    breaks: /^I2/
  },
  evicts: {
    closes: "S7 a session that closes ends its delegates",
    file: "core/src/Session.ts",
    changes: [['yield* Effect.all([idle, evict(kernel)], { concurrency: "unbounded" })', "yield* idle"]],
    by: "trees",
    breaks: /^D1/
  },
  "drains-all-at-once": {
    closes: "D1 all delegates of a turn that returned are asked at once",
    file: "core/src/TaskSupervisor.ts",
    changes: [
      [
        `const fiber = detach(
      context,
      Effect.suspend(() => run("Parent"))
    )
    return [Effect.timeoutOption(Fiber.await(fiber), limit)]
  })
  return Effect.all(ending, { concurrency: "unbounded", discard: true })`,
        `return [Effect.timeoutOption(Effect.suspend(() => run("Parent")), limit)]
  })
  return Effect.all(ending, { discard: true })`
      ]
    ],
    by: "returning",
    breaks: /^D1 the delegates/
  },
  // notices
  "tells-each-time": {
    closes: "D7 the parent is told each time that a detached delegate settles",
    file: handle,
    changes: [
      [
        "yield* Notices.tell(turn.session, { delegateId, status: tracking.settledAs, wake })\n      }",
        "yield* Notices.tell(turn.session, { delegateId, status: tracking.settledAs, wake })\n return\n      }"
      ]
    ],
    by: "reporting",
    breaks: /^D7 the parent was not told/
  },
  "tells-once": {
    closes: "D7 and once each time",
    file: handle,
    changes: [["told = yield* tracking.settledAfter(told)", "yield* tracking.settled"]],
    by: "reporting",
    breaks: /^D7 the parent was told|^livelock/
  },
  "counts-what-it-tells": {
    closes: "D7 what settles while the parent is told of the last time is told as well",
    file: tracking,
    changes: [
      [
        "this.until(() => this.isOver || this.settles > count)",
        "((count = this.settles), this.until(() => this.isOver || this.settles > count))"
      ]
    ],
    by: "reporting",
    breaks: /^D7 the parent was not told/
  },
  "tells-how-it-settled": {
    closes: "D7 the parent is told how its delegate settled, also when that goes on at once",
    file: handle,
    changes: [["status: tracking.settledAs", "status: tracking.status"]],
    by: "goingOnAtOnce",
    breaks: /^D7/
  },
  "descendants-only": {
    closes: "D6 an agent controls its descendants only",
    file: agents,
    changes: [
      [
        "const below = (yield* nodeOf(session)).find(agentId)",
        "let top = yield* nodeOf(session)\n  while (top.parent !== undefined) top = top.parent\n  const below = top.find(agentId)"
      ]
    ],
    by: "turningAside",
    breaks: /^D6 an agent closes/
  },
  "no-cycle-of-waits": {
    closes: "D6 an agent waits for none that waits for it",
    file: agents,
    changes: [["const above = agentIds.find((id) => session.path.includes(id))", "const above = undefined"]],
    by: "turningAside",
    breaks: /^D6 an agent waits/
  },
  "meets-authority": {
    closes: "A4 a delegate may at most what its parent may",
    file: launching,
    changes: [["Session.make(narrowed(options.agent, yield* ToolAuthority), {", "Session.make(options.agent, {"]],
    by: "withoutLeave",
    breaks: /^A4/
  },
  "tells-of-no-refusal": {
    closes: "D7 input that was refused is no settling",
    file: tracking,
    changes: [["if (this.hasWorked) {", "{"]],
    by: "reporting",
    breaks: /^D7 the parent was told 3/
  },
  wakes: {
    closes: "D7 an idle parent is woken",
    file: "delegate/src/internal/notices.ts",
    changes: [[`delivery: about.wake ? "steer" : "wait"`, `delivery: "wait"`]],
    by: "waking",
    breaks: /^D7/
  },
  trace: {
    closes: "O1 what a delegate does descends from what asked for it",
    file: handle,
    changes: [["const trace = options?.trace ?? this.span.trace", "const trace = options?.trace"]],
    by: "traced",
    breaks: /^O1/
  },
  "hands-over-in-its-region": {
    closes: "D6 an agent whose start is interrupted is given its input or is gone",
    file: agents,
    changes: [
      [
        "Effect.uninterruptibleMask((restore) => spawning(settings, options, restore))",
        "spawning(settings, options, (effect) => effect)"
      ],
      [
        "const started = launch({ ...wanted, isOneShot: false }, restore)",
        "const started = Effect.uninterruptibleMask((restore) => launch({ ...wanted, isOneShot: false }, restore))"
      ]
    ],
    by: "spawningDetached",
    breaks: /^D6/
  },
  "answers-how-it-settled": {
    closes: "D6 whoever waits for an agent learns how it settled, also when it goes on at once",
    file: agents,
    changes: [["new Map([first.value, ...(yield* settled)])", "yield* settled"]],
    by: "goingOnWhileAwaited",
    breaks: /^D6/
  },
  "own-name": {
    closes: "D6 of two agents that start at once each has a name of its own",
    file: agents,
    changes: [
      ["names.add(nickname)\n  const delegate", "const delegate"],
      ["const entry: Entry = { agentId: delegate", "names.add(nickname)\n  const entry: Entry = { agentId: delegate"]
    ],
    by: "twoNames",
    breaks: /^D6/
  }
} as const satisfies { readonly [name: string]: Mechanism }

/** Mechanisms of the table of core (decision 20) that random trees need as well, each with what is found without it. */
export const ofCore: { readonly [name: string]: RegExp } = {
  /** The wait of a parent for its delegate is a call, which the abort answers. */
  "owner-closes-the-calls": /^I6/,
  "settle-once": /^(A1|S2)/,
  "asker-leaves": /^A2 session/
}
