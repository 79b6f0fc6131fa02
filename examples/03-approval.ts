// A tool that asks before it runs, and a service that decides. `npx node examples/03-approval.ts`
import { Agent, Approvals, Journal, Op, Session } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const toolkit = Toolkit.make(
  Tool.make("refund", { parameters: Schema.Struct({ euros: Schema.Finite }), success: Schema.String })
)
const handlers = toolkit.toLayer({ refund: ({ euros }) => Effect.succeed(`${euros} euros are refunded`) })

const agent = Agent.make({
  toolkit,
  // by the arguments: small refunds run, others are asked for
  approvals: { refund: { approval: ({ euros }) => (euros <= 10 ? "allow" : "ask") } }
})

// without this service the question waits for a client: session.submit(Op.answer(questionId, decision))
const approvals = Layer.succeed(Approvals.Approvals, {
  decide: ({ payload, tool }) => {
    console.log(`asked for ${tool}: ${JSON.stringify(payload)}`)
    return Effect.succeed({ _tag: "Denied", reason: "more than 50 euros" })
  }
})

const { call, text } = ScriptedModel
const model = ScriptedModel.make([
  [call("refund", { euros: 5 }, "1"), call("refund", { euros: 500 }, "2")],
  [text("The small one is refunded.")]
])

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  yield* session.submit(Op.userInput("Refund everything."))
  yield* session.awaitIdle
  for (const item of (yield* session.snapshot).items) {
    if (item._tag === "ToolResult") console.log(item.status, item.output)
  }
}).pipe(Effect.scoped)

await Effect.runPromise(
  Effect.provide(program, Layer.mergeAll(model.layer, handlers, approvals, Journal.layerMemory()))
)
// prints: asked for refund: {"euros":500}
// prints: completed 5 euros are refunded
// prints: denied rejected: more than 50 euros
