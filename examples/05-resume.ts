// A journal on disk: a session that is closed and opened again continues. `npx node examples/05-resume.ts`
import { NodeFileSystem } from "@effect/platform-node"
import { Agent, Ids, JournalFile, Op, Session } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, FileSystem, Layer } from "effect"

const agent = Agent.make({ instructions: "Remember what you are told." })
const sessionId = Ids.SessionId.make("customer-1")

const model = ScriptedModel.make([[ScriptedModel.text("I will.")], [ScriptedModel.text("It is o-1.")]])

// closing the scope ends everything that the session started, and releases its journal
const monday = Effect.gen(function* () {
  const session = yield* Session.make(agent, { sessionId })
  yield* session.submit(Op.userInput("My order is o-1."))
  yield* session.awaitIdle
}).pipe(Effect.scoped)

const tuesday = Effect.gen(function* () {
  const session = yield* Session.make(agent, { resume: sessionId })
  yield* session.submit(Op.userInput("What was my order?"))
  yield* session.awaitIdle
  const { items, turnCount } = yield* session.snapshot
  console.log(`${turnCount} turns`)
  for (const item of items) {
    if (item._tag === "AssistantMessage") console.log(item.text)
  }
}).pipe(Effect.scoped)

const journals = Layer.unwrap(
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return JournalFile.layer({ directory: yield* fs.makeTempDirectoryScoped() })
  })
).pipe(Layer.provide(NodeFileSystem.layer))

const layer = Layer.mergeAll(model.layer, journals)
await Effect.runPromise(Effect.provide(Effect.andThen(monday, tuesday), layer))
// prints: 2 turns
// prints: I will.
// prints: It is o-1.
