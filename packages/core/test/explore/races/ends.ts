/** More of the `races`: events at the end of a turn or of its session. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Model } from "@spindle/core/Model"
import { markerFragment } from "@spindle/core/History"
import type { QuestionId, SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import type { ItemRecorded, SessionEvent } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { journalWith } from "../../fixtures/journals.ts"
import { request } from "../kinds.ts"
import {
  conversation,
  type Exploration,
  logged,
  provideModel,
  session,
  slowJournal,
  startingEffect
} from "../scenario.ts"

/**
 * A call whose turn is aborted while the record of the call is being written, and whose loop ends slowly: the response
 * has a slow finalizer.
 * The fiber of the call ends with the loop, and its handler may have started by then (I2).
 */
const callingSlowly: Exploration = {
  law: logged((log) => (log.join() === "abort,ran" ? "I2 a handler started after the abort" : undefined)),
  actions: [["abort"]],
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const scripted = ScriptedModel.make([[ScriptedModel.call("note", {}, "a"), ScriptedModel.hang]])
      const model = { ...scripted.model, stream: closeSlowly(scripted.model.stream) }
      const { events, session: running } = yield* SessionHarness.make({
        journal: yield* slowJournal(3),
        model: { ...scripted, model, layer: Layer.succeed(Model, model) },
        tools: {
          note: {
            run: () => {
              log.push("ran")
              return Effect.void
            }
          }
        }
      })
      const isWritten = () => events.some((event) => event._tag === "ItemRecorded" && event.item._tag === "ToolCall")
      yield* stage.arm({
        abort: Effect.map(running.abort(), (hit) => void (hit && !isWritten() && log.push("abort")))
      })
      yield* running.submit(Op.userInput("begin"))
      yield* Effect.timeoutOption(running.awaitIdle, 100)
      yield* stage.disarm
      yield* running.abort()
      yield* running.awaitIdle
      return log
    }).pipe(Effect.scoped)
}

const closeSlowly =
  (stream: Model["stream"]): Model["stream"] =>
  (modelRequest) =>
    Stream.ensuring(stream(modelRequest), Effect.sleep(20))

/** A task that takes its input in two fibers, each of which waits for the hooks (P6). */
const takingTwice: Exploration = {
  ...session({
    harness: conversation,
    begin: startingEffect(
      Effect.gen(function* () {
        const turn = yield* Turn
        yield* Effect.sleep(5)
        while (!(yield* turn.closeGate)) {
          yield* Effect.all([turn.takeInput, turn.takeInput], { concurrency: 2 })
        }
      }),
      { steerable: true }
    )
  }),
  actions: [["steer"]],
  maxRuns: 60
}

/** A straggler whose response arrives after its turn has settled: the straggler receives nothing (I3). */
const samplingLate: Exploration = {
  law: logged((log) => (log.length === 0 ? undefined : `I3 a straggler got ${log.join()}`)),
  actions: [["abort"]],
  modes: ["before"],
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const scripted = ScriptedModel.make([[ScriptedModel.text("fine")]])
      const model: typeof scripted.model = {
        ...scripted.model,
        stream: (modelRequest) => Stream.unwrap(Effect.as(Effect.sleep(300), scripted.model.stream(modelRequest)))
      }
      const { session: running } = yield* SessionHarness.make()
      const sample = Effect.flatMap(Turn, (turn) =>
        Effect.flatMap(Effect.exit(turn.sample(request, 1, () => Effect.void)), (exit) =>
          Effect.map(running.snapshot, ({ turnId }) => {
            if (turnId === undefined && !Exit.hasInterrupts(exit)) log.push(exit._tag)
          })
        )
      )
      yield* stage.arm({ abort: running.abort() })
      const { outcome } = yield* provideModel(running.start(Task.make("custom", Effect.uninterruptible(sample))), model)
      yield* outcome
      yield* stage.disarm
      yield* Effect.sleep(500)
      return log
    }).pipe(Effect.scoped)
}

/** A session with a queue that is closed at any step: queued input no longer starts (S7). */
const closingWithAQueue: Exploration = {
  ...session({
    harness: (counts) => ({ ...conversation(counts), script: () => [ScriptedModel.text("fine")] }),
    begin: ({ session: running }) =>
      Effect.andThen(running.submit(Op.userInput("begin")), running.submit(Op.userInput("next", { delivery: "queue" })))
  }),
  actions: [["close"]],
  modes: ["before"],
  maxRuns: 30,
  // a run takes a few hundred
  maxSteps: 10_000
}

