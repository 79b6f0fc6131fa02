/** The circumstances of turns, and inputs that change them, with a scripted model server. */
import { assert, describe, it } from "@effect/vitest"
import type { SessionId } from "@spindle/core/Ids"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { Effect } from "effect"
import * as App from "../../src/App.ts"
import * as Instructions from "../../src/Instructions.ts"
import * as TurnContexts from "../../src/settings/TurnContexts.ts"
import { platform, world } from "../fixtures/world.ts"

const scoped = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.scoped(effect).pipe(Effect.provide(platform))
const said = (text: string) => ({ events: [{ text }] })

describe("make", () => {
  it.live("names the form of the answer, and the day", () =>
    scoped(
      Effect.gen(function* () {
        const { cwd, settings } = yield* world({}, [
          ["model_reasoning_effort", "low"],
          ["model_reasoning_summary", "auto"]
        ])
        const output = { name: "answer", schema: { type: "object" } }
        const now = Date.UTC(2026, 10, 30, 12)
        assert.deepStrictEqual(TurnContexts.make({ cwd, settings, output }, now), {
          model: settings.model,
          effort: "low",
          summary: "auto",
          approvalPolicy: "on-request",
          sandbox: "read-only",
          cwd,
          output: { type: "object" },
          date: Instructions.dayOf(now)
        })
      })
    )
  )
})

describe("an input that changes the context", () => {
  it.live("J3 is sent to another model from then on, after a resume as well, and changes nothing else", () =>
    scoped(
      Effect.gen(function* () {
        const at = yield* world({ turns: [said("one"), said("two"), said("three")] })
        const events: Array<SessionEvent> = []
        const open = (isResumed: boolean) =>
          App.open({
            cwd: at.cwd,
            settings: at.settings,
            sessionId: "session" as SessionId,
            isResumed,
            meta: {},
            approvals: { decide: () => Effect.never },
            observer: { onEvent: (_, event) => void events.push(event) }
          })
        yield* Effect.gen(function* () {
          const { session } = yield* open(false)
          yield* session.submit(Op.userInput("one"))
          yield* session.awaitIdle
          yield* session.submit(
            Op.userInput("two", { context: { model: "other", effort: "high", summary: "concise" } })
          )
          yield* session.awaitIdle
          const receipt = yield* session.submit(Op.userInput("no", { context: { cwd: "/" } }))
          assert.deepInclude(receipt, {
            reason: { _tag: "InvalidContext", message: "an input cannot change cwd, only model, effort and summary" }
          })
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        yield* Effect.gen(function* () {
          const { session } = yield* open(true)
          yield* session.submit(Op.userInput("three"))
          yield* session.awaitIdle
        }).pipe(Effect.scoped, Effect.provide(at.layer))
        assert.deepStrictEqual(
          at.server.requests.map(({ body }) => {
            const { effort, summary } = (body["reasoning"] ?? {}) as { effort?: string; summary?: string }
            return [body["model"], effort, summary]
          }),
          [
            [at.settings.model, undefined, undefined],
            ["other", "high", "concise"],
            ["other", "high", "concise"]
          ]
        )
        const models = events.flatMap((event) => (event._tag === "ModelRequested" ? [event.model] : []))
        assert.deepStrictEqual(models, [at.settings.model, "other", "other"])
        const contexts = events.flatMap((event) => (event._tag === "TurnContextChanged" ? [event.context] : []))
        assert.deepStrictEqual(
          contexts.map(({ effort, model, summary }) => [model, effort, summary]),
          [
            [at.settings.model, undefined, undefined],
            ["other", "high", "concise"]
          ]
        )
      })
    )
  )

  it("is refused by a provider with one model", () => {
    const rule = TurnContexts.ruleOf(undefined)
    assert.strictEqual(rule({ model: "other" }), "the provider has only one model")
  })
})
