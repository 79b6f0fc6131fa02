// A kind of tasks that clients start by name, with parameters and a receipt. `npx node examples/11-task-kind.ts`
import { Agent, Journal, Op, Session, Task, TaskKind, Turn } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Context, Effect, Layer, Schema } from "effect"

class Commits extends Context.Service<
  Commits,
  { readonly since: (version: string) => Effect.Effect<ReadonlyArray<string>> }
>()("Commits") {}

const releaseNotes = TaskKind.make("release-notes", {
  params: Schema.Struct({ since: Schema.NonEmptyString }),
  task: ({ since }) =>
    Task.make(
      "release-notes",
      Effect.gen(function* () {
        const turn = yield* Turn.Turn
        const commits = yield* Commits
        const notes = (yield* commits.since(since)).map((commit) => `- ${commit}`).join("\n")
        yield* turn.say(notes)
        return notes
      })
    )
})

// Agent<Commits>: a session with this agent requires what its tasks require
const agent = Agent.make({ tasks: [releaseNotes] })

const program = Effect.gen(function* () {
  const session = yield* Session.make(agent)
  const start = (kind: string, params: Op.TaskParams) => session.submit(Op.startTask(kind, params))
  // the second one waits for the first
  for (const since of ["1.1", "1.2"]) console.log((yield* start("release-notes", { since }))._tag)
  for (const rejected of [yield* start("release-notes", { since: 7 }), yield* start("reviews", {})]) {
    console.log(rejected._tag === "Rejected" ? rejected.reason._tag : rejected._tag)
  }
  yield* session.awaitIdle
  for (const item of (yield* session.snapshot).items) if (item._tag === "AssistantMessage") console.log(item.text)
}).pipe(Effect.scoped)

const commits = Layer.succeed(Commits, {
  since: (version) => Effect.delay(Effect.succeed([`what came after ${version}`]), "10 millis")
})
await Effect.runPromise(
  Effect.provide(program, Layer.mergeAll(ScriptedModel.make([]).layer, commits, Journal.layerMemory()))
)
// prints: Started
// prints: Queued
// prints: InvalidParams
// prints: UnknownTask
// prints: - what came after 1.1
// prints: - what came after 1.2
