// A session: one conversation with a scripted model, its journal in memory. `npx node examples/01-session.ts`
import { Agent, Journal, Op, Session } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Stream } from "effect"

const agent = Agent.make({ instructions: "Answer in one sentence." })

const model = ScriptedModel.make([
  [ScriptedModel.text("It spins ", "fibers into thread.")],
  [ScriptedModel.text("At least six thousand years.")]
])

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)

  // each submission gets exactly one receipt
  const first = yield* session.submit(Op.userInput("What is a spindle?"))
  yield* session.awaitIdle
  const second = yield* session.submit(Op.userInput("How old is it?"))
  console.log(first._tag, second._tag)
  yield* session.awaitIdle

  // events can be read from any record onwards: first those that were published, then new ones
  yield* session.events().pipe(
    Stream.filter((event) => event._tag === "TurnCompleted"),
    Stream.take(2),
    Stream.runForEach((event) => Effect.sync(() => console.log(event.lastMessage)))
  )
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Layer.merge(model.layer, Journal.layerMemory())))
// prints: Started Started
// prints: It spins fibers into thread.
// prints: At least six thousand years.