/**
 * A task that fails while its gate is open, and input that arrives at any step of it: nothing joins a turn that has
 * ended (P4).
 */
const failingWithAnOpenGate: Exploration = {
  ...session({
    harness: conversation,
    begin: startingEffect(Effect.andThen(Effect.sleep(3), Effect.fail("failed")), { steerable: true })
  }),
  actions: [["steer"]]
}

/**
 * A subscriber that receives the answer Abort, ends that turn and starts another one while it is called: the abort
 * does not reach the new turn (A5).
 */
const endingDuringTheAnswer: Exploration = {
  law: logged(([end]) => (end === undefined || end === "Completed" ? undefined : `A5 the next turn ended as ${end}`)),
  actions: [["abortByAnswer"]],
  modes: ["before"],
  program: (stage) =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const run = Effect.runForkWith(yield* Effect.context<never>())
      const { session: running }: SessionHarness.SessionHarness = yield* SessionHarness.make({
        onEvent: (event) => {
          if (event._tag === "QuestionSettled" && event.decision._tag === "Abort") run(running.abort())
          if (event._tag === "TurnAborted") run(next)
          if (event._tag === "QuestionOpened") questionId = event.questionId
        }
      })
      let questionId: QuestionId | undefined
      const next = Effect.flatMap(running.start(Task.make("next", Effect.sleep(5))), ({ outcome }) =>
        Effect.map(outcome, (how) => void log.push(how._tag))
      )
      const ask = Effect.flatMap(Turn, (turn) => turn.ask({ kind: "question", payload: "well?" }))
      yield* stage.arm({
        abortByAnswer: Effect.suspend(() =>
          questionId === undefined ? Effect.void : running.submit(Op.answer(questionId, { _tag: "Abort" }))
        )
      })
      const { outcome } = yield* running.start(Task.make("asking", Effect.timeoutOption(ask, 5)))
      yield* outcome
      yield* running.awaitIdle
      yield* stage.disarm
      return log
    }).pipe(Effect.scoped)
}

/**
 * A subscriber that submits input when it receives the marker of a turn, before the turn's terminal record is published: that
 * record names all input that was accepted before it (P2).
 */
const submittingAtTheEnd: Exploration = {
  ...session({
    harness: conversation,
    journalMillis: 0,
    begin: (harness) =>
      Effect.andThen(
        Effect.forkChild(Effect.andThen(harness.awaitEvent(isMarker), harness.submit("late")), {
          startImmediately: true
        }),
        harness.submit("begin")
      )
  }),
  maxRuns: 20
}

const isMarker = (event: SessionEvent): event is ItemRecorded =>
  event._tag === "ItemRecorded" && event.item._tag === "UserMessage" && event.item.fragment === markerFragment

/** A journal that fails at any step of a submission, while a task waits for something else: the turn fails (S2). */
const failingMeanwhile: Exploration = {
  law: logged(([end]) => (end === "Failed" ? undefined : `S2 a turn ${end} although the journal failed`)),
  actions: [["break"]],
  program: (stage) =>
    Effect.gen(function* () {
      let isBroken = false
      const failed = new JournalFailed({ sessionId: "session" as SessionId, operation: "append", cause: "broken" })
      const journal = yield* journalWith((append) =>
        Effect.suspend(() => (isBroken ? Effect.fail(failed) : Effect.andThen(Effect.sleep(1), append)))
      )
      const { session: running, submit } = yield* SessionHarness.make({ journal })
      const { outcome } = yield* running.start(Task.make("custom", Effect.sleep("1 hour")))
      const breaking = Effect.sync(() => void (isBroken = true))
      yield* stage.arm({ break: breaking })
      yield* Effect.ignore(submit("one"))
      yield* stage.disarm
      yield* Effect.andThen(breaking, Effect.ignore(submit("two")))
      const end = yield* Effect.timeoutOption(outcome, "1 minute")
      return [end._tag === "None" ? "continued" : end.value._tag]
    }).pipe(Effect.scoped)
}

/** The explorations by name. */
export const endings = {
  callingSlowly,
  takingTwice,
  samplingLate,
  closingWithAQueue,
  failingWithAnOpenGate,
  endingDuringTheAnswer,
  submittingAtTheEnd,
  failingMeanwhile
}
