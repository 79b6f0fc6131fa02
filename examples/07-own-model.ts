// A custom model: one request in, a stream of parts out. `npx node examples/07-own-model.ts`
// For a LanguageModel of effect/ai there is EffectAiModel.layer, for the Responses API @spindle/openai.
import { Agent, Journal, Model, Op, Session } from "@spindle/core"
import { Effect, Layer, Stream } from "effect"

// responds with the last message, word by word; the session owns retries, history and tools
const echo = Layer.succeed(Model.Model, {
  provider: "example",
  model: "echo",
  contextWindow: undefined,
  stream: ({ items }) => {
    const last = items.findLast((item) => item._tag === "UserMessage")
    const words = last?.content.flatMap((part) => (part._tag === "Text" ? part.text.split(/(?<= )/) : [])) ?? []
    const usage = { input: items.length, cachedInput: 0, output: words.length, reasoning: 0, total: 0 }
    return Stream.fromIterable<Model.ModelPart>([
      { _tag: "TextStart", id: "0" },
      ...words.map((delta) => ({ _tag: "TextDelta", id: "0", delta }) as const),
      { _tag: "TextEnd", id: "0" },
      { _tag: "Finish", reason: "stop", usage }
    ])
  }
})

const program = Effect.gen(function* () {
  const session = yield* Session.make(Agent.make({}))
  yield* session.submit(Op.userInput("a thread of three words"))
  yield* session.awaitIdle
  const { items, usage } = yield* session.snapshot
  const last = items.at(-1)
  console.log(last?._tag === "AssistantMessage" ? last.text : last)
  console.log(`${usage.output} tokens`)
}).pipe(Effect.scoped)

await Effect.runPromise(Effect.provide(program, Layer.merge(echo, Journal.layerMemory())))
// prints: a thread of three words
// prints: 5 tokens
