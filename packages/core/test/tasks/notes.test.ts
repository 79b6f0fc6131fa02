/** Notes of tasks: what clients read, and the history does not (contract S2, I3, J3, J4). */
import { assert, describe, it } from "@effect/vitest"
import * as NoteKind from "@spindle/core/NoteKind"
import * as Op from "@spindle/core/Op"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Exit, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { assertTurns } from "../fixtures/turns.ts"

const Progress = NoteKind.make("progress", {
  data: Schema.Struct({ done: Schema.Finite, at: Schema.Date, by: Schema.optionalKey(Schema.String) }),
  message: ({ by, done }) => (by === undefined ? undefined : `${by} has done ${done}`)
})
const at = new Date(1_000)

const noting = Task.make(
  "noting",
  Effect.gen(function* () {
    const turn = yield* Turn
    yield* turn.note(Progress, { done: 1, at })
    yield* turn.note(Progress, { done: 2, at, by: "ada" })
  })
)

const notesOf = ({ records }: Pick<Harness.SessionHarness, "records">) =>
  records().flatMap((record) => (record._tag === "TaskNote" ? [record] : []))

describe("a note of a task", () => {
  it.effect("J3 is a record with the data of its kind, and no part of the history", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const { outcome, turnId } = yield* harness.session.start(noting)
      assert.strictEqual((yield* outcome)._tag, "Completed")
      const notes = notesOf(harness)
      assert.deepStrictEqual(
        notes.map(({ data, message, name, turnId: of }) => ({ data, message, name, of })),
        [
          { name: "progress", of: turnId, data: { done: 1, at: at.toISOString() }, message: undefined },
          {
            name: "progress",
            of: turnId,
            data: { done: 2, at: at.toISOString(), by: "ada" },
            message: "ada has done 2"
          }
        ]
      )
      assert.deepStrictEqual(notes.map(Progress.decode), [
        Option.some({ done: 1, at }),
        Option.some({ done: 2, at, by: "ada" })
      ])
      assert.deepStrictEqual((yield* harness.session.snapshot).items, [])
      assert.strictEqual(SessionState.fold(harness.records()).seq, harness.records().length)
      assertTurns(harness.events)
    })
  )

  it("is not read by another kind, nor with data that does not fit", () => {
    const data = Progress.encode({ done: 1, at })
    assert.isTrue(Option.isNone(Progress.decode({ name: "other", data })))
    assert.isTrue(Option.isNone(Progress.decode({ name: "progress", data: { done: "one" } })))
  })

  it.effect("S5 with data that does not fit is a defect of the task", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const wrong = { done: "one", at } as unknown as { readonly done: number; readonly at: Date }
      const task = Task.make(
        "wrong",
        Effect.flatMap(Turn, (turn) => turn.note(Progress, wrong))
      )
      const { outcome } = yield* harness.session.start(task)
      assert.strictEqual((yield* outcome)._tag, "Failed")
      assert.deepStrictEqual(notesOf(harness), [])
      assertTurns(harness.events)
    })
  )

  it.effect("I2 S2 of an abort hook comes before the terminal record", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const task = Task.make("hooked", Effect.never, {
        abortHook: (turn) => turn.note(Progress, { done: 0, at })
      })
      const { outcome } = yield* harness.session.start(task)
      yield* harness.session.abort()
      assert.strictEqual((yield* outcome)._tag, "Aborted")
      const tags = harness.tags()
      assert.isAbove(tags.indexOf("TaskNote"), 0)
      assert.isBelow(tags.indexOf("TaskNote"), tags.indexOf("TurnAborted"))
      assertTurns(harness.events)
    })
  )

  it.effect("I3 of a straggler is an interruption, and is not recorded", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      const late = yield* Deferred.make<Exit.Exit<void>>()
      const open = yield* Deferred.make<void>()
      const task = Task.make(
        "late",
        Effect.flatMap(Turn, (turn) =>
          Effect.uninterruptible(
            Effect.andThen(
              Deferred.await(open),
              Effect.flatMap(Effect.exit(turn.note(Progress, { done: 1, at })), (exit) => Deferred.succeed(late, exit))
            )
          )
        )
      )
      const { outcome } = yield* harness.session.start(task)
      yield* harness.session.abort()
      const ended = yield* Effect.forkChild(outcome)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(ended))._tag, "Aborted")
      yield* Deferred.succeed(open, undefined)
      assert.isTrue(Exit.hasInterrupts(yield* Deferred.await(late)))
      assert.deepStrictEqual(notesOf(harness), [])
      assertTurns(harness.events)
    })
  )

  it.effect("J4 stays in the journal when its turn is rolled back", () =>
    Effect.gen(function* () {
      const harness = yield* Harness.make()
      yield* (yield* harness.session.start(noting)).outcome
      yield* harness.run("one")
      yield* harness.session.submit(Op.rollback(1))
      assert.strictEqual(notesOf(harness).length, 2)
      assert.strictEqual(SessionState.fold(harness.records()).history.length, 0)
      assertTurns(harness.events)
    })
  )
})
