/** The records of an undo in each of its outcomes. */
import { assert, describe, it } from "@effect/vitest"
import * as Op from "@spindle/core/Op"
import type { TaskKind } from "@spindle/core/TaskKind"
import * as Harness from "@spindle/testing/SessionHarness"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as UndoTask from "../../src/tasks/UndoTask.ts"
import * as Fake from "../fixtures/snapshots.ts"
import { wordsOf } from "../fixtures/words.ts"

const undo = (params: UndoTask.Params = {}) => Op.startTask("undo", { ...params })

/** A session whose last turn has made a change. */
const started = Effect.fnUntraced(function* (behaviour: Fake.Behaviour = {}, isChanged = true) {
  const snapshots = Fake.make(behaviour)
  if (isChanged) yield* snapshots.service.begin("session", "/")
  const harness = yield* Effect.provide(Harness.make({ tasks: [UndoTask.kind as TaskKind] }), snapshots.layer)
  return { harness, snapshots }
})

const words = ({ records }: Pick<Harness.SessionHarness, "records">) => wordsOf(records())

/** Starts an undo, aborts it when its turn has got so far, and returns the words of its records. */
const aborted = (behaviour: (reached: Deferred.Deferred<void>, open: Deferred.Deferred<void>) => Fake.Behaviour) =>
  Effect.gen(function* () {
    const reached = yield* Deferred.make<void>()
    const open = yield* Deferred.make<void>()
    const { harness } = yield* started(behaviour(reached, open))
    yield* harness.session.submit(undo())
    yield* Deferred.await(reached)
    yield* harness.session.abort()
    const idle = yield* Effect.forkChild(harness.session.awaitIdle)
    yield* TestClock.adjust("5 seconds")
    yield* Deferred.succeed(open, undefined)
    yield* Fiber.join(idle)
    return words(harness)
  })

describe("an undo", () => {
  it.effect("restores, and tells the model", () =>
    Effect.gen(function* () {
      const { harness, snapshots } = yield* started()
      yield* harness.session.submit(undo())
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(words(harness), [
        "TurnStarted",
        "undo.started",
        "undo.completed(restored)",
        "UserMessage",
        "TurnCompleted"
      ])
      const [item] = (yield* harness.session.snapshot).items
      assert.strictEqual(item?._tag === "UserMessage" ? item.fragment : undefined, "undo")
      yield* harness.session.submit(undo())
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnFailed")
      yield* harness.session.submit(undo({ redo: true }))
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
      assert.deepStrictEqual(
        snapshots.log.filter((one) => one === "restore"),
        ["restore", "restore"]
      )
    })
  )

  it.effect("that is a dry run changes nothing", () =>
    Effect.gen(function* () {
      const { harness, snapshots } = yield* started()
      yield* harness.session.submit(undo({ dryRun: true }))
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(words(harness), ["TurnStarted", "undo.started", "undo.completed(dryRun)", "TurnCompleted"])
      assert.notInclude(snapshots.log, "restore")
      const notes = harness.records().flatMap((one) => (one._tag === "TaskNote" ? [one.message] : []))
      assert.deepStrictEqual(notes, ["an undo would change 1 file\n  M a.txt", "nothing was changed"])
    })
  )

  it.effect("refuses a conflict by name, unless it is forced", () =>
    Effect.gen(function* () {
      const { harness } = yield* started({ conflicts: [{ path: "a.txt", detail: "was changed since" }] })
      yield* harness.session.submit(undo())
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(words(harness), ["TurnStarted", "undo.started", "undo.completed(refused)", "TurnFailed"])
      const last = harness.records().at(-1)!
      assert.deepStrictEqual(last._tag === "TurnFailed" ? last.error : undefined, {
        tag: "UndoConflict",
        message: "nothing was restored: a.txt was changed since"
      })
      yield* harness.session.submit(undo({ force: true }))
      yield* harness.session.awaitIdle
      assert.strictEqual(harness.tags().at(-1), "TurnCompleted")
    })
  )

  it.effect("fails by name if there is nothing to undo", () =>
    Effect.gen(function* () {
      const { harness } = yield* started({}, false)
      yield* harness.session.submit(undo())
      yield* harness.session.awaitIdle
      assert.deepStrictEqual(words(harness), ["TurnStarted", "undo.completed(failed)", "TurnFailed"])
    })
  )

  it.effect("that is aborted in time changes nothing, and says so before the end of its turn", () =>
    Effect.gen(function* () {
      const found = yield* aborted((reached) => ({
        stage: Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
      }))
      assert.deepStrictEqual(found.slice(0, 3), ["TurnStarted", "undo.started", "undo.completed(cancelled)"])
      assert.strictEqual(found.at(-1), "TurnAborted")
    })
  )

  it.effect("that is aborted too late is waited for, and says so before the end of its turn", () =>
    Effect.gen(function* () {
      const found = yield* aborted((reached, open) => ({
        move: Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(open))
      }))
      assert.deepStrictEqual(found.slice(0, 4), [
        "TurnStarted",
        "undo.started",
        "undo.completed(restored)",
        "UserMessage"
      ])
      assert.strictEqual(found.at(-1), "TurnAborted")
    })
  )
})
