import { assert, describe, it } from "@effect/vitest"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as Delegate from "@spindle/delegate/Delegate"
import type { DelegateRefused } from "@spindle/delegate/DelegateError"
import * as Limits from "@spindle/delegate/Limits"
import * as Status from "@spindle/delegate/Status"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"
import { idOf, play } from "./fixtures/playing.ts"

const within = (limits: Partial<Limits.Limits>) =>
  Effect.provideService(Limits.Limits, { ...Limits.defaults, ...limits })

const once = (text: string, options: Partial<Delegate.OneShotOptions<never, never>> = {}) =>
  Delegate.runOnce({ ...Family.endless, ...options, input: Input.text(text) } as never) as Effect.Effect<
    string | undefined,
    Delegate.StartError,
    Family.Services
  >

describe("a limit of zero", () => {
  for (const [key, limit] of Object.entries({
    depth: "depth",
    concurrent: "concurrent",
    lifetime: "lifetime",
    tokens: "tokens",
    wallTime: "time"
  })) {
    it.effect(`D6 ${key} 0 allows none: nothing is started`, () =>
      Effect.gen(function* () {
        const family = yield* Family.make()
        const error = (yield* family.run(Effect.flip(once("work")).pipe(within({ [key]: 0 })))) as DelegateRefused
        assert.strictEqual(error.limit, limit)
        assert.lengthOf(family.sessions(), 1)
      })
    )
  }
})

describe("the wall time of a tree", () => {
  it.effect("D6 counts from the first start, ends the working delegates of every level, and then refuses", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) =>
          Family.asked(request) === "down" && !Family.isAnswered(request)
            ? [ScriptedModel.call("down", {}, "d")]
            : [ScriptedModel.pieces("half"), ScriptedModel.hang]
      })
      const tools = Family.withTools({
        down: { run: () => once("work") as Effect.Effect<unknown, unknown, never> }
      })
      const running = yield* Effect.forkChild(
        family.run(
          Effect.gen(function* () {
            const detached = yield* Delegate.start({ ...Family.endless, detached: true })
            yield* detached.submit(Op.userInput("watch"))
            yield* Effect.sleep(600)
            const failed = yield* tools.provide(
              Effect.flip(Delegate.runOnce({ ...Family.endless, agent: tools.agent, input: Input.text("down") }))
            )
            return { detached: yield* detached.outcome, failed, refused: yield* Effect.flip(once("late")) }
          }).pipe(within({ wallTime: "1 second" }))
        )
      )
      yield* TestClock.adjust(600)
      const grandchild = yield* family.awaitTold(
        (event, id) => event._tag === "TextDelta" && id === family.sessions()[3]
      )
      yield* TestClock.adjust(399)
      assert.isUndefined(Family.terminalOf(family.told(grandchild)))
      yield* TestClock.adjust(1)
      const seen = yield* Fiber.join(running)
      assert.deepInclude(seen.detached, { _tag: "Interrupted", reason: "Deadline", message: "half" })
      assert.strictEqual(seen.failed._tag, "DelegateFailed")
      assert.strictEqual(Family.terminalOf(family.told(grandchild))?._tag, "TurnAborted")
      assert.strictEqual((seen.refused as DelegateRefused).limit, "time")
      assert.lengthOf(family.sessions(), 4)
    })
  )
})

describe("what a delegate returns when a limit stops it", () => {
  const long = "x".repeat(Status.messageLimit + 5)
  const spending = (text: string): ScriptedModel.Answer =>
    text === "spend"
      ? [ScriptedModel.text("paid"), ScriptedModel.finish({ total: 100 })]
      : [ScriptedModel.pieces(long), ScriptedModel.hang]

  it.effect("D6 is one message of bounded length, for a caller that waits", () =>
    Effect.gen(function* () {
      const { outputs, run } = yield* play({
        calls: [
          ["spawn_agent", () => ({ message: "work" })],
          ["spawn_agent", () => ({ message: "spend" })],
          ["wait_agent", (results) => ({ targets: [idOf(results)] })],
          ["spawn_agent", () => ({ message: "more" })]
        ],
        child: spending,
        limits: { tokens: 100 }
      })
      yield* run("root")
      const [{ agent_id }, , waited, refused] = outputs()
      const { errored } = waited.status[agent_id]
      assert.match(errored, /^was stopped: its budget of tokens is spent; its last message: x+ \[5 more characters\]$/)
      assert.match(refused, /^the 100 tokens that session .* allows its delegates are spent$/)
    })
  )

  it.effect("D6 D7 is one notice, for a parent that does not wait", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({ script: (request) => spending(Family.asked(request)) })
      yield* family.run(
        Effect.gen(function* () {
          const child = yield* Delegate.start({ ...Family.endless, detached: true })
          yield* child.submit(Op.userInput("work"))
          yield* family.awaitTold((event) => event._tag === "TextDelta")
          yield* once("spend")
          yield* child.settled
        }).pipe(within({ tokens: 100 }))
      )
      const rootId = family.root.session.sessionId
      yield* family.awaitTold((event, id) => id === rootId && event._tag === "InputAccepted")
      yield* TestClock.adjust("1 minute")
      const notices = family
        .told(rootId)
        .flatMap((event) => (event._tag === "InputAccepted" ? [Input.textOf(event.input)] : []))
      assert.lengthOf(notices, 1)
      assert.include(notices[0], "its budget of tokens is spent; its last message: xxx")
      assert.isBelow(notices[0]!.length, Status.messageLimit + 300)
    })
  )
})
