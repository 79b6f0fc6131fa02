/** A history that a task replaces: what the model sees, and the effect of rollback, resume and fork (contract I6, J3, J4). */
import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Compaction from "@spindle/core/Compaction"
import * as History from "@spindle/core/History"
import { textOf } from "@spindle/core/Input"
import type { Item } from "@spindle/core/Item"
import { Journal } from "@spindle/core/Journal"
import * as Op from "@spindle/core/Op"
import * as Sessions from "@spindle/core/Sessions"
import * as SessionState from "@spindle/core/SessionState"
import * as Task from "@spindle/core/Task"
import { Turn } from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Context, Deferred, Effect, Layer } from "effect"
import { assertTurns } from "../fixtures/turns.ts"

/** Keeps the words of the user, and a summary for the rest. */
const compact = Task.make(
  "compact",
  Effect.gen(function* () {
    const turn = yield* Turn
    const { kept } = Compaction.plan(yield* turn.history)
    const content = [{ _tag: "Text" as const, text: "a summary" }]
    yield* turn.replaceHistory([...kept, { _tag: "UserMessage", content, fragment: Compaction.summaryFragment }])
  })
)

const textsOf = (items: ReadonlyArray<Item>) =>
  items.flatMap((item) =>
    item._tag === "UserMessage" ? [textOf(item.content)] : item._tag === "AssistantMessage" ? [item.text] : []
  )
const script: ScriptedModel.Script = (request) => [
  ScriptedModel.text(`re ${textsOf(request.items).findLast((text) => text !== "a summary")}`)
]

/** Two turns, a compaction, and one more turn. */
const compacted = Effect.gen(function* () {
  const journal = yield* SessionHarness.memoryJournal
  const harness = yield* SessionHarness.make({ script, journal })
  yield* harness.run("one")
  yield* harness.run("two")
  const running = yield* harness.session.start(compact)
  assert.strictEqual((yield* running.outcome)._tag, "Completed")
  yield* harness.run("three")
  return { ...harness, journal }
})
const after = ["one", "two", "a summary", "three", "re three"]

