/** The circumstances of turns, recorded when they change. */
import { assert, describe, it } from "@effect/vitest"
import * as SessionState from "@spindle/core/SessionState"
import { CurrentTurnContext, type TurnContext } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SessionHarness from "@spindle/testing/SessionHarness"
import { Effect } from "effect"

const script: ScriptedModel.Script = () => [ScriptedModel.text("fine")]
const contextsOf = (harness: SessionHarness.SessionHarness) =>
  harness.records().flatMap((record) => (record._tag === "TurnContextChanged" ? [record.context] : []))

describe("the context of a turn", () => {
  it.effect("is recorded after the start of the turn, and again only when it has changed", () =>
    Effect.gen(function* () {
      let current: TurnContext = { model: "small", cwd: "/work", sandbox: { mode: "read-only", roots: ["/"] } }
      const harness = yield* Effect.provideService(SessionHarness.make({ script }), CurrentTurnContext, () =>
        structuredClone(current)
      )
      yield* harness.run("one")
      yield* harness.run("two")
      assert.deepStrictEqual(contextsOf(harness), [current])
      const tags = harness.tags()
      assert.strictEqual(tags[tags.indexOf("TurnStarted") + 1], "TurnContextChanged")
      const before = current
      current = { ...current, model: "large" }
      yield* harness.run("three")
      assert.deepStrictEqual(contextsOf(harness), [before, current])
      assert.deepStrictEqual(SessionState.fold(harness.records()).turnContext, current)
    })
  )

  it.effect("J3 is compared with that of the journal after a resume", () =>
    Effect.gen(function* () {
      const journal = yield* SessionHarness.memoryJournal
      const make = (resume?: SessionHarness.SessionHarness) =>
        SessionHarness.make({ script, journal, ...(resume === undefined ? {} : { resume: resume.session.sessionId }) })
      const provide = Effect.provideService(CurrentTurnContext, () => ({ effort: "high" }))
      const first = yield* Effect.scoped(Effect.tap(provide(make()), (harness) => harness.run("one")))
      const second = yield* provide(make(first))
      yield* second.run("two")
      assert.deepStrictEqual(contextsOf(first), [{ effort: "high" }])
      assert.deepStrictEqual(contextsOf(second), [])
    })
  )

  it.effect("is not recorded unless an application provides it", () =>
    Effect.gen(function* () {
      const harness = yield* SessionHarness.make({ script })
      yield* harness.run("one")
      assert.deepStrictEqual(contextsOf(harness), [])
    })
  )

  const broken: ReadonlyArray<readonly [string, () => TurnContext]> = [
    [
      "throws",
      () => {
        throw new Error("no settings")
      }
    ],
    ["is no JSON", () => ({ sandbox: 10n as never })],
    ["is infinite", () => ({ sandbox: Infinity })]
  ]
  for (const [name, read] of broken) {
    it.effect(`that ${name} ends no turn, and is reported`, () =>
      Effect.gen(function* () {
        const harness = yield* Effect.provideService(SessionHarness.make({ script }), CurrentTurnContext, read)
        assert.strictEqual((yield* harness.run("one"))._tag, "TurnCompleted")
        assert.deepStrictEqual(contextsOf(harness), [])
        const warning = harness.records().find((record) => record._tag === "Warning")
        assert.match(warning?._tag === "Warning" ? warning.message : "", /^the context of turn .* is not recorded: /)
      })
    )
  }
})
