import { assert, describe, it } from "@effect/vitest"
import type { QuestionId, SessionId } from "@spindle/core/Ids"
import * as Input from "@spindle/core/Input"
import * as Op from "@spindle/core/Op"
import type { SessionEvent } from "@spindle/core/SessionEvent"
import { type Answer, type NewQuestion, Turn } from "@spindle/core/Turn"
import * as Delegate from "@spindle/delegate/Delegate"
import * as ScriptedModel from "@spindle/testing/ScriptedModel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as Family from "./fixtures/family.ts"

/** An elicitation of an MCP server. */
const form: NewQuestion = {
  kind: "elicitation",
  tool: "mcp__mail__send",
  payload: { message: "Who is it for?", requestedSchema: { type: "object", properties: { to: { type: "string" } } } }
}

/** Returns the answer in the form of MCP: one that is neither accepted nor declined is cancelled and empty. */
const toMcp = (answer: Answer): object => {
  switch (answer._tag) {
    case "Answered":
      return { action: "accept", content: answer.answers }
    case "Approved":
      return { action: "accept", content: {} }
    case "Denied":
      return { action: "decline" }
    default:
      return { action: "cancel" }
  }
}

/** A grandchild of the root whose tool asks. `results` are the answers that the tool got. */
const eliciting = Effect.fnUntraced(function* (question: NewQuestion) {
  const results: Array<object> = []
  const family = yield* Family.make({
    script: (request) => {
      const last = request.items.at(-1)
      if (last?._tag === "ToolResult") return [ScriptedModel.text(`${last.status}: ${String(last.output)}`)]
      return [ScriptedModel.call(Family.asked(request), {}, "call")]
    }
  })
  const asking = Family.withTools({
    ask: {
      run: () =>
        Effect.flatMap(Turn, (turn) => turn.ask(question)).pipe(
          Effect.map(toMcp),
          Effect.tap((result) => Effect.sync(() => void results.push(result))),
          Effect.map((result) => JSON.stringify(result))
        )
    }
  })
  const middle = Family.withTools({
    down: {
      run: () =>
        Delegate.runOnce({ ...Family.endless, agent: asking.agent, input: Input.text("ask") }) as Effect.Effect<
          unknown,
          unknown,
          Turn
        >
    }
  })
  const running = yield* family.start(
    asking.provide(
      middle.provide(Delegate.runOnce({ ...Family.endless, agent: middle.agent, input: Input.text("down") }))
    )
  )
  const { sessionId } = family.root.session
  const isOpened = (event: SessionEvent, id: SessionId) => id === sessionId && event._tag === "QuestionOpened"
  yield* family.awaitTold(isOpened)
  const opened = family.told(sessionId).find((event) => event._tag === "QuestionOpened")!
  return { family, running, results, opened }
})

const answering = (family: Family.Family, questionId: QuestionId, decision: Op.Decision) =>
  family.root.session.submit(Op.answer(questionId, decision))

