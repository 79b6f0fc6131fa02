/** Delegates of sessions that a host has opened. */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Input from "@spindle/core/Input"
import * as Journal from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import * as Task from "@spindle/core/Task"
import * as TaskKind from "@spindle/core/TaskKind"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Limits from "@spindle/delegate/Limits"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Family from "./fixtures/family.ts"

const delegating = TaskKind.make("delegating", {
  params: Schema.Struct({}),
  task: () => Task.make("delegating", Delegate.runOnce({ ...Family.endless, input: Input.text("one") }))
})

const make = Effect.gen(function* () {
  const shared = Layer.merge(ScriptedModel.make(Family.echo).layer, Journal.layerMemory())
  const host = Sessions.layer(Agent.make({ tasks: [delegating] }))
  const context = yield* Layer.build(Layer.provideMerge(host, shared))
  return { sessions: Context.get(context, Sessions.Sessions), journal: Context.get(context, Journal.Journal) }
})

describe("a delegate of a hosted session", () => {
  it.effect("J2 writes its own journal, which names the session above it, and no record into that of the other", () =>
    Effect.gen(function* () {
      const { journal, sessions } = yield* make
      const session = yield* sessions.create()
      yield* session.submit(Op.startTask("delegating"))
      yield* session.awaitIdle
      const { records } = yield* journal.load(session.sessionId)
      const delegateIds = records.flatMap((record) => (record._tag === "DelegateStarted" ? [record.delegateId] : []))
      assert.lengthOf(delegateIds, 1)
      const [first, ...rest] = (yield* journal.load(delegateIds[0]!)).records
      if (first?._tag !== "SessionStarted") return assert.fail("the journal does not begin with the start of a session")
      assert.strictEqual(first.sessionId, delegateIds[0])
      assert.deepInclude(first.meta, { parent: session.sessionId })
      assert.include(
        rest.map(({ _tag }) => _tag),
        "TurnCompleted"
      )
      for (const journaled of [records, [first, ...rest]]) {
        assert.deepStrictEqual(
          journaled.map(({ seq }) => seq),
          journaled.map((_, index) => index)
        )
      }
    })
  )

  it.effect("D6 has the limits that its session was opened with, which can be raised meanwhile", () =>
    Effect.gen(function* () {
      const { journal, sessions } = yield* make
      const { change, limits } = yield* Limits.adjustable({ lifetime: 0 })
      const session = yield* sessions.create({ references: Context.make(Limits.Limits, limits) })
      const run = Effect.andThen(session.submit(Op.startTask("delegating")), session.awaitIdle)
      yield* run
      yield* change({ lifetime: 1 })
      yield* run
      yield* run
      const { records } = yield* journal.load(session.sessionId)
      const ends = records.flatMap((record) =>
        record._tag === "TurnFailed" ? [record.error.tag] : record._tag === "TurnCompleted" ? [record._tag] : []
      )
      assert.deepStrictEqual(ends, ["DelegateRefused", "TurnCompleted", "DelegateRefused"])
      // the limits of another session are those of the host
      const other = yield* sessions.create()
      yield* other.submit(Op.startTask("delegating"))
      yield* other.awaitIdle
      const last = (yield* journal.load(other.sessionId)).records.at(-1)
      assert.strictEqual(last?._tag, "TurnCompleted")
    })
  )
})
