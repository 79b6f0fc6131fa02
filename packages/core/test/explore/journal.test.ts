import { describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Journal from "@spindle/core/Journal"
import { IdGenerator, sequential, type SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import { JournalFailed } from "@spindle/core/SessionError"
import * as Task from "@spindle/core/Task"
import type * as Interrupts from "@spindle/testing/Interrupts"
import * as Laws from "@spindle/testing/Laws"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { conversation, type Counts, holds } from "./scenario.ts"

/** What a broken journal does with a batch. */
const faults = {
  fails: (sessionId: SessionId) => Effect.fail(new JournalFailed({ sessionId, operation: "append", cause: "broken" })),
  dies: () => Effect.die("broken"),
  hangs: () => Effect.sleep(60_000)
} satisfies { readonly [name: string]: (sessionId: SessionId) => Effect.Effect<void, JournalFailed> }

/**
 * A conversation whose journal breaks at a step: what was acknowledged is stored, and the session rejects everything
 * else.
 */
const breaking = (fault: keyof typeof faults, millis: number): Interrupts.Exploration<string | undefined, unknown> => ({
  actions: [["break"], ["break", "abort"], ["break", "steer"], ["replace", "break"], ["break", "close"]],
  maxRuns: 10,
  seeds: [0, 1],
  law: (exit) => (exit._tag === "Failure" ? "the program failed" : exit.value),
  program: (stage) =>
    Effect.gen(function* () {
      const counts: Counts = { opened: 0, closed: 0 }
      let broken = false
      const scope = yield* Scope.make()
      const journal = Context.get(yield* Layer.buildWithScope(Journal.layerMemory(), scope), Journal.Journal)
      const append =
        (writer: Journal.JournalWriter, sessionId: SessionId): Journal.JournalWriter["append"] =>
        (records) =>
          Effect.andThen(
            millis === 0 ? Effect.void : Effect.sleep(millis),
            Effect.suspend((): Effect.Effect<void, JournalFailed> =>
              broken ? faults[fault](sessionId) : writer.append(records)
            )
          )
      const harness = yield* SessionHarness.make({
        ...conversation(counts),
        journal: {
          ...journal,
          open: (sessionId, mode) =>
            Effect.map(journal.open(sessionId, mode), (writer) => ({ ...writer, append: append(writer, sessionId) }))
        }
      }).pipe(Effect.provideService(Scope.Scope, scope))
      const { session } = harness
      const observation = yield* Laws.observe(harness, journal)
      const submit = (text: string) => observation.submit(Op.userInput(text))
      const closing = yield* Effect.cached(Scope.close(scope, Exit.void))
      yield* stage.arm({
        break: Effect.sync(() => void (broken = true)),
        abort: observation.abort,
        steer: submit("steer"),
        replace: session.start(Task.make("other", Effect.sleep(2))),
        close: closing
      })
      yield* Effect.ignore(submit("begin"))
      yield* session.awaitIdle
      yield* stage.disarm
      yield* session.awaitIdle
      const late = broken ? yield* lateReceipt(session) : undefined
      yield* closing
      yield* Effect.sleep(200_000)
      return late ?? Laws.session({ ...(yield* observation.history), opened: counts.opened, closed: counts.closed })
    }).pipe(Effect.scoped, Effect.provideService(IdGenerator, sequential("id")))
})

/** The first submission discovers that the journal is broken; everything after it is rejected. */
const lateReceipt = (session: SessionHarness.SessionHarness["session"]) =>
  Effect.gen(function* () {
    yield* Effect.ignore(session.submit(Op.userInput("late")))
    const receipt = yield* session.submit(Op.userInput("later"))
    const started = yield* Effect.exit(session.start(Task.make("late", Effect.void)))
    return receipt._tag !== "Rejected" || started._tag === "Success" ? "S2 a failed session continued" : undefined
  })

describe("a journal that breaks at any step", () => {
  for (const fault of ["fails", "dies", "hangs"] as const) {
    for (const millis of [0, 1]) {
      it(`S2 ends the session when a write of ${millis} ms ${fault}`, () => holds(breaking(fault, millis)))
    }
  }
})
