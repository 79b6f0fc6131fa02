import { assert, describe, it } from "@effect/vitest"
import { CurrentTurnContext } from "@spindle/core/TurnContext"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as SubAgentTools from "@spindle/delegate/SubAgentTools"
import * as Effect from "effect/Effect"
import { type Call, idOf, play } from "./fixtures/playing.ts"

const models = { swift: ["low", "high"], plain: [], scripted: ["low"] }
const spawn = (params: object): Call => ["spawn_agent", () => ({ message: "work", ...params })]
const wait: Call = ["wait_agent", (results) => ({ targets: [idOf(results)] })]

describe("the model of an agent", () => {
  for (const [params, expected] of [
    [{ model: "swift" }, "swift as it is"],
    [{ model: "swift", reasoning_effort: "high" }, "swift high"],
    [{ reasoning_effort: "low" }, "scripted low"],
    [{ agent_type: "fast", reasoning_effort: "low" }, "swift low"],
    [{ agent_type: "fast", model: "plain" }, "plain as it is"]
  ] as const) {
    it.effect(`is what was asked for: ${JSON.stringify(params)}`, () =>
      Effect.gen(function* () {
        const swift = { ...ScriptedModel.make(() => []).model, model: "swift" }
        const { asked, outputs, run } = yield* play({
          calls: [spawn(params), wait],
          roles: { fast: { model: swift } },
          models
        })
        yield* run("root")
        const [{ agent_id }, { status }] = outputs()
        assert.deepStrictEqual(status[agent_id], { completed: "echo work" })
        assert.deepStrictEqual(asked, [expected])
      })
    )
  }

  for (const [params, expected] of [
    [{}, { model: "scripted", effort: "medium", cwd: "/w" }],
    [
      { model: "swift", reasoning_effort: "high" },
      { model: "swift", cwd: "/w" }
    ]
  ] as const) {
    it.effect(`is the one that the context of its turns names: ${JSON.stringify(params)}`, () =>
      Effect.gen(function* () {
        const { journal, outputs, run } = yield* Effect.provideService(
          play({ calls: [spawn(params), wait], models }),
          CurrentTurnContext,
          () => ({ model: "scripted", effort: "medium", cwd: "/w" })
        )
        yield* run("root")
        const { records } = yield* journal.load(outputs()[0].agent_id)
        assert.deepStrictEqual(
          records.flatMap((record) => (record._tag === "TurnContextChanged" ? [record.context] : [])),
          [expected]
        )
      })
    )
  }

  it.effect("is that of the session or of the role by default", () =>
    Effect.gen(function* () {
      const own = ScriptedModel.make(() => [ScriptedModel.text("from the role")])
      const { asked, outputs, run } = yield* play({
        calls: [spawn({ agent_type: "own" }), wait, spawn({ model: "scripted" })],
        roles: { own: { model: own.model } },
        models
      })
      yield* run("root")
      assert.deepStrictEqual(outputs()[1].status[outputs()[0].agent_id], { completed: "from the role" })
      assert.deepStrictEqual(asked, [])
    })
  )

  const refusals: ReadonlyArray<readonly [params: object, text: string]> = [
    [{ model: "wizard" }, "there is no model wizard; there are: scripted, swift, plain"],
    [{ model: "swift", reasoning_effort: "mad" }, "model swift has no reasoning effort mad; it has: low, high"],
    [{ model: "plain", reasoning_effort: "low" }, "model plain has no reasoning effort low; none can be chosen"],
    [{ model: "constructor" }, "there is no model constructor; there are: scripted, swift, plain"]
  ]
  for (const [params, text] of refusals) {
    it.effect(`D6 is refused with a text, and nothing is started: ${JSON.stringify(params)}`, () =>
      Effect.gen(function* () {
        const { events, outputs, run } = yield* play({ calls: [spawn(params)], models })
        yield* run("root")
        assert.deepStrictEqual(outputs(), [text])
        assert.isUndefined(events.find(({ _tag }) => _tag === "DelegateStarted"))
      })
    )
  }

  it.effect("cannot be chosen if the settings name none", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({ calls: [spawn({ model: "swift" }), spawn({ reasoning_effort: "low" })] })
      yield* run("root")
      assert.deepStrictEqual(outputs(), [
        "there is no model swift; there are: scripted",
        "the reasoning effort of model scripted cannot be chosen"
      ])
    })
  )

  it.effect("is the same when the agent is resumed, here and in another process", () =>
    Effect.gen(function* () {
      const again: ReadonlyArray<Call> = [
        ["resume_agent", (results) => ({ id: results[0]?.agent_id ?? id })],
        ["send_input", (results) => ({ target: results[0]?.agent_id ?? id, message: "more" })],
        ["wait_agent", (results) => ({ targets: [results[0]?.agent_id ?? id] })]
      ]
      let id = ""
      const first = yield* Effect.scoped(
        Effect.gen(function* () {
          const played = yield* play({
            calls: [
              spawn({ model: "swift", reasoning_effort: "high" }),
              wait,
              ["close_agent", (results) => ({ target: idOf(results) })],
              ...again
            ],
            models
          })
          yield* played.run("root")
          id = played.outputs()[0].agent_id
          assert.deepStrictEqual(played.asked, ["swift high", "swift high"])
          return played
        })
      )
      const resume = { journal: first.journal, sessionId: first.session.sessionId }
      const second = yield* Effect.scoped(Effect.tap(play({ calls: again, models, resume }), ({ run }) => run("root")))
      assert.deepStrictEqual(second.asked, ["swift high"])
      // the models of the settings have changed meanwhile
      const third = yield* play({ calls: again.slice(0, 1), models: {}, resume })
      yield* third.run("root")
      assert.deepStrictEqual(third.outputs(), ["there is no model swift; there are: scripted"])
    })
  )
})

describe("the description of spawn_agent", () => {
  it("names the roles and the models to choose from", () => {
    const toolkit = SubAgentTools.toolkitFor({
      roles: { default: { description: "Any task." }, judge: { description: "Judges." } },
      models: {
        swift: { efforts: ["low", "high"] },
        plain: { efforts: [] }
      }
    })
    const { description = "" } = toolkit.tools.spawn_agent
    assert.include(description, "Agent types:\n- default: Any task.\n- judge: Judges.")
    assert.include(description, "Models:\n- swift, with the reasoning efforts low, high\n- plain")
    assert.notInclude(SubAgentTools.toolkit.tools.spawn_agent.description ?? "", "Agent types")
  })
})
