/** What a program tells the model ahead of the input of a turn. */
import { assert, describe, it } from "@effect/vitest"
import * as Fragments from "@spindle/core/Fragments"
import * as Op from "@spindle/core/Op"
import * as Task from "@spindle/core/Task"
import * as Turn from "@spindle/core/Turn"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Deferred, Effect } from "effect"
import { warningsOf } from "../fixtures/turns.ts"

const script: ScriptedModel.Script = () => [ScriptedModel.text("fine")]

/** Records a text under the name `place` unless the model knows it. */
const placeOf =
  (current: () => string): Fragments.MakeFragments =>
  (known) =>
    Effect.sync(() => {
      const before = known.findLast(({ name }) => name === "place")?.text
      return before === current()
        ? Fragments.none
        : { fragments: [{ name: "place", text: current() }], warnings: [`now in ${current()}`] }
    })

const make = (fragments: Fragments.MakeFragments, options: SessionHarness.HarnessOptions = {}) =>
  Effect.provideService(SessionHarness.make({ script, ...options }), Fragments.Fragments, fragments)

/** The messages of the history: those of the user, of hooks, and fragments with their names. */
const messagesOf = ({ session }: SessionHarness.SessionHarness) =>
  Effect.map(session.snapshot, ({ items }) =>
    items.flatMap((item) => {
      if (item._tag === "DeveloperMessage") return [item.text]
      if (item._tag !== "UserMessage") return []
      const [part] = item.content
      const text = part?._tag === "Text" ? part.text : ""
      return [item.fragment === undefined ? text : `${item.fragment}: ${text}`]
    })
  )

describe("fragments", () => {
  it.effect("come before the contexts of hooks and the input, and again when they have changed", () =>
    Effect.gen(function* () {
      let place = "home"
      const hooks = { sessionStart: () => Effect.succeed({ contexts: ["context"] }) }
      const harness = yield* make(
        placeOf(() => place),
        { hooks }
      )
      yield* harness.run("one")
      yield* harness.run("two")
      place = "work"
      yield* harness.run("three")
      assert.deepStrictEqual(yield* messagesOf(harness), [
        "place: home",
        "context",
        "one",
        "two",
        "place: work",
        "three"
      ])
      assert.deepStrictEqual(warningsOf(harness.records()), ["now in home", "now in work"])
    })
  )

  it.effect("J3 are compared with those of the journal after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const fragments = placeOf(() => "home")
      const first = yield* Effect.scoped(Effect.tap(make(fragments, { journal }), (harness) => harness.run("one")))
      const second = yield* make(fragments, { journal, resume: first.session.sessionId })
      yield* second.run("two")
      assert.deepStrictEqual(yield* messagesOf(second), ["place: home", "one", "two"])
    })
  )

  it.effect("J4 are recorded again after a rollback has removed them, and no rollback counts them", () =>
    Effect.gen(function* () {
      const harness = yield* make(placeOf(() => "home"))
      yield* harness.run("one")
      yield* harness.session.submit(Op.rollback(1))
      assert.deepStrictEqual(yield* messagesOf(harness), [])
      yield* harness.run("two")
      assert.deepStrictEqual(yield* messagesOf(harness), ["place: home", "two"])
    })
  )

  it.effect("are recorded again after a task has replaced the history", () =>
    Effect.gen(function* () {
      const harness = yield* make(placeOf(() => "home"))
      const task = Task.make(
        "replace",
        Effect.gen(function* () {
          const turn = yield* Turn.Turn
          yield* turn.takeInput
          yield* turn.takeInput
          yield* turn.replaceHistory([])
          yield* turn.takeInput
        })
      )
      const running = yield* harness.session.start(task, [{ _tag: "Text", text: "one" }])
      yield* running.outcome
      assert.deepStrictEqual(yield* messagesOf(harness), ["place: home"])
      assert.lengthOf(warningsOf(harness.records()), 2)
    })
  )

  for (const [how, fragments] of [
    ["dies", () => Effect.die(new Error("no disk"))],
    [
      "throws",
      () => {
        throw new Error("no disk")
      }
    ]
  ] as ReadonlyArray<readonly [string, Fragments.MakeFragments]>) {
    it.effect(`of a function that ${how} are left out, with a warning`, () =>
      Effect.gen(function* () {
        const harness = yield* make(fragments)
        assert.strictEqual((yield* harness.run("one"))._tag, "TurnCompleted")
        assert.deepStrictEqual(yield* messagesOf(harness), ["one"])
        assert.deepStrictEqual(warningsOf(harness.records()), [
          "the instructions of this turn could not be made: no disk"
        ])
      })
    )
  }

  it.effect("I8 of a function that hangs end with the abort, and the next turn has them", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      let isFirst = true
      const harness = yield* make((known) => {
        if (!isFirst) return placeOf(() => "home")(known)
        isFirst = false
        return Effect.andThen(Deferred.succeed(entered, undefined), Effect.never)
      })
      yield* harness.submit("one")
      yield* Deferred.await(entered)
      yield* harness.session.abort()
      yield* harness.session.awaitIdle
      yield* harness.run("two")
      const messages = yield* messagesOf(harness)
      assert.deepStrictEqual(messages.slice(-2), ["place: home", "two"])
    })
  )
})
