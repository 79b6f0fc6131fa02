// A delegate: a child session that a task starts, with a typed result. `npx node examples/06-delegate.ts`
import { Agent, Input, Journal, Session, Task, Turn } from "@spindle/core"
import { Delegate } from "@spindle/delegate"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer, Schema } from "effect"

const Review = Schema.Struct({ verdict: Schema.Literals(["good", "bad"]), why: Schema.String })
const reviewer = Agent.make({ instructions: "Review the change that you are given." })

const release = Task.make(
  "release",
  Effect.gen(function* () {
    const turn = yield* Turn.Turn
    const review = yield* Delegate.runOnce({
      agent: reviewer,
      input: Input.text(turn.inputText),
      output: Review,
      // a delegate ends with its turn at the latest, and never has more authority than its parent
      deadline: "5 minutes"
    })
    return review.verdict === "good" ? "released" : `not released: ${review.why}`
  })
)

const model = ScriptedModel.make(() => [ScriptedModel.text(`{ "verdict": "bad", "why": "no test" }`)])

const program = Effect.gen(function* () {
  const session = yield* Session.make(Agent.make({}))
  const running = yield* session.start(release, Input.text("fix: one line"))
  const outcome = yield* running.outcome
  console.log(outcome._tag === "Completed" ? outcome.value : outcome)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Layer.merge(model.layer, Journal.layerMemory())))
// prints: not released: no test
