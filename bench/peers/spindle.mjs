// A Spindle session: the agent, its toolkit and a scripted model.
//   ""              a custom Model, journal in memory with bounded retention
//   language-model  the same through EffectAiModel.layer, over a scripted provider like that of effect.mjs
//   file            the file journal (W8 and the kill -9 trials)
import { decide, live, play, started, stopped } from "../workloads/brain.mjs"
import { handlersOf, toolsOf } from "../workloads/effectTools.mjs"
export const packages = ["effect", "@effect/platform-node"]
export const variants = { "": {}, "language-model": { lm: true }, file: { store: true } }
export const caps = { stream: true, store: "file" }

const norm = (items) =>
  items.map((item) => {
    switch (item._tag) {
      case "UserMessage":
        return { role: "user", text: item.content[0]?.text ?? "" }
      case "AssistantMessage":
        return { role: "assistant", text: item.text }
      case "ToolCall":
        return { role: "assistant", text: "", calls: [item.callId] }
      case "ToolResult":
        return { role: "tool", text: "", results: [item.callId] }
      default:
        return { role: "assistant", text: "" }
    }
  })
const stepFor = (items) => {
  live.lastPrompt = () => norm(items)
  let results = 0
  let index = items.length - 1
  for (; items[index]._tag !== "UserMessage" || items[index].fragment !== undefined; index--)
    if (items[index]._tag === "ToolResult") results++
  return decide(items[index].content[0].text, results)
}

export async function load({ lm, store, file }) {
  const [Cause, Effect, Exit, Fiber, Layer, ManagedRuntime, Schema, Scope, Stream, Tool, Toolkit] = await Promise.all(
    [
      "Cause",
      "Effect",
      "Exit",
      "Fiber",
      "Layer",
      "ManagedRuntime",
      "Schema",
      "Scope",
      "Stream",
      "ai/Tool",
      "ai/Toolkit"
    ].map((m) => import(`effect/${m}`))
  )
  const Agent = await import("@spindle/core/Agent")
  const Journal = await import("@spindle/core/Journal")
  const { Model } = await import("@spindle/core/Model")
  const Session = await import("@spindle/core/Session")
  const Delegate = await import("@spindle/delegate/Delegate")

  const model = lm
    ? await throughLanguageModel({ Cause, Effect, Layer, Stream })
    : ownModel({ Cause, Effect, Layer, Stream }, Model)

  const child = Tool.make("child", { parameters: Schema.Struct({ prompt: Schema.String }), success: Schema.Unknown })
  const toolkit = Toolkit.make(...toolsOf({ Schema, Tool }), child)
  const allow = { approval: "allow", concurrency: "parallel" }
  const agent = Agent.make({ toolkit, approvals: { add: allow, hang: allow, deaf: allow, child: allow } })
  const handlers = toolkit.toLayer({
    ...handlersOf({ Effect }),
    child: ({ prompt }) => Delegate.runOnce({ agent, input: [{ _tag: "Text", text: prompt }], deadline: Infinity })
  })
  const journal = store ? await onDisk(Layer, file) : Journal.layerMemory({ retainCount: 16, retainClosed: false })
  const layer = Layer.mergeAll(model, handlers, journal)
  const runtime = ManagedRuntime.make(layer)
  const scope = Scope.makeUnsafe()
  const turn = turnOf({ Effect, Fiber, Stream })

  const open = (options) => {
    const own = Scope.forkUnsafe(scope)
    return runtime
      .runPromise(Session.make(agent, options).pipe(Effect.provideService(Scope.Scope, own)))
      .then((session) =>
        peerSession({ Effect, runtime, turn }, session, () => runtime.runPromise(Scope.close(own, Exit.void)))
      )
  }
  const exists = async (id) =>
    (await runtime.runPromise(Effect.flatMap(Journal.Journal, (journal) => journal.list))).some(
      (entry) => entry.sessionId === id
    )
  return {
    newSession: () => open({}),
    openSession: async (id) => open((await exists(id)) ? { resume: id } : { sessionId: id }),
    close: () => runtime.dispose()
  }
}

/** Runs a turn of a session: submits the prompt, and reads the session's events until the turn has ended. */
const turnOf = ({ Effect, Fiber, Stream }) =>
  Effect.fnUntraced(function* (session, prompt, { signal, onDelta } = {}) {
    const { seq } = yield* session.snapshot
    let end
    // subscribed before the input is submitted, so that no text is missed
    const reading = yield* session.events({ from: seq }).pipe(
      Stream.takeUntil(
        (event) =>
          (event._tag === "TurnCompleted" || event._tag === "TurnFailed" || event._tag === "TurnAborted") &&
          (end = event) !== undefined
      ),
      Stream.runForEachArray((events) =>
        Effect.sync(() => {
          for (const event of events) if (event._tag === "TextDelta") onDelta?.(event.text)
        })
      ),
      Effect.forkChild({ startImmediately: true })
    )
    const onAbort = () => Effect.runSync(session.abort())
    signal?.addEventListener("abort", onAbort, { once: true })
    const receipt = yield* session.submit({ _tag: "UserInput", input: [{ _tag: "Text", text: prompt }] })
    if (receipt._tag !== "Started") throw new Error(`receipt ${receipt._tag}`)
    yield* Fiber.join(reading)
    signal?.removeEventListener("abort", onAbort)
    if (end._tag !== "TurnCompleted") throw new Error(end._tag)
    return { text: end.lastMessage }
  })

