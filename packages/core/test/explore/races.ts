/**
 * Explorations that come close to one race each; `controls.races.test.ts` runs them on core unchanged, and on the
 * mutant that has the race.
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as FileSystem from "effect/FileSystem"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type { SessionId } from "@spindle/core/Ids"
import { Journal } from "@spindle/core/Journal"
import * as JournalFile from "@spindle/core/JournalFile"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import { isTerminal } from "@spindle/core/SessionEvent"
import * as Agent from "@spindle/core/Agent"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import * as TaskSupervisor from "@spindle/core/TaskSupervisor"
import { Turn } from "@spindle/core/Turn"
import type * as Laws from "@spindle/testing/Laws"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Queue } from "../../src/internal/session/queue.ts"
import { journalOf, numbered, sessionId, warning } from "../fixtures/records.ts"
import * as VirtualFiles from "../fixtures/virtualFiles.ts"
import { request } from "./kinds.ts"
import { gainingTooLittle, recordingMeanwhile, remotelyGainingTooLittle } from "./races/compactions.ts"
import { endings } from "./races/ends.ts"
import { input } from "./races/input.ts"
import { ofHooks } from "./races/hooks.ts"
import { ofSelections } from "./races/selections.ts"
import { alongside, calls } from "./races/tasks.ts"
import {
  conversation,
  type Exploration,
  logged,
  provideModel,
  type ScenarioOptions,
  session,
  slowJournal,
  starting,
  startingEffect,
  threeRounds
} from "./scenario.ts"

const journal = journalOf(24)

const recordsOf = ({ journal }: Laws.History): ReadonlyArray<JournalRecord> => journal ?? []

/** A task that replaces itself (I9). */
const replacingItself: Exploration = {
  ...session({
    harness: conversation,
    begin: ({ session: running }) => {
      const inner = running.start(Task.make("inner", Effect.sleep(3)))
      return Effect.flatMap(
        running.start(Task.make("custom", Effect.andThen(Effect.sleep(2), inner))),
        ({ outcome }) => outcome
      )
    },
    law: (history) =>
      recordsOf(history).some((record) => record._tag === "TurnStarted" && record.kind === "inner") ||
      history.idle?.status === "closed" ||
      recordsOf(history).find(isTerminal)?._tag !== "TurnAborted"
        ? undefined
        : "I9 a task replaced itself, and its replacement did not run"
  }),
  actions: [["steer"]],
  maxRuns: 30
}

