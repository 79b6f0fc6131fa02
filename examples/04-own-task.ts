// A custom task: an effect with a typed result, a typed failure and typed requirements. `npx node examples/04-own-task.ts`
import { Agent, Input, Journal, Session, Task, Turn } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Context, Effect, Layer, Schema } from "effect"

class DocumentNotFound extends Schema.TaggedError<DocumentNotFound>()("DocumentNotFound", { name: Schema.String }) {}

class Documents extends Context.Service<
  Documents,
  { readonly read: (name: string) => Effect.Effect<string, DocumentNotFound> }
>()("Documents") {}

// Task<number, DocumentNotFound, Turn | Documents>
const measure = Task.make(
  "measure",
  Effect.gen(function* () {
    const turn = yield* Turn.Turn
    const documents = yield* Documents
    const text = yield* documents.read(turn.inputText)
    yield* turn.say(`${text.length} characters`)
    return text.length
  })
)
// the abort is an interruption; what must be undone is a finalizer, as everywhere in Effect
const forever = Task.make(
  "forever",
  Effect.ensuring(
    Effect.never,
    Effect.sync(() => console.log("undone"))
  )
)

const program = Effect.gen(function* () {
  const session = yield* Session.make(Agent.make({}))
  for (const name of ["report.md", "nothing.md"]) {
    const running = yield* session.start(measure, Input.text(name))
    const outcome = yield* running.outcome // a value, never a failure
    console.log(outcome._tag === "Completed" ? outcome.value : outcome._tag)
  }
  const running = yield* session.start(forever)
  console.log(yield* session.abort("Deadline"))
  const outcome = yield* running.outcome
  console.log(outcome._tag === "Aborted" ? outcome.reason : outcome._tag)
}).pipe(Effect.scoped)

const documents = Layer.succeed(Documents, {
  read: (name) => (name === "report.md" ? Effect.succeed("All is well.") : Effect.fail(new DocumentNotFound({ name })))
})
await Effect.runPromise(
  Effect.provide(program, Layer.mergeAll(ScriptedModel.make([]).layer, documents, Journal.layerMemory()))
)
// prints: 12
// prints: Failed
// prints: undone
// prints: true
// prints: Deadline