/** A session as the workloads drive it. */
const peerSession = ({ Effect, runtime, turn }, session, close) => ({
  turn: (prompt, options) => runtime.runPromise(turn(session, prompt, options)),
  history: () => runtime.runPromise(Effect.map(session.snapshot, ({ items }) => norm(items))),
  dispose: close
})

/** A text that never ends, one piece every `everyMillis`. */
const dripping = ({ Effect, Stream }, everyMillis, part) =>
  Stream.fromEffectRepeat(
    Effect.map(Effect.sleep(everyMillis), () => {
      live.deltasOut++
      return part("tok ")
    })
  ).pipe(Stream.onStart(Effect.sync(started)), Stream.ensuring(Effect.sync(stopped)))

/** A text as a stream: one pull for each piece, and the end after the last. */
const pulled = ({ Cause, Effect, Stream }, pieces, part, end) => {
  let done = false
  const next = Effect.suspend(() =>
    done
      ? Cause.done()
      : Effect.map(
          Effect.promise(() => pieces.next()),
          (piece) => ((done = piece.done), done ? end : [part(piece.value)])
        )
  )
  return Stream.fromPull(Effect.succeed(next))
}

/** A custom Model: the brain's steps as parts. */
function ownModel({ Cause, Effect, Layer, Stream }, Model) {
  const finish = (reason) => ({
    _tag: "Finish",
    reason,
    usage: { input: 1, cachedInput: 0, output: 1, reasoning: 0, total: 2 }
  })
  const delta = (text) => ({ _tag: "TextDelta", id: "t", delta: text })
  const texts = (step) =>
    step.drip
      ? dripping({ Effect, Stream }, step.drip, delta)
      : pulled({ Cause, Effect, Stream }, play({ deltas: step.deltas }), delta, [finish("stop")])
  return Layer.succeed(Model, {
    provider: "script",
    model: "brain",
    contextWindow: undefined,
    stream: ({ items }) => {
      const step = stepFor(items)
      const parts = step.tool
        ? Stream.fromIterable([
            { _tag: "ToolCall", callId: step.tool.id, name: step.tool.name, params: step.tool.args },
            finish("tool-calls")
          ])
        : texts(step)
      return step.lat ? Stream.unwrap(Effect.as(Effect.sleep(step.lat), parts)) : parts
    }
  })
}

async function onDisk(Layer, file) {
  const [JournalFile, NodeFileSystem] = await Promise.all([
    import("@spindle/core/JournalFile"),
    import("@effect/platform-node/NodeFileSystem")
  ])
  return JournalFile.layer({ directory: file }).pipe(Layer.provide(NodeFileSystem.layer))
}

async function throughLanguageModel({ Cause, Effect, Layer, Stream }) {
  const EffectAiModel = await import("@spindle/core/EffectAiModel")
  const LanguageModel = await import("effect/ai/LanguageModel")
  const usage = {
    inputTokens: { total: 1, uncached: 1, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 1, text: 1, reasoning: 0 }
  }
  const finish = (reason) => ({ type: "finish", reason, usage, response: undefined })
  const delta = (text) => ({ type: "text-delta", id: "t", delta: text })
  const flat = (prompt) =>
    prompt.content.map((message) => ({
      role: message.role,
      text:
        typeof message.content === "string"
          ? message.content
          : message.content
              .filter((part) => part.type === "text")
              .map((part) => part.text)
              .join(""),
      calls:
        typeof message.content === "string"
          ? []
          : message.content.filter((part) => part.type === "tool-call").map((part) => part.id),
      results:
        typeof message.content === "string"
          ? []
          : message.content.filter((part) => part.type === "tool-result").map((part) => part.id)
    }))
  const stepOf = (prompt) => {
    live.lastPrompt = () => flat(prompt)
    const messages = prompt.content
    let results = 0
    let index = messages.length - 1
    const text = (message) => message.content.map((part) => part.text ?? "").join("")
    for (; messages[index].role !== "user" || text(messages[index]).startsWith("<turn_aborted>"); index--)
      if (messages[index].role === "tool") results += messages[index].content.length
    return decide(text(messages[index]), results)
  }
  const texts = (step) =>
    step.drip
      ? dripping({ Effect, Stream }, step.drip, delta)
      : pulled({ Cause, Effect, Stream }, play({ deltas: step.deltas }), delta, [
          { type: "text-end", id: "t" },
          finish("stop")
        ])
  const service = LanguageModel.make({
    generateText: () => Effect.die("streaming only"),
    streamText: ({ prompt }) => {
      const step = stepOf(prompt)
      const parts = step.tool
        ? Stream.fromIterable([
            { type: "tool-call", id: step.tool.id, name: step.tool.name, params: step.tool.args },
            finish("tool-calls")
          ])
        : Stream.concat(Stream.succeed({ type: "text-start", id: "t" }), texts(step))
      return step.lat ? Stream.unwrap(Effect.as(Effect.sleep(step.lat), parts)) : parts
    }
  })
  return EffectAiModel.layer({ provider: "script", model: "brain" }).pipe(
    Layer.provide(Layer.effect(LanguageModel.LanguageModel, service))
  )
}
