import { assert, describe, it } from "@effect/vitest"
import * as Agent from "@spindle/core/Agent"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import * as Delegate from "@spindle/delegate/Delegate"
import * as Reviewer from "@spindle/delegate/Reviewer"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Family from "./fixtures/family.ts"

const reviewer = Agent.make({ instructions: "Review." })

/** A delegate that calls `reach`, and a reviewer that answers with `verdict`. */
const family = (verdict: (request: string) => ScriptedModel.Answer) =>
  Family.make({
    script: (request) => {
      if (request.instructions === "Review.") return verdict(Family.asked(request))
      const last = request.items.at(-1)
      return last?._tag === "ToolResult"
        ? [ScriptedModel.text(`${last.status}: ${String(last.output)}`)]
        : [ScriptedModel.call("reach", { for: Family.asked(request) }, "reach")]
    }
  })

const reaching = Effect.gen(function* () {
  const tools = Family.withTools({ reach: { run: () => Effect.succeed("reached"), policy: { approval: "ask" } } })
  const review = yield* Reviewer.fromAgent({ agent: reviewer, deadline: "1 minute" })
  return yield* tools.provide(
    Delegate.runOnce({ ...Family.endless, agent: tools.agent, review, input: Input.text("one") })
  )
})

const answer = (decision: string) => [ScriptedModel.text(JSON.stringify({ decision, reason: "because" }))]

describe("a reviewer", () => {
  it.effect("A3 decides, and no person is asked", () =>
    Effect.gen(function* () {
      for (const [decision, expected] of [
        ["approve", "completed: reached"],
        ["deny", "denied: rejected: because"]
      ] as const) {
        const seen: Array<string> = []
        const at = yield* family((request) => {
          seen.push(request)
          return answer(decision)
        })
        assert.strictEqual(yield* at.run(reaching), expected)
        assert.notInclude(at.root.tags(), "QuestionOpened")
        assert.deepInclude(JSON.parse(seen[0]!), { tool: "reach", arguments: { for: "one" }, depth: 1 })
      }
    })
  )

  for (const [what, verdict] of Object.entries({
    "leaves a question to the person": () => answer("ask"),
    "that fails leaves everything to the person": () => [ScriptedModel.fail("Unauthorized")],
    "that gives no verdict leaves everything to the person": () => [ScriptedModel.text("yes!")]
  })) {
    it.effect(`A3 ${what}`, () =>
      Effect.gen(function* () {
        const at = yield* family(verdict)
        const running = yield* Effect.forkChild(at.run(reaching))
        yield* at.awaitTold((event, id) => id === at.root.session.sessionId && event._tag === "QuestionOpened")
        const opened = at.root.events.find((event) => event._tag === "QuestionOpened")
        yield* at.root.session.submit(Op.answer(opened!.questionId, { _tag: "Approved", scope: "once" }))
        assert.strictEqual(yield* Fiber.join(running), "completed: reached")
      })
    )
  }
})
