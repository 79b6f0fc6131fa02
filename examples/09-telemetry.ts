// Spans of a turn, below the trace that its submission carries. `npx node examples/09-telemetry.ts`
import { Agent, Ids, Journal, Op, Session } from "@spindle/core"
import { SpanTree, Telemetry } from "@spindle/telemetry"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"

const toolkit = Toolkit.make(Tool.make("clock", { parameters: Schema.Struct({}), success: Schema.String }))
const agent = Agent.make({ toolkit, approvals: { clock: { approval: "allow" } } })

const model = ScriptedModel.make([[ScriptedModel.call("clock", {}, "1")], [ScriptedModel.text("It is noon.")]])

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  // parts of a client's request: the id, which the client repeats when it tries again, and the `traceparent`
  const id = Ids.SubmissionId.make("request-1")
  const trace = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" }
  yield* session.submit({ id, op: Op.userInput("What time is it?"), trace })
  yield* session.awaitIdle

  const { finished } = yield* Telemetry.SpanStore
  for (const { name, traceId } of SpanTree.flatten(SpanTree.make(yield* finished).roots)) {
    console.log(traceId.slice(0, 8), name)
  }
}).pipe(Effect.scoped)

const layer = Layer.mergeAll(
  model.layer,
  toolkit.toLayer({ clock: () => Effect.succeed("12:00") }),
  Journal.layerMemory(),
  Telemetry.layerMemory() // in production: Telemetry.layerOtlp({ endpoint: "http://localhost:4318" })
)
await Effect.runPromise(Effect.provide(program, layer))
// prints: 0af76519 op.dispatch.user_input
// prints: 0af76519 session_task.turn
// prints: 0af76519 chat scripted
// prints: 0af76519 execute_tool clock
// prints: 0af76519 chat scripted
