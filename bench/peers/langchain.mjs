// LangChain createAgent (on LangGraph), a fake BaseChatModel, agent.stream(streamMode: "messages").
//   ""        MemorySaver checkpointer: the session lives in LangGraph (one checkpoint per super-step, never deleted)
//   nockpt    no checkpointer: the caller keeps the message array (streamMode messages + values)
//   sqlite    SqliteSaver on a file (W8)
// sizes: an adapter is one function, as a program of its users would be
import { add, deaf, decide, hang, live, play } from "../workloads/brain.mjs"
export const packages = [
  "langchain",
  "@langchain/langgraph",
  "@langchain/core",
  "@langchain/langgraph-checkpoint-sqlite"
]
export const variants = { "": { ckpt: "memory" }, nockpt: { ckpt: "none" }, sqlite: { ckpt: "sqlite" } }
export const caps = { stream: true, store: "sqlite" }

const textOf = (c) => (typeof c === "string" ? c : (c ?? []).map((p) => p.text ?? "").join(""))
const role = { human: "user", ai: "assistant", tool: "tool", system: "system" }
const norm = (ms) =>
  ms.map((m) => ({
    role: role[m.getType()],
    text: textOf(m.content),
    calls: m.tool_calls?.map((c) => c.id),
    results: m.getType() === "tool" ? [m.tool_call_id] : undefined
  }))

export async function load({ ckpt, file }) {
  const [
    { createAgent, tool },
    { BaseChatModel },
    { AIMessage, AIMessageChunk, HumanMessage },
    { ChatGenerationChunk },
    { z }
  ] = await Promise.all([
    import("langchain"),
    import("@langchain/core/language_models/chat_models"),
    import("@langchain/core/messages"),
    import("@langchain/core/outputs"),
    import("zod")
  ])
  class Fake extends BaseChatModel {
    _llmType() {
      return "fake"
    }
    bindTools() {
      return this
    }
    #step(ms) {
      live.lastPrompt = () => norm(ms)
      let results = 0,
        i = ms.length - 1
      for (; ms[i].getType() !== "human"; i--) if (ms[i].getType() === "tool") results++
      return decide(textOf(ms[i].content), results)
    }
    async _generate(ms, options) {
      const step = this.#step(ms)
      let text = ""
      for await (const d of play(step, options.signal)) text += d
      const tool_calls = step.tool ? [{ ...step.tool, type: "tool_call" }] : []
      return { generations: [{ text, message: new AIMessage({ content: text, tool_calls }) }] }
    }
    async *_streamResponseChunks(ms, options, runManager) {
      const step = this.#step(ms)
      for await (const d of play(step, options.signal)) {
        const chunk = new ChatGenerationChunk({ text: d, message: new AIMessageChunk({ content: d }) })
        yield chunk
        await runManager?.handleLLMNewToken(d, undefined, undefined, undefined, undefined, { chunk })
      }
      if (step.tool) {
        const t = step.tool
        yield new ChatGenerationChunk({
          text: "",
          message: new AIMessageChunk({
            content: "",
            tool_call_chunks: [
              { id: t.id, name: t.name, args: JSON.stringify(t.args), index: 0, type: "tool_call_chunk" }
            ]
          })
        })
      }
    }
  }
  const model = new Fake({})
  let saver
  if (ckpt === "memory") saver = new (await import("@langchain/langgraph")).MemorySaver()
  if (ckpt === "sqlite")
    saver = (await import("@langchain/langgraph-checkpoint-sqlite")).SqliteSaver.fromConnString(file)
  const child = createAgent({ model, tools: [] })
  const agent = createAgent({
    model,
    checkpointer: saver,
    tools: [
      tool((args) => add(args), {
        name: "add",
        description: "add",
        schema: z.object({ a: z.number(), b: z.number() })
      }),
      tool((_, config) => hang(config.signal), {
        name: "hang",
        description: "hang",
        schema: z.object({ why: z.string() })
      }),
      tool(() => deaf(), { name: "deaf", description: "deaf", schema: z.object({ why: z.string() }) }),
      // as the docs show it: the tool invokes the child, and the ambient config passes the run's signal on
      tool(
        async ({ prompt }) =>
          textOf((await child.invoke({ messages: [{ role: "user", content: prompt }] })).messages.at(-1).content),
        { name: "child", description: "child", schema: z.object({ prompt: z.string() }) }
      )
    ]
  })
  let ids = 0
  const open = (id) => {
    const thread = { configurable: { thread_id: id } }
    let messages = []
    return {
      id,
      async turn(prompt, { signal, onDelta } = {}) {
        let text = ""
        if (saver) {
          const s = await agent.stream(
            { messages: [new HumanMessage(prompt)] },
            { ...thread, signal, streamMode: "messages", recursionLimit: 100 }
          )
          for await (const [m] of s)
            if (m.getType() === "ai" && m.content) {
              text += m.content
              onDelta?.(m.content)
            }
          if (signal?.aborted) throw signal.reason
          return { text }
        }
        messages = [...messages, new HumanMessage(prompt)]
        const s = await agent.stream({ messages }, { signal, streamMode: ["messages", "values"], recursionLimit: 100 })
        for await (const [mode, v] of s) {
          if (mode === "values") messages = v.messages
          else if (v[0].getType() === "ai" && v[0].content) {
            text += v[0].content
            onDelta?.(v[0].content)
          }
        }
        if (signal?.aborted) throw signal.reason
        return { text }
      },
      history: async () => norm(saver ? ((await agent.getState(thread)).values.messages ?? []) : messages),
      dispose: async () => {
        await saver?.deleteThread(id)
      }
    }
  }
  return {
    newSession: () => open(`t${process.pid}-${++ids}`),
    openSession: open,
    close: async () => {
      saver?.db?.close()
    }
  }
}