describe("a history that was replaced", () => {
  it.effect("J3 is what the model sees afterwards, and the live state equals the fold at each record", () =>
    Effect.gen(function* () {
      const { events, records, requests, session } = yield* compacted
      assert.deepStrictEqual(textsOf(requests.at(-1)!.items), after.slice(0, 4))
      assert.deepStrictEqual(textsOf((yield* session.snapshot).items), after)
      assert.deepStrictEqual(History.toArray(SessionState.fold(records()).history), (yield* session.snapshot).items)
      assertTurns(events)
    })
  )

  it.effect("J4 is undone by a rollback to a point before it, and by no other", () =>
    Effect.gen(function* () {
      const { session } = yield* compacted
      const texts = Effect.map(session.snapshot, ({ items }) => textsOf(items))
      yield* session.submit(Op.rollback(1))
      assert.deepStrictEqual(yield* texts, ["one", "two", "a summary"])
      yield* session.submit(Op.rollback(1))
      assert.deepStrictEqual(yield* texts, ["one", "re one"])
      yield* session.submit(Op.rollback(1))
      assert.deepStrictEqual(yield* texts, [])
    })
  )

  it.effect("J3 J4 survives a resume, which can still roll it back", () =>
    Effect.gen(function* () {
      const { journal, session } = yield* Effect.scoped(compacted)
      const again = yield* SessionHarness.make({ script, journal, resume: session.sessionId })
      assert.deepStrictEqual(textsOf((yield* again.session.snapshot).items), after)
      yield* again.session.submit(Op.rollback(2))
      assert.deepStrictEqual(textsOf((yield* again.session.snapshot).items), ["one", "re one"])
    })
  )

  it.effect("J4 is part of a fork, up to now and up to the turn before", () =>
    Effect.gen(function* () {
      const { journal, records, session } = yield* Effect.scoped(compacted)
      const context = yield* Layer.build(
        Layer.provide(
          Sessions.layer(Agent.make({})),
          Layer.merge(Layer.succeed(Journal, journal), ScriptedModel.make(script).layer)
        )
      )
      const sessions = Context.get(context, Sessions.Sessions)
      const turns = records().flatMap((record) => (record._tag === "TurnStarted" ? [record.turnId] : []))
      const itemsOf = (until: number | undefined) =>
        sessions.fork(session.sessionId, until === undefined ? {} : { until: turns[until]! }).pipe(
          Effect.flatMap((fork) => fork.snapshot),
          Effect.map(({ items }) => textsOf(items))
        )
      assert.deepStrictEqual(yield* itemsOf(undefined), after)
      assert.deepStrictEqual(yield* itemsOf(2), ["one", "two", "a summary"])
      assert.deepStrictEqual(yield* itemsOf(1), ["one", "re one", "two", "re two"])
    })
  )

  it.effect("S5 I6 in the middle of a turn keeps the turn's last message, and ids of items stay unique", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script })
      yield* harness.run("one")
      const running = yield* harness.session.start(
        Task.make(
          "says",
          Effect.gen(function* () {
            const turn = yield* Turn
            yield* turn.say("before")
            const items = yield* turn.replaceHistory([{ _tag: "AssistantMessage", text: "short", partial: "aborted" }])
            assert.deepStrictEqual(yield* turn.history, items)
            yield* turn.record({ _tag: "DeveloperMessage", text: "after" })
          })
        )
      )
      yield* running.outcome
      const ended = harness.records().at(-1)
      assert.strictEqual(ended?._tag === "TurnCompleted" && ended.lastMessage, "before")
      const ids = harness
        .records()
        .flatMap((record) =>
          record._tag === "ItemRecorded"
            ? [record.item.id]
            : record._tag === "HistoryReplaced"
              ? record.items.map(({ id }) => id)
              : []
        )
      assert.strictEqual(new Set(ids).size, ids.length)
      assertTurns(harness.events)
    })
  )

  it.effect("J4 shorter than before, leaves the contexts of the session's start where a rollback finds them", () =>
    Effect.gen(function* () {
      const { journal, session } = yield* Effect.scoped(compacted)
      let starts = 0
      const again = yield* SessionHarness.make({
        script,
        journal,
        resume: session.sessionId,
        hooks: {
          sessionStart: () => Effect.sync(() => ({ contexts: [`start ${++starts}`] }))
        }
      })
      yield* again.run("four")
      const running = yield* again.session.start(compact)
      yield* running.outcome
      yield* again.run("five")
      yield* again.session.submit(Op.rollback(1))
      yield* again.run("six")
      assert.strictEqual(starts, 1)
      // the turn that recorded them is taken, so the hooks run again
      yield* again.session.submit(Op.rollback(2))
      yield* again.run("seven")
      assert.strictEqual(starts, 2)
    })
  )

  for (const [name, until] of [
    ["during a model request", undefined],
    ["while a call is open", "ModelResponded"]
  ] as const) {
    it.effect(`I6 is refused ${name}: a result would lose its call`, () =>
      Effect.gen(function* () {
        const exits: Array<string> = []
        const start = Deferred.makeUnsafe<void>()
        const harness = yield* SessionHarness.make({
          script: (_, index) => (index === 0 ? [ScriptedModel.call("forget", {}, "c")] : [ScriptedModel.text("done")]),
          tools: {
            forget: {
              run: () =>
                Effect.andThen(
                  until === undefined ? Effect.void : Deferred.await(start),
                  Effect.flatMap(Turn, (turn) => turn.replaceHistory([]))
                ).pipe(Effect.onExit((exit) => Effect.sync(() => void exits.push(String(exit)))))
            }
          }
        })
        yield* harness.submit("forget everything")
        if (until !== undefined) yield* harness.awaitEvent(SessionHarness.hasTag(until))
        yield* Deferred.succeed(start, undefined)
        yield* harness.session.awaitIdle
        assert.match(exits[0] ?? "", /between model requests, while no call is open/)
        assert.notInclude(harness.tags(), "HistoryReplaced")
        assertTurns(harness.events)
      })
    )
  }
})
