// A custom journal, here one that wraps another: every record is counted before it is written. `npx node examples/08-own-journal.ts`
// A journal from scratch is tested with JournalSuite of @spindle/testing.
import { Agent, Journal, Op, Session } from "@spindle/core"
import { ScriptedModel } from "@spindle/testing"
import { Effect, Layer } from "effect"

const counts = new Map<string, number>()

const counting = Layer.effect(
  Journal.Journal,
  Effect.map(Journal.Journal, (journal) => ({
    ...journal,
    open: (sessionId, mode) =>
      Effect.map(journal.open(sessionId, mode), (writer) => ({
        ...writer,
        // a session publishes what it appends only after this effect has succeeded
        append: (records) =>
          Effect.andThen(
            Effect.sync(() => records.forEach(({ _tag }) => counts.set(_tag, (counts.get(_tag) ?? 0) + 1))),
            writer.append(records)
          )
      }))
  }))
).pipe(Layer.provide(Journal.layerMemory()))

const model = ScriptedModel.make([[ScriptedModel.text("Done.")]])

const program = Effect.gen(function* () {
  const session = yield* Session.make(Agent.make({}))
  yield* session.submit(Op.userInput("Do it."))
  yield* session.awaitIdle
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Layer.merge(model.layer, counting)))
for (const [tag, count] of counts) console.log(count, tag)
// prints: 1 SessionStarted
// prints: 1 InputAccepted
// prints: 1 TurnStarted
// prints: 2 ItemRecorded
// prints: 1 ModelRequested
// prints: 1 ModelResponded
// prints: 1 TurnCompleted