/** A caller that waits until a session is idle, while its turn is replaced at any step (S4). */
const waitingForIdle: Exploration = {
  actions: [["replace"]],
  maxRuns: 100,
  law: logged((log) => (log.join() === "idle,replaced" ? "S4 idle before the replacement had run" : undefined)),
  program: (stage) =>
    Effect.gen(function* () {
      const { session: running } = yield* SessionHarness.make()
      const log: Array<string> = []
      const other = Effect.flatMap(running.start(Task.make("other", Effect.sleep(2))), ({ outcome }) => outcome)
      yield* running.start(Task.make("first", Effect.sleep(2)))
      yield* stage.arm({
        replace: Effect.flatMap(running.snapshot, ({ status }) =>
          // only counts if the first turn has not ended
          status === "idle" ? Effect.void : Effect.map(other, () => void log.push("replaced"))
        )
      })
      yield* running.awaitIdle
      log.push("idle")
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

/** A file journal that a second writer opens and writes at any step, with no lease between the two (J2). */
const takingOver: Exploration = {
  actions: [["takeOver"]],
  law: logged((log) => (log.length === 0 ? undefined : `J2 ${log.join()}`)),
  program: (stage) =>
    Effect.gen(function* () {
      const files = VirtualFiles.make()
      const onFiles = Effect.map(
        Layer.build(
          Layer.provide(JournalFile.layer({ directory: "/sessions" }), Layer.succeed(FileSystem.FileSystem, files))
        ),
        Context.get(Journal)
      )
      const [first, second] = [yield* onFiles, yield* onFiles]
      const writer = yield* first.open(sessionId, "create")
      yield* writer.append(journal.slice(0, 1))
      const faults: Array<string> = []
      const acknowledged: Array<JournalRecord> = []
      let isTaken = false
      const takeOver = Effect.gen(function* () {
        const later = yield* second.open(sessionId, "existing")
        isTaken = true
        // gives the first writer the time to write until it is refused
        yield* Effect.sleep(1)
        const [record] = numbered([warning("second")], later.opened.records.length)
        yield* later.append([record!])
        acknowledged.push(record!)
      })
      yield* stage.arm({ takeOver: Effect.ignore(Effect.scoped(takeOver)) })
      for (const record of journal.slice(1, 8)) {
        const isLate = isTaken
        yield* Effect.matchEffect(writer.append([record]), {
          onFailure: () => Effect.void,
          onSuccess: () =>
            Effect.sync(() => {
              acknowledged.push(record)
              if (isLate) faults.push(`acknowledged after the take-over: ${record.seq}`)
            })
        })
      }
      yield* stage.disarm
      // the second writer may still be busy
      yield* Effect.sleep("1 second")
      const { records } = yield* second.load(sessionId)
      for (const record of acknowledged) {
        const found = records.find(({ seq }) => seq === record.seq)
        if (!Equal.equals(found, record)) faults.push(`acknowledged and lost: ${record.seq}`)
      }
      return faults
    }).pipe(Effect.scoped)
}

/** A rollback is recorded between turns, and never inside one. */
const standsBetweenTurns: ScenarioOptions["law"] = (history) => {
  let turn: string | undefined
  for (const record of recordsOf(history)) {
    if (record._tag === "RolledBack" && turn !== undefined) return `J4 a rollback in turn ${turn}`
    if (record._tag === "TurnStarted") turn = record.turnId
    else if (isTerminal(record)) turn = undefined
  }
  return undefined
}

/** A session that is rolled back at any step (J4). */
export const rollingBack = session({ harness: conversation, law: standsBetweenTurns })

/** No message contains the text of two responses. */
export const textsAreApart: Laws.Law = (seen) => {
  const spoken = ["I look", "It is done", "fine", "stopping", "stopped", "late"]
  const mixed = seen.final?.items.find(
    (item) =>
      item._tag === "AssistantMessage" &&
      !item.text.startsWith("round ") &&
      !spoken.some((text) => text.startsWith(item.text))
  )
  return mixed === undefined ? undefined : `I7 text of two responses: ${JSON.stringify(mixed)}`
}

/** A task that asks one question after the other has one open at a time. */
const oneRequestAtATime: ScenarioOptions["law"] = (history) => {
  let open = 0
  for (const { _tag } of recordsOf(history)) {
    if (_tag === "QuestionSettled") open--
    if (_tag === "QuestionOpened" && ++open > 1) return "A1 a question is open although no fiber waits for it"
  }
  return undefined
}

const nothingDies: ScenarioOptions["law"] = (history) => {
  const died = recordsOf(history).find((record) => record._tag === "TurnFailed")
  return died?._tag === "TurnFailed" ? `S5 a turn failed: ${died.error.message}` : undefined
}

/** A task that stops waiting for its requests, and continues (I7, A1). */
export const stopsWaiting = session({
  harness: (counts) => ({
    ...conversation(counts),
    script: (modelRequest, index) => {
      if (modelRequest.items.some((item) => item._tag === "UserMessage")) return threeRounds(modelRequest, index)
      return index % 2 === 0
        ? [ScriptedModel.pieces("I lo"), ScriptedModel.hang]
        : [ScriptedModel.text("It is ", "done")]
    }
  }),
  law: (history) => textsAreApart(history) ?? oneRequestAtATime(history) ?? nothingDies(history),
  begin: startingEffect(
    Effect.gen(function* () {
      const turn = yield* Turn
      for (let millis = 2; millis < 6; millis++) {
        yield* Effect.timeoutOption(
          turn.sample(request, 1, () => Effect.void),
          millis
        )
        yield* Effect.timeoutOption(turn.ask({ kind: "question", payload: millis }), Math.min(millis, 2))
      }
    })
  )
})

/** A task that adds clean-ups until it has to end, even after it was signalled: each runs (I3). */
const cleaningLate: Exploration = {
  ...session({
    harness: conversation,
    begin: starting((counts) =>
      Task.make(
        "custom",
        Effect.gen(function* () {
          const turn = yield* Turn
          let isRun = false
          let isOver = false
          const run = () =>
            Effect.sync(() => {
              isRun = true
              if (!isOver) counts.closed++
            })
          for (let count = 0; count < 6; count++) {
            yield* Effect.sleep(2)
            yield* Effect.asVoid(turn.onAbort({ kind: "delegate", name: `child ${count}`, run }))
            counts.opened++
          }
          // without an abort there is nothing to clean up
          yield* Effect.sync(() => {
            isOver = !isRun
            if (isOver) counts.opened = 0
          })
        }),
        { onAbort: "signal" }
      )
    )
  }),
  modes: ["before"],
  maxRuns: 60
}

/** One submission that is sent twice (P6). */
const submittedTwice: Exploration = {
  ...session({ harness: conversation }),
  actions: [["repeat", "repeat"]],
  maxRuns: 40
}

/** A tool that looks for its own call in a slow journal (J8). */
const lookingForItsCall: Exploration = {
  law: logged(([first]) => (first === undefined ? undefined : `J8 ${first}`)),
  actions: [["steer"]],
  maxRuns: 20,
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const journal = yield* slowJournal(3)
      const look = (callId: string) =>
        Effect.map(Effect.orDie(journal.load(harness.session.sessionId)), ({ records }) => {
          const isRecorded = records.some(
            (record) =>
              record._tag === "ItemRecorded" && record.item._tag === "ToolCall" && record.item.callId === callId
          )
          if (!isRecorded) log.push(`call ${callId} runs, and is not in the journal`)
        })
      const harness: SessionHarness.SessionHarness = yield* SessionHarness.make({
        journal,
        script: [[ScriptedModel.call("look", {}, "a")], [ScriptedModel.text("fine")]],
        tools: { look: { run: (_, callId) => look(callId) } }
      })
      yield* stage.arm({ steer: harness.submit("steer") })
      yield* harness.run("begin")
      yield* stage.disarm
      yield* harness.session.awaitIdle
      return log
    }).pipe(Effect.scoped)
}

/** A task that is signalled, and continues to ask and to sample (I2). */
const continuingAfterAbort: Exploration = {
  ...session({
    harness: conversation,
    begin: startingEffect(
      Effect.gen(function* () {
        const turn = yield* Turn
        for (let round = 0; round < 3; round++) {
          yield* turn.sample(request, 1, () => Effect.void)
          yield* turn.ask({ kind: "question", payload: round })
        }
      }),
      { onAbort: "signal" }
    )
  }),
  maxRuns: 400
}

/** A request of a task that is signalled while the record of the request is being written (I2). */
const sendingSlowly: Exploration = {
  law: logged((log) => (log.join() === "abort,sent" ? "I2 a request was sent after the abort" : undefined)),
  actions: [["abort"]],
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const scripted = ScriptedModel.make([[ScriptedModel.text("fine")]])
      const journal = yield* slowJournal(3)
      const model: typeof scripted.model = {
        ...scripted.model,
        stream: (modelRequest) => {
          log.push("sent")
          return scripted.model.stream(modelRequest)
        }
      }
      const { session: running } = yield* SessionHarness.make({ journal })
      const task = Task.make(
        "custom",
        Effect.flatMap(Turn, (turn) => turn.sample(request, 1, () => Effect.void)),
        { onAbort: "signal" }
      )
      yield* stage.arm({
        abort: Effect.map(running.abort(), (hit) => void (hit && log.push("abort")))
      })
      const { outcome } = yield* provideModel(running.start(task), model)
      yield* outcome
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

/** Decides about permissions at once, and answers a question late. */
const answersLate: SessionHarness.HarnessOptions["approvals"] = {
  decide: ({ kind }) =>
    kind === "question"
      ? Effect.as(Effect.sleep(10_000), { _tag: "Answered", answers: {} } as const)
      : Effect.succeed({ _tag: "Approved", scope: "once" } as const)
}

/** A task with a detached fiber that asks and runs longer than the task: the question ends with the turn (A1). */
const leavingAQuestion: Exploration = {
  ...session({
    harness: (counts) => ({ ...conversation(counts), approvals: answersLate }),
    begin: startingEffect(
      Effect.gen(function* () {
        const turn = yield* Turn
        yield* Effect.forkDetach(Effect.ignore(turn.ask({ kind: "question", payload: "anybody?" })))
        yield* Effect.sleep(2)
      })
    )
  }),
  actions: [["steer"]],
  maxRuns: 20
}

/** A task that waits for an answer learns of an abort when it comes, and not at the end of the grace period (A2). */
const waitingForAnAnswer: Exploration = {
  ...session({
    harness: (counts) => ({ ...conversation(counts), approvals: answersLate }),
    journalMillis: 0,
    begin: startingEffect(
      Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: "well?" })),
      { onAbort: "signal" }
    ),
    law: (history) => {
      const ended = recordsOf(history).find((record) => record._tag === "TurnAborted")
      const settled = recordsOf(history).find((record) => record._tag === "QuestionSettled")
      const isLate =
        ended?._tag === "TurnAborted" && settled?._tag === "QuestionSettled" && settled.at > ended.requestedAt
      return isLate ? "A2 the task learns of the abort late" : undefined
    }
  }),
  modes: ["before"],
  maxRuns: 100
}

