// Mastra Agent.stream with a mock language model (AI SDK spec v3).
//   ""        Memory on InMemoryStore, lastMessages raised from its default 10 so that the complete history is sent
//   last10    the same with the shipped default (lastMessages: 10)
//   nomem     no memory: the caller keeps the message array
//   libsql    Memory on LibSQLStore, a local file (W8)
// sizes: an adapter is one function, as a program of its users would be
import { add, deaf, hang } from "../workloads/brain.mjs"
import { makeModel, norm } from "./ai-sdk.mjs"
export const packages = ["@mastra/core", "@mastra/memory", "@mastra/libsql"]
export const variants = {
  "": { store: "memory", last: 100_000 },
  last10: { store: "memory", last: undefined },
  nomem: { store: "none" },
  libsql: { store: "libsql", last: 100_000 }
}
export const caps = { stream: true, store: "libsql" }

export async function load({ store, last, file }) {
  const [{ Agent }, { createTool }, { z }] = await Promise.all([
    import("@mastra/core/agent"),
    import("@mastra/core/tools"),
    import("zod")
  ])
  let memory, storage
  if (store !== "none") {
    const { Memory } = await import("@mastra/memory")
    if (store === "memory") storage = new (await import("@mastra/core/storage")).InMemoryStore()
    else {
      storage = new (await import("@mastra/libsql")).LibSQLStore({ id: "s", url: `file:${file}` })
      await storage.init?.()
    }
    memory = new Memory({ storage, options: last ? { lastMessages: last } : {} })
  }
  const model = makeModel("v3", (t) =>
    t.name === "child" ? { ...t, name: "agent-child", args: { prompt: t.args.prompt } } : t
  )
  const child = new Agent({ id: "child", name: "child", description: "child", instructions: "child", model })
  const agent = new Agent({
    id: "parent",
    name: "parent",
    instructions: "parent",
    model,
    agents: { child },
    ...(memory && { memory }),
    tools: {
      add: createTool({
        id: "add",
        description: "add",
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        execute: (args) => add(args)
      }),
      deaf: createTool({
        id: "deaf",
        description: "deaf",
        inputSchema: z.object({ why: z.string() }),
        execute: () => deaf()
      }),
      hang: createTool({
        id: "hang",
        description: "hang",
        inputSchema: z.object({ why: z.string() }),
        execute: (_, ctx) => hang(ctx?.abortSignal)
      })
    }
  })
  let ids = 0
  const open = (id) => {
    const messages = []
    return {
      id,
      async turn(prompt, { signal, onDelta } = {}) {
        let done = [] // finished steps of this turn (cumulative), kept if it is aborted
        if (!memory) messages.push({ role: "user", content: prompt })
        const s = await agent.stream(memory ? prompt : messages, {
          maxSteps: 20,
          abortSignal: signal,
          ...(!memory && {
            onStepFinish: (s) => {
              done = s.response.messages
            }
          }),
          ...(memory && { memory: { thread: id, resource: "u" } })
        })
        let text = ""
        for await (const c of s.fullStream) {
          if (c.type === "text-delta") {
            text += c.payload.text
            onDelta?.(c.payload.text)
          } else if (c.type === "error") throw c.payload.error
        }
        if (signal?.aborted) {
          if (!memory) messages.push(...done)
          throw signal.reason
        }
        if (!memory) messages.push(...(await s.response).messages)
        return { text }
      },
      async history() {
        if (!memory) return norm(messages)
        const { messages: ms } = await memory.recall({ threadId: id, resourceId: "u", perPage: false })
        return ms.flatMap((m) => {
          const parts = m.content.parts ?? []
          const tools = parts.filter((p) => p.type === "tool-invocation").map((p) => p.toolInvocation)
          const text = parts
            .filter((p) => p.type === "text")
            .map((p) => p.text)
            .join("")
          const calls = tools.map((t) => t.toolCallId),
            results = tools.filter((t) => t.state === "result").map((t) => t.toolCallId)
          return results.length
            ? [{ role: m.role, calls }, { role: "tool", results }, ...(text ? [{ role: m.role, text }] : [])]
            : [{ role: m.role, text, calls }]
        })
      },
      dispose: async () => {
        await memory?.deleteThread(id)
      }
    }
  }
  return { newSession: () => open(`t${process.pid}-${++ids}`), openSession: open, close: async () => {} }
}