describe("an elicitation of a grandchild", () => {
  for (const [decision, result] of [
    [
      { _tag: "Answered", answers: { to: "Ada" } },
      { action: "accept", content: { to: "Ada" } }
    ],
    [
      { _tag: "Approved", scope: "once" },
      { action: "accept", content: {} }
    ],
    [{ _tag: "Denied" }, { action: "decline" }]
  ] as const) {
    it.effect(
      `A3 is at the root as it was asked, and ${result.action} with ${JSON.stringify(decision)} goes down`,
      () =>
        Effect.gen(function* () {
          const { family, opened, results, running } = yield* eliciting(form)
          assert.deepInclude(opened, { kind: "elicitation", tool: "mcp__mail__send", payload: form.payload })
          assert.lengthOf(opened.path, 3)
          assert.strictEqual((yield* answering(family, opened.questionId, decision))._tag, "Accepted")
          const outcome = yield* running.outcome
          assert.strictEqual(outcome._tag, "Completed")
          assert.deepStrictEqual(results, [result])
          const late = yield* answering(family, opened.questionId, { _tag: "Denied" })
          assert.strictEqual(late._tag === "Rejected" && late.reason._tag, "UnknownQuestion")
        })
    )
  }

  it.effect("A2 is cancelled by the abort of the root, at every level, and is no refusal", () =>
    Effect.gen(function* () {
      const { family, opened, results, running } = yield* eliciting(form)
      yield* family.root.session.abort()
      yield* running.outcome
      for (const id of opened.path) {
        const settled = family.told(id).flatMap((event) => (event._tag === "QuestionSettled" ? [event.decision] : []))
        assert.deepStrictEqual(settled, [{ _tag: "Cancelled", by: "abort" }])
      }
      assert.notInclude(JSON.stringify(results), "decline")
    })
  )

  it.effect("A2 without an answer is cancelled and empty at the deadline of the asker", () =>
    Effect.gen(function* () {
      const { results, running } = yield* eliciting(form)
      const ended = yield* Effect.forkChild(running.outcome)
      yield* TestClock.adjust("5 minutes")
      assert.strictEqual((yield* Fiber.join(ended))._tag, "Completed")
      assert.deepStrictEqual(results, [{ action: "cancel" }])
    })
  )

  it.effect("A2 a question without an answer gets an empty one at the deadline", () =>
    Effect.gen(function* () {
      const { results, running } = yield* eliciting({ ...form, kind: "question" })
      const ended = yield* Effect.forkChild(running.outcome)
      yield* TestClock.adjust("5 minutes")
      yield* Fiber.join(ended)
      assert.deepStrictEqual(results, [{ action: "accept", content: {} }])
    })
  )

  it.effect("A5 the decision Abort at the root cancels it, and stops the tree", () =>
    Effect.gen(function* () {
      const { family, opened, results, running } = yield* eliciting(form)
      yield* answering(family, opened.questionId, { _tag: "Abort" })
      assert.strictEqual((yield* running.outcome)._tag, "Aborted")
      assert.notInclude(JSON.stringify(results), "decline")
    })
  )
})

describe("questions of siblings, and several of one delegate", () => {
  it.effect("A3 wait concurrently at the root, and each gets its own answer, in any order", () =>
    Effect.gen(function* () {
      const family = yield* Family.make({
        script: (request) => {
          const last = request.items.at(-1)
          if (last?._tag === "ToolResult") return [ScriptedModel.text(String(last.output))]
          return [ScriptedModel.call("ask", { for: Family.asked(request) }, "call")]
        }
      })
      const asking = Family.withTools({
        ask: {
          run: (params) =>
            Effect.flatMap(Turn, (turn) =>
              Effect.forEach(
                [1, 2],
                (number) => turn.ask({ kind: "question", payload: `${String(params["for"])} ${number}` }),
                { concurrency: "unbounded" }
              )
            ).pipe(Effect.map((answers) => JSON.stringify(answers)))
        }
      })
      const running = yield* family.start(
        asking.provide(
          Effect.forEach(
            ["a", "b"],
            (name) => Delegate.runOnce({ ...Family.endless, agent: asking.agent, input: Input.text(name) }),
            { concurrency: "unbounded" }
          )
        )
      )
      const { sessionId } = family.root.session
      const opened = () => family.told(sessionId).filter((event) => event._tag === "QuestionOpened")
      yield* family.awaitTold((_, id) => id === sessionId && opened().length === 4)
      assert.lengthOf(new Set(opened().map(({ questionId }) => questionId)), 4)
      for (const { payload, questionId } of opened().toReversed()) {
        const decision = { _tag: "Answered", answers: { to: payload } } as const
        assert.strictEqual((yield* answering(family, questionId, decision))._tag, "Accepted")
      }
      const outcome = yield* running.outcome
      const answers = (name: string) =>
        JSON.stringify([1, 2].map((number) => ({ _tag: "Answered", answers: { to: `${name} ${number}` } })))
      assert.deepStrictEqual(outcome._tag === "Completed" && outcome.value, [answers("a"), answers("b")])
    })
  )
})