/** Two replacements of a session, one at any step of the other: they do not overlap. */
const replacements: Exploration = {
  law: logged((log) => (log.join() === "in,out,in,out" ? undefined : `S4 replacements overlap: ${log.join()}`)),
  actions: [["other"]],
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const queue = new Queue({
        context: yield* Effect.context<never>(),
        supervisor: yield* TaskSupervisor.make,
        isOpen: () => true,
        stateOf: () => SessionState.empty,
        start: () => ({ _tag: "SlotTaken" })
      })
      const note = (text: string) => Effect.sync(() => void log.push(text))
      const replacement = queue.replace(Effect.andThen(Effect.andThen(note("in"), Effect.sleep(1)), note("out")))
      let isCalled = false
      yield* stage.arm({ other: Effect.suspend(() => ((isCalled = true), replacement)) })
      yield* replacement
      yield* stage.disarm
      if (!isCalled) yield* replacement
      return log
    })
}

/** A caller of `awaitIdle` at any step of a replacement: it yields to the replacement (S4). */
const lookingForIdle: Exploration = {
  law: (exit: Exit.Exit<unknown, unknown>) => (exit._tag === "Failure" ? "the program failed" : undefined),
  actions: [["look"]],
  maxSteps: 5_000,
  program: (stage) =>
    Effect.gen(function* () {
      const { session: running } = yield* SessionHarness.make()
      yield* stage.arm({ look: running.awaitIdle })
      yield* Effect.flatMap(running.start(Task.make("other", Effect.sleep(2))), ({ outcome }) => outcome)
      yield* stage.disarm
    }).pipe(Effect.scoped)
}

