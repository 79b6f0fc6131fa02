// A program of a user of the packages: a session with a tool, a question that an application answers, a task with a delegate, a scripted model, and a test
// with the explorer. check.mjs compiles and runs it outside of the workspace.
import { Agent, Approvals, Input, Journal, Op, Session, Task, Turn } from "@spindle/core"
import { Delegate } from "@spindle/delegate"
import * as Interrupts from "@spindle/testing/Interrupts"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const toolkit = Toolkit.make(
  Tool.make("refund", { parameters: Schema.Struct({ euros: Schema.Finite }), success: Schema.String })
)
const handlers = toolkit.toLayer({ refund: ({ euros }) => Effect.succeed(`${euros} euros are refunded`) })
const agent = Agent.make({
  instructions: "You look after refunds.",
  toolkit,
  approvals: { refund: { approval: ({ euros }) => (euros <= 10 ? "allow" : "ask") } }
})
const approvals = Layer.succeed(Approvals.Approvals, {
  decide: () => Effect.succeed({ _tag: "Denied", reason: "more than 10 euros" })
})
const model = ScriptedModel.make([
  [ScriptedModel.call("refund", { euros: 5 }, "1"), ScriptedModel.call("refund", { euros: 500 }, "2")],
  [ScriptedModel.text("The small one is refunded.")],
  [ScriptedModel.text(`{ "verdict": "good" }`)]
])

const reviewer = Agent.make({ instructions: "Review what you are given." })
const review = Task.make(
  "review",
  Effect.gen(function* () {
    const turn = yield* Turn.Turn
    const { verdict } = yield* Delegate.runOnce({
      agent: reviewer,
      input: Input.text(turn.inputText),
      output: Schema.Struct({ verdict: Schema.Literals(["good", "bad"]) }),
      deadline: "1 minute"
    })
    return verdict
  })
)

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  yield* session.submit(Op.userInput("Refund everything."))
  yield* session.awaitIdle
  const results = (yield* session.snapshot).items.flatMap((item) => (item._tag === "ToolResult" ? [item.status] : []))
  const running = yield* session.start(review, Input.text("a change"))
  const outcome = yield* running.outcome
  return [...results, outcome._tag === "Completed" ? outcome.value : outcome._tag].join(", ")
}).pipe(Effect.scoped)

const layers = Layer.mergeAll(model.layer, handlers, approvals, Journal.layerMemory())
const result: string = await Effect.runPromise(Effect.provide(program, layers))

// an interruption at each step of a program of the user
const report: Interrupts.Report = Interrupts.explore(
  (stage) =>
    Effect.gen(function* () {
      let held = 0
      const hold = Effect.acquireUseRelease(
        Effect.sync(() => void held++),
        () => Effect.sleep("1 second"),
        () => Effect.sync(() => void held--)
      )
      yield* stage.attack(hold)
      return held
    }),
  { invariant: (held) => held === 0 }
)
console.log(`${result}, ${report.violations.length} violations`)
