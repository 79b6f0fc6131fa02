// OpenAI Agents SDK for JS: run(agent, input, {stream: true, session: MemorySession}). Tracing is on as shipped
// (without an API key the exporter drops the spans after building and batching them); "notrace" switches it off.
import { add, deaf, decide, hang, live, play } from "../workloads/brain.mjs"
export const packages = ["@openai/agents"]
export const variants = { "": { trace: true }, notrace: { trace: false } }
export const caps = { stream: true, store: false }

const textOf = (c) => (typeof c === "string" ? c : c.map((p) => p.text ?? "").join(""))
const norm = (items) =>
  items.map((i) =>
    i.type === "function_call"
      ? { role: "assistant", calls: [i.callId] }
      : i.type === "function_call_result"
        ? { role: "tool", results: [i.callId] }
        : { role: i.role, text: textOf(i.content) }
  )

class Scripted {
  #step(input) {
    if (typeof input === "string") {
      live.lastPrompt = () => [{ role: "user", text: input }]
      return decide(input, 0)
    }
    live.lastPrompt = () => norm(input)
    let results = 0,
      i = input.length - 1
    for (; input[i].role !== "user"; i--) if (input[i].type === "function_call_result") results++
    return decide(textOf(input[i].content), results)
  }
  #output(step, text) {
    return step.tool
      ? [
          {
            type: "function_call",
            callId: step.tool.id,
            name: step.tool.name,
            status: "completed",
            arguments: JSON.stringify(step.tool.name === "child" ? { input: step.tool.args.prompt } : step.tool.args)
          }
        ]
      : [{ type: "message", id: "m", role: "assistant", status: "completed", content: [{ type: "output_text", text }] }]
  }
  async getResponse(req) {
    const step = this.#step(req.input)
    let text = ""
    for await (const d of play(step, req.signal)) text += d
    return {
      usage: new Scripted.Usage({ requests: 1, inputTokens: 1, outputTokens: 1, totalTokens: 2 }),
      output: this.#output(step, text),
      responseId: "r"
    }
  }
  async *getStreamedResponse(req) {
    const step = this.#step(req.input)
    yield { type: "response_started" }
    let text = ""
    for await (const delta of play(step, req.signal)) {
      text += delta
      yield { type: "output_text_delta", delta }
    }
    yield {
      type: "response_done",
      response: {
        id: "r",
        usage: { requests: 1, inputTokens: 1, outputTokens: 1, totalTokens: 2 },
        output: this.#output(step, text)
      }
    }
  }
}

export async function load({ trace }) {
  const { Agent, run, tool, MemorySession, Usage, setTracingDisabled } = await import("@openai/agents")
  const { z } = await import("zod")
  Scripted.Usage = Usage
  setTracingDisabled(!trace)
  const model = new Scripted()
  const child = new Agent({ name: "child", model, instructions: "child" })
  const agent = new Agent({
    name: "parent",
    model,
    instructions: "parent",
    tools: [
      tool({
        name: "add",
        description: "add",
        parameters: z.object({ a: z.number(), b: z.number() }),
        execute: (args) => add(args)
      }),
      tool({
        name: "hang",
        description: "hang",
        parameters: z.object({ why: z.string() }),
        execute: (_, _ctx, details) => hang(details?.signal)
      }),
      tool({ name: "deaf", description: "deaf", parameters: z.object({ why: z.string() }), execute: () => deaf() }),
      // onStream makes the child run in streaming mode
      child.asTool({ toolName: "child", toolDescription: "child", onStream: () => {} })
    ]
  })
  const newSession = () => {
    const session = new MemorySession()
    return {
      async turn(prompt, { signal, onDelta } = {}) {
        const s = await run(agent, prompt, { stream: true, session, signal })
        for await (const ev of s) {
          if (ev.type === "raw_model_stream_event" && ev.data.type === "output_text_delta") onDelta?.(ev.data.delta)
        }
        await s.completed
        if (signal?.aborted) throw signal.reason
        return { text: s.finalOutput }
      },
      history: async () => norm(await session.getItems())
    }
  }
  return { newSession, close: async () => {} }
}