/** Two clients that open one session at the same time: they get the same session (J2). */
const openedTwice: Exploration = {
  law: logged(([found]) => (found === undefined ? undefined : `J2 two clients: ${found}`)),
  actions: [["open"]],
  program: (stage) =>
    Effect.gen(function* () {
      const journal = Layer.succeed(Journal, yield* slowJournal(1))
      const services = yield* Layer.build(
        Layer.provide(Sessions.layer(agent), Layer.merge(journal, ScriptedModel.make([]).layer))
      )
      const sessions = Context.get(services, Sessions.Sessions)
      const { sessionId } = yield* sessions.create()
      yield* sessions.close(sessionId)
      const open = Effect.exit(sessions.open(sessionId))
      let other: Effect.Success<typeof open> | undefined
      yield* stage.arm({ open: Effect.map(open, (exit) => void (other = exit)) })
      const one = yield* open
      yield* stage.disarm
      other ??= yield* open
      if (one._tag === "Failure" || other._tag === "Failure") return ["one was refused"]
      return one.value === other.value ? [] : ["they have two sessions"]
    }).pipe(Effect.scoped)
}

/** Two hosts that open one journal at the same time: one of them gets it (J2). */
const heldTwice: Exploration = {
  law: logged((log) => (log.length === 1 ? undefined : `J2 ${log.length} writers of one journal`)),
  actions: [["open"]],
  program: (stage) =>
    Effect.gen(function* () {
      const journal = yield* slowJournal(1)
      const sessionId = "shared" as SessionId
      yield* Effect.scoped(journal.open(sessionId, "create"))
      const log: Array<string> = []
      const scope = yield* Effect.scope
      const open = (host: string) =>
        Effect.ignore(
          Effect.map(
            Effect.provideService(journal.open(sessionId, "existing"), Scope.Scope, scope),
            () => void log.push(host)
          )
        )
      yield* stage.arm({ open: open("other") })
      yield* open("one")
      yield* Effect.sleep(1)
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

const agent = Agent.make({})

/** A straggler in a hook that is slower than its turn (I3). */
const slowHook: Exploration = {
  ...session({
    harness: (counts) => ({
      ...conversation(counts),
      hooks: { userPromptSubmit: () => Effect.as(Effect.sleep(300), { block: false, contexts: ["late"] }) }
    }),
    begin: startingEffect(
      Effect.uninterruptible(
        Effect.gen(function* () {
          const turn = yield* Turn
          yield* Effect.sleep(5)
          while (!(yield* turn.closeGate)) yield* turn.takeInput
        })
      ),
      { steerable: true }
    )
  }),
  actions: [["steer", "replace"]],
  modes: ["before"],
  maxRuns: 100
}

/** A caller that checks whether a slot is free and then waits for it, while the job ends at any step (I2). */
const waitingForTheSlot: Exploration = {
  law: (exit: Exit.Exit<unknown, unknown>) => (exit._tag === "Failure" ? "the program failed" : undefined),
  actions: [["end"]],
  program: (stage) =>
    Effect.gen(function* () {
      const supervisor = yield* TaskSupervisor.make
      const ended = yield* Deferred.make<void>()
      const job: TaskSupervisor.Job<void, never> = {
        name: "job",
        run: () => Deferred.await(ended),
        onAbort: "interrupt",
        grace: 10,
        abortHooks: [],
        settle: () => Effect.void,
        onFree: () => {},
        onStragglerEnd: () => {},
        onFailure: () => {}
      }
      supervisor.start(job)
      const end = Deferred.succeed(ended, undefined)
      const late = yield* Effect.forkChild(Effect.andThen(Effect.sleep(1), end))
      yield* stage.arm({ end })
      yield* Effect.suspend(() => (supervisor.state()._tag === "Idle" ? Effect.void : supervisor.awaitIdle))
      yield* stage.disarm
      yield* Fiber.await(late)
    })
}

/**
 * Input that is queued at any step of a replacement whose turn ends at once: it does not start before the replacement
 * (S4), and starts when the replacement is over (P2).
 */
const queuedDuringAReplacement: Exploration = {
  law: logged(([found]) => found),
  actions: [["queue"]],
  seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  preemption: 0.3,
  modes: ["before"],
  maxRuns: 120,
  program: (stage) =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script: () => [ScriptedModel.text("fine")] })
      const { session: running } = harness
      yield* running.start(Task.make("first", Effect.sleep(2)))
      yield* stage.arm({ queue: running.submit(Op.userInput("queue", { delivery: "queue" })) })
      yield* Effect.ignore(running.start(Task.make("other", Effect.void)))
      yield* running.awaitIdle
      yield* stage.disarm
      yield* running.awaitIdle
      const { waiting } = yield* running.snapshot
      if (waiting.length > 0) return [`P2 ${waiting} waits, and nothing starts it`]
      const turns = harness.records().filter((record) => record._tag === "TurnStarted")
      // a turn that completed was not replaced: input that waited for it may start (P2)
      if (harness.records().some((record) => record._tag === "TurnCompleted" && record.turnId === turns[0]!.turnId)) {
        return []
      }
      const kinds = turns.map((record) => record.kind)
      return kinds[1] === "other" || !kinds.includes("other") ? [] : [`S4 ${kinds[1]} starts before the replacement`]
    }).pipe(Effect.scoped)
}

