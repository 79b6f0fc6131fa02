// Tools of effect/ai, with a policy for each. A tool without a policy does not compile. `npx node examples/02-tool.ts`
import { Agent, Journal, Op, Session } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

class OrderNotFound extends Schema.TaggedError<OrderNotFound>()("OrderNotFound", { id: Schema.String }) {
  override get message() {
    return `there is no order ${this.id}`
  }
}

const toolkit = Toolkit.make(
  Tool.make("find_order", {
    description: "Finds an order by its id.",
    parameters: Schema.Struct({ id: Schema.String }),
    success: Schema.Struct({ euros: Schema.Finite }),
    failure: OrderNotFound
  })
)
const handlers = toolkit.toLayer({
  find_order: ({ id }) => (id === "o-1" ? Effect.succeed({ euros: 20 }) : Effect.fail(new OrderNotFound({ id })))
})

const agent = Agent.make({
  instructions: "You look after orders.",
  toolkit,
  approvals: { find_order: { approval: "allow", concurrency: "parallel" } }
})

// the model calls the tool twice; a failure is a result that it reads, not the end of the turn
const model = ScriptedModel.make([
  [ScriptedModel.call("find_order", { id: "o-1" }, "1"), ScriptedModel.call("find_order", { id: "o-2" }, "2")],
  [ScriptedModel.text("Order o-1 cost 20 euros; there is no o-2.")]
])

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  yield* session.submit(Op.userInput("What did my orders cost?"))
  yield* session.awaitIdle
  for (const item of (yield* session.snapshot).items) {
    if (item._tag === "ToolResult") console.log(item.status, JSON.stringify(item.output))
  }
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Layer.mergeAll(model.layer, handlers, Journal.layerMemory())))
// prints: completed {"euros":20}
// prints: failed "there is no order o-2"
