// Vercel AI SDK: ToolLoopAgent.stream. The SDK has no session: the caller keeps the message array, as its docs show.
import { add, deaf, decide, hang, live, play } from "../workloads/brain.mjs"
export const packages = ["ai"]
export const variants = { "": {} }
export const caps = { stream: true, store: false }

export const norm = (ms) =>
  ms.map((m) => {
    if (typeof m.content === "string") return { role: m.role, text: m.content }
    return {
      role: m.role,
      text: m.content
        .filter((p) => p.type === "text")
        .map((p) => p.text)
        .join(""),
      calls: m.content.filter((p) => p.type === "tool-call").map((p) => p.toolCallId),
      results: m.content.filter((p) => p.type === "tool-result").map((p) => p.toolCallId)
    }
  })
const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 }
}

/** Makes an AI SDK language model (spec v4 or v3, with the same parts). `names` maps the script's tool names and arguments. */
export const makeModel = (specificationVersion, names = (t) => t) => {
  const stepFor = (messages) => {
    live.lastPrompt = () => norm(messages)
    let results = 0,
      i = messages.length - 1
    for (; messages[i].role !== "user"; i--) if (messages[i].role === "tool") results += messages[i].content.length
    return decide(
      messages[i].content
        .filter((p) => p.type === "text")
        .map((p) => p.text)
        .join(""),
      results
    )
  }
  async function* parts(step, signal) {
    yield { type: "stream-start", warnings: [] }
    if (step.tool) {
      if (step.lat) for await (const _ of play({ lat: step.lat }, signal));
      const t = names(step.tool)
      yield { type: "tool-call", toolCallId: t.id, toolName: t.name, input: JSON.stringify(t.args) }
    } else {
      yield { type: "text-start", id: "t" }
      for await (const delta of play(step, signal)) yield { type: "text-delta", id: "t", delta }
      yield { type: "text-end", id: "t" }
    }
    const r = step.tool ? "tool-calls" : "stop"
    yield { type: "finish", finishReason: { unified: r, raw: r }, usage }
  }
  return {
    specificationVersion,
    provider: "mock",
    modelId: "mock",
    supportedUrls: {},
    async doGenerate({ prompt, abortSignal }) {
      const step = stepFor(prompt)
      let text = ""
      for await (const d of play(step, abortSignal)) text += d
      const r = step.tool ? "tool-calls" : "stop"
      const t = step.tool && names(step.tool)
      return {
        content: t
          ? [{ type: "tool-call", toolCallId: t.id, toolName: t.name, input: JSON.stringify(t.args) }]
          : [{ type: "text", text }],
        finishReason: { unified: r, raw: r },
        usage,
        warnings: []
      }
    },
    async doStream({ prompt, abortSignal }) {
      const it = parts(stepFor(prompt), abortSignal)
      return {
        stream: new ReadableStream({
          async pull(c) {
            try {
              const r = await it.next()
              if (r.done) c.close()
              else c.enqueue(r.value)
            } catch (e) {
              c.error(e)
            }
          },
          cancel: () => {
            it.return()
          }
        })
      }
    }
  }
}

export async function load() {
  const { ToolLoopAgent, tool } = await import("ai")
  const { z } = await import("zod")
  const model = makeModel("v4")
  const child = new ToolLoopAgent({ model })
  const agent = new ToolLoopAgent({
    model,
    tools: {
      add: tool({
        description: "add",
        inputSchema: z.object({ a: z.number(), b: z.number() }),
        execute: (args) => add(args)
      }),
      hang: tool({
        description: "hang",
        inputSchema: z.object({ why: z.string() }),
        execute: (_, { abortSignal }) => hang(abortSignal)
      }),
      deaf: tool({ description: "deaf", inputSchema: z.object({ why: z.string() }), execute: () => deaf() }),
      child: tool({
        description: "child",
        inputSchema: z.object({ prompt: z.string() }),
        // streamed child, so that the same 20 deltas are produced; the docs' basic form uses generate()
        execute: async ({ prompt }, { abortSignal }) => (await child.stream({ prompt, abortSignal })).text
      })
    }
  })
  const newSession = () => {
    const messages = []
    return {
      async turn(prompt, { signal, onDelta } = {}) {
        messages.push({ role: "user", content: prompt })
        let text = ""
        const done = []
        // the finished steps, kept for the history if the turn is aborted (onAbort is a constructor option only)
        const r = await agent.stream({
          messages,
          abortSignal: signal,
          onStepEnd: (s) => {
            done.push(...s.response.messages)
          }
        })
        let ab = false
        for await (const p of r.stream) {
          if (p.type === "text-delta") {
            text += p.text
            onDelta?.(p.text)
          } else if (p.type === "error") throw p.error
          else if (p.type === "abort") ab = true
        }
        if (ab) {
          messages.push(...done)
          throw signal.reason
        }
        messages.push(...(await r.responseMessages))
        return { text: await r.text }
      },
      history: async () => norm(messages)
    }
  }
  return { newSession, close: async () => {} }
}
