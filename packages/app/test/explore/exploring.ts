/** Explorations of the tasks that a client starts: an action at each step, and every law of a session afterwards. */
import type { Journal } from "@spindle/core/Journal"
import { IdGenerator, type QuestionId, sequential } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { JournalRecord } from "@spindle/core/SessionEvent"
import * as Task from "@spindle/core/Task"
import type * as Interrupts from "@spindle/testing/Interrupts"
import * as Laws from "@spindle/testing/Laws"
import * as Harness from "@spindle/testing/SessionHarness"
import { Effect, Exit, Scope } from "effect"

/** A session in a new world. */
export interface World {
  readonly harness: Harness.SessionHarness
  /** Returns what is wrong with the world after the run, if anything is. */
  readonly law: (records: ReadonlyArray<JournalRecord>) => string | undefined
}

/** What is explored. */
export interface Exploring {
  readonly make: (journal: Journal) => Effect.Effect<World, unknown, Scope.Scope>
  /** Submitted one after another. */
  readonly ops: readonly [Op.Op, ...ReadonlyArray<Op.Op>]
}

/** An exploration of a task. */
export type Case = Interrupts.Exploration<
  { readonly history: Laws.History; readonly broken: string | undefined },
  unknown
>

/** The actions that may come in between. An answer is one to the last question; without a question it names none that exists. */
export const actions = ["abort", "steer", "answer", "close", "replace", "startTask"] as const

/** Makes an exploration. The last of the operations is also the action `startTask`. */
export const exploring = ({ make, ops }: Exploring): Case => ({
  program: (stage) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const journal = yield* Effect.provideService(Harness.memoryJournal, Scope.Scope, scope)
      const { harness, law } = yield* Effect.provideService(make(journal), Scope.Scope, scope)
      const observation = yield* Laws.observe(harness, journal)
      const { submit } = observation
      const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
      yield* stage.arm({
        abort: observation.abort,
        steer: submit(Op.userInput("steer")),
        answer: Effect.suspend(() => {
          const asked = harness.records().findLast(({ _tag }) => _tag === "QuestionOpened")
          const questionId = asked?._tag === "QuestionOpened" ? asked.questionId : ("unknown" as QuestionId)
          return submit(Op.answer(questionId, { _tag: "Approved", scope: "once" }))
        }),
        startTask: submit(ops.at(-1)!),
        replace: Effect.asVoid(harness.session.start(Task.make("other", Effect.as(Effect.sleep(2), "other")))),
        close: closing
      })
      for (const op of ops) yield* Effect.ignore(submit(op))
      yield* harness.session.awaitIdle
      yield* stage.disarm
      yield* harness.session.awaitIdle
      yield* observation.noteIdle
      // what a turn leaves running may end before the session does
      yield* Effect.sleep(100)
      yield* closing
      // stragglers may end
      yield* Effect.sleep(60_000)
      const history = { ...(yield* observation.history), opened: 0, closed: 0 }
      return { history, broken: law(harness.records()) }
    }).pipe(Effect.scoped, Effect.provideService(IdGenerator, sequential("id"))),
  law: (exit) =>
    exit._tag === "Failure"
      ? `the program failed: ${exit.cause}`
      : (Laws.session(exit.value.history) ?? exit.value.broken)
})

/** The turns of a kind that have started, each as its records. */
export const turnsOf = (
  records: ReadonlyArray<JournalRecord>,
  kind: string
): ReadonlyArray<ReadonlyArray<JournalRecord>> =>
  records.flatMap((started) =>
    started._tag === "TurnStarted" && started.kind === kind
      ? [records.filter((one) => "turnId" in one && one.turnId === started.turnId)]
      : []
  )