/** A task that dies, and another one after it, with a snapshot taken at any step (S5). */
const dying: Exploration = {
  actions: [["look"]],
  maxRuns: 30,
  law: logged((log) => (log.join() === "Failed,Completed" ? undefined : `S5 the turns ended as ${log.join()}`)),
  program: (stage) =>
    Effect.gen(function* () {
      const { session: running } = yield* SessionHarness.make()
      yield* stage.arm({ look: running.snapshot })
      const outcomes = [Effect.die("a bug"), Effect.void].map((effect) =>
        Effect.flatMap(running.start(Task.make("one", effect)), ({ outcome }) => outcome)
      )
      return (yield* Effect.all(outcomes)).map(({ _tag }) => _tag)
    }).pipe(Effect.scoped)
}

const named = <Name extends string>(all: { readonly [name in Name]: Exploration }) => all

/** The races by name. */
export const races = named({
  replacingItself,
  waitingForIdle,
  rollingBack: { ...rollingBack, actions: [["rollback"]], maxRuns: 60 },
  stopsWaiting: { ...stopsWaiting, maxRuns: 30 },
  cleaningLate,
  submittedTwice,
  lookingForItsCall,
  continuingAfterAbort,
  sendingSlowly,
  leavingAQuestion,
  waitingForAnAnswer,
  ...endings,
  ...calls,
  ...alongside,
  ...input,
  ...ofHooks,
  ...ofSelections,
  replacements,
  lookingForIdle,
  openedTwice,
  heldTwice,
  takingOver,
  waitingForTheSlot,
  slowHook,
  queuedDuringAReplacement,
  recordingMeanwhile: { ...session(recordingMeanwhile), actions: [[]], maxRuns: 4 },
  gainingTooLittle: { ...session(gainingTooLittle), actions: [[]], maxRuns: 4 },
  remotelyGainingTooLittle: { ...session(remotelyGainingTooLittle), actions: [[]], maxRuns: 4 },
  dying
})
