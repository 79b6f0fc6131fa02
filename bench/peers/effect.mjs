// A bare Effect 4 program: LanguageModel.make with a scripted provider, Chat for the history, Toolkit for the tools,
// and the dozen lines of loop that effect/ai leaves to its user.
//   ""          each delta arrives separately, through Stream.fromAsyncIterable (as in the other peers)
//   sync        the deltas come as one Stream.fromIterable chunk
//   notrace     spans off (Effect.withTracerEnabled(false)); as shipped, Chat and LanguageModel open spans
//   kvs         Chat.layerPersisted on KeyValueStore.layerFileSystem, one file per chat (W8)
// sizes: an adapter is one function, as a program of its users would be
import { decide, live, play, started, stopped } from "../workloads/brain.mjs"
import { handlersOf, toolsOf } from "../workloads/effectTools.mjs"
export const packages = ["effect", "@effect/platform-node"]
export const variants = { "": { sync: false }, sync: { sync: true }, notrace: { trace: false }, kvs: { kvs: true } }
export const caps = { stream: true, store: "kvs" }

const norm = (prompt) =>
  prompt.content.map((m) =>
    typeof m.content === "string"
      ? { role: m.role, text: m.content }
      : {
          role: m.role,
          text: m.content
            .filter((p) => p.type === "text")
            .map((p) => p.text)
            .join(""),
          calls: m.content.filter((p) => p.type === "tool-call").map((p) => p.id),
          results: m.content.filter((p) => p.type === "tool-result").map((p) => p.id)
        }
  )
const usage = {
  inputTokens: { total: 1, uncached: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 }
}

export async function load({ sync, kvs, trace = true, file }) {
  const { Effect, Layer, ManagedRuntime, Ref, Schema, Stream } = await import("effect")
  const { Chat, LanguageModel, Tool, Toolkit } = await import("effect/ai")

  const stepFor = (prompt) => {
    live.lastPrompt = () => norm(prompt)
    const ms = prompt.content
    let results = 0,
      i = ms.length - 1
    for (; ms[i].role !== "user"; i--) if (ms[i].role === "tool") results += ms[i].content.length
    const c = ms[i].content
    return decide(typeof c === "string" ? c : c.map((p) => p.text ?? "").join(""), results)
  }
  const finish = (reason) => ({ type: "finish", reason, usage, response: undefined })
  const delta = (delta) => ({ type: "text-delta", id: "t", delta })
  const texts = (step) =>
    step.drip
      ? Stream.fromEffectRepeat(
          Effect.map(Effect.sleep(step.drip), () => {
            live.deltasOut++
            return delta("tok ")
          })
        ).pipe(Stream.onStart(Effect.sync(started)), Stream.ensuring(Effect.sync(stopped)))
      : sync
        ? Stream.fromIterable(step.deltas.map(delta))
        : Stream.map(
            Stream.fromAsyncIterable(play({ deltas: step.deltas }), (e) => e),
            delta
          )
  const model = LanguageModel.make({
    generateText: () => Effect.die("streaming only"),
    streamText: ({ prompt }) => {
      const step = stepFor(prompt)
      const parts = step.tool
        ? Stream.fromIterable([
            { type: "tool-call", id: step.tool.id, name: step.tool.name, params: step.tool.args },
            finish("tool-calls")
          ])
        : Stream.fromIterable([{ type: "text-start", id: "t" }]).pipe(
            Stream.concat(texts(step)),
            Stream.concat(Stream.fromIterable([{ type: "text-end", id: "t" }, finish("stop")]))
          )
      return step.lat ? Stream.unwrap(Effect.as(Effect.sleep(step.lat), parts)) : parts
    }
  })

  const tools = Toolkit.make(
    ...toolsOf({ Schema, Tool }),
    Tool.make("child", {
      description: "child",
      parameters: Schema.Struct({ prompt: Schema.String }),
      success: Schema.String
    })
  )
  const loop = Effect.fnUntraced(function* (chat, toolkit, prompt, onDelta) {
    let text = "",
      next = prompt,
      again = true
    while (again) {
      again = false
      yield* Stream.runForEachArray(chat.streamText({ prompt: next, ...(toolkit && { toolkit }) }), (parts) =>
        Effect.sync(() => {
          for (const p of parts) {
            if (p.type === "text-delta") {
              text += p.delta
              onDelta?.(p.delta)
            } else if (p.type === "tool-call") again = true
          }
        })
      )
      next = []
    }
    return { text }
  })
  const turn = (chat, toolkit, prompt, onDelta) =>
    loop(chat, toolkit, prompt, onDelta).pipe(trace ? (x) => x : Effect.withTracerEnabled(false))
  const lm = Layer.effect(LanguageModel.LanguageModel, model)
  const handlers = tools
    .toLayer(
      Effect.gen(function* () {
        const services = yield* Effect.context()
        return {
          ...handlersOf({ Effect }),
          child: ({ prompt }) =>
            Effect.flatMap(Chat.empty, (chat) => turn(chat, undefined, prompt)).pipe(
              Effect.map((r) => r.text),
              Effect.provideContext(services),
              Effect.orDie
            )
        }
      })
    )
    .pipe(Layer.provide(lm))
  let layer = Layer.merge(lm, handlers)
  if (kvs) {
    const [{ Persistence, KeyValueStore }, NodeFileSystem, NodePath] = await Promise.all([
      import("effect/persistence"),
      import("@effect/platform-node/NodeFileSystem"),
      import("@effect/platform-node/NodePath")
    ])
    layer = Layer.merge(
      layer,
      Chat.layerPersisted({ storeId: "chats" }).pipe(
        Layer.provide(Persistence.layerBackingKvs),
        Layer.provide(KeyValueStore.layerFileSystem(file)),
        Layer.provide(Layer.merge(NodeFileSystem.layer, NodePath.layer))
      )
    )
  }
  const rt = ManagedRuntime.make(layer)
  const toolkit = await rt.runPromise(tools)
  const wrap = (chat) => ({
    turn: (prompt, { signal, onDelta } = {}) => rt.runPromise(turn(chat, toolkit, prompt, onDelta), { signal }),
    history: async () => norm(await rt.runPromise(Ref.get(chat.history)))
  })
  const openSession = async (id) =>
    wrap(await rt.runPromise(Effect.flatMap(Chat.Persistence, (p) => p.getOrCreate(id))))
  let ids = 0
  const newSession = () => (kvs ? openSession(`t${process.pid}-${++ids}`) : wrap(Effect.runSync(Chat.empty)))
  return { newSession, openSession, close: () => rt.dispose() }
}
